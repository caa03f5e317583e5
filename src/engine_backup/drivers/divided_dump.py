"""Finding the parts of a custom dump that `dump_frames` has packed, and reading them one by one."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

from engine_backup.drivers import compression, custom_dump_entries, zstd_frames
from engine_backup.drivers.archive_reader import Archive
from engine_backup.model.archive import DumpMember
from engine_backup.model.divided_dumps import DividedDump, Frame
from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError
from engine_backup.model.presets import CUSTOM, ZSTD

MOST_FRAMES = 10_000
# What stands before all rows is read once for each frame.
MOST_HEADS = 4 << 30


def observe(archive: Archive, member: DumpMember) -> DividedDump | None:
    """Return the parts of a dump, by the member's own bytes; None where it has no parts.

    None too where anything is not understood, or damaged: pg_restore says it better.
    """
    try:
        return _observed(archive, member)
    except DamagedArchiveError:
        return None


def _observed(archive: Archive, member: DumpMember) -> DividedDump | None:
    if member.dump_format != CUSTOM or member.compressor != ZSTD:
        return None
    with archive.open_member(member.member) as stored:
        places = zstd_frames.find(stored, member.size)
    if places is None or not 2 < len(places) <= MOST_FRAMES:
        return None
    with closing(_unpacked(archive, member, 0, member.size)) as stream:
        contents = custom_dump_entries.read(stream, member.member)
    if contents is None:
        return None
    frames = [Frame(0, places[1], contents.first)]
    for start, end in zip(places[1:], places[2:]):
        with closing(_unpacked(archive, member, start, end)) as stream:
            first = custom_dump_entries.first_number(stream)
        if first is None:
            return None
        frames.append(Frame(start, end, first))
    # A long table of contents may have the first frame for itself.
    with_rows = frames[1:] if frames[1].first == contents.first else frames
    if contents.size * len(with_rows) > MOST_HEADS:
        return None
    return DividedDump(contents.size, contents.entries, tuple(with_rows))


def copy_head(archive: Archive, member: DumpMember, size: int, target: Path) -> None:
    """Write what stands before all rows, `size` bytes, to a new file.

    pg_restore reads it as it reads a dump, as long as it needs no rows.
    Raises `DamagedArchiveError`, and `OSError`.
    """
    with closing(_unpacked(archive, member, 0, member.size)) as stream, target.open("xb") as file:
        shutil.copyfileobj(cast(BinaryIO, _Slice(stream, size)), file)
        if file.tell() < size:
            raise DamagedArchiveError(f"{archive.path}: {member.member} is cut off")


def open_part(archive: Archive, member: DumpMember, frame: Frame, head: Path) -> BinaryIO:
    """Return a dump with the rows of one frame only, as pg_restore reads it front to back.

    `head` comes from `copy_head`. Raises `DamagedArchiveError`, also when it is read.
    """
    stream = _unpacked(archive, member, frame.start, frame.end)
    return stream if frame.start == 0 else cast(BinaryIO, _Joined(head.open("rb"), stream))


def _unpacked(archive: Archive, member: DumpMember, start: int, end: int) -> BinaryIO:
    stored = archive.open_member(member.member)
    stored.seek(start)
    slice_ = cast(BinaryIO, _Slice(stored, end - start))
    return compression.open_reader(slice_, ZSTD, f"{archive.path}: {member.member}", archive.limits)


class Expansion:
    """How many bytes all parts of a dump have given so far, to all threads: each may give little enough."""

    def __init__(self, archive: Archive, member: DumpMember) -> None:
        self._archive = archive
        self._member = member
        self._counting = threading.Lock()
        self._given = 0

    def add(self, count: int) -> int:
        """Return how many there are with these; raises `HostileArchiveError` when no backup has so many."""
        with self._counting:
            self._given += count
            given = self._given
        if self._archive.limits.is_bomb(given, self._member.size):
            raise HostileArchiveError(
                f"{self._archive.path}: {self._member.member} expands to more than"
                f" {self._archive.limits.expansion_ratio} times its size",
                hint="a real backup does not; if this one is yours, unpack it and pack it again",
            )
        return given


class _Slice:
    """What comes next in a stream, up to so many bytes."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        return data


class _Joined:
    """A stream, and another one behind it; both are closed with it."""

    def __init__(self, *streams: BinaryIO) -> None:
        self._streams = streams
        self._left = list(streams)

    def read(self, size: int, /) -> bytes:
        while self._left:
            if data := self._left[0].read(size):
                return data
            del self._left[0]
        return b""

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
