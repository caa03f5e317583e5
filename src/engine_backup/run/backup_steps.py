"""One handler for each kind of step of a backup."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from engine_backup import __version__
from engine_backup.drivers import inventory_document
from engine_backup.drivers.archive_file import file_sha256
from engine_backup.drivers.archive_reader import open_archive
from engine_backup.model import manifest
from engine_backup.model.archive import (
    CONFIG_MEMBER,
    MANIFEST_MEMBER,
    OS_VERSION_MEMBER,
    VERSION_MEMBER,
    MemberRecord,
)
from engine_backup.model.backup_steps import (
    AnnounceEnd,
    AnnounceStart,
    Describe,
    HandOver,
    Publish,
    SaveMembers,
    TakeSnapshots,
)
from engine_backup.model.components import DATABASES
from engine_backup.model.errors import DamagedArchiveError
from engine_backup.model.inventory import Inventory
from engine_backup.model.steps import RunHooks
from engine_backup.plan.backup import encoding_of, is_hosted_engine
from engine_backup.run import backup_summary, hook_members, snapshots
from engine_backup.run.output_file import OutputFile
from engine_backup.run.output_stream import OutputStream
from engine_backup.run.reading import check_form
from engine_backup.run.saving import save_members

if TYPE_CHECKING:
    from engine_backup.run.backup import BackupRun

AnyOutput = TypeVar("AnyOutput", OutputFile, OutputStream)


def announce_start(step: AnnounceStart, run: BackupRun) -> None:
    """Tell the engine what is about to be saved."""
    run.reporter.say("Backing up:")
    run.events.started(step.components)


def take_snapshots(step: TakeSnapshots, run: BackupRun) -> None:
    """Look at all databases at the same moment; the snapshots stay open until the run ends."""
    run.held = run.stack.enter_context(snapshots.held(step.databases))
    run.described = run.stack.enter_context(snapshots.described(run.held.values(), run.reporter.warn))
    skew = snapshots.skew(held.facts for held in run.held.values())
    if skew is not None:
        run.reporter.note(f"snapshots: taken within {skew:.1f} ms")


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
    run.reporter.say(f"Packing into {run.output.name}")
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
        "snapshot_skew_ms": snapshots.skew(held.facts for held in run.held.values()),
        "archive_compressor": run.writer.compressor,
        "components": [component.name for component in run.saved],
        **run.file_facts,
        "inventory": inventory_document.inventory_to_json(_inventory(run)),
        "hooks": backup_summary.describe_hooks(run.hooks, run.hook_members),
        "members": [_member(record, run) for record in run.writer.records],
    }


def _inventory(run: BackupRun) -> Inventory:
    return sum((described.result().inventory for described in run.described.values()), Inventory())


def _member(record: MemberRecord, run: BackupRun) -> dict[str, Any]:
    facts = run.member_facts.get(record.name, {"raw_size": record.size})
    described = run.described.get(facts.get("component", ""))
    more = described.result().fields if described else {}
    return {"name": record.name, "size": record.size, "sha256": record.sha256, **facts, **more}


def publish(step: Publish, run: BackupRun) -> None:
    """Make the archive safe on disk, read it once more, and only then give it its name."""
    output = _kind(run, OutputFile)
    output.sync()
    _read_again(output, run)
    output.publish()
    run.reporter.note(f"{output.final}: {output.final.stat().st_size} bytes")
    if step.replaces:
        run.reporter.say(f"Replaced the file that was there: {step.path}")


def _read_again(output: OutputFile, run: BackupRun) -> None:
    """Hold what the disk gives back to what was hashed on its way there; nothing is unpacked for that.

    Raises `DamagedArchiveError`.
    """
    done = 0

    def advance(_name: str, size: int) -> None:
        nonlocal done
        done += size
        run.reporter.advance("checking", done)

    written = run.writer.whole_sha256
    if written is None:
        with open_archive(output.path, run.workspace) as archive:
            archive.hashes.check_all(advance)
            check_form(archive, run.reporter)
    elif file_sha256(output.path, advance) != written:
        raise DamagedArchiveError(
            f"{output.path}: what is read is not what was written",
            "look at the disk, and at the kernel's log",
        )


def hand_over(step: HandOver, run: BackupRun) -> None:
    """See that all was taken, and tell its hash: nobody but the receiver can read it again."""
    outgoing = _kind(run, OutputStream).outgoing
    outgoing.sync()
    written = f"Written to standard output: {outgoing.size} bytes, sha256 {run.writer.whole_sha256}"
    run.reporter.say(written)
    run.reporter.say("It was not read again: let whoever receives it run 'engine-backup verify'")


def _kind(run: BackupRun, kind: type[AnyOutput]) -> AnyOutput:
    """Return the output, which the plan has chosen with the step."""
    if not isinstance(run.output, kind):
        raise TypeError(f"the output is no {kind.__name__}")
    return run.output


def announce_end(step: AnnounceEnd, run: BackupRun) -> None:
    """Tell the engine what was saved."""
    run.events.done(run.saved)


HANDLERS: dict[type, Callable[[Any, BackupRun], None]] = {
    AnnounceStart: announce_start,
    TakeSnapshots: take_snapshots,
    SaveMembers: save_members,
    RunHooks: run_hooks,
    Describe: describe,
    Publish: publish,
    HandOver: hand_over,
    AnnounceEnd: announce_end,
}
