"""The line that sums the table up."""

from __future__ import annotations

from tests.faults.results import summary

LINES = ["complete\t1.0\ta\t", "undone\t2.0\tb\t", "undone\t2.0\tc\t", "incomplete\t1.0\td\t"]


def test_what_ran_is_counted_by_its_end():
    assert summary(LINES) == ("faults: 4 cases, 1 complete, 2 undone, 1 incomplete, 0 broken", True)


def test_what_could_not_run_is_told_apart():
    text, well = summary([*LINES, "skipped\t0.0\te\t"])
    assert text == "faults: 4 cases, 1 complete, 2 undone, 1 incomplete, 0 broken, 1 skipped"
    assert well


def test_one_broken_case_or_none_at_all_is_not_well():
    assert not summary([*LINES, "broken\t0.0\te\twhy"])[1]
    assert not summary([])[1]
