"""A sliding window over a stream of any length, for a lexer that must not mind where reads end."""

from __future__ import annotations

import re
from typing import BinaryIO

from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError

READ_BYTES = 1 << 20

# The largest thing of a real dump that must be held whole is a function of some
# hundred kilobytes.
WINDOW_LIMIT = 64 << 20

# Longer than any sign or word that is searched for by pattern.
OVERLAP = 16


class DumpWindow:
    """The part of a dump that is being looked at: `data`, which begins in line `line_number`.

    Positions count from the start of `data`; they move when something is dropped.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.data = bytearray()
        self.line_number = 1
        self.name = name
        self._stream = stream
        self._ended = False

    def more(self) -> bool:
        """Read on; False at the end of the stream. Raises `HostileArchiveError` beyond `WINDOW_LIMIT`."""
        if len(self.data) > WINDOW_LIMIT:
            size = WINDOW_LIMIT >> 20
            raise HostileArchiveError(f"{self.place(0)}: a statement or comment of more than {size} MiB")
        chunk = b"" if self._ended else self._stream.read(READ_BYTES)
        self._ended = not chunk
        self.data += chunk
        return not self._ended

    def need(self, size: int) -> None:
        """Read on until the window holds `size` bytes, or the dump ends."""
        while len(self.data) < size and self.more():
            pass

    def drop(self, size: int) -> None:
        """Leave the first bytes behind."""
        self.line_number += self.data.count(b"\n", 0, size)
        del self.data[:size]

    def take(self, size: int) -> bytes:
        """Return the first bytes, and leave them behind."""
        taken = bytes(self.data[:size])
        self.drop(size)
        return taken

    def skip_to(self, pattern: re.Pattern[bytes]) -> None:
        """Drop everything before the first match; everything when there is none."""
        match = pattern.search(self.data)
        while match is None:
            self.drop(len(self.data))
            if not self.more():
                return
            match = pattern.search(self.data)
        self.drop(match.start())

    def search_or_end(self, pattern: re.Pattern[bytes], start: int) -> tuple[int, bytes] | None:
        """Return where the pattern matches first and what, or None; the next read never changes a match."""
        while True:
            match = pattern.search(self.data, start)
            if match is not None and (match.end() < len(self.data) or self._ended):
                return match.start(), match.group()
            if self._ended:
                return None
            start = max(start, len(self.data) - OVERLAP) if match is None else match.start()
            self.more()

    def search(self, pattern: re.Pattern[bytes], start: int, within: str) -> tuple[int, bytes]:
        """Return where the pattern matches first and what; raises `DamagedArchiveError` when nowhere."""
        found = self.search_or_end(pattern, start)
        if found is None:
            raise self.truncated(within)
        return found

    def find(self, text: bytes, start: int, within: str) -> int:
        """Return the position after the next occurrence; raises `DamagedArchiveError` when there is none."""
        at = self.data.find(text, start)
        while at < 0:
            start = max(start, len(self.data) - len(text) + 1)
            if not self.more():
                raise self.truncated(within)
            at = self.data.find(text, start)
        return at + len(text)

    def place(self, at: int) -> str:
        """Name the dump and the line of a position, for messages."""
        return f"{self.name}: line {self.line_number + self.data.count(10, 0, at)}"

    def truncated(self, within: str) -> DamagedArchiveError:
        """Return the error for a dump that ends too early."""
        return DamagedArchiveError(f"{self.place(0)}: the dump ends within {within}")
