"""What the catalog of a loaded database says of its tables, owners, constraints, indexes and sequences."""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.postgres import rows
from engine_backup.model.loaded_database import (
    CatalogFacts,
    ForeignObject,
    IndexFact,
    OpenConstraint,
    SequenceFact,
)

# Whatever people made: no schema of PostgreSQL's, and nothing that belongs to an extension.
_OWN = """
    n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                     WHERE d.classid = {catalog}::pg_catalog.regclass AND d.objid = {oid} AND d.deptype = 'e')
"""
_OWN_RELATION = _OWN.format(catalog="'pg_catalog.pg_class'", oid="c.oid")
_OWN_FUNCTION = _OWN.format(catalog="'pg_catalog.pg_proc'", oid="p.oid")
_OWN_TYPE = _OWN.format(catalog="'pg_catalog.pg_type'", oid="t.oid")
_OWN_SCHEMA = _OWN.format(catalog="'pg_catalog.pg_namespace'", oid="n.oid")

_RELATIONS = f"""
    SELECT n.nspname || '.' || c.relname, c.relkind
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {_OWN_RELATION}
"""  # noqa: S608

_FOREIGN = f"""
    SELECT kind, name, pg_catalog.pg_get_userbyid(owner)
      FROM (SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' WHEN 'S' THEN 'sequence'
                   ELSE 'table' END AS kind, n.nspname || '.' || c.relname AS name, c.relowner AS owner
              FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {_OWN_RELATION}
            UNION ALL
            SELECT 'function', n.nspname || '.' || p.proname, p.proowner
              FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
             WHERE {_OWN_FUNCTION}
            UNION ALL
            SELECT 'type', n.nspname || '.' || t.typname, t.typowner
              FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
             WHERE t.typtype IN ('d', 'e', 'r') AND {_OWN_TYPE}
            UNION ALL
            SELECT 'schema', n.nspname, n.nspowner FROM pg_catalog.pg_namespace n
             WHERE n.nspname <> 'public' AND {_OWN_SCHEMA}
            ) AS found
     WHERE owner <> (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
     ORDER BY 1, 2
"""  # noqa: S608

_CONSTRAINTS = f"""
    SELECT pg_catalog.count(*) FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND {_OWN_RELATION}
"""  # noqa: S608

_OPEN_CONSTRAINTS = f"""
    SELECT k.oid, k.conname, n.nspname, c.relname, k.contype
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE k.contype IN ('c', 'f') AND NOT k.convalidated AND c.relkind IN ('r', 'p') AND {_OWN_RELATION}
     ORDER BY 3, 4, 2
"""  # noqa: S608

_KEY_COLUMNS = """
    SELECT n.nspname, c.relname, own.attname, other.attname
      FROM pg_catalog.pg_constraint k
      JOIN pg_catalog.pg_class c ON c.oid = k.confrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) AS u (a, b)
      JOIN pg_catalog.pg_attribute own ON own.attrelid = k.conrelid AND own.attnum = u.a
      JOIN pg_catalog.pg_attribute other ON other.attrelid = k.confrelid AND other.attnum = u.b
     WHERE k.oid = %s
"""

_INDEXES = f"""
    SELECT x.oid, n.nspname || '.' || x.relname, n.nspname || '.' || c.relname,
           i.indisvalid AND i.indisready AND i.indislive, m.amname = 'btree' AND x.relkind = 'i',
           i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
             OR EXISTS (SELECT FROM pg_catalog.unnest(i.indclass) AS o (class) WHERE o.class >= 16384),
           CASE x.relkind WHEN 'i' THEN pg_catalog.pg_relation_size(x.oid) ELSE 0 END,
           CASE c.relkind WHEN 'p' THEN 0 ELSE pg_catalog.pg_relation_size(c.oid) END
      FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
      JOIN pg_catalog.pg_am m ON m.oid = x.relam
      JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE {_OWN_RELATION}
     ORDER BY 2
"""  # noqa: S608

