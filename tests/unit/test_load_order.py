"""What is loaded with which part of a divided dump, before all parts, and after them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.divided_dumps import (
    SECTION_DATA,
    SECTION_NONE,
    SECTION_POST_DATA,
    SECTION_PRE_DATA,
    DividedDump,
    DumpEntry,
    Frame,
)
from engine_backup.plan.load_order import load_order

SCHEMA, FUNCTION, VMS, DISKS, EMPTY, VIEW, COUNTER = range(1, 8)
VM_ROWS, DISK_ROWS, EMPTY_ROWS, COUNTED = range(11, 15)
VM_KEY, VM_INDEX, DISK_KEY, DISK_FUNCTION_INDEX, VIEW_INDEX, FOREIGN_KEY, TRIGGER, ATTACHED = range(21, 29)
COMMENT, VM_GRANTS = 31, 32


def entry(number: int, description: str, section: int, *needs: int, rows: bool = False) -> DumpEntry:
    return DumpEntry(number, description, section, needs, rows)


ENTRIES = (
    entry(SCHEMA, "SCHEMA", SECTION_PRE_DATA),
    entry(FUNCTION, "FUNCTION", SECTION_PRE_DATA, SCHEMA),
    entry(VMS, "TABLE", SECTION_PRE_DATA, SCHEMA),
    entry(COMMENT, "COMMENT", SECTION_NONE, VMS),
    entry(VM_GRANTS, "ACL", SECTION_NONE, VMS),
    entry(DISKS, "TABLE", SECTION_PRE_DATA, SCHEMA),
    entry(EMPTY, "TABLE", SECTION_PRE_DATA),
    entry(VIEW, "MATERIALIZED VIEW", SECTION_PRE_DATA, VMS),
    entry(COUNTER, "SEQUENCE", SECTION_PRE_DATA),
    entry(VM_ROWS, "TABLE DATA", SECTION_DATA, VMS, rows=True),
    entry(DISK_ROWS, "TABLE DATA", SECTION_DATA, DISKS, rows=True),
    entry(EMPTY_ROWS, "TABLE DATA", SECTION_DATA, EMPTY, rows=True),
    entry(COUNTED, "SEQUENCE SET", SECTION_DATA, COUNTER),
    entry(VM_KEY, "CONSTRAINT", SECTION_POST_DATA, VMS),
    entry(DISK_KEY, "CONSTRAINT", SECTION_POST_DATA, DISKS),
    entry(DISK_FUNCTION_INDEX, "INDEX", SECTION_POST_DATA, DISKS, FUNCTION),
    entry(VM_INDEX, "INDEX", SECTION_POST_DATA, VMS),
    entry(VIEW_INDEX, "INDEX", SECTION_POST_DATA, VIEW),
    entry(FOREIGN_KEY, "FK CONSTRAINT", SECTION_POST_DATA, VM_KEY, VMS, DISKS),
    entry(TRIGGER, "TRIGGER", SECTION_POST_DATA, VMS, FUNCTION),
    entry(ATTACHED, "INDEX ATTACH", SECTION_POST_DATA, VM_INDEX),
)
DUMP = DividedDump(4096, ENTRIES, (Frame(0, 100, VM_ROWS), Frame(100, 250, DISK_ROWS)))
KEPT = "".join(f"{e.number}; 1259 1 {e.description} public x engine\n" for e in ENTRIES)


def numbers(text: str) -> list[int]:
    return [int(line.split(";")[0]) for line in text.splitlines()]


def test_indexes_of_a_table_come_with_its_rows_and_what_may_need_others_after_all():
    order = load_order(KEPT, DUMP)
    assert numbers(order.before) == [SCHEMA, FUNCTION, VMS, DISKS, EMPTY, VIEW, COUNTER]
    assert [(part.frame, numbers(part.entries)) for part in order.parts] == [
        (DUMP.frames[0], [VM_ROWS, VM_KEY, VM_INDEX]),
        (DUMP.frames[1], [DISK_ROWS, DISK_KEY, EMPTY_ROWS]),
    ]
    assert numbers(order.after) == [
        COMMENT, VM_GRANTS, COUNTED, DISK_FUNCTION_INDEX, VIEW_INDEX, FOREIGN_KEY, TRIGGER, ATTACHED,
    ]  # fmt: skip
    assert order.head_size == 4096


def test_what_is_not_kept_is_not_loaded():
    kept = "".join(f"{line}\n" for line in KEPT.splitlines() if not line.startswith((f"{VM_INDEX};", "4;")))
    order = load_order(kept, DUMP)
    assert numbers(order.parts[0].entries) == [VM_ROWS, VM_KEY]
    assert numbers(order.before) == [SCHEMA, FUNCTION, VMS, EMPTY, VIEW, COUNTER]


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_a_name_ends_no_line_and_makes_none(mark: str):
    """pg_restore leaves in names what other programs take for the end of a line."""
    forged = f"{VMS}; 1259 1 TABLE public a{mark}99; 0 0 EXTENSION - evil{mark}b engine"
    kept = "".join(f"{forged if line.startswith(f'{VMS};') else line}\n" for line in KEPT.splitlines())
    order = load_order(kept, DUMP)
    assert forged in order.before.split("\n")
    lists = [order.before, *(part.entries for part in order.parts), order.after]
    assert "".join(sorted(line for text in lists for line in text.splitlines(keepends=True))) == "".join(
        sorted(kept.splitlines(keepends=True))
    )


def changed(number: int, **changes) -> DividedDump:
    return replace(DUMP, entries=tuple(replace(e, **changes) if e.number == number else e for e in ENTRIES))


@pytest.mark.parametrize(
    "dump",
    [
        changed(VM_INDEX, needs=(VMS, DISKS)),
        changed(VM_INDEX, needs=(VMS, VM_KEY)),
        changed(VM_INDEX, needs=(VMS, 99)),
        changed(VM_INDEX, needs=(VMS, FUNCTION)),
        changed(VM_INDEX, needs=(VMS, VIEW)),
        changed(VM_INDEX, needs=()),
        changed(VM_ROWS, needs=(VMS, DISKS)),
        changed(VM_ROWS, needs=()),
        changed(VM_INDEX, description="STATISTICS"),
    ],
)
def test_an_index_that_may_need_more_than_its_table_comes_after_all_rows(dump):
    assert VM_INDEX in numbers(load_order(KEPT, dump).after)


def frames(*firsts: int) -> DividedDump:
    return replace(DUMP, frames=tuple(Frame(i * 10, i * 10 + 10, first) for i, first in enumerate(firsts)))


@pytest.mark.parametrize(
    ("dump", "kept"),
    [
        (frames(DISK_ROWS, EMPTY_ROWS), KEPT),
        (frames(VM_ROWS, EMPTY_ROWS, DISK_ROWS), KEPT),
        (frames(VM_ROWS, VM_ROWS), KEPT),
        (frames(VM_ROWS, COUNTED), KEPT),
        (frames(VM_ROWS, 99), KEPT),
        (frames(), KEPT),
        (replace(DUMP, entries=(*ENTRIES, ENTRIES[9])), KEPT),
        (changed(DISK_ROWS, needs=(DISKS, VM_ROWS)), KEPT),
        (changed(DISK_ROWS, needs=(DISKS, 99)), KEPT),
        (DUMP, KEPT.replace(f"{DISK_ROWS};", "; ", 1)),
    ],
    ids=["from the second", "not ascending", "twice", "no rows", "unknown", "none", "alike", "needs rows",
         "needs what is not there", "left out"],
)  # fmt: skip
def test_what_is_not_as_it_should_be_is_loaded_as_a_whole(dump, kept):
    kept = "".join(f"{line}\n" for line in kept.splitlines() if not line.startswith(";"))
    assert load_order(kept, dump) is None


@given(st.data())
def test_every_entry_is_loaded_once(data):
    """Whatever needs what, and wherever frames begin."""
    count = data.draw(st.integers(1, 30))
    kinds = [("TABLE", SECTION_PRE_DATA), ("TABLE DATA", SECTION_DATA), ("INDEX", SECTION_POST_DATA),
             ("CONSTRAINT", SECTION_POST_DATA), ("FK CONSTRAINT", SECTION_POST_DATA), ("ACL", SECTION_NONE),
             ("COMMENT", SECTION_PRE_DATA)]  # fmt: skip
    entries = []
    for number in range(count):
        description, section = data.draw(st.sampled_from(kinds))
        early = [e.number for e in entries if e.section == SECTION_PRE_DATA]
        anything = early if description == "TABLE DATA" else [*range(count + 1)]
        needs = tuple(data.draw(st.lists(st.sampled_from(anything), max_size=3))) if anything else ()
        entries.append(DumpEntry(number, description, section, needs, description == "TABLE DATA"))
    rows = [e.number for e in entries if e.has_rows]
    if not rows:
        return
    firsts = [rows[0], *(number for number in rows[1:] if data.draw(st.booleans()))]
    dump = DividedDump(10, tuple(entries), tuple(Frame(i, i + 1, n) for i, n in enumerate(firsts)))
    order = load_order("".join(f"{e.number}; 0 0 {e.description}\n" for e in entries), dump)
    listed = [numbers(part.entries) for part in order.parts]
    everything = sorted(
        [*numbers(order.before), *(n for part in listed for n in part), *numbers(order.after)]
    )
    assert everything == list(range(count))
    assert [part[0] for part in listed] == firsts
    assert [n for part in listed for n in part if n in rows] == rows
