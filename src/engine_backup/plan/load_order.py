"""In which order the parts of a divided dump are loaded: what comes before all rows, the parts, and the rest.

A table's own indexes and keys are made with the part that holds its rows, right behind them. What may need
other tables, such as foreign keys, comes after all parts; so do privileges: an owner may have given up some.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from engine_backup.model.divided_dumps import SECTION_PRE_DATA, DividedDump, DumpEntry, LoadOrder, Part

TABLE = "TABLE"
# What belongs to one table. Functions that it calls may look into other tables, whatever is said of them.
OWN_KINDS = frozenset({"INDEX", "CONSTRAINT"})
HARMLESS_NEEDS = frozenset({TABLE, "SCHEMA", "TYPE", "DOMAIN", "COLLATION"})


def load_order(kept: str, dump: DividedDump) -> LoadOrder | None:
    """Return how the `kept` entries are loaded, a list as pg_restore prints it; each is loaded once.

    None where frames don't hold the rows that they should, where rows are left out, or where rows need
    others, as those of an extension's tables may.
    """
    # Names may hold what else ends lines for Python.
    lines = {int(line.split(";", 1)[0]): line for line in kept.split("\n") if line}
    with_rows = [entry for entry in dump.entries if entry.has_rows]
    starts = _starts(dump, [entry.number for entry in with_rows])
    early = {entry.number for entry in dump.entries if entry.section == SECTION_PRE_DATA}
    if starts is None or not all(
        entry.number in lines and early.issuperset(entry.needs) for entry in with_rows
    ):
        return None
    own = _own_entries(dump.entries, with_rows)
    frames: list[list[int]] = [[] for _ in dump.frames]
    for index, entry in enumerate(with_rows):
        numbers = [entry.number, *own.get(entry.number, ())]
        frames[bisect_right(starts, index) - 1] += [number for number in numbers if number in lines]
    parted = {number for numbers in frames for number in numbers}
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
    tables = {rows.number: _tables(rows, by_number) for rows in with_rows}
    rows_of = {found[0]: number for number, found in tables.items() if len(found) == 1}
    own: dict[int, list[int]] = {}
    for entry in entries:
        if entry.description in OWN_KINDS and _is_harmless(entry, by_number):
            needed = _tables(entry, by_number)
            if len(needed) == 1 and needed[0] in rows_of:
                own.setdefault(rows_of[needed[0]], []).append(entry.number)
    return own


def _is_harmless(entry: DumpEntry, by_number: Mapping[int, DumpEntry]) -> bool:
    needed = (by_number.get(number) for number in entry.needs)
    return all(other is not None and other.description in HARMLESS_NEEDS for other in needed)


def _tables(entry: DumpEntry, by_number: Mapping[int, DumpEntry]) -> list[int]:
    needed = (by_number.get(number) for number in entry.needs)
    return [other.number for other in needed if other is not None and other.description == TABLE]


def _list(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
