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

from engine_backup.model.journal import JournalState
from engine_backup.run.journals import observe
from tests.faults import table
from tests.faults.bench import Bench
from tests.faults.commands import has_rollback
from tests.faults.ground import Ground
from tests.faults.invariants import differences, snapshot
from tests.faults.playing import BrokenError, hold_complete, hold_undone

KILLS = {table.OLD: 30, table.CLEAN: 12, table.IN_PLACE: 8}
ROLLBACK_KILLS = {table.OLD: 10, table.CLEAN: 4}
# A fixed one, so that all workers choose the same moments; another finds other moments.
SEED = int(os.environ.get("FAULTS_SEED", "20300101"))

NOTHING = "Nothing to roll back."

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
    bench = _killed_bench(scenario, seconds, ground)
    told = f"seed {SEED}, killed after about {seconds:.3f} s"
    rolled = bench.roll_back()
    if rolled.status != 0:
        raise BrokenError(f"rollback failed ({told})", [], rolled)
    if NOTHING in rolled.stdout and differences(bench.before, snapshot(bench)):
        # It had succeeded, and was killed on its way out.
        hold_complete(bench, reference, rolled)
        return table.COMPLETE
    again = bench.roll_back()
    if NOTHING not in again.stdout:
        raise BrokenError(f"rollback leaves something to do ({told})", [], again)
    hold_undone(bench, rolled)
    ground.give_back(scenario)
    return table.UNDONE


def _killed_bench(scenario: str, seconds: float, ground: Ground) -> Bench:
    """Return a machine whose restore was killed; earlier, when the restore was done before that."""
    while True:
        bench = ground.take(scenario)
        process = bench.start(bench.restore_words())
        time.sleep(seconds)
        process.kill()
        if bench.wait(process).status != 0:
            return bench
        seconds *= 0.7


@pytest.mark.parametrize(("scenario", "moment"), _cases(ROLLBACK_KILLS, "rollback"))
def test_rollback_itself_is_killed(scenario: str, moment: float, ground: Ground, recorded: Callable):
    recorded(lambda: _killed_twice(scenario, moment, ground))


def _killed_twice(scenario: str, moment: float, ground: Ground) -> str:
    seconds = _usual_seconds(scenario, ground)
    bench = _killed_bench(scenario, seconds * (0.3 + moment / 2), ground)
    while not unfinished(bench):
        bench = _killed_bench(scenario, seconds * 0.5, ground)
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


def unfinished(bench: Bench) -> bool:
    """Say whether there is anything to roll back; a restore may have ended before it was killed."""
    return any(facts.state is JournalState.UNFINISHED for facts in observe(bench.machine.root))


@cache
def _usual_seconds(scenario: str, ground: Ground) -> float:
    """Measure a restore; kills are spread over that time."""
    bench: Bench = ground.take(scenario)
    began = time.monotonic()
    bench.restore().check()
    return time.monotonic() - began
