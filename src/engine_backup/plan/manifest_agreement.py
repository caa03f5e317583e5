"""Whether `manifest.json` and the archive around it say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine_backup.model.archive import FILES_MEMBER, MANIFEST_MEMBER, DumpMember, MemberRecord
from engine_backup.model.components import FILES
from engine_backup.model.manifest import member_row

_RECORD = ("name", "size", "sha256")


@dataclass(frozen=True)
class Found:
    """What an archive was found to hold. `files_compressor` is None when it holds no files."""

    version: str
    os_version: str
    members: Sequence[MemberRecord]
    dumps: Mapping[str, DumpMember]
    files_compressor: str | None


def contradictions(manifest: Mapping[str, Any], found: Found) -> list[str]:
    """Return where a manifest (of the format version that we know) and the content differ, one line each."""
    versions = {"product_version": found.version, "os_version": found.os_version}
    differing = [
        f"{field} is {manifest.get(field)!r} there, and {value!r} in the archive"
        for field, value in versions.items()
        if manifest.get(field) != value
    ]
    return differing + _components(manifest, found) + _members(manifest, found) + _packings(manifest, found)


def _components(manifest: Mapping[str, Any], found: Found) -> list[str]:
    present = set(found.dumps) | ({FILES.name} if found.files_compressor is not None else set())
    listed = manifest.get("components")
    named = {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set()
    return [f"component {name} is in one of them only" for name in sorted(present ^ named)]


def _members(manifest: Mapping[str, Any], found: Found) -> list[str]:
    listed = manifest.get("members")
    rows = listed if isinstance(listed, list) else []
    said = [tuple(row.get(key) for key in _RECORD) if isinstance(row, dict) else () for row in rows]
    there = [(m.name, m.size, m.sha256) for m in found.members if m.name != MANIFEST_MEMBER]
    if said == there:
        return []
    differing = [name for name, *_ in there if sum(row[:1] == (name,) for row in said) != 1]
    differing += [str(row[0]) if row else "?" for row in said if row not in there]
    names = ", ".join(dict.fromkeys(differing)) or "their order"
    return [f"size, hash or presence of members differ: {names}"]


def _packings(manifest: Mapping[str, Any], found: Found) -> list[str]:
    """Compare format and compressor; SQLite databases have no compressor."""
    packed: dict[str, tuple[str, str | None, str]] = {
        dump.member: (dump.component_name, dump.dump_format, dump.compressor) for dump in found.dumps.values()
    }
    if found.files_compressor is not None:
        packed[FILES_MEMBER] = (FILES.name, None, found.files_compressor)
    differing = []
    for name, expected in packed.items():
        row = member_row(manifest, name) or {}
        if (row.get("component"), row.get("dump_format"), row.get("compressor", "")) != expected:
            differing.append(f"component, format or compressor of {name} differ")
    return differing
