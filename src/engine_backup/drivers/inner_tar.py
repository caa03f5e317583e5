"""Writing archived files as the inner tar of an archive, in GNU format, for those that were a tree."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator

from engine_backup.drivers.archive_writer import BLOCK, RECORD
from engine_backup.drivers.compression import Sink
from engine_backup.model.archive import EntryType, FileEntry

_TYPES = {
    EntryType.FILE: tarfile.REGTYPE,
    EntryType.DIRECTORY: tarfile.DIRTYPE,
    EntryType.SYMLINK: tarfile.SYMTYPE,
    EntryType.HARDLINK: tarfile.LNKTYPE,
}


def write(contents: Iterable[tuple[FileEntry, Iterator[bytes]]], sink: Sink) -> int:
    """Write a whole tar and return its size in bytes. Holes become zeros."""
    size = 0
    for entry, chunks in contents:
        head = _header(entry).tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        sink.write(head)
        if entry.type is EntryType.FILE:
            for chunk in chunks:
                sink.write(chunk)
            sink.write(bytes(-entry.size % BLOCK))
        size += len(head) + entry.size + -entry.size % BLOCK
    end = bytes(2 * BLOCK + -(size + 2 * BLOCK) % RECORD)
    sink.write(end)
    return size + len(end)


def _header(entry: FileEntry) -> tarfile.TarInfo:
    header = tarfile.TarInfo(_text(entry.path))
    header.type = _TYPES[entry.type]
    header.mode, header.mtime, header.size = entry.mode, entry.mtime, entry.size
    header.uid, header.gid, header.uname, header.gname = entry.uid, entry.gid, entry.uname, entry.gname
    header.linkname = _text(entry.link_target or b"")
    return header


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
