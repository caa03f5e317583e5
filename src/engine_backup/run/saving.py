"""Making the members of a backup side by side; the first that fails, or a signal, ends the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from engine_backup.drivers import compression, dump_frames, dumps, file_tree, postgres_programs, sqlite
from engine_backup.drivers.archive_writer import MemberSink
from engine_backup.drivers.file_tree import FoundPaths, SaveReport
from engine_backup.drivers.interruption import Interruption
from engine_backup.model.backup_steps import CopySqlite, DumpDatabase, Part, SaveFiles, SaveMembers
from engine_backup.model.components import COMPONENTS
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.paths import LEFT_OUT_OF_BACKUP, SAVED_PATHS, extra_path
from engine_backup.run import backup_summary, side_by_side

if TYPE_CHECKING:
    from engine_backup.drivers.compression import Sink
    from engine_backup.run.backup import BackupRun
    from engine_backup.run.reporting import Reporter

CHUNK = 1 << 20

Open = Callable[..., AbstractContextManager[MemberSink]]


@dataclass(frozen=True)
class _Saving:
    """What the saving of one member needs; `open` gives the place where its bytes go."""

    run: BackupRun
    open: Open
    interruption: Interruption


def save_members(step: SaveMembers, run: BackupRun) -> None:
    """Make all members: the first in its place, the others beside the archive when they overtake it.

    When this returns or raises, nothing is being saved any more.
    """
    spooled = step.parts[1:] if step.at_once > 1 else ()
    works = [partial(_save, part, run, run.writer.spool if part in spooled else run.writer.member)
             for part in step.parts]  # fmt: skip
    side_by_side.perform(works, step.at_once, "save")
    for part in spooled:
        run.writer.append(part.component.member)
    chosen = {part.component for part in step.parts}
    run.saved += [component for component in COMPONENTS if component in chosen]


def _save(part: Part, run: BackupRun, place: Open, interruption: Interruption) -> None:
    with interruption.ending(run.output.give_up):
        _HANDLERS[type(part)](part, _Saving(run, place, interruption))
    run.reporter.note(f"{part.component.label}: saved")


def _save_files(step: SaveFiles, saving: _Saving) -> None:
    """Save the files, as a tar file inside the archive."""
    run = saving.run
    run.reporter.say(f"- {step.component.label}")
    root = run.request.surroundings.root
    found = _find_files(step, run)
    packing = step.packing

    @contextmanager
    def open_sink() -> Iterator[compression.CompressingWriter]:
        with (
            saving.open(step.component.member) as member,
            compression.open_writer(member, packing.compressor, packing.level) as sink,
        ):
            yield sink

    report = file_tree.save(root, found.names, open_sink, saving.interruption)
    _warn(report, run.reporter)
    run.file_facts = backup_summary.describe(root, found.names)
    run.member_facts[step.component.member] = {
        "component": step.component.name,
        "raw_size": report.size,
        "compressor": packing.compressor,
        "paths": len(found.names),
        "extra_paths": list(step.extra_paths),
    }


def _find_files(step: SaveFiles, run: BackupRun) -> FoundPaths:
    extra_rows = tuple(extra_path(path) for path in step.extra_paths)
    root = run.request.surroundings.root
    found = file_tree.find_paths(root, (*SAVED_PATHS, *extra_rows), LEFT_OUT_OF_BACKUP)
    for name, reason in found.skipped:
        run.reporter.warn(f"/{os.fsdecode(name)}: {reason}")
    for row in found.missing:
        if row in extra_rows:
            run.reporter.warn(f"{row.path} does not exist: not saved")
    return found


def _warn(report: SaveReport, reporter: Reporter) -> None:
    for changed in report.changed:
        reporter.warn(f"/{changed} changed while it was saved")
    for vanished in report.vanished:
        reporter.warn(f"/{vanished} vanished before it could be saved")


def _dump_database(step: DumpDatabase, saving: _Saving) -> None:
    """Stream one database through its compressor to its place."""
    run, credentials = saving.run, step.credentials
    run.reporter.say(f"- {step.component.label} database '{credentials.database}'")
    if step.excluded.tables:
        run.reporter.say(f"  without the rows of {', '.join(step.excluded.names)}")
    snapshot = run.held[step.component.name].facts
    programs = postgres_programs.for_dump(snapshot.server_version, run.programs)
    arguments = dumps.dump_arguments(step.encoding, snapshot.name, step.excluded.tables)
    packing = step.encoding.packing
    try:
        with (
            saving.open(step.component.member) as member,
            compression.open_writer(member, packing.compressor, packing.level, packing.workers) as writer,
            dumps.dumping(programs, credentials, arguments, run.workspace, saving.interruption) as running,
        ):
            target = dump_frames.FramedWriter(writer) if step.encoding.in_frames else writer
            raw_size = pump(running.stdout, target, step.component.label, step.size, run.reporter)
    except ProgramError as error:
        message = f"Database {credentials.database} backup failed: {error.message}"
        raise EngineBackupError(message, "look into the log, and at the database server's own log") from error
    run.member_facts[step.component.member] = {
        "component": step.component.name,
        "raw_size": raw_size,
        "dump_format": step.encoding.dump_format,
        "compressor": packing.compressor,
        "database": credentials.database,
        "role": credentials.user,
        "host": credentials.host,
        "port": credentials.port,
        "pg_dump_version": ".".join(str(number) for number in programs.version),
        "server_version": snapshot.server_version,
        "snapshot_taken_at": snapshot.taken_at,
        "position": snapshot.position,
        "excluded_table_data": list(step.excluded.names),
    }


def _copy_sqlite(step: CopySqlite, saving: _Saving) -> None:
    """Copy a SQLite database, with the original's owner and mode."""
    run, component = saving.run, step.component
    run.reporter.say(f"- {component.label} database '{component.path}'")
    source = run.request.surroundings.root / component.path.lstrip("/")
    copy = run.workspace / Path(component.member).name
    sqlite.back_up(source, copy)
    status = source.stat()
    mode, owner = status.st_mode & 0o777, file_tree.owner_of(status)
    with copy.open("rb") as stream, saving.open(component.member, mode=mode, owner=owner) as sink:
        raw_size = pump(stream, sink, component.label, copy.stat().st_size, run.reporter)
    copy.unlink()
    run.member_facts[component.member] = {
        "component": component.name,
        "raw_size": raw_size,
        "dump_format": "sqlite",
    }


def pump(source: BinaryIO, writer: Sink, label: str, expected: int, reporter: Reporter) -> int:
    """Copy to the end, showing progress; returns the number of bytes."""
    size = 0
    while data := source.read(CHUNK):
        writer.write(data)
        size += len(data)
        reporter.advance(label, size, expected)
    return size


_HANDLERS: dict[type, Callable[[Any, _Saving], None]] = {
    SaveFiles: _save_files,
    DumpDatabase: _dump_database,
    CopySqlite: _copy_sqlite,
}
