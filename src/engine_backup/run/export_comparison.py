"""Proof that a converted archive holds what the first one holds; both are read from the disk once more."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

from engine_backup.drivers import compression
from engine_backup.drivers.archive_reader import Archive
from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.exporting import Conversion
from engine_backup.plan import exporting
from engine_backup.run.reporting import Reporter

CHUNK = 1 << 20
FAULT = "this is a fault of engine-backup: keep the archive that you have, and report it"


def check_equal(old: Archive, new: Archive, conversions: Iterable[Conversion], reporter: Reporter) -> None:
    """Compare version, system, every member with its packing taken off, and every file of a tree.

    Raises `EngineBackupError` at the first thing that is not the same.
    """
    conversions = tuple(conversions)
    texts = ((old.version, old.os_version), (new.version, new.os_version))
    _same("version", *texts)
    _same("list of dumps", set(old.dumps), set(new.dumps))
    for conversion in conversions:
        if conversion.source == exporting.TREE:
            _same("files", *(_files(archive) for archive in (old, new)))
            continue
        before = _digest(old, conversion.source, conversion.compressor, conversion, reporter)
        after = _digest(new, conversion.target, conversion.target_compressor, conversion, reporter)
        _same(conversion.target, before, after)
        _same(conversion.target, *(_header(conversion, archive) for archive in (old, new)))


def _same(what: str, before: object, after: object) -> None:
    if before != after:
        raise EngineBackupError(f"the converted archive is not the same: {what}", FAULT)


def _digest(
    archive: Archive, member: str, compressor: str, conversion: Conversion, reporter: Reporter
) -> tuple[int, str]:
    """Return size and digest of a member's content. One that was copied is compared as it is stored."""
    unpack = compression.NONE if conversion.packing is None else compressor
    total, size = hashlib.sha256(), 0
    stored = archive.open_member(member)
    with compression.open_reader(stored, unpack, f"{archive.path}: {member}") as stream:
        for chunk in _chunks(stream):
            total.update(chunk)
            size += len(chunk)
            reporter.advance(f"comparing {member}", size)
    return size, total.hexdigest()


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: stream.read(CHUNK), b"")


def _header(conversion: Conversion, archive: Archive) -> object:
    """Return what belongs to a member besides its content."""
    name = conversion.source if conversion.source in archive.members else conversion.target
    entry = archive.members[name].entry
    if not conversion.keeps_owner:
        return entry.mtime
    return entry.mtime, entry.mode & 0o777, entry.uid, entry.gid, entry.uname, entry.gname


def _files(archive: Archive) -> dict[bytes, tuple[FileEntry, str]]:
    """Return every archived path with all that is said of it, and the digest of its content."""
    found = {}
    for entry, chunks in archive.file_contents():
        if exporting.is_by_product(entry):
            continue
        total = hashlib.sha256()
        if entry.type is EntryType.FILE:
            for chunk in chunks:
                total.update(chunk)
        found[entry.path] = (replace(entry, stored_name=b""), total.hexdigest())
    return found
