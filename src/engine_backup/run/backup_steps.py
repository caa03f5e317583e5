"""One handler for each kind of step of a backup."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from engine_backup import __version__
from engine_backup.drivers import (
    archive_reader,
    cluster_privileges,
    compression,
    dumps,
    file_tree,
    inventory,
    inventory_document,
    postgres,
    postgres_programs,
    privileges_document,
    sqlite,
    table_sizes,
)
from engine_backup.model import manifest
from engine_backup.model.archive import (
    CONFIG_MEMBER,
    FILES_MEMBER,
    MANIFEST_MEMBER,
    OS_VERSION_MEMBER,
    VERSION_MEMBER,
    MemberRecord,
)
from engine_backup.model.components import BY_NAME, DATABASES, Component
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.inventory import DatabaseCounts
from engine_backup.model.paths import LEFT_OUT_OF_BACKUP, SAVED_PATHS, extra_path
from engine_backup.model.steps import (
    AnnounceEnd,
    AnnounceStart,
    CopySqlite,
    Describe,
    DumpDatabase,
    Publish,
    RunHooks,
    SaveFiles,
    TakeSnapshots,
)
from engine_backup.plan.backup import encoding_of, is_hosted_engine
from engine_backup.run import backup_summary, hook_members
from engine_backup.run.reading import check_form

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

    from engine_backup.drivers.compression import Sink
    from engine_backup.run.backup import BackupRun
    from engine_backup.run.reporting import Reporter

CHUNK = 1 << 18


def announce_start(step: AnnounceStart, run: BackupRun) -> None:
    """Tell the engine what is about to be saved."""
    run.reporter.say("Backing up:")
    run.events.started(step.components)


def take_snapshots(step: TakeSnapshots, run: BackupRun) -> None:
    """Open the snapshots one right after the other; they stay open until the run ends."""
    connections = {}
    for component, credentials in step.databases:
        connection, facts = run.stack.enter_context(postgres.snapshot(credentials))
        run.snapshots[component.name] = facts
        connections[component.name] = connection
    for name, connection in connections.items():
        privileges = privileges_document.to_json(cluster_privileges.read(connection))
        counts = inventory_document.counts_to_json(_count(BY_NAME[name], connection, run))
        run.database_facts[name] = {**table_sizes.read(connection), **counts, "privileges": privileges}


def _count(component: Component, connection: Connection, run: BackupRun) -> DatabaseCounts:
    """Return how much is in a database, and remember its inventory; a backup does not fail for it."""
    try:
        counts, found = inventory.read(connection, component)
    except EngineBackupError as error:
        run.reporter.warn(f"{error.message}: the archive will not tell how much is in it")
        return DatabaseCounts()
    run.inventory += found
    return counts


def save_files(step: SaveFiles, run: BackupRun) -> None:
    """Save the files, as a tar file inside the archive."""
    run.reporter.say(f"- {step.component.label}")
    root = run.request.surroundings.root
    extra_rows = tuple(extra_path(path) for path in step.extra_paths)
    found = file_tree.find_paths(root, (*SAVED_PATHS, *extra_rows), LEFT_OUT_OF_BACKUP)
    for name, reason in found.skipped:
        run.reporter.warn(f"/{os.fsdecode(name)}: {reason}")
    for row in found.missing:
        if row in extra_rows:
            run.reporter.warn(f"{row.path} does not exist: not saved")

    @contextmanager
    def open_sink() -> Iterator[compression.CompressingWriter]:
        packing = step.packing
        with (
            run.writer.member(FILES_MEMBER) as member,
            compression.open_writer(member, packing.compressor, packing.level) as sink,
        ):
            yield sink

    report = file_tree.save(root, found.names, open_sink)
    for changed in report.changed:
        run.reporter.warn(f"/{changed} changed while it was saved")
    for vanished in report.vanished:
        run.reporter.warn(f"/{vanished} vanished before it could be saved")
    run.saved.append(step.component)
    run.file_facts = backup_summary.describe(root, found.names)
    run.member_facts[FILES_MEMBER] = {
        "component": step.component.name,
        "raw_size": report.size,
        "compressor": step.packing.compressor,
        "paths": len(found.names),
        "extra_paths": list(step.extra_paths),
    }


def dump_database(step: DumpDatabase, run: BackupRun) -> None:
    """Stream one database through its compressor into the archive."""
    component, credentials = step.component, step.credentials
    run.reporter.say(f"- {component.label} database '{credentials.database}'")
    snapshot = run.snapshots[component.name]
    programs = postgres_programs.for_dump(snapshot.server_version, run.programs)
    packing = step.encoding.packing
    try:
        with run.writer.member(component.member) as sink:
            writer = compression.open_writer(sink, packing.compressor, packing.level, workers())
            with (
                writer,
                dumps.dumping(programs, credentials, step.encoding, snapshot.name, run.workspace) as running,
            ):
                raw_size = pump(running.stdout, writer, component.label, snapshot.database_size, run.reporter)
    except ProgramError as error:
        message = f"Database {credentials.database} backup failed: {error.message}"
        raise EngineBackupError(message, "look into the log, and at the database server's own log") from error
    run.saved.append(component)
    run.member_facts[component.member] = {
        "component": component.name,
        "raw_size": raw_size,
        "dump_format": step.encoding.dump_format,
        "compressor": packing.compressor,
        "database": credentials.database,
        "role": credentials.user,
        "host": credentials.host,
        "port": credentials.port,
        "pg_dump_version": ".".join(str(number) for number in programs.version),
        "server_version": snapshot.server_version,
        "database_size": snapshot.database_size,
        "snapshot_taken_at": snapshot.taken_at,
        "position": snapshot.position,
        "extensions": list(snapshot.extensions),
        "granted_roles": list(snapshot.granted_roles),
        **run.database_facts[component.name],
    }


def pump(source: BinaryIO, writer: Sink, label: str, expected: int, reporter: Reporter) -> int:
    """Copy to the end, showing progress; returns the number of bytes."""
    size = 0
    while data := source.read(CHUNK):
        writer.write(data)
        size += len(data)
        reporter.advance(label, size, expected)
    return size


def workers() -> int:
    """Return how many threads a compressor may use."""
    return min(4, os.cpu_count() or 1)


def copy_sqlite(step: CopySqlite, run: BackupRun) -> None:
    """Copy a SQLite database into the archive, with the original's owner and mode."""
    component = step.component
    run.reporter.say(f"- {component.label} database '{component.path}'")
    source = run.request.surroundings.root / component.path.lstrip("/")
    copy = run.workspace / Path(component.member).name
    sqlite.back_up(source, copy)
    status = source.stat()
    with (
        copy.open("rb") as stream,
        run.writer.member(
            component.member, mode=status.st_mode & 0o777, owner=file_tree.owner_of(status)
        ) as sink,
    ):
        raw_size = pump(stream, sink, component.label, copy.stat().st_size, run.reporter)
    copy.unlink()
    run.saved.append(component)
    run.member_facts[component.member] = {
        "component": component.name,
        "raw_size": raw_size,
        "dump_format": "sqlite",
    }


