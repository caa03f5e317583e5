"""What little reading tells: the heads of dumps, and when an archive was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from engine_backup.drivers import custom_dump_header
from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.custom_dump_header import CustomDumpHeader
from engine_backup.model.archive import DumpMember, MemberInfo
from engine_backup.run.reading import open_dump


def raw_custom_size(archive: Archive, member: DumpMember, recorded: int | None) -> int | None:
    """Return a custom dump's size without any compressor; None when pg_dump packed it itself.

    `recorded` is the size of what pg_dump wrote, where a manifest tells it.
    """
    header = dump_header(archive, member)
    known = recorded if recorded is not None or member.compressor else member.size
    return None if header is None or header.packed else known


def dump_header(archive: Archive, member: DumpMember) -> CustomDumpHeader | None:
    """Return the head of a custom dump; None when its version is beyond us."""
    with open_dump(archive, member) as stream:
        return custom_dump_header.read(stream, f"{archive.path}: {member.member}")


def made_at(members: Mapping[str, MemberInfo]) -> str | None:
    """Return when stock's archive was made, in UTC: the latest time that one of its dumps carries."""
    dumps = [member.mtime for name, member in members.items() if name.startswith("db/")]
    times = dumps or [member.mtime for member in members.values() if member.is_file]
    return _utc(max(times, default=-1))


def _utc(seconds: int) -> str | None:
    """Return seconds since 1970 as ISO 8601; None for what no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat() if seconds >= 0 else None
    except (OverflowError, ValueError, OSError):
        return None
