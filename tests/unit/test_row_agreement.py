"""What a drill says when a database has not what its backup says it has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.plan.row_agreement import (
    FEWEST_LEFT,
    SMALLEST_ESTIMATE,
    Recorded,
    missing_tables,
    other_numbers,
    other_rows,
    recorded,
)

COUNTS = st.dictionaries(st.sampled_from(["public.a", "public.b", "s.c"]), st.integers(0, 10**9))


def test_a_table_that_is_missing_is_named():
    relations = {"public.a": "r", "public.b": "p", "public.v": "v"}
    assert missing_tables(["public.a", "public.b"], relations) == []
    assert missing_tables(["public.z", "public.v", "public.a"], relations) == [
        "public.v is a view, and no table",
        "public.z is missing",
    ]


@given(COUNTS)
def test_equal_counts_agree(counts):
    assert other_rows(Recorded(rows=counts), counts) == []


@given(COUNTS, st.integers(-5, 5).filter(bool))
def test_one_row_more_or_less_is_found(counts, difference):
    for table, number in counts.items():
        findings = other_rows(Recorded(rows=counts), {**counts, table: number + difference})
        assert len(findings) == 1
        assert findings[0].startswith(f"{table}: {number + difference:,} row")
        assert findings[0].endswith(f"the backup had {number:,}")


@pytest.mark.parametrize(
    ("estimate", "number", "finding"),
    [
        (1_000_000, 0, "t: 0 rows, the backup had about 1,000,000"),
        (1_000_000, 99_999, "t: 99,999 rows, the backup had about 1,000,000"),
        (1_000_000, 1_000_000 // FEWEST_LEFT, ""),
        (1_000_000, 50_000_000, ""),
        (SMALLEST_ESTIMATE - 1, 0, ""),
        (0, 5, ""),
        (-1, 5, ""),
    ],
)
def test_estimates_may_be_far_off(estimate, number, finding):
    assert other_rows(Recorded(estimates={"t": estimate}), {"t": number}) == ([finding] if finding else [])


def test_rows_that_were_left_out_must_not_be_there():
    said = Recorded(rows={"t": 7}, estimates={"u": 10**6}, excluded={"t", "u"})
    assert other_rows(said, {"t": 0, "u": 0}) == []
    assert other_rows(said, {"t": 1, "u": 0}) == ["t: 1 row, though the backup left them out"]


def test_a_kind_of_objects_is_compared_when_both_know_it():
    said = Recorded(objects={"tables": 3, "indexes": 12, "materialized_views": 1, "unheard_of": 5})
    found = {"tables": 3, "indexes": 11, "materialized_views": 0}
    assert other_numbers(said, found) == [
        "indexes: 11, the backup had 12",
        "materialized views: 0, the backup had 1",
    ]


def test_what_a_manifest_says_is_taken_when_it_makes_sense():
    assert recorded(None) == Recorded(excluded=frozenset())
    row = {
        "row_counts": {
            "public.a": 3,
            "public.b": "many",
            "public.c": True,
            "public.d": -1,
            "public.e": 1 << 70,
        },
        "row_estimates": [1],
        "object_counts": None,
        "excluded_table_data": ["public.a", 5],
    }
    assert recorded(row) == Recorded(rows={"public.a": 3}, excluded=frozenset({"public.a"}))
