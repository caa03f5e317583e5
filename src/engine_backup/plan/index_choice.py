"""Which indexes a drill compares with their tables, and how the work is shared out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine_backup.model.loaded_database import IndexFact

# Comparing reads index and table once, which takes about a second for each GB. An index on plain columns was
# made by PostgreSQL a moment ago: that it lacks a row is nothing that a dump can bring about.
MOST_COMPARED = 256 << 20
# Work of this size takes a fraction of a second: enough to keep all processors busy to the end.
SHARE = 64 << 20


@dataclass(frozen=True)
class IndexWork:
    """Some indexes to be looked at one after the other, each with whether all rows are compared."""

    indexes: tuple[tuple[IndexFact, bool], ...]
    size: int


def choose(indexes: Iterable[IndexFact], most_compared: int = MOST_COMPARED) -> list[tuple[IndexFact, bool]]:
    """Say of each B-tree index whether it is compared with its table, the smallest first.

    Those that hold what somebody's function says are, all of them; the others up to a limit, and of the rest
    only the structure is read. Indexes that PostgreSQL itself does not use are left out.
    """
    chosen = []
    total = 0
    readable = (index for index in indexes if index.btree and index.usable)
    for index in sorted(readable, key=lambda index: (index.size + index.table_size, index.name)):
        total += 0 if index.computed else index.size + index.table_size
        chosen.append((index, index.computed or total <= most_compared))
    return chosen


def share(chosen: Sequence[tuple[IndexFact, bool]], size: int = SHARE) -> list[IndexWork]:
    """Return pieces of work of about this size in bytes, the largest first."""
    works: list[IndexWork] = []
    some: list[tuple[IndexFact, bool]] = []
    total = 0
    for index, compared in chosen:
        some.append((index, compared))
        total += index.size + (index.table_size if compared else 0)
        if total >= size:
            works.append(IndexWork(tuple(some), total))
            some, total = [], 0
    if some:
        works.append(IndexWork(tuple(some), total))
    return sorted(works, key=lambda work: -work.size)
