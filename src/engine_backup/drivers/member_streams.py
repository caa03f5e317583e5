"""Reading a member's bytes out of an archive file, from several threads at once if need be."""

from __future__ import annotations

import io
import os
from bisect import bisect_right

from engine_backup.model.errors import DamagedArchiveError

Segments = tuple[tuple[int, int, int], ...]


class SegmentedReader(io.RawIOBase):
    """A seekable view of parts of a file, with zeros for holes.

    `segments` are (offset here, offset in the file, length), ascending. Positioned reads
    leave the descriptor's own offset alone, so that views are independent of each other.
    """

    def __init__(self, descriptor: int, segments: Segments, size: int, name: str) -> None:
        self._descriptor = descriptor
        self._segments = segments
        self._starts = [segment[0] for segment in segments]
        self._size = size
        self._name = name
        self._position = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another place and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill `buffer` with what comes next, as far as one segment or hole reaches."""
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        count = self._fill(buffer, wanted)
        self._position += count
        return count

    def _fill(self, buffer: memoryview, wanted: int) -> int:
        number = bisect_right(self._starts, self._position) - 1
        if number >= 0:
            start, place, length = self._segments[number]
            inside = self._position - start
            if inside < length:
                return self._load(buffer, place + inside, min(wanted, length - inside))
        following = self._starts[number + 1] if number + 1 < len(self._starts) else self._size
        count = min(wanted, following - self._position)
        buffer[:count] = bytes(count)
        return count

    def _load(self, buffer: memoryview, place: int, wanted: int) -> int:
        count = os.preadv(self._descriptor, [memoryview(buffer)[:wanted]], place)
        if count == 0:
            raise DamagedArchiveError(f"{self._name} is cut off")
        return count
