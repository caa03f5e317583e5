"""Counting all rows of databases that were just loaded, several at the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from engine_backup.drivers import loaded_rows
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.loaded_sessions import reading
from engine_backup.model.facts import Credentials
from engine_backup.run import side_by_side

# Tables from this size (bytes) are counted one by one, so that none of them waits for another.
LARGE = 16 << 20


def count(logins: Mapping[str, Credentials], at_once: int) -> dict[str, dict[str, int]]:
    """Return the exact number of rows of each table (`schema.name`) of each database, by the login's name.

    `logins` are those of the owners. Heirs and partitions count for themselves; what has no rows of its own,
    a parent of partitions, is not among them. Raises `EngineBackupError`.
    """
    counted: dict[str, dict[str, int]] = {name: {} for name in logins}
    works: list[tuple[int, Callable[[Interruption], None]]] = []
    for name, login in logins.items():
        with reading(login, Interruption()) as connection:
            tables = loaded_rows.tables(connection)
        small = [(schema, table) for schema, table, size in tables if size < LARGE]
        works.append((LARGE, partial(_count, login, small, counted[name])))
        for schema, table, size in tables:
            if size >= LARGE:
                works.append((size, partial(_count, login, [(schema, table)], counted[name])))
    works.sort(key=lambda work: -work[0])
    side_by_side.perform([work for _, work in works], at_once, "count")
    return counted


def _count(
    login: Credentials, tables: list[tuple[str, str]], counted: dict[str, int], interruption: Interruption
) -> None:
    with reading(login, interruption) as connection:
        counted.update(loaded_rows.count(connection, tables))
