"""Counts rows and objects in a database, cheaply, and leaves its transaction as it was.

Everything happens behind a savepoint that is rolled back to, so no lock on a table stays: pg_dump takes its
own later, and would wait for whoever waits for ours. The database may be a stranger's: names are looked up
in the catalog and qualified, only plain tables and built-in types are read, policies on rows are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from typing import Any, NamedTuple

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.postgres import connect, naming, rows, value
from engine_backup.model.components import Component
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.inventory import (
    LONGEST_NAME,
    MOMENTS,
    MOST_OBJECTS,
    OBJECT_COUNTS,
    OBJECT_KINDS,
    DatabaseCounts,
    Inventory,
    KindInventory,
    Moment,
    NamedObject,
    Source,
)
from engine_backup.model.printable import printable

# Tables up to this size are counted, the smallest first, while all together are not larger than that.
COUNTED_UP_TO = 8 << 20
COUNTED_TOGETHER = 64 << 20
MOST_TABLES = 2000
MOST_READ = 100_000
TABLES_IN_A_QUERY = 100

# `row_security = off` makes a policy an error: it would be somebody else's code (manual, 5.9).
_SETTINGS = """
    SET LOCAL search_path = pg_catalog;
    SET LOCAL row_security = off;
    SET LOCAL max_parallel_workers_per_gather = 0;
    SET LOCAL lock_timeout = '5s';
    SET LOCAL statement_timeout = '30s'
"""

# Relations that people made; what belongs to extensions is not dumped.
_OWN = """
    SELECT c.oid, c.relname, n.nspname, c.relkind, c.relispartition, c.reltuples
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'
       AND NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""
_TABLES = f"""
    SELECT o.nspname, o.relname, pg_relation_size(o.oid), o.reltuples
      FROM ({_OWN}) AS o WHERE o.relkind = 'r' ORDER BY 3, 1, 2 LIMIT {MOST_TABLES}
"""  # noqa: S608

# As pg_dump sees them, so that a copy has as many on any release: no NOT NULL constraints (rows since
# PostgreSQL 18), none of what a partition gets from its parent, no invalid indexes, no functions in C.
_OBJECTS = f"""
    WITH own AS ({_OWN}), own_types AS (
        SELECT t.oid
          FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
         WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
           AND (t.typtype IN ('d', 'e', 'r') OR (t.typtype = 'c' AND EXISTS (
                SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')))
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass
                              AND d.objid = t.oid AND d.deptype IN ('e', 'i')))
    SELECT (SELECT count(*) FROM own WHERE relkind IN ('r', 'p')) AS tables,
           (SELECT count(*) FROM own WHERE relkind = 'v') AS views,
           (SELECT count(*) FROM own WHERE relkind = 'm') AS materialized_views,
           (SELECT count(*) FROM own WHERE relkind = 'S') AS sequences,
           (SELECT count(*) FROM pg_index i JOIN own ON own.oid = i.indrelid
             WHERE i.indisready AND (i.indisvalid OR own.relkind = 'p')) AS indexes,
           (SELECT count(*) FROM pg_constraint k
              LEFT JOIN own ON own.oid = k.conrelid LEFT JOIN own AS other ON other.oid = k.confrelid
             WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')
               AND (NOT own.relispartition AND other.relispartition IS NOT TRUE
                    OR k.contypid IN (SELECT oid FROM own_types))) AS constraints,
           (SELECT count(*) FROM pg_trigger g JOIN own ON own.oid = g.tgrelid
             WHERE NOT g.tgisinternal AND NOT own.relispartition) AS triggers,
           (SELECT count(*) FROM pg_proc p
              JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
             WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
               AND (l.lanname NOT IN ('c', 'internal')
                    OR EXISTS (SELECT FROM pg_aggregate a WHERE a.aggfnoid = p.oid))
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                                  AND d.objid = p.oid AND d.deptype IN ('e', 'i'))) AS functions,
           (SELECT count(*) FROM own_types) AS types
"""  # noqa: S608

# Columns of tables in schema public, with a type of PostgreSQL's own: texts, UUIDs, whole numbers, times.
_COLUMNS = """
    SELECT c.relname, a.attname, a.atttypid = 'timestamptz'::regtype,
           EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                     JOIN pg_am m ON m.oid = x.relam
                    WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum AND i.indisvalid
                      AND i.indpred IS NULL AND m.amname = 'btree')
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND c.relname = ANY (%s)
       AND a.attnum > 0 AND NOT a.attisdropped
       AND a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'name'::regtype,
                          'uuid'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype,
                          'timestamptz'::regtype)
"""

# Longer texts are cut anyway; one letter more shows it.
_OBJECTS_OF_A_KIND = f"""
    SELECT identity, name
      FROM (SELECT left(coalesce({{identity}}::text, ''), {LONGEST_NAME + 1}) AS identity,
                   left(coalesce({{name}}::text, ''), {LONGEST_NAME + 1}) AS name
              FROM {{table}} {{where}}) AS o
     ORDER BY identity COLLATE "C", name COLLATE "C" LIMIT {MOST_READ}
"""  # noqa: S608


class Reading(NamedTuple):
    """Everything that one database tells; `at` is when, by the server's clock (UTC, ISO 8601), or empty."""

    counts: DatabaseCounts
    inventory: Inventory
    at: str = ""


def observe(credentials: Credentials, component: Component) -> Reading:
    """Log in, and read all of a database in one view of it.

    Raises `LoginError`, and `EngineBackupError` for what the server complains about.
    """
    with closing(connect(credentials)) as connection, naming(credentials):
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        at = value(connection, "SELECT pg_catalog.clock_timestamp()")
        return read(connection, component)._replace(at=at.astimezone(timezone.utc).isoformat())


