"""Comparing B-tree indexes with their tables, by PostgreSQL's own `amcheck` (manual, F.1).

The superuser only creates the extension, where nobody else can write. The owner of the tables runs it:
comparing an index with its table evaluates what the index is made of, which is a stranger's code.
"""

from __future__ import annotations

from contextlib import closing

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.postgres import connect, naming, rows
from engine_backup.model.facts import Credentials

EXTENSION = "amcheck"
# Nobody but the superuser can make anything in it, and no other names hide it.
SAFE_SCHEMA = "pg_catalog"
# Comparing with the table's rows came with amcheck 1.1 (PostgreSQL 11).
FIRST_VERSION = 110000
# An index, or its table, that is not what it should be (manual, appendix A, class XX).
_DAMAGE = frozenset({"XX001", "XX002"})
_INSTALLED = """
    SELECT n.nspname FROM pg_catalog.pg_extension e
      JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = %s
"""
_AVAILABLE = "SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = %s"


def prepare(administrator: Credentials, owner: str) -> str | None:
    """Let the owner of a database's tables use amcheck there; returns the schema it is in.

    None when this server has no amcheck that could be used. Raises `EngineBackupError`.
    """
    with (
        closing(connect(administrator, "-c search_path=pg_catalog")) as connection,
        naming(administrator),
        connection,
    ):
        if connection.server_version < FIRST_VERSION or not rows(connection, _AVAILABLE, EXTENSION):
            return None
        found = rows(connection, _INSTALLED, EXTENSION)
        schema = str(found[0][0]) if found else SAFE_SCHEMA
        if not found:
            create = sql.SQL("CREATE EXTENSION {} SCHEMA {}")
            _execute(connection, create.format(sql.Identifier(EXTENSION), sql.Identifier(schema)))
        grant = sql.SQL(
            "GRANT USAGE ON SCHEMA {schema} TO {owner};"
            " GRANT EXECUTE ON FUNCTION {schema}.bt_index_check(regclass, boolean) TO {owner}"
        ).format(schema=sql.Identifier(schema), owner=sql.Identifier(owner))
        _execute(connection, grant)
        return schema


def _execute(connection: Connection, statement: sql.Composable) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def damage(connection: Connection, schema: str, index: int, compare_rows: bool) -> str | None:
    """Return what is wrong with an index (its OID), None when it is sound; the connection is the owner's.

    With `compare_rows` every row of the table must be in it. Raises `psycopg2.Error` for whatever else
    keeps it from being looked at.
    """
    statement = sql.SQL("SELECT {}.bt_index_check({}::oid::regclass, {}::boolean)").format(
        sql.Identifier(schema), sql.Literal(index), sql.Literal(compare_rows)
    )
    try:
        _execute(connection, statement)
    except psycopg2.Error as error:
        if error.pgcode not in _DAMAGE:
            raise
        return (error.diag.message_primary or str(error)).split("\n")[0]
    return None