def run_hooks(step: RunHooks, run: BackupRun) -> None:
    """Run hooks, and make members of the files that they leave. Snapshots do not wait for them."""
    run.stack.close()
    directory = run.hooks.tar_directory
    (directory / hook_members.DUMPS_DIRECTORY).mkdir(parents=True, exist_ok=True)
    run.hooks.offer("tardir", str(directory))
    run.hooks.run(step.stage, members_directory=directory)
    run.hook_members += hook_members.add_members(directory, run.writer)


def describe(step: Describe, run: BackupRun) -> None:
    """Write what the archive says of itself. The snapshots must have lived until here."""
    run.stack.close()
    host = run.facts.host
    run.writer.add_bytes(VERSION_MEMBER, f"{host.product_version}\n".encode())
    run.writer.add_bytes(OS_VERSION_MEMBER, f"{host.os_version}\n".encode())
    run.writer.add_bytes(CONFIG_MEMBER, _config(run).encode())
    run.writer.add_bytes(MANIFEST_MEMBER, manifest.render(_manifest(run)))
    run.reporter.say(f"Packing into file '{run.output.final}'")
    run.writer.finish()


def _config(run: BackupRun) -> str:
    """Say how each database is packed, in the form that stock reads (reference 4.2).

    Databases that are not in the archive have their lines too: stock takes a
    missing line for `custom` and then asks about permissions (quirk 17).
    """
    lines = []
    for component in DATABASES:
        if component.written:
            chosen = encoding_of(component, run.request, run.facts)
            lines.append(f"{component.dump_prefix}_DUMP_COMPRESSOR={chosen.packing.compressor}\n")
            lines.append(f"{component.dump_prefix}_DUMP_FORMAT={chosen.dump_format}\n")
    return "".join(lines)


def _manifest(run: BackupRun) -> dict[str, Any]:
    host = run.facts.host
    return {
        "tool_version": __version__,
        "product_version": host.product_version,
        "os_version": host.os_version,
        "fqdn": host.fqdn,
        "hosted_engine": is_hosted_engine(run.facts),
        "started_at": run.started.isoformat(),
        "archive_compressor": run.writer.compressor,
        "components": [component.name for component in run.saved],
        **run.file_facts,
        "inventory": inventory_document.inventory_to_json(run.inventory),
        "hooks": backup_summary.describe_hooks(run.hooks, run.hook_members),
        "members": [_member(record, run) for record in run.writer.records],
    }


def _member(record: MemberRecord, run: BackupRun) -> dict[str, Any]:
    facts = run.member_facts.get(record.name, {"raw_size": record.size})
    return {"name": record.name, "size": record.size, "sha256": record.sha256, **facts}


def publish(step: Publish, run: BackupRun) -> None:
    """Make the archive safe on disk, read it once more, and only then give it its name."""
    run.output.sync()
    with archive_reader.open_archive(run.output.path, run.workspace) as archive:
        archive.check_hashes(lambda name, done: run.reporter.advance("checking", done))
        check_form(archive, run.reporter)
    run.output.publish()
    run.reporter.note(f"{run.output.final}: {run.output.final.stat().st_size} bytes")
    if step.replaces:
        run.reporter.say(f"Replaced the file that was there: {step.path}")


def announce_end(step: AnnounceEnd, run: BackupRun) -> None:
    """Tell the engine what was saved."""
    run.events.done(run.saved)


HANDLERS: dict[type, Callable[[Any, BackupRun], None]] = {
    AnnounceStart: announce_start,
    TakeSnapshots: take_snapshots,
    SaveFiles: save_files,
    DumpDatabase: dump_database,
    CopySqlite: copy_sqlite,
    RunHooks: run_hooks,
    Describe: describe,
    Publish: publish,
    AnnounceEnd: announce_end,
}
