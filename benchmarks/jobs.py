"""The jobs of a benchmark: who does each, and what has to be there before."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from benchmarks import ours, scripted
from benchmarks.drilling import drill
from benchmarks.ground import Ground
from benchmarks.meter import Measurement
from benchmarks.ours import OURS
from benchmarks.restoring import restore
from benchmarks.rounds import alternate
from benchmarks.scripted import BY_HAND, STOCK, TO_NOTHING
from benchmarks.turns import Choices, measure_once, say, turns_of
from engine_backup.drivers import inventory, snapshots
from engine_backup.model.components import BY_NAME

Taken = dict[str, dict[str, list[Measurement]]]


def do(wanted: Sequence[str], ground: Ground, choices: Choices) -> Taken:
    """Do the wanted jobs in their order; archives come from the backup, which else is done once for them."""
    taken: Taken = {}
    if "backup" not in wanted and NEED_ARCHIVES.intersection(wanted):
        say("backup, which does not count")
        back_up(ground, replace(choices, rounds=1, floors=False))
    for job in JOBS:
        if job in wanted:
            say(job)
            taken[job] = JOBS[job](ground, choices)
    return taken


def back_up(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Archive the engine; one round that does not count warms the caches."""
    contenders = {
        STOCK: scripted.stock_backup,
        OURS: lambda place: ours.backup(place, *choices.backup_options),
    }
    floors = {BY_HAND: scripted.backup_by_hand, TO_NOTHING: scripted.dumps_to_nothing}
    measure_once(ground, scripted.dumps_to_nothing, TO_NOTHING)
    return alternate(turns_of(ground, choices, contenders, floors), choices.rounds, say)


def take_inventory(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Count what is in the databases, as a backup does within its snapshots; in this process."""

    def count() -> Measurement:
        begun, computed = time.perf_counter(), time.process_time()
        for name, login in ground.engine.sample.credentials.items():
            with snapshots.snapshot(login) as (connection, _):
                inventory.read(connection, BY_NAME[name])
        wall, cpu = time.perf_counter() - begun, time.process_time() - computed
        return Measurement(wall, cpu, server_cpu=0, others=0, own_memory=0, all_memory=0, temporary=0, size=0)

    return alternate({OURS: count}, choices.rounds, say)


def verify(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Verify the archives: ours reads every byte of every member, stock compares hashes."""
    contenders = {
        STOCK: scripted.stock_verify,
        f"{OURS} (hash)": lambda place: ours.verify(place, "--level=hash"),
        OURS: ours.verify,
    }
    return alternate(turns_of(ground, choices, contenders), choices.rounds, say)


def inspect(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Look into our archive."""
    return alternate(turns_of(ground, choices, {OURS: ours.inspect}), choices.rounds, say)


def help_(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Ask for help."""
    return alternate(turns_of(ground, choices, {OURS: ours.usage}), choices.rounds, say)


JOBS: Mapping[str, Callable[[Ground, Choices], dict[str, list[Measurement]]]] = {
    "backup": back_up,
    "inventory": take_inventory,
    "verify": verify,
    "inspect": inspect,
    "help": help_,
    "restore": restore,
    "drill": drill,
}
NEED_ARCHIVES = frozenset({"verify", "inspect", "restore", "drill"})
