"""Rows of a loaded database: what they refer to, and what they say of its schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.postgres import rows
from engine_backup.model.loaded_database import BrokenReference, CheckedReferences
from engine_backup.model.printable import printable
from engine_backup.model.references import Reference

MOST_FINDINGS = 20
LONGEST_IDENTITY = 80

# Only types that PostgreSQL brings: comparing them runs nobody else's code.
_COLUMNS = """
    SELECT c.relname, a.attname, a.atttypid
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
       AND a.atttypid < 10000
"""
# Whoever made the dump may have put a view there, of as many rows as he likes.
_SCHEMA_VERSIONS = "SELECT version::text FROM public.schema_version WHERE current LIMIT 100"
_CHANGE_LOG_LOCKS = "SELECT id::text FROM public.databasechangeloglock WHERE locked LIMIT 100"


def columns(connection: Connection) -> dict[tuple[str, str], int]:
    """Return the type (its OID) of each column in schema public that has one of PostgreSQL's own."""
    return {(table, column): kind for table, column, kind in rows(connection, _COLUMNS)}


def schema_versions(connection: Connection) -> tuple[str, ...]:
    """Return the current versions of the schema; there should be one. Raises `psycopg2.Error`."""
    return tuple(version for (version,) in rows(connection, _SCHEMA_VERSIONS))


def change_log_locks(connection: Connection) -> tuple[str, ...]:
    """Return the locks that an upgrade of Keycloak's schema holds. Raises `psycopg2.Error`."""
    return tuple(lock for (lock,) in rows(connection, _CHANGE_LOG_LOCKS))


def check_references(
    connection: Connection, references: Iterable[Reference], there: Mapping[tuple[str, str], int]
) -> CheckedReferences:
    """Look at each rule whose tables and columns are `there`. Raises `psycopg2.Error`."""
    checked = skipped = 0
    broken: list[BrokenReference] = []
    leftovers: list[BrokenReference] = []
    for reference in references:
        if not reference.needs <= there.keys():
            skipped += 1
            continue
        checked += 1
        found = _composed(connection, _breaking(reference, there))
        if found:
            told = BrokenReference(int(found[0][2]), tuple(_finding(reference, row) for row in found))
            (leftovers if reference.leftovers else broken).append(told)
    return CheckedReferences(checked, skipped, tuple(broken), tuple(leftovers))


def _finding(reference: Reference, row: tuple[Any, ...]) -> str:
    identity, value = (printable(str(text), LONGEST_IDENTITY) for text in row[:2])
    return reference.finding.format(id=identity, value=value)


def _breaking(reference: Reference, there: Mapping[tuple[str, str], int]) -> sql.Composable:
    """Return the query for identity, value and number of all rows that break a rule."""
    value = sql.SQL("r.{}").format(sql.Identifier(reference.column))
    conditions = [sql.SQL("{} IS NOT NULL").format(value)]
    if reference.exempt:
        conditions.append(sql.SQL("{}::text <> {}").format(value, sql.Literal(reference.exempt)))
    if reference.only is not None:
        column, values = reference.only
        conditions.append(
            sql.SQL("r.{}::text = ANY ({})").format(sql.Identifier(column), sql.Literal(list(values)))
        )
    own = there[reference.table, reference.column]
    for table, column in reference.targets:
        template = "{} = t.{}" if there[table, column] == own else "{}::text = t.{}::text"
        equal = sql.SQL(template).format(value, sql.Identifier(column))
        conditions.append(
            sql.SQL("NOT EXISTS (SELECT FROM {} AS t WHERE {})").format(
                sql.Identifier("public", table), equal
            )
        )
    return sql.SQL("SELECT r.{}::text, {}::text, count(*) OVER () FROM {} AS r WHERE {} LIMIT {}").format(
        sql.Identifier(reference.identity),
        value,
        sql.Identifier("public", reference.table),
        sql.SQL(" AND ").join(conditions),
        sql.Literal(MOST_FINDINGS),
    )


def _composed(connection: Connection, query: sql.Composable) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
