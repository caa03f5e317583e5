"""Compressing and decompressing streams, the same way whichever compressor it is.

Python's own file classes silently ignore garbage behind a bzip2 or xz stream; here
every byte that comes in must belong to a whole stream, or the input counts as damaged.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import BinaryIO, Protocol, cast

from engine_backup.drivers.compressors import COMPRESSORS, Compressing, Compressor
from engine_backup.model.archive import ReadLimits
from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError

NONE = ""
# What fits into a processor's cache is copied faster: a fifth less of our processor time than with 256 KiB.
CHUNK = 1 << 15
# xz and lzma ask for multiples of four bytes, gzip for none in particular; both are
# what `gzip -d` and `xz -d` accept, because tapes and block devices pad with zeros.
ZERO_PADDED = ("gzip", "xz")


class Sink(Protocol):
    """Anything that takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


def detect(head: bytes) -> str:
    """Return the compressor whose magic number `head` (six bytes or more) begins with, "" for none."""
    for row in COMPRESSORS.values():
        if head.startswith(row.magics):
            return row.name
    return NONE


def open_reader(source: BinaryIO, compressor: str, name: str, limits: ReadLimits | None = None) -> BinaryIO:
    """Return the content of the compressed stream `source`, for reading front to back.

    Concatenated streams read as one. `name` says in messages what is being read.
    Damage, a missing end, and anything behind the last stream raise
    `DamagedArchiveError`; more output than `limits` allow raises `HostileArchiveError`.
    Closing does not close `source`. With no compressor, `source` itself comes back.
    """
    if compressor == NONE:
        return source
    stream = _DecompressedStream(source, COMPRESSORS[compressor], name, limits or ReadLimits())
    return cast(BinaryIO, io.BufferedReader(stream, CHUNK))


def open_writer(sink: Sink, compressor: str, level: int | None = None, workers: int = 0) -> CompressingWriter:
    """Return a writer whose input arrives in `sink`, compressed; `close()` ends the stream, not `sink`.

    `level` is the compressor's own scale (default: its usual one). `workers` is the number
    of threads where the compressor has threads (zstd). Without compressor bytes go through as they are.
    """
    if compressor == NONE:
        return CompressingWriter(sink, lambda: None)
    row = COMPRESSORS[compressor]
    return CompressingWriter(sink, partial(row.writer, row.level if level is None else level, workers))


class CompressingWriter:
    """A writer that compresses; see `open_writer`.

    Used with `with`: when the block fails, the stream stays unfinished, so that it never looks whole.
    """

    def __init__(self, sink: Sink, begin: Callable[[], Compressing | None]) -> None:
        self._sink = sink
        self._begin = begin
        self._stream = begin()

    def write(self, data: bytes, /) -> int:
        """Compress all of `data` and return its length."""
        packed = data if self._stream is None else self._stream.compress(data)
        if packed:
            self._sink.write(packed)
        return len(data)

    def begin_frame(self) -> None:
        """End the stream, and let what follows begin another one, which can be unpacked by itself."""
        if self._stream is not None:
            self._sink.write(self._stream.flush())
            self._stream = self._begin()

    def close(self) -> None:
        """Write what the compressor still holds."""
        stream, self._stream = self._stream, None
        if stream is not None:
            self._sink.write(stream.flush())

    def __enter__(self) -> CompressingWriter:
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        if kind is None:
            self.close()


class _DecompressedStream(io.RawIOBase):
    """One pass over all the streams in `source`."""

    def __init__(self, source: BinaryIO, row: Compressor, name: str, limits: ReadLimits) -> None:
        self._source = source
        self._row = row
        self._name = name
        self._limits = limits
        self._error = row.error()
        self._stream = row.reader()
        self._input = b""
        self._taken = 0
        self._given = 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = b""
        while not data and not self._ended:
            data = self._step(len(buffer))
        buffer[: len(data)] = data
        self._given += len(data)
        self._check_expansion()
        return len(data)

    def _step(self, size: int) -> bytes:
        """Return some output, or nothing when input was used up without giving any."""
        if self._stream.eof:
            self._next_stream()
            return b""
        if self._stream.needs_input and not self._input:
            self._input = self._take()
            if not self._input:
                raise self._damaged("ends too early")
        data, self._input = self._input, b""
        try:
            return self._stream.decompress(data, size)
        except (self._error, ValueError, EOFError) as error:
            raise self._damaged(str(error)) from error

    def _next_stream(self) -> None:
        rest = self._stream.unused_data or self._take()
        if self._row.name in ZERO_PADDED:
            while rest and not rest.strip(b"\0"):
                rest = self._take()
            rest = rest.lstrip(b"\0")
        if not rest:
            self._ended = True
        elif rest.startswith(self._row.magics) or len(rest) < len(self._row.magics[0]):
            self._stream = self._row.reader()
            self._input = rest
        else:
            raise self._damaged("something stands behind its end")

    def _take(self) -> bytes:
        data = self._source.read(CHUNK)
        self._taken += len(data)
        return data

    def _check_expansion(self) -> None:
        if self._limits.is_bomb(self._given, self._taken):
            raise HostileArchiveError(
                f"{self._name} expands to more than {self._limits.expansion_ratio} times its size",
                hint="a real backup does not; if this one is yours, unpack it and pack it again",
            )

    def _damaged(self, detail: str) -> DamagedArchiveError:
        return DamagedArchiveError(f"{self._name} is damaged: {self._row.name} stream: {detail}")
