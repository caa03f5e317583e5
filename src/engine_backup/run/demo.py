"""`demo`: a whole engine is built, backed up, destroyed, restored, compared with what it was, and drilled.

Everything happens in a private directory and on PostgreSQL servers of our own;
the machine's engine, if there is one, is never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.archive_reader import open_archive
from engine_backup.drivers.file_tree import find_paths
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
from engine_backup.model.components import SCOPE_ALL
from engine_backup.model.errors import EngineBackupError, ExitStatus
from engine_backup.model.paths import LEFT_OUT_OF_BACKUP, SAVED_PATHS
from engine_backup.model.requests import (
    BackupRequest,
    DemoRequest,
    DrillRequest,
    RestoreRequest,
    Surroundings,
    VerifyRequest,
)
from engine_backup.run import dispatch
from engine_backup.run.demo_comparison import Before, Comparison, compare
from engine_backup.run.reporting import Console
from engine_backup.run.workspace import private_directory
from engine_backup.sample import compare as fingerprints
from engine_backup.sample import databases, engine, tree
from engine_backup.sample.engine import SampleEngine
from engine_backup.sample.size import Size

TEMPORARY = Path("/tmp")  # the servers' account must be able to enter it
MEGABYTE = 1_000_000
ANOTHER_DIRECTORY = "name a new directory: --keep=DIR"


@dataclass(frozen=True)
class Stage:
    """Where the demo happens: the engine's root, the archive, and logs."""

    directory: Path
    pg_bindir: Path | None

    @property
    def root(self) -> Path:
        """The engine's root directory."""
        return self.directory / "engine"

    @property
    def archive(self) -> Path:
        """The backup."""
        return self.directory / "engine.backup"

    def surroundings(self, mode: str) -> Surroundings:
        """What a request of the demo has in common with all others."""
        log = self.directory / f"{mode}.log"
        return Surroundings(self.root, log, self.directory, (SCOPE_ALL,), pg_bindir=self.pg_bindir)


def demonstrate(request: DemoRequest, console: Console) -> ExitStatus:
    """Show the main job on a sample engine; raises `EngineBackupError` when anything differs afterwards."""
    started = monotonic()
    programs = postgres_programs.for_server(postgres_programs.installed(request.pg_bindir))
    version = ".".join(str(number) for number in programs.version)
    console.say(f"Demo: a sample engine on PostgreSQL {version} ({programs.directory})")
    with _directory(request) as directory:
        stage = Stage(directory, request.pg_bindir)
        with ScratchServer.start(programs=programs) as server:
            sample, before = _build(request, stage, server, console)
            _back_up(stage, console)
        _destroy(stage, console)
        with ScratchServer.start(Wanted(port=server.port), programs=programs) as fresh:
            _restore(stage, sample, fresh, console)
            comparison = compare(before, stage.root, stage.archive, sample.credentials)
            _tell(comparison, console)
            _drill(stage, console)
            console.say(f"\nEverything is back. The demo took {monotonic() - started:.1f} s.")
            if request.keep:
                _play(stage, fresh, console)
    return ExitStatus.SUCCESS


def _play(stage: Stage, fresh: ScratchServer, console: Console) -> None:
    """Leave the restored engine to the person, with its server, until they have had enough."""
    directory = stage.directory
    console.say(f"\nThe archive, the restored engine's files and the logs are in {directory}.")
    console.say(f"Its databases are at {fresh.host}:{fresh.port}. In another terminal, for example:")
    command = (
        f"engine-backup backup --root={stage.root} --file={directory}/mine.backup --log={directory}/mine.log"
    )
    console.say(f"  {command}")
    console.wait("Press Enter to stop the server; the files stay.")


@contextmanager
def _directory(request: DemoRequest) -> Iterator[Path]:
    if request.keep is None:
        with private_directory(TEMPORARY) as directory:
            yield directory
        return
    try:
        request.keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        empty = not any(request.keep.iterdir())
    except OSError as error:
        message = f"cannot use directory {request.keep}: {error.strerror}"
        raise EngineBackupError(message, ANOTHER_DIRECTORY) from error
    if not empty:
        raise EngineBackupError(f"{request.keep} is not empty", ANOTHER_DIRECTORY)
    yield request.keep


