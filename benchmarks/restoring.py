"""The restore job: archives into empty databases, on a server of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace

from benchmarks import ours, scripted
from benchmarks.ground import Ground
from benchmarks.meter import MeasuredProgramError, Measurement
from benchmarks.ours import OURS
from benchmarks.rounds import alternate
from benchmarks.scripted import BARE_LOAD, BY_HAND, STOCK, unpack_dumps
from benchmarks.turns import Choices, Job, say, turns_of
from benchmarks.workload import empty_server, fresh_databases
from engine_backup.drivers.engine_fixes import CHANGED_TABLES
from engine_backup.sample import compare, tree
from engine_backup.sample.compare import DatabaseFingerprint
from engine_backup.sample.engine import SampleEngine


def restore(ground: Ground, choices: Choices) -> dict[str, list[Measurement]]:
    """Restore the archives, into databases and a root directory that are made anew before each turn."""
    sample, root = ground.engine.sample, ground.directory / "target"
    after = _comparing(sample) if choices.compare else lambda name: None
    ground.engine.server.stop()
    with empty_server(ground.directory, ground.engine, ground.engine.server.port) as server:

        def clean() -> None:
            fresh_databases(server, sample)
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir(mode=0o755)
            tree.install_packages(root)

        contenders: dict[str, Job] = {
            STOCK: scripted.stock_restore,
            OURS: lambda place: ours.restore(place, *choices.restore_options),
        }
        floors: dict[str, Job] = {BARE_LOAD: scripted.bare_load, BY_HAND: scripted.load_by_hand}
        if choices.floors and not choices.unpaired:
            unpack_dumps(ground, ground.archive(STOCK))
        target = replace(ground, server=server, root=root)
        taken = alternate(turns_of(target, choices, contenders, floors, clean, after), choices.rounds, say)
    ground.engine.server.restart()
    return taken


def _comparing(sample: SampleEngine) -> Callable[[str], None]:
    """Return what compares all rows with those that are there now, once for each contender."""
    before, compared = _rows_of(sample), set()

    def compare_rows(contender: str) -> None:
        if contender not in compared:
            compared.add(contender)
            _check_rows(contender, before, _rows_of(sample))

    return compare_rows


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
