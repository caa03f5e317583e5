"""Compressing and decompressing streams: gzip, bzip2, xz and zstd behind one interface.

Python's own file classes silently ignore garbage behind a bzip2 or xz stream; here
every byte that comes in must belong to a whole stream, or the input counts as damaged.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import BinaryIO, Protocol, cast

from engine_backup.model.archive import ReadLimits
from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError

NONE = ""
CHUNK = 1 << 18
XZ_MEMORY_LIMIT = 1 << 30
# xz and lzma ask for multiples of four bytes, gzip for none in particular; both are
# what `gzip -d` and `xz -d` accept, because tapes and block devices pad with zeros.
ZERO_PADDED = ("gzip", "xz")


# A usual level of zstd, at which it looks for longer matches, in a larger window, than by itself: of engines'
# dumps it makes 3 to 6 % less so, in the same time (docs/profiles.md).
TUNED_LEVEL = 2


class Sink(Protocol):
    """Anything that takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""


class Compressing(Protocol):
    """The part that the compressor objects of zlib, bz2, lzma and zstd share."""

    def compress(self, data: bytes, /) -> bytes:
        """Take input, give the output that is ready."""

    def flush(self) -> bytes:
        """End the stream, give the rest."""


class Decompressing(Protocol):
    """The part that the decompressor objects of bz2, lzma and zstd share."""

    @property
    def eof(self) -> bool:
        """Whether the stream's end was met."""

    @property
    def needs_input(self) -> bool:
        """Whether there is no output left to give without more input."""

    @property
    def unused_data(self) -> bytes:
        """Input behind the stream's end."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Take input, give at most `max_length` bytes of output."""


class _GzipStream:
    """zlib's decompressor with the interface that the other three have."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(wbits=31)
        self._pending = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._pending and not self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        out = self._inner.decompress(self._pending + data, max(max_length, 0))
        self._pending = self._inner.unconsumed_tail
        return out


@cache
def _zstd() -> ModuleType:
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return cast(ModuleType, zstd)


def _gzip_errors() -> type[Exception]:
    import zlib

    return zlib.error


def _xz_errors() -> type[Exception]:
    import lzma

    return lzma.LZMAError


def _zstd_errors() -> type[Exception]:
    return cast("type[Exception]", _zstd().ZstdError)


def _bzip2_reader() -> Decompressing:
    import bz2

    return bz2.BZ2Decompressor()


def _xz_reader() -> Decompressing:
    import lzma

    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY_LIMIT)


def _zstd_reader() -> Decompressing:
    return cast(Decompressing, _zstd().ZstdDecompressor())


def _gzip_writer(level: int, _workers: int) -> Compressing:
    import zlib

    # zlib's own gzip header has no name and no time: same input, same output.
    return zlib.compressobj(level, wbits=31)


def _bzip2_writer(level: int, _workers: int) -> Compressing:
    import bz2

    return bz2.BZ2Compressor(level)


def _xz_writer(level: int, _workers: int) -> Compressing:
    import lzma

    return lzma.LZMACompressor(check=lzma.CHECK_CRC64, preset=level)


def _zstd_writer(level: int, workers: int) -> Compressing:
    zstd = _zstd()
    options = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
        zstd.CompressionParameter.nb_workers: workers,
    }
    if level == TUNED_LEVEL:
        options[zstd.CompressionParameter.window_log] = 21
        options[zstd.CompressionParameter.hash_log] = 17
        options[zstd.CompressionParameter.min_match] = 7
    return cast(Compressing, zstd.ZstdCompressor(options=options))


@dataclass(frozen=True)
class Compressor:
    """One way to compress. `suffix` is the usual ending of file names, `level` the default."""

    name: str
    suffix: str
    magics: tuple[bytes, ...]
    level: int
    reader: Callable[[], Decompressing]
    writer: Callable[[int, int], Compressing]
    error: Callable[[], type[Exception]]


COMPRESSORS: dict[str, Compressor] = {
    row.name: row
    for row in (
        Compressor("gzip", ".gz", (b"\x1f\x8b\x08",), 6, _GzipStream, _gzip_writer, _gzip_errors),
        Compressor("bzip2", ".bz2", (b"BZh",), 9, _bzip2_reader, _bzip2_writer, lambda: OSError),
        Compressor("xz", ".xz", (b"\xfd7zXZ\x00",), 6, _xz_reader, _xz_writer, _xz_errors),
        Compressor("zstd", ".zst", (b"\x28\xb5\x2f\xfd",), 2, _zstd_reader, _zstd_writer, _zstd_errors),
    )
}


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
        return CompressingWriter(sink, None)
    row = COMPRESSORS[compressor]
    return CompressingWriter(sink, row.writer(row.level if level is None else level, workers))


class CompressingWriter:
    """A writer that compresses; see `open_writer`.

    Used with `with`: when the block fails, the stream stays unfinished, so that it never looks whole.
    """

    def __init__(self, sink: Sink, stream: Compressing | None) -> None:
        self._sink = sink
        self._stream = stream

    def write(self, data: bytes, /) -> int:
        """Compress all of `data` and return its length."""
        packed = data if self._stream is None else self._stream.compress(data)
        if packed:
            self._sink.write(packed)
        return len(data)

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
