"""The table of compressors: the libraries of gzip, bzip2, xz and zstd behind one interface, loaded on use.

One object here is one compressed stream; `compression` reads and writes whole inputs with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Protocol, cast

XZ_MEMORY_LIMIT = 1 << 30
# A usual level of zstd, at which it looks for longer matches, in a larger window, than by itself: of engines'
# dumps it makes 3 to 6 % less so, in the same time (docs/profiles.md).
TUNED_LEVEL = 2


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
