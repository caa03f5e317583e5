"""How many tables a database has, and which are the largest."""

from __future__ import annotations

from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.postgres import rows
from engine_backup.model.inspection import LARGEST_TABLES

# Tables of extensions are not dumped. A table that is dropped meanwhile has no size any more.
_QUERY = """
    SELECT n.nspname || '.' || c.relname,
           coalesce(pg_catalog.pg_total_relation_size(c.oid), 0),
           pg_catalog.count(*) OVER ()
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                          AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY 2 DESC, 1
     LIMIT %s
"""


def read(connection: Connection) -> dict[str, Any]:
    """Return `tables` and `largest_tables` for the manifest; sizes in bytes, with indexes and TOAST."""
    found = rows(connection, _QUERY, LARGEST_TABLES)
    return {
        "tables": int(found[0][2]) if found else 0,
        "largest_tables": [{"name": name, "size": int(size)} for name, size, _ in found],
    }
