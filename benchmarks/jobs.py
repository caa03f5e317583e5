"""The jobs of a benchmark: who does each, and what has to be there before."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks import ours, scripted
from benchmarks.ground import Ground
from benchmarks.meter import Invocation, MeasuredProgramError, Measurement, measure
from benchmarks.ours import OURS
from benchmarks.rounds import Turn, alternate
from benchmarks.scripted import BARE_LOAD, BY_HAND, STOCK, TO_NOTHING
from benchmarks.workload import empty_server, fresh_databases
from engine_backup.drivers.engine_fixes import CHANGED_TABLES
from engine_backup.sample import compare, tree
from engine_backup.sample.compare import DatabaseFingerprint
from engine_backup.sample.engine import SampleEngine

Taken = dict[str, dict[str, list[Measurement]]]
Prepare = Callable[[], None]
Job = Callable[[Ground], Invocation]


@dataclass(frozen=True)
class Choices:
    """How often each contender has its turn, and which of them take part."""

    rounds: int
    unpaired: bool = False
    floors: bool = False
    compare: bool = False
    backup_options: tuple[str, ...] = ()
    restore_options: tuple[str, ...] = ()


def do(wanted: Sequence[str], ground: Ground, choices: Choices) -> Taken:
    """Do the wanted jobs in their order; archives come from the first."""
    taken: Taken = {}
    for job in JOBS:
        if job in wanted:
            say(job)
            taken[job] = JOBS[job](ground, choices)
    return taken


def say(text: str) -> None:
    """Tell how far the benchmark is."""
    print(text, flush=True)


def back_up(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Archive the engine; one round that does not count warms the caches."""
    turns = _turns(
        ground,
        choices,
        {STOCK: scripted.stock_backup, OURS: lambda place: ours.backup(place, *choices.backup_options)},
        {BY_HAND: scripted.backup_by_hand, TO_NOTHING: scripted.dumps_to_nothing},
    )
    measure_once(ground, scripted.dumps_to_nothing, TO_NOTHING)
    return alternate(turns, choices.rounds, say)


def verify(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Verify the archives: ours reads every byte of every member, stock compares hashes."""
    hashes = {
        STOCK: scripted.stock_verify,
        f"{OURS} (hash)": lambda place: ours.verify(place, "--level=hash"),
    }
    return alternate(_turns(ground, choices, {**hashes, OURS: ours.verify}, {}), choices.rounds, say)


def restore(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Restore the archives into empty databases, made anew before each turn on a server of its own."""
    sample, root = ground.engine.sample, ground.directory / "target"
    before = _rows_of(sample) if choices.compare else {}
    ground.engine.server.stop()
    with empty_server(ground.directory, ground.engine, ground.engine.server.port) as server:
        target = replace(ground, server=server, root=root)

        def clean() -> None:
            fresh_databases(server, sample)
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir(mode=0o755)
            tree.install_packages(root)

        contenders = {
            STOCK: scripted.stock_restore,
            OURS: lambda place: ours.restore(place, *choices.restore_options),
        }
        turns = _turns(target, choices, contenders, _bare_load(target, choices), clean)
        taken = alternate(turns, choices.rounds, say)
        for name in turns if choices.compare else ():
            turns[name]()
            _check_rows(name, before, _rows_of(sample))
    ground.engine.server.restart()
    return taken


def inspect(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Look into our archive."""
    return alternate(_turns(ground, choices, {OURS: ours.inspect}, {}), choices.rounds, say)


def help_(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Ask for help."""
    return alternate(_turns(ground, choices, {OURS: ours.usage}, {}), choices.rounds, say)


def measure_once(ground: Ground, job: Callable[[Ground], Invocation], name: str) -> Measurement:
    """Let a contender do a job, on a ground that is ready for it."""
    ground.prepare(name)
    return measure(job(ground))


def _turns(
    ground: Ground,
    choices: Choices,
    contenders: Mapping[str, Job],
    floors: Mapping[str, Job],
    before: Prepare = lambda: None,
) -> dict[str, Turn]:
    """Return a turn for each contender that takes part; `before` prepares each one, and is not measured."""
    chosen = {**contenders, **(floors if choices.floors else {})}
    if choices.unpaired:
        chosen = {name: job for name, job in chosen.items() if name.startswith(OURS)}

    def turn(name: str, job: Job) -> Turn:
        def take() -> Measurement:
            before()
            return measure_once(ground, job, name)

        return take

    return {name: turn(name, job) for name, job in chosen.items()}


def _bare_load(ground: Ground, choices: Choices) -> dict[str, Job]:
    """Unpack stock's dumps for those who only load them."""
    if not choices.floors or choices.unpaired:
        return {}
    dumps = ground.directory / "dumps"
    dumps.mkdir(exist_ok=True)
    words = ("tar", "-C", str(dumps), "-x", "-f", str(ground.archive(STOCK)), "./db")
    measure(Invocation(words, ground.environment))
    return {BARE_LOAD: scripted.bare_load}


def _rows_of(sample: SampleEngine) -> dict[str, DatabaseFingerprint]:
    return compare.fingerprint_databases(sample.credentials, compare.BACKUP_EVENTS)


def _check_rows(
    contender: str, before: Mapping[str, DatabaseFingerprint], after: Mapping[str, DatabaseFingerprint]
) -> None:
    """Raise `MeasuredProgramError` when a table is not as it was, but for what a restore corrects."""
    different = [
        f"{name}: {table}"
        for name, database in before.items()
        for table, found in database.tables.items()
        if found != after[name].tables.get(table) and table not in CHANGED_TABLES
    ]
    if different:
        raise MeasuredProgramError(f"{contender} did not bring back {', '.join(different)}")
    say(f"  {contender}: all rows are back")


JOBS: Mapping[str, Callable[[Ground, Choices], dict[str, list[Measurement]]]] = {
    "backup": back_up,
    "verify": verify,
    "restore": restore,
    "inspect": inspect,
    "help": help_,
}
