"""The fault table, row by row."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults import namespace, table
from tests.faults.commands import has_rollback
from tests.faults.ground import Ground
from tests.faults.kinds import handled_kinds
from tests.faults.playing import play
from tests.faults.table import Row


def _parameters() -> list[object]:
    return [
        pytest.param(row, id=str(row), marks=() if str(row) in table.SAMPLE else pytest.mark.faults)
        for row in table.rows()
    ]


@pytest.mark.parametrize("row", _parameters())
def test_row(row: Row, ground: Ground, recorded: Callable[[Callable[[], str]], None]):
    recorded(lambda: _played(row, ground))


def _played(row: Row, ground: Ground) -> str:
    if row.fault in table.NEEDS_MOUNTS and not namespace.available():
        pytest.skip("no private mount namespaces here, or not root")
    if row.needs_rollback and not has_rollback():
        pytest.skip("this version has no rollback")
    return play(row, ground)


def test_every_kind_of_step_is_in_the_table():
    assert {row.kind for row in table.rows()} == handled_kinds()


def test_every_kind_meets_what_can_meet_any():
    for kind in handled_kinds():
        met = {row.fault for row in table.rows() if row.kind == kind}
        assert met >= {table.CRASHES, table.TERM, table.KILL}, kind


def test_the_sample_has_every_fault():
    chosen = [row for row in table.rows() if str(row) in table.SAMPLE]
    assert len(chosen) == len(table.SAMPLE)
    assert {row.fault for row in chosen} == {row.fault for row in table.rows()}


def test_the_table_is_long_enough_and_no_row_is_twice():
    rows = [str(row) for row in table.rows()]
    assert len(rows) == len(set(rows)) >= 100