def read(connection: Connection, component: Component) -> Reading:
    """Read a database within the transaction of a connection, which stays as it was, also after a failure.

    Raises `EngineBackupError` for what cannot be read.
    """
    try:
        with _passing(connection):
            counts = _counts(connection)
            return Reading(counts, _inventory(connection, component.name))
    except (psycopg2.Error, UnicodeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        message = f"the objects of database '{connection.info.dbname}' could not be counted: {reason}"
        raise EngineBackupError(message, "look into the database server's log") from error


@contextmanager
def _passing(connection: Connection) -> Iterator[None]:
    """Roll back to where the transaction was: settings and locks are gone (manual, 13.3)."""
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT counting")
        try:
            cursor.execute(_SETTINGS)
            yield
        finally:
            if not connection.closed:
                cursor.execute("ROLLBACK TO SAVEPOINT counting; RELEASE SAVEPOINT counting")


def _counts(connection: Connection) -> DatabaseCounts:
    chosen: list[tuple[str, str]] = []
    estimates: dict[str, int] = {}
    total = 0
    for schema, table, size, estimate in rows(connection, _TABLES):
        total += size or 0
        if size is not None and size <= COUNTED_UP_TO and total <= COUNTED_TOGETHER:
            chosen.append((schema, table))
        elif estimate > 0:
            estimates[printable(f"{schema}.{table}")] = round(estimate)
    return DatabaseCounts(_exact(connection, chosen), estimates, object_counts(connection))


def object_counts(connection: Connection) -> dict[str, int]:
    """Return how many objects there are, by names of `OBJECT_COUNTS`; names are to mean PostgreSQL's own.

    Raises `psycopg2.Error`.
    """
    (found,) = rows(connection, _OBJECTS)
    return dict(zip(OBJECT_COUNTS, map(int, found)))


def _exact(connection: Connection, tables: list[tuple[str, str]]) -> dict[str, int]:
    """Count tables, many in one query; heirs of a table are counted by themselves, as they are dumped."""
    counted: dict[str, int] = {}
    for start in range(0, len(tables), TABLES_IN_A_QUERY):
        some = tables[start : start + TABLES_IN_A_QUERY]
        columns = sql.SQL(", ").join(
            sql.SQL("(SELECT count(*) FROM ONLY {})").format(sql.Identifier(*name)) for name in some
        )
        (found,) = _rows(connection, sql.SQL("SELECT {}").format(columns))
        names = (printable(f"{schema}.{table}") for schema, table in some)
        counted.update(zip(names, found))
    return dict(sorted(counted.items()))


class _Column(NamedTuple):
    is_time: bool
    is_indexed: bool


def _inventory(connection: Connection, component: str) -> Inventory:
    kinds = [kind for kind in OBJECT_KINDS if kind.component == component]
    moments = [moment for moment in MOMENTS if moment.component == component]
    if not kinds and not moments:
        return Inventory()
    wanted = [s.table for kind in kinds for s in kind.sources] + [t for m in moments for t in m.tables]
    columns = {(t, c): _Column(*facts) for t, c, *facts in rows(connection, _COLUMNS, wanted)}
    sources = {kind.name: _source_of(kind.sources, columns) for kind in kinds}
    times = {moment.name: _latest(connection, moment, columns) for moment in moments}
    return Inventory(
        kinds={name: _objects(connection, source) for name, source in sources.items() if source is not None},
        moments={name: time for name, time in times.items() if time is not None},
    )


def _source_of(sources: Iterable[Source], columns: dict[tuple[str, str], _Column]) -> Source | None:
    return next((s for s in sources if all((s.table, column) in columns for column in s.columns)), None)


def _objects(connection: Connection, source: Source) -> KindInventory:
    table = sql.Identifier("public", source.table)
    where: sql.Composable = sql.SQL("")
    values: tuple[Any, ...] = ()
    if source.only is not None:
        where, values = sql.SQL("WHERE {}::text = %s").format(sql.Identifier(source.only[0])), source.only[1:]
    ((count,),) = _rows(connection, sql.SQL("SELECT count(*) FROM {} {}").format(table, where), *values)
    query = sql.SQL(_OBJECTS_OF_A_KIND).format(
        identity=sql.Identifier(source.identity), name=sql.Identifier(source.name), table=table, where=where
    )
    found = _rows(connection, query, *values)
    listed = tuple(
        NamedObject(printable(identity, LONGEST_NAME), printable(name, LONGEST_NAME))
        for identity, name in found[:MOST_OBJECTS]
    )
    return KindInventory(count, listed, count <= len(listed), _digest(found))


def _digest(found: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for identity, name in found:
        digest.update(json.dumps([identity, name]).encode() + b"\n")
    return digest.hexdigest()


def _latest(connection: Connection, moment: Moment, columns: dict[tuple[str, str], _Column]) -> str | None:
    """Return the latest time that an index knows; without one the whole table would be read."""
    for table in moment.tables:
        column = columns.get((table, moment.column))
        if column is None or not (column.is_time and column.is_indexed):
            continue
        query = sql.SQL(
            "SELECT to_char(max({}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US+00:00') FROM {}"
        ).format(sql.Identifier(moment.column), sql.Identifier("public", table))
        ((time,),) = _rows(connection, query)
        if time is not None:
            return _written(time)
    return None


def _written(time: str) -> str | None:
    """Return a time as Python writes it; a year beyond 9999 is none."""
    try:
        return datetime.fromisoformat(time).isoformat()
    except ValueError:
        return None


def _rows(connection: Connection, query: sql.Composable, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return list(cursor.fetchall())