# Columns of whole numbers without duplicates that a sequence counts up: owned by it, or its default.
_SEQUENCES = f"""
    WITH numbered AS (
        SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attribute
          FROM pg_catalog.pg_depend d
         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0
           AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
        UNION
        SELECT d.refobjid, a.adrelid, a.adnum
          FROM pg_catalog.pg_attrdef a
          JOIN pg_catalog.pg_depend d ON d.objid = a.oid
                AND d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
         WHERE pg_catalog.pg_get_expr(a.adbin, a.adrelid) ~ '^nextval[(][^()]*[)]$')
    SELECT sn.nspname, s.relname, n.nspname, c.relname, a.attname, q.seqincrement
      FROM numbered o
      JOIN pg_catalog.pg_sequence q ON q.seqrelid = o.sequence AND q.seqincrement > 0 AND NOT q.seqcycle
      JOIN pg_catalog.pg_class s ON s.oid = o.sequence
      JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
      JOIN pg_catalog.pg_class c ON c.oid = o.relation AND c.relkind = 'r'
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = o.relation AND a.attnum = o.attribute
     WHERE a.atttypid IN ('int2'::pg_catalog.regtype, 'int4'::pg_catalog.regtype, 'int8'::pg_catalog.regtype)
       AND EXISTS (SELECT FROM pg_catalog.pg_index i
                    WHERE i.indrelid = c.oid AND i.indisunique AND i.indnatts = 1 AND i.indpred IS NULL
                      AND i.indkey[0] = a.attnum)
       AND {_OWN_RELATION}
     ORDER BY 1, 2, 3, 4
"""  # noqa: S608


def read(connection: Connection) -> CatalogFacts:
    """Return what the catalog says; the connection is the owner's. Raises `psycopg2.Error`."""
    return CatalogFacts(
        relations=dict(rows(connection, _RELATIONS)),
        foreign_objects=tuple(ForeignObject(*found) for found in rows(connection, _FOREIGN)),
        constraints=int(rows(connection, _CONSTRAINTS)[0][0]),
        open_constraints=tuple(
            _open_constraint(connection, *found) for found in rows(connection, _OPEN_CONSTRAINTS)
        ),
        indexes=tuple(IndexFact(*found) for found in rows(connection, _INDEXES)),
    )


def sequences(connection: Connection) -> tuple[SequenceFact, ...]:
    """Return each sequence that numbers a column, with where both stand. Raises `psycopg2.Error`."""
    return tuple(_sequence(connection, found) for found in rows(connection, _SEQUENCES))


def _sequence(connection: Connection, found: tuple[Any, ...]) -> SequenceFact:
    schema, name, table_schema, table, column, step = found
    query = sql.SQL(
        "SELECT s.last_value + CASE WHEN s.is_called THEN {} ELSE 0 END, (SELECT max(t.{}) FROM {} AS t)"
        " FROM {} AS s"
    ).format(
        sql.Literal(step),
        sql.Identifier(column),
        sql.Identifier(table_schema, table),
        sql.Identifier(schema, name),
    )
    ((following, largest),) = _composed(connection, query)
    return SequenceFact(f"{schema}.{name}", f"{table_schema}.{table}.{column}", int(following), largest)


def _open_constraint(
    connection: Connection, number: int, name: str, schema: str, table: str, kind: str
) -> OpenConstraint:
    """Count what breaks a constraint that PostgreSQL was told not to look at."""
    what = "foreign key" if kind == "f" else "check"
    place = sql.Identifier(schema, table)
    try:
        condition = _orphans(connection, number) if kind == "f" else _failing(connection, number)
        query = sql.SQL("SELECT count(*) FROM {} AS t WHERE {}").format(place, condition)
        ((violations,),) = _composed(connection, query)
    except psycopg2.Error as error:
        reason = (error.diag.message_primary or str(error)).split("\n")[0]
        return OpenConstraint(name, f"{schema}.{table}", what, None, reason)
    return OpenConstraint(name, f"{schema}.{table}", what, int(violations))


def _orphans(connection: Connection, number: int) -> sql.Composable:
    """Return the condition of rows whose key is set and not there (MATCH SIMPLE)."""
    columns = rows(connection, _KEY_COLUMNS, number)
    target = sql.Identifier(*columns[0][:2])
    alias, other = sql.Identifier("t"), sql.Identifier("o")
    present = [sql.SQL("{}.{} IS NOT NULL").format(alias, sql.Identifier(own)) for *_, own, _ in columns]
    equal = [
        sql.SQL("{}.{} = {}.{}").format(other, sql.Identifier(theirs), alias, sql.Identifier(own))
        for *_, own, theirs in columns
    ]
    return sql.SQL("{} AND NOT EXISTS (SELECT FROM {} AS o WHERE {})").format(
        sql.SQL(" AND ").join(present), target, sql.SQL(" AND ").join(equal)
    )


def _failing(connection: Connection, number: int) -> sql.Composable:
    """Return the condition of rows that a CHECK forbids, in PostgreSQL's own words for it."""
    query = "SELECT pg_catalog.pg_get_expr(conbin, conrelid) FROM pg_catalog.pg_constraint WHERE oid = %s"
    ((expression,),) = rows(connection, query, number)
    return sql.SQL("NOT ({})").format(sql.SQL(str(expression)))


def _composed(connection: Connection, query: sql.Composable) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
