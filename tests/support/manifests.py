"""Archives with another manifest than they were made with."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.hostile_archives import Crafted, archive_bytes

Change = Callable[[dict[str, Any]], None]


def contents(archive: Path) -> dict[str, bytes]:
    """Every member but the hash file, by its name without `./`."""
    with tarfile.open(archive) as opened:
        found = {m.name[2:]: opened.extractfile(m) for m in opened if m.isfile()}
        return {name: stream.read() for name, stream in found.items() if stream and name != "sha256sum"}


def with_manifest(archive: Path, target: Path, content: bytes) -> Path:
    """Write a copy of an archive with other bytes for a manifest, and true hashes."""
    target.write_bytes(archive_bytes({**contents(archive), "manifest.json": content}))
    return target


def with_changed_manifest(archive: Path, target: Path, change: Change) -> Path:
    """Write a copy of an archive whose manifest was changed, and has true hashes."""
    manifest = json.loads(contents(archive)["manifest.json"])
    change(manifest)
    return with_manifest(archive, target, json.dumps(manifest).encode())


def with_huge_member(archive: Path, target: Path, size: int) -> Path:
    """Write a copy of an archive, with a member of `size` bytes more: a hole, described in the manifest."""
    members = contents(archive)
    manifest = json.loads(members.pop("manifest.json"))
    record = {"name": "huge", "size": size, "sha256": hashlib.sha256().hexdigest(), "raw_size": size}
    manifest["members"].append(record)
    members["manifest.json"] = json.dumps(manifest).encode()
    written = archive_bytes(members, Crafted("./huge", size=size))[: -len(bytes(1024))]
    with target.open("wb") as stream:
        stream.write(written)
        stream.seek(size, 1)
        stream.write(bytes(1024))
    return target
