"""How many tables a database has, and which are the largest."""

from __future__ import annotations

from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers import table_facts
from engine_backup.model.inspection import LARGEST_TABLES


def read(connection: Connection) -> dict[str, Any]:
    """Return `tables` and `largest_tables` for the manifest; sizes in bytes, with indexes and TOAST."""
    found = sorted(table_facts.read(connection), key=lambda table: (-table.size, table.name))
    return {
        "tables": len(found),
        "largest_tables": [
            {"name": ".".join(table.name), "size": table.size} for table in found[:LARGEST_TABLES]
        ],
    }
