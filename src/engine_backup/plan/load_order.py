"""In which order the parts of a divided dump are loaded: what comes before all rows, the parts, and the rest.

A table's own indexes and keys are made with the part that holds its rows, right behind them. What may need
other tables, such as foreign keys, comes after all parts; so do privileges: an owner may have given up some.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from engine_backup.model.divided_dumps import DividedDump, DumpEntry, LoadOrder, Part

# PostgreSQL's sources, pg_backup.h: teSection.
SECTION_NONE, SECTION_PRE_DATA, SECTION_DATA, SECTION_POST_DATA = 1, 2, 3, 4
TABLE = "TABLE"
# What belongs to one table, and needs no rows of others.
OWN_KINDS = frozenset({"INDEX", "CONSTRAINT"})
PRIVILEGES = frozenset({"ACL", "DEFAULT ACL"})


def load_order(kept: str, dump: DividedDump) -> LoadOrder | None:
    """Return how the `kept` entries are loaded, a list as pg_restore prints it; each is loaded once.

    None where frames don't hold the rows that they should, or where rows are left out.
    """
    lines = {int(line.split(";", 1)[0]): line for line in kept.splitlines()}
    with_rows = [entry for entry in dump.entries if entry.has_rows]
    starts = _starts(dump, [entry.number for entry in with_rows])
    if starts is None or not all(entry.number in lines for entry in with_rows):
        return None
    own = _own_entries(dump.entries, with_rows)
    frames: list[list[int]] = [[] for _ in dump.frames]
    for index, entry in enumerate(with_rows):
        numbers = [entry.number, *own.get(entry.number, ())]
        frames[bisect_right(starts, index) - 1] += [number for number in numbers if number in lines]
    parted = {number for numbers in frames for number in numbers}
    early = {entry.number for entry in dump.entries if _is_early(entry)}
    return LoadOrder(
        dump.head_size,
        _list(line for number, line in lines.items() if number in early - parted),
        tuple(Part(frame, _list(lines[n] for n in numbers)) for frame, numbers in zip(dump.frames, frames)),
        _list(line for number, line in lines.items() if number not in early | parted),
    )


def _starts(dump: DividedDump, numbers: Sequence[int]) -> list[int] | None:
    """Return which of the entries with rows each frame begins with, ascending."""
    places = {number: place for place, number in enumerate(numbers)}
    starts = [places.get(frame.first, -1) for frame in dump.frames]
    if len(places) < len(numbers) or not starts or starts[0] != 0:
        return None
    return starts if all(one < other for one, other in zip(starts, starts[1:])) else None


def _own_entries(entries: Sequence[DumpEntry], with_rows: Sequence[DumpEntry]) -> dict[int, list[int]]:
    """Return which entries are loaded right behind the rows of a table, by those rows' number."""
    by_number = {entry.number: entry for entry in entries}
    rows_of = {tables[0]: rows.number for rows in with_rows if len(tables := _tables(rows, by_number)) == 1}
    own: dict[int, list[int]] = {}
    for entry in entries:
        tables = _tables(entry, by_number)
        needed = [by_number.get(number) for number in entry.needs]
        of_one = entry.description in OWN_KINDS and len(tables) == 1 and tables[0] in rows_of
        if of_one and all(other is not None and _is_early(other) for other in needed):
            own.setdefault(rows_of[tables[0]], []).append(entry.number)
    return own


def _tables(entry: DumpEntry, by_number: dict[int, DumpEntry]) -> list[int]:
    needed = (by_number.get(number) for number in entry.needs)
    return [other.number for other in needed if other is not None and other.description == TABLE]


def _is_early(entry: DumpEntry) -> bool:
    return entry.section == SECTION_PRE_DATA and entry.description not in PRIVILEGES


def _list(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
