"""Which tables a dump of a database would hold, and which of them refer to which."""

from __future__ import annotations

from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.postgres import rows
from engine_backup.model.excluded_data import TableFact

# Tables of extensions are not dumped. A table that is dropped meanwhile has no size any more.
_QUERY = """
    SELECT n.nspname, c.relname, coalesce(pg_catalog.pg_total_relation_size(c.oid), 0),
           ARRAY(SELECT ARRAY[fn.nspname::text, f.relname::text]
                   FROM pg_catalog.pg_constraint r
                   JOIN pg_catalog.pg_class f ON f.oid = r.confrelid
                   JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
                  WHERE r.conrelid = c.oid AND r.contype = 'f'
                  ORDER BY r.conname)
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                          AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY 1, 2
"""


def read(connection: Connection) -> tuple[TableFact, ...]:
    """Return the tables of users, sorted by name; sizes with indexes and TOAST."""
    return tuple(
        TableFact((schema, name), int(size), tuple((other, table) for other, table in references))
        for schema, name, size, references in rows(connection, _QUERY)
    )
