"""How many rows the tables of a database have, exactly."""

from __future__ import annotations

from psycopg2 import sql

from engine_backup.drivers import postgres
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.loaded_sessions import reading
from engine_backup.model.facts import Credentials

_TABLES = """
    SELECT n.nspname, c.relname, c.relkind
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
     ORDER BY c.relpages DESC
"""
# One statement for many tables: a round trip for each would cost more than most of them.
AT_ONCE = 100
PARENT = "p"


def count_rows(credentials: Credentials, interruption: Interruption | None = None) -> dict[str, int]:
    """Return the number of rows by `schema.table`; a parent of partitions counts what these hold.

    Raises `EngineBackupError`, and `StoppedError` when it is interrupted.
    """
    found: dict[str, int] = {}
    with reading(credentials, interruption or Interruption()) as connection:
        tables = postgres.rows(connection, _TABLES)
        for first in range(0, len(tables), AT_ONCE):
            counts = [_count(*table) for table in tables[first : first + AT_ONCE]]
            statement = sql.SQL(" UNION ALL ").join(counts).as_string(connection)
            found.update((name, int(number)) for name, number in postgres.rows(connection, statement))
    return found


def _count(schema: str, name: str, kind: str) -> sql.Composed:
    only = sql.SQL("" if kind == PARENT else "ONLY ")
    statement = sql.SQL("SELECT {}, pg_catalog.count(*) FROM {}{}")
    return statement.format(sql.Literal(f"{schema}.{name}"), only, sql.Identifier(schema, name))
