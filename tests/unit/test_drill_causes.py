"""What a failed drill says of the archive, and what it says of what it was asked for besides."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from engine_backup.model.checks import Check, Outcome
from engine_backup.model.drill import Asked, DrillResult
from engine_backup.plan.drill_causes import other_causes

PLAIN = DrillResult("/a", None, "4.5.7", datetime.now(timezone.utc), "15.1", 1.0, (), dumped_by=13)
LIVE = Asked(against="live")
REHEARSED = Asked(pg_bindir="/pg", product_version="4.4.10")
EVERYTHING = Asked("live", "/pg", "4.4.10")
BOTH = ("--pg-bindir=/pg", "--product-version=4.4.10")


@pytest.mark.parametrize(
    ("asked", "red", "expected"),
    [
        (Asked(), ("load",), ()),
        (EVERYTHING, (), ()),
        (EVERYTHING, ("hashes",), ()),
        (EVERYTHING, ("hashes", "live"), ()),
        (LIVE, ("live",), ("--against=live",)),
        (LIVE, ("load", "live"), ()),
        (LIVE, ("load",), ()),
        (REHEARSED, ("load",), BOTH),
        (EVERYTHING, ("load", "live"), BOTH),
        (EVERYTHING, ("live",), ("--against=live",)),
        (Asked(product_version="4.5.7"), ("plan",), ()),
        (Asked(product_version="4.5.7.1"), ("plan",), ("--product-version=4.5.7.1",)),
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.COULD_NOT_RUN])
def test_what_was_asked_for_is_a_cause_of_what_it_can_cause(
    asked: Asked, red: tuple[str, ...], expected: tuple[str, ...], outcome: Outcome
):
    green = (Check("engine", "load", Outcome.PASS), Check("grafana", "live", Outcome.NOT_IN_ARCHIVE))
    checks = (*green, *(Check("engine", name, outcome) for name in red))
    assert other_causes(replace(PLAIN, asked=asked, checks=checks)) == expected


@pytest.mark.parametrize(("dumped_by", "expected"), [(15, ()), (13, BOTH[:1]), (1, BOTH[:1]), (0, BOTH[:1])])
def test_named_programs_of_the_release_that_made_the_dumps_are_no_cause(
    dumped_by: int, expected: tuple[str, ...]
):
    checks = (Check("engine", "load", Outcome.FAIL),)
    asked = Asked(pg_bindir="/pg")
    assert other_causes(replace(PLAIN, asked=asked, checks=checks, dumped_by=dumped_by)) == expected
