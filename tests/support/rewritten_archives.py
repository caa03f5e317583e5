"""Archives of this tool with other members, and hashes that are right again: what hashes cannot find."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine_backup.drivers.archive_reader import open_archive
from engine_backup.drivers.archive_writer import ArchiveWriter, Owner
from engine_backup.model.archive import HASH_FILES, MANIFEST_MEMBER, EntryType

Change = Callable[[bytes], bytes]


def rewrite(archive: Path, target: Path, changes: Mapping[str, Change]) -> Path:
    """Write an archive again, members changed as asked; the manifest follows unless it is changed itself."""
    with open_archive(archive, target.parent) as source, target.open("wb") as file:
        writer = ArchiveWriter(file, "", target.parent, next(iter(source.members.values())).mtime)
        for name, member in source.members.items():
            if member.entry.type is EntryType.DIRECTORY:
                writer.add_directory(name)
            elif name not in dict(HASH_FILES):
                content = source.read_small(name, 64 << 20)
                if name == MANIFEST_MEMBER:
                    content = _following(content, writer)
                owner = Owner(member.entry.uid, member.entry.gid, member.entry.uname, member.entry.gname)
                with writer.member(name, member.mtime, member.mode, owner) as sink:
                    sink.write(changes.get(name, _same)(content))
        writer.finish()
    return target


def _same(content: bytes) -> bytes:
    return content


def _following(manifest: bytes, writer: ArchiveWriter) -> bytes:
    """Let sizes and hashes in the manifest be those of the members as they are now."""
    document = json.loads(manifest)
    records = {record.name: record for record in writer.records}
    for row in document["members"]:
        row["size"], row["sha256"] = records[row["name"]].size, records[row["name"]].sha256
    return json.dumps(document).encode()


def in_manifest(change: Callable[[dict[str, Any]], object]) -> Change:
    """Return what changes the manifest's document in place."""

    def changed(content: bytes) -> bytes:
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return changed
