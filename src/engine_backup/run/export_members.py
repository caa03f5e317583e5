"""Writing the members of a converted archive: unpacked, packed anew and hashed in one stream each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from engine_backup.drivers import compression, dump_frames, inner_tar
from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.archive_writer import ROOT, ArchiveWriter, MemberSink, Owner
from engine_backup.model import manifest
from engine_backup.model.archive import (
    CONFIG_MEMBER,
    MANIFEST_MEMBER,
    OS_VERSION_MEMBER,
    VERSION_MEMBER,
    MemberInfo,
)
from engine_backup.model.components import BY_NAME
from engine_backup.model.exporting import Conversion
from engine_backup.plan import exporting
from engine_backup.run.reporting import Reporter
from engine_backup.run.saving import pump

CHUNK = 1 << 20
PRIVATE = 0o600


@dataclass
class ExportRun:
    """What the writing of one archive shares. `details` are the manifest's facts of members by name."""

    archive: Archive
    conversions: tuple[Conversion, ...]
    writer: ArchiveWriter
    reporter: Reporter
    details: dict[str, dict[str, Any]] = field(default_factory=dict)


def write_archive(run: ExportRun, facts: Mapping[str, Any]) -> None:
    """Write all members; those that describe the archive are made anew, at its end."""
    archive, writer = run.archive, run.writer
    for name in exporting.directories(archive.members.values()):
        writer.add_directory(name)
    for conversion in run.conversions:
        label = BY_NAME[conversion.component_name].label if conversion.component_name else conversion.target
        run.reporter.say(f"- {label}: {exporting.describe(conversion)}")
        _write(conversion, label, run)
    writer.add_bytes(VERSION_MEMBER, f"{archive.version}\n".encode())
    writer.add_bytes(OS_VERSION_MEMBER, f"{archive.os_version}\n".encode())
    writer.add_bytes(CONFIG_MEMBER, exporting.config_text(run.conversions, archive.config).encode())
    content = exporting.manifest_content(archive.manifest, facts, writer.records, run.details)
    writer.add_bytes(MANIFEST_MEMBER, manifest.render(content))
    writer.finish()


def _write(conversion: Conversion, label: str, run: ExportRun) -> None:
    member = run.archive.members.get(conversion.source)
    mode, owner = PRIVATE, ROOT
    if conversion.keeps_owner and member is not None:
        mode, owner = member.mode & 0o777, _owner(member)
    mtime = None if member is None else member.mtime
    with run.writer.member(conversion.target, mtime, mode, owner) as sink:
        raw_size = _content(conversion, member, label, sink, run)
    if conversion.component_name:
        run.details[conversion.target] = _details(conversion, raw_size)


def _content(
    conversion: Conversion, member: MemberInfo | None, label: str, sink: MemberSink, run: ExportRun
) -> int:
    """Write a member; returns its unpacked size."""
    packing = conversion.packing
    if packing is None:
        with run.archive.open_member(conversion.source) as stream:
            size = pump(stream, sink, label, _size(member), run.reporter)
        return _unpacked_size(conversion, run.archive) if conversion.compressor else size
    with compression.open_writer(sink, packing.compressor, packing.level, packing.workers) as writer:
        if conversion.source == exporting.TREE:
            contents = run.archive.file_contents()
            return inner_tar.write((row for row in contents if not exporting.is_by_product(row[0])), writer)
        target = dump_frames.FramedWriter(writer) if conversion.in_frames else writer
        with _unpacked(conversion, run.archive) as stream:
            return pump(stream, target, label, _size(member), run.reporter)


def _unpacked(conversion: Conversion, archive: Archive) -> BinaryIO:
    stored = archive.open_member(conversion.source)
    return compression.open_reader(stored, conversion.compressor, f"{archive.path}: {conversion.source}")


def _unpacked_size(conversion: Conversion, archive: Archive) -> int:
    with _unpacked(conversion, archive) as stream:
        return sum(len(chunk) for chunk in iter(lambda: stream.read(CHUNK), b""))


def _size(member: MemberInfo | None) -> int:
    return 0 if member is None else member.size


def _details(conversion: Conversion, raw_size: int) -> dict[str, Any]:
    details: dict[str, Any] = {"component": conversion.component_name, "raw_size": raw_size}
    if not conversion.keeps_owner:
        details["compressor"] = conversion.target_compressor
    if conversion.dump_format:
        details["dump_format"] = conversion.dump_format
    return details


def _owner(member: MemberInfo) -> Owner:
    entry = member.entry
    return Owner(entry.uid, entry.gid, entry.uname, entry.gname)