def _build(
    request: DemoRequest, stage: Stage, server: ScratchServer, console: Console
) -> tuple[SampleEngine, Before]:
    """Build the engine, and take the fingerprint that everything is measured by."""
    console.say(
        f"\n1. Building an engine with {request.vms} virtual machines, {request.days} days of history"
    )
    begin = monotonic()
    stage.root.mkdir(mode=0o755)
    sample = engine.build(stage.root, server, Size(request.vms, request.days))
    names = find_paths(stage.root, SAVED_PATHS, LEFT_OUT_OF_BACKUP).names
    before = Before(
        databases=fingerprints.fingerprint_databases(sample.credentials, fingerprints.BACKUP_EVENTS),
        files=fingerprints.fingerprint_tree(stage.root),
        saved_paths=frozenset(names),
    )
    rows = sum(count for database in before.databases.values() for count, _ in database.tables.values())
    console.say(
        f"   {rows:,} rows in {len(before.databases)} databases, {len(names)} files and directories,"
        f" in {monotonic() - begin:.1f} s"
    )
    return sample, before


def _back_up(stage: Stage, console: Console) -> None:
    console.say("\n2. Backing it up: engine-backup --mode=backup --file=engine.backup")
    begin = monotonic()
    dispatch.perform(BackupRequest(stage.surroundings("backup"), stage.archive), console)
    console.say(f"   in {monotonic() - begin:.1f} s")
    console.say("\n3. What is in the archive")
    for line in _members(stage):
        console.say(f"   {line}")
    console.say("\n4. Verifying it: engine-backup --mode=verify --file=engine.backup")
    dispatch.perform(VerifyRequest(stage.surroundings("verify"), stage.archive), console)


def _members(stage: Stage) -> list[str]:
    with private_directory(stage.directory) as workspace, open_archive(stage.archive, workspace) as archive:
        listed = (archive.manifest or {}).get("members", [])
        raw = {row["name"]: row.get("raw_size", row["size"]) for row in listed}
        rows = [(m.name, m.size, raw.get(m.name, m.size)) for m in archive.members.values() if m.is_file]
    lines = [f"{'member':28}{'in the archive':>16}{'unpacked':>16}"]
    lines += [f"{name:28}{packed:>16,}{unpacked:>16,}" for name, packed, unpacked in rows]
    total = sum(row[2] for row in rows)
    lines.append(f"{'the file':28}{stage.archive.stat().st_size:>16,}{total:>16,}")
    return lines


def _destroy(stage: Stage, console: Console) -> None:
    console.say("\n5. Destroying the engine: its server and all its files are gone")
    shutil.rmtree(stage.root)


def _restore(stage: Stage, sample: SampleEngine, fresh: ScratchServer, console: Console) -> None:
    console.say("\n6. Restoring on a fresh server: engine-backup --mode=restore --restore-permissions")
    begin = monotonic()
    stage.root.mkdir(mode=0o755)
    tree.install_packages(stage.root)
    databases.prepare_empty(fresh, sample)
    request = RestoreRequest(stage.surroundings("restore"), stage.archive, permissions=True)
    dispatch.perform(request, console)
    console.say(f"   in {monotonic() - begin:.1f} s")


def _drill(stage: Stage, console: Console) -> None:
    console.say("\n8. Drilling the archive, as a timer would every night: engine-backup drill engine.backup")
    # Its server runs as another account, which cannot enter the demo's own directory.
    surroundings = replace(stage.surroundings("drill"), tmpdir=TEMPORARY)
    status = dispatch.perform(DrillRequest(surroundings, stage.archive, log_named=True), console)
    if status is not ExitStatus.SUCCESS:
        raise EngineBackupError("the drill has failed", "look at the lines that are not pass")


def _tell(comparison: Comparison, console: Console) -> None:
    console.say("\n7. Comparing the restored engine with what it was")
    for line in comparison.lines:
        console.say(f"   {line}")
    if comparison.differences:
        for difference in comparison.differences:
            console.warn(difference)
        raise EngineBackupError(f"{len(comparison.differences)} things differ after the restore")
