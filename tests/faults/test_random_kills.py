"""SIGKILL at any moment of a whole restore; `rollback` brings the state before back.

`FAULTS_SEED` repeats the moments of another run; it is told with every failure.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import cache

import pytest

from tests.faults import table
from tests.faults.bench import Bench
from tests.faults.commands import has_rollback
from tests.faults.ground import Ground
from tests.faults.playing import BrokenError, hold_complete, hold_undone

KILLS = {table.OLD: 30, table.CLEAN: 12, table.IN_PLACE: 8}
ROLLBACK_KILLS = {table.OLD: 10, table.CLEAN: 4}
# A fixed one, so that all workers choose the same moments; another finds other moments.
SEED = int(os.environ.get("FAULTS_SEED", "20300101"))

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not has_rollback(), reason="this version has no rollback"),
]


def _cases(numbers: dict[str, int], name: str) -> list[object]:
    chance = random.Random(f"{SEED} {name}")
    return [
        pytest.param(scenario, chance.random(), id=f"{scenario}-{number}")
        for scenario, count in numbers.items()
        for number in range(count)
    ]


@pytest.mark.parametrize(("scenario", "moment"), _cases(KILLS, "restore"))
def test_killed_at_any_time(scenario: str, moment: float, ground: Ground, recorded: Callable):
    recorded(lambda: _killed(scenario, moment, ground))


def _killed(scenario: str, moment: float, ground: Ground) -> str:
    seconds = _usual_seconds(scenario, ground) * moment
    reference = ground.complete(scenario)
    bench = ground.take(scenario)
    process = bench.start(bench.restore_words())
    time.sleep(seconds)
    process.kill()
    result = bench.wait(process)
    told = f"seed {SEED}, killed after {seconds:.3f} s"
    if result.status == 0:
        hold_complete(bench, reference, result)
        return table.COMPLETE
    rolled = bench.roll_back()
    if rolled.status != 0:
        raise BrokenError(f"rollback failed ({told})", [], rolled)
    if bench.roll_back().stdout.find("Nothing to roll back.") < 0:
        raise BrokenError(f"rollback leaves something to do ({told})", [], rolled)
    hold_undone(bench, rolled)
    ground.give_back(scenario)
    return table.UNDONE


@pytest.mark.parametrize(("scenario", "moment"), _cases(ROLLBACK_KILLS, "rollback"))
def test_rollback_itself_is_killed(scenario: str, moment: float, ground: Ground, recorded: Callable):
    recorded(lambda: _killed_twice(scenario, moment, ground))


def _killed_twice(scenario: str, moment: float, ground: Ground) -> str:
    seconds = _usual_seconds(scenario, ground)
    bench = ground.take(scenario)
    process = bench.start(bench.restore_words())
    time.sleep(seconds * (0.5 + moment / 2))
    process.kill()
    if bench.wait(process).status == 0:
        return table.COMPLETE
    bench.machine.runs += 1
    process = bench.start(bench.journal_words("rollback"))
    time.sleep(moment * seconds / 2)
    process.kill()
    bench.wait(process)
    rolled = bench.roll_back()
    if rolled.status != 0:
        raise BrokenError(f"rollback failed (seed {SEED})", [], rolled)
    hold_undone(bench, rolled)
    ground.give_back(scenario)
    return table.UNDONE


@cache
def _usual_seconds(scenario: str, ground: Ground) -> float:
    """Measure a restore; kills are spread over that time."""
    bench: Bench = ground.take(scenario)
    began = time.monotonic()
    bench.restore().check()
    return time.monotonic() - began
