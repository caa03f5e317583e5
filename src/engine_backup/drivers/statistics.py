"""What PostgreSQL must know of freshly loaded tables to plan queries well (PostgreSQL manual, ANALYZE).

Autovacuum would find out by itself, some minutes after an engine has begun to work on wrong guesses.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.postgres import rows
from engine_backup.model.errors import EngineBackupError

# ANALYZE of a partitioned table looks at its partitions too. A table of others is theirs to analyze.
_TABLES = """
    SELECT n.nspname, c.relname, pg_catalog.pg_relation_size(c.oid)
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
"""


@dataclass(frozen=True)
class StoredTable:
    """A table and its size on the server's disk, in bytes."""

    schema: str
    name: str
    size: int


def tables(connection: Connection) -> list[StoredTable]:
    """Return the tables that the role of a connection may analyze."""
    found = rows(connection, _TABLES)
    return [StoredTable(schema, name, int(size or 0)) for schema, name, size in found]


def analyze(connection: Connection, table: StoredTable) -> str:
    """Gather the statistics of one table; returns why that was not possible, or "".

    An expression of an index may fail, for instance. Raises `EngineBackupError` when the connection is lost.
    """
    statement = sql.SQL("ANALYZE {}").format(sql.Identifier(table.schema, table.name))
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except psycopg2.Error as error:
        reason = (error.diag.message_primary or str(error)).strip().split("\n")[0]
        if connection.closed:
            raise EngineBackupError(f"the database server went away: {reason}", "see its log") from error
        return reason
    return ""
