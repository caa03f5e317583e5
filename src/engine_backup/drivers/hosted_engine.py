"""One transaction in a restored engine database that takes hosted-engine objects out of it (reference 3).

Databases of other releases lack tables and columns. So every name is looked up in the catalog first: what
a removal cannot do without is demanded, anything else that is not there is passed over and told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - the class has a lower-case name
from psycopg2.extras import register_uuid

from engine_backup.drivers.postgres import connect
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials

FAILED = "Failed cleaning hosted-engine"
_COLUMNS = """
    SELECT c.relname || '.' || a.attname
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
"""


def failed(what: str, hint: str) -> EngineBackupError:
    """Return the error of a removal that cannot be done; stock's words begin it (reference 10.6)."""
    return EngineBackupError(f"{FAILED}: {what}", hint)


class EngineTables:
    """The tables of an engine within one transaction. Names are `table.column`, all of schema public.

    `passed_over` are tables that were to be changed and are not there.
    """

    def __init__(self, cursor: Cursor) -> None:
        register_uuid(conn_or_curs=cursor)  # type: ignore[no-untyped-call]
        self._cursor = cursor
        cursor.execute(_COLUMNS)
        self._names = frozenset(name for (name,) in cursor.fetchall())
        self._tables = frozenset(name.split(".")[0] for name in self._names)
        self.passed_over: list[str] = []

    def has(self, *names: str) -> bool:
        """Whether all of these columns are there; a table that is not there at all is passed over."""
        missing = [name for name in names if name not in self._names]
        tables = dict.fromkeys(name.split(".")[0] for name in missing)
        self.passed_over += [t for t in tables if t not in self._tables and t not in self.passed_over]
        return not missing

    def demand(self, *names: str) -> None:
        """Raise `EngineBackupError` unless all of these columns are there."""
        missing = [name for name in names if name not in self._names]
        if missing:
            hint = "its release has no hosted engines, or it is only a part of one: leave --he-remove-* out"
            raise failed(f"this engine database has no {', '.join(missing)}", hint)

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return all rows of a query; ids are `uuid.UUID`."""
        self._cursor.execute(query, values)
        return list(self._cursor.fetchall())

    def delete(self, name: str, ids: Sequence[Any]) -> int:
        """Delete the rows whose column is one of these; return how many."""
        if not self.has(name):
            return 0
        table, column = name.split(".")
        statement = sql.SQL("DELETE FROM {} WHERE {} = ANY (%s)")
        return self._change(statement.format(sql.Identifier("public", table), sql.Identifier(column)), ids)

    def update(self, name: str, ids: Sequence[Any], changes: dict[str, Any]) -> int:
        """Change the rows whose column is one of these, as far as the columns to change are there."""
        table, column = name.split(".")
        present = {key: value for key, value in changes.items() if self.has(name, f"{table}.{key}")}
        if not present:
            return 0
        statement = sql.SQL("UPDATE {} SET {} WHERE {} = ANY (%s)").format(
            sql.Identifier("public", table),
            sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(key)) for key in present),
            sql.Identifier(column),
        )
        return self._change(statement, *present.values(), ids)

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement; return how many rows it changed."""
        self._cursor.execute(statement, values)
        return int(self._cursor.rowcount)

    def _change(self, statement: sql.Composable, *values: Any) -> int:
        self._cursor.execute(statement, values)
        return int(self._cursor.rowcount)


@contextmanager
def engine_tables(credentials: Credentials) -> Iterator[EngineTables]:
    """Hold one transaction while the block lasts, committed at its end.

    Raises `EngineBackupError`, also for what the server complains about; then nothing was changed.
    """
    with closing(connect(credentials)) as connection:
        try:
            with connection, connection.cursor() as cursor:
                yield EngineTables(cursor)
        except psycopg2.Error as error:
            lines = (error.diag.message_primary or str(error)).split("\n")
            where = f"database '{credentials.database}' at {credentials.address}"
            hint = "look into the database server's log; or leave --he-remove-* out"
            raise failed(f"{where}: {lines[0].strip()}", hint) from error
