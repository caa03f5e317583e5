"""A restore that succeeded and kept its undo: back to the old engine, or done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults import table
from tests.faults.commands import has_rollback
from tests.faults.ground import Ground
from tests.faults.invariants import State, leftovers
from tests.faults.playing import BrokenError, hold_complete, hold_undone
from tests.faults.server_state import ServerState

SET_ASIDE = "_before_restore_"
SCENARIOS = (table.OLD, table.CLEAN, table.IN_PLACE)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not has_rollback(), reason="this version has no rollback"),
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_rollback_gives_back_what_was_there(scenario: str, ground: Ground, recorded: Callable):
    def case() -> str:
        bench = ground.take(scenario)
        bench.restore("", "--keep-undo").check()
        rolled = bench.roll_back()
        if rolled.status != 0:
            raise BrokenError("rollback failed", [], rolled)
        hold_undone(bench, rolled)
        ground.give_back(scenario)
        return table.UNDONE

    recorded(case)


def _without_set_aside(reference: State) -> State:
    """Return the state without databases that a restore has set aside: they go with the old state."""
    if reference.server is None:
        return reference
    things = {key: value for key, value in reference.server.things.items() if SET_ASIDE not in key[1]}
    return replace(reference, server=ServerState(things))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_commit_leaves_the_new_engine_and_nothing_else(scenario: str, ground: Ground, recorded: Callable):
    def case() -> str:
        reference = ground.complete(scenario)
        bench = ground.take(scenario)
        bench.restore("", "--keep-undo").check()
        assert leftovers(bench), "undo is kept somewhere"
        bench.machine.runs += 1
        committed = bench.run(bench.journal_words("commit"))
        if committed.status != 0:
            raise BrokenError("commit failed", [], committed)
        hold_complete(bench, _without_set_aside(reference), committed)
        return table.COMPLETE

    recorded(case)
