"""Packing a custom dump as several frames, each of which begins with the rows of a table.

A restore finds them again (`divided_dump`), and several processes load one dump without unpacking it to a
file. For all who do not know of them it is one compressed stream, as before.
"""

from __future__ import annotations

from engine_backup.drivers.compression import CompressingWriter
from engine_backup.drivers.dump_offsets import boundaries

# Smaller tables share a frame: each frame is loaded by a program of its own.
LEAST_FRAME = 4 << 20


class FramedWriter:
    """Passes a custom dump on to a writer, and begins new frames there, of `LEAST_FRAME` bytes or more.

    A table that begins just where a piece of the dump ends may stay with the one before.
    """

    def __init__(self, writer: CompressingWriter) -> None:
        self._writer = writer
        self._frame = 0

    def write(self, data: bytes, /) -> int:
        """Take all of `data`, the next piece of the dump."""
        start = 0
        for _, place in boundaries(data, 0):
            if self._frame + place - start >= LEAST_FRAME:
                self._pass_on(data[start:place])
                self._writer.begin_frame()
                start, self._frame = place, 0
        self._pass_on(data[start:])
        return len(data)

    def _pass_on(self, data: bytes) -> None:
        self._writer.write(data)
        self._frame += len(data)
