"""The drill job: a drill of our archive, and a bare load of the same dumps into a server of the same kind."""

from __future__ import annotations

import json
from dataclasses import replace

from benchmarks import ours, scripted
from benchmarks.ground import Ground
from benchmarks.meter import Measurement
from benchmarks.ours import OURS
from benchmarks.rounds import alternate
from benchmarks.scripted import BARE_LOAD, unpack_dumps
from benchmarks.turns import Choices, Job, say, turns_of
from benchmarks.workload import fresh_databases, scratch_server
from engine_backup.model.drill import LOADING

LOAD_PHASE = f"{OURS} (loading)"


def drill(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Drill; the phase that loads the dumps is told apart, by what the drill says of itself."""
    unpack_dumps(ground, ground.archive(OURS))
    result = ground.archive(OURS).with_name(ground.archive(OURS).name + ".drill.json")
    phases: list[float] = []

    def look(name: str) -> None:
        if name == OURS:
            phases.append(json.loads(result.read_text())["phases"][LOADING])

    with scratch_server(ground.directory, ground.engine) as server:
        contenders: dict[str, Job] = {
            BARE_LOAD: lambda place: scripted.bare_load(replace(place, server=server)),
            OURS: ours.drill,
        }
        paired = replace(choices, unpaired=False)
        turns = turns_of(
            ground,
            paired,
            contenders,
            before=lambda: fresh_databases(server, ground.engine.sample),
            after=look,
        )
        taken = alternate(turns, choices.rounds, say)
    taken[LOAD_PHASE] = [replace(one, wall=seconds) for one, seconds in zip(taken[OURS], phases)]
    return taken
