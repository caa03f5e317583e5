"""Whether an archive of this tool has, to the last bit, the form that `archive_writer` gives it.

Hashes cover members. What holds them together is covered here: fields of headers that nobody
reads, how much the end is filled up, and what a compressor's own checksum does not cover.
Archives of stock have no such form: GNU tar of any version, with any gzip, wrote them.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from engine_backup.drivers import archive_seal, compression
from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.archive_writer import BLOCK, RECORD
from engine_backup.drivers.tar_headers import Header, parse_header
from engine_backup.model.errors import DamagedArchiveError

CHUNK = 1 << 20
_TYPES = (tarfile.REGTYPE, tarfile.DIRTYPE)
_XZ_ENDS_BYTES = 12


def check_tar(archive: Archive) -> None:
    """Raise `DamagedArchiveError` unless every header and the end are as this tool writes them."""
    position = 0
    with archive.open_outer_tar() as stream:
        while (block := stream.read(BLOCK)).strip(b"\0"):
            header = parse_header(block, f"{archive.path} near byte {position}")
            if header.type not in _TYPES or block != _written(header):
                raise _damaged(archive, f"the tar header at byte {position} is not as this tool writes it")
            position += BLOCK + header.size + -header.size % BLOCK
            stream.seek(position)
        end = position + 2 * BLOCK
        if stream.seek(0, os.SEEK_END) != end + -end % RECORD:
            raise _damaged(archive, "its end is cut off, or something was added")


def check_packing(archive: Archive) -> None:
    """Raise `DamagedArchiveError` unless the file is what its compressor made of the tar.

    For compressors that this tool packs whole archives with, `WHOLE_ARCHIVE_COMPRESSORS`. With bzip2
    it takes as long as packing.
    """
    _PACKING_CHECKS[archive.compressor](archive)


def _written(header: Header) -> bytes:
    again = tarfile.TarInfo(header.name.decode("utf-8", "surrogateescape"))
    again.type = header.type
    again.size, again.mtime, again.mode = header.size, header.mtime, header.mode
    again.uid, again.gid, again.uname, again.gname = header.uid, header.gid, header.uname, header.gname
    return again.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _check_nothing(_archive: Archive) -> None:
    """A tar that is not packed is its own form."""


def _check_seal(archive: Archive) -> None:
    digest = hashlib.sha256()
    with archive.open_as_stored() as stream:
        left = stream.seek(0, os.SEEK_END) - archive_seal.SIZE
        stream.seek(0)
        while left > 0 and (data := stream.read(min(CHUNK, left))):
            digest.update(data)
            left -= len(data)
        if stream.read() != archive_seal.seal(digest.digest()):
            raise _damaged(archive, "the seal behind its gzip stream does not fit")


def _check_packed_again(archive: Archive) -> None:
    """bzip2 has no place for a seal, but one way only to pack: since 1.0 all libraries write the same."""
    with archive.open_as_stored() as stored, archive.open_outer_tar() as tar:
        writer = compression.open_writer(_Compared(stored, archive), archive.compressor)
        for data in iter(lambda: tar.read(CHUNK), b""):
            writer.write(data)
        writer.close()
        if stored.read(1):
            raise _damaged(archive, "something stands behind its bzip2 stream")


class _Compared:
    """Takes bytes that must be those of a stream."""

    def __init__(self, stream: BinaryIO, archive: Archive) -> None:
        self._stream = stream
        self._archive = archive

    def write(self, data: bytes, /) -> None:
        if self._stream.read(len(data)) != data:
            raise _damaged(self._archive, "its bzip2 stream is not what bzip2 makes of its content")


def _check_only_stream(archive: Archive) -> None:
    """Xz's checksums cover every bit of a stream; but streams and zeros may be added behind it.

    (The .xz File Format, 2.1.2 and 4.)
    """
    with archive.open_as_stored() as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(size - _XZ_ENDS_BYTES)
        index_size = (int.from_bytes(stream.read(8)[4:], "little") + 1) * 4
        stream.seek(max(0, size - _XZ_ENDS_BYTES - index_size))
        numbers = _numbers(io.BytesIO(stream.read(index_size)[1:]))
    blocks = 0
    for _ in range(min(next(numbers, 0), index_size)):
        packed, _raw = next(numbers, 0), next(numbers, 0)
        blocks += packed + -packed % 4
    if _XZ_ENDS_BYTES + blocks + index_size + _XZ_ENDS_BYTES != size:
        raise _damaged(archive, "something stands behind its xz stream")


def _numbers(data: BinaryIO) -> Iterator[int]:
    """Yield xz's numbers: seven bits a byte, the lowest first, the eighth bit where more follow."""
    number = shift = 0
    while byte := data.read(1):
        number |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            yield number
            number = shift = 0


def _damaged(archive: Archive, detail: str) -> DamagedArchiveError:
    return DamagedArchiveError(f"{archive.path}: {detail}")


_PACKING_CHECKS: Mapping[str, Callable[[Archive], None]] = {
    compression.NONE: _check_nothing,
    "gzip": _check_seal,
    "bzip2": _check_packed_again,
    "xz": _check_only_stream,
}
WHOLE_ARCHIVE_COMPRESSORS = frozenset(_PACKING_CHECKS)
