"""Writing an archive of generation D (contract K2, design section 3).

The outer tar is in GNU format, as stock's own: names begin with `./`, sizes
above 8 GiB are in base 256, there are no pax headers. When it is not compressed, and goes to
a file, members stream straight into their places and the header, whose size is known
only then, is patched afterwards; else each one is spooled to a nameless file first.
Members that are made at the same time as one in its place are spooled too, and appended when that is whole.
`archive_form` holds an archive against this module: change both together.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from engine_backup.drivers import archive_seal, compression
from engine_backup.drivers.compression import CompressingWriter, Sink
from engine_backup.drivers.hash_lines import hash_line
from engine_backup.drivers.spooling import Spool, copied_in_kernel, kept_when_whole, nameless_file
from engine_backup.model.archive import MemberRecord

BLOCK = 512
RECORD = 10240
CHUNK = 1 << 20


@dataclass(frozen=True)
class Owner:
    """Whose a member is: numbers and names, as tar records both."""

    uid: int = 0
    gid: int = 0
    uname: str = "root"
    gname: str = "root"


ROOT = Owner()


class MemberSink:
    """Where a member's bytes are written; counts and hashes them on the way.

    After the `member` block, `size` (bytes) and `sha256` (hex) are those of the whole member.
    """

    def __init__(self, target: Sink) -> None:
        self._target = target
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """The hex digest of what was written so far."""
        return self._digest.hexdigest()

    def digest(self) -> bytes:
        """Return the digest of what was written so far, as bytes."""
        return self._digest.digest()

    def write(self, data: bytes, /) -> int:
        """Write all of `data` and return its length."""
        self._target.write(data)
        self._digest.update(data)
        self.size += len(data)
        return len(data)


class ArchiveWriter:
    """Writes one archive, member by member, front to back.

    `target` is open for writing; it is neither closed nor synced here. It takes all of what is written to it,
    and says by `seekable` whether headers can be patched in it.
    `compressor` is that of the whole archive ("" is the default and the fastest).
    `spool_directory` holds members on their way: those of `spool`, and each that is not in its place; `when`
    (seconds since 1970) is the time of members that have none of their own. One thread adds to the
    archive, others may spool meanwhile.
    """

    def __init__(self, target: BinaryIO, compressor: str, spool_directory: Path, when: int) -> None:
        self.compressor = compressor
        self._target = target
        self._spool_directory = spool_directory
        self._when = when
        self._in_place = compressor == compression.NONE and target.seekable()
        self._whole = None if self._in_place else MemberSink(target)
        self._outer = CountingSink(compression.open_writer(self._whole or target, compressor))
        self.records: list[MemberRecord] = []
        self._spools: dict[str, Spool] = {}
        self._directory_header("./")

    def add_directory(self, name: str) -> None:
        """Add a directory, such as "db", readable by root alone."""
        self._directory_header(f"./{name}/")

    @contextmanager
    def member(
        self, name: str, mtime: int | None = None, mode: int = 0o600, owner: Owner = ROOT
    ) -> Iterator[MemberSink]:
        """Add the file `name` (without `./`), whose content is written to the sink inside the block.

        When the block raises, the member was never there: another try may follow.
        """
        self._refuse_second(name)
        header = self._header(f"./{name}", self._when if mtime is None else mtime, mode, owner)
        place = self._streamed if self._in_place else self._spooled
        with place(header) as sink:
            yield sink
        self.records.append(MemberRecord(name, sink.size, sink.sha256))

    @contextmanager
    def spool(
        self, name: str, mtime: int | None = None, mode: int = 0o600, owner: Owner = ROOT
    ) -> Iterator[MemberSink]:
        """Like `member`, but the content waits in a nameless file until `append`; from any thread."""
        header = self._header(f"./{name}", self._when if mtime is None else mtime, mode, owner)
        with kept_when_whole(self._spool_directory) as file:
            sink = MemberSink(file)
            yield sink
            header.size = sink.size
            self._spools[name] = Spool(header, file, sink.sha256)

    def append(self, name: str) -> None:
        """Add a file that was spooled; its bytes are copied by the kernel, and not hashed again."""
        self._refuse_second(name)
        spool = self._spools.pop(name)
        with spool.file:
            self._outer.write(_bytes(spool.header))
            self._copy(spool.file, spool.header.size)
        self.records.append(MemberRecord(name, spool.header.size, spool.sha256))

    def drop_spools(self) -> None:
        """Forget what was spooled and not appended."""
        while self._spools:
            self._spools.popitem()[1].file.close()

    def add_bytes(self, name: str, content: bytes, mtime: int | None = None) -> None:
        """Add a small file, such as "version"."""
        with self.member(name, mtime) as sink:
            sink.write(content)

    def finish(self) -> None:
        """Add `sha256sum` with a line for every file, and the end of the archive."""
        lines = b"".join(hash_line(record.sha256, record.name) for record in self.records)
        self.add_bytes("sha256sum", lines)
        self._outer.write(bytes(2 * BLOCK))
        self._outer.write(bytes(-self._outer.size % RECORD))
        self._outer.close()
        if self._whole is not None and self.compressor == "gzip":
            self._whole.write(archive_seal.seal(self._whole.digest()))
        self._target.flush()

    @property
    def whole_sha256(self) -> str | None:
        """The hex digest of the whole file, once it is finished; None where headers were patched in it."""
        return None if self._whole is None else self._whole.sha256

    @contextmanager
    def _streamed(self, header: tarfile.TarInfo) -> Iterator[MemberSink]:
        """Write header and content in place; on failure cut the archive back to where it was."""
        start = self._target.tell()
        self._outer.write(_bytes(header))
        sink = MemberSink(self._outer)
        try:
            yield sink
        except BaseException:
            self._target.seek(start)
            self._target.truncate()
            self._outer.size = start
            raise
        self._pad(sink.size)
        end = self._target.tell()
        header.size = sink.size
        self._target.seek(start)
        self._target.write(_bytes(header))
        self._target.seek(end)

    @contextmanager
    def _spooled(self, header: tarfile.TarInfo) -> Iterator[MemberSink]:
        """Collect the content in a nameless file, then write header and content."""
        with nameless_file(self._spool_directory) as spool:
            sink = MemberSink(spool)
            yield sink
            header.size = sink.size
            self._outer.write(_bytes(header))
            self._copy(spool, sink.size)

    def _copy(self, spool: IO[bytes], size: int) -> None:
        """Add the content of a spooled member, in the kernel where nothing is to be done with it."""
        spool.flush()
        copied = copied_in_kernel(spool.fileno(), self._target, size) if self._in_place else 0
        self._outer.size += copied
        spool.seek(copied)
        shutil.copyfileobj(spool, self._outer, CHUNK)
        self._pad(size)

    def _header(self, name: str, mtime: int, mode: int, owner: Owner) -> tarfile.TarInfo:
        header = tarfile.TarInfo(name)
        header.mtime = mtime
        header.mode = mode
        header.uid, header.gid = owner.uid, owner.gid
        header.uname, header.gname = owner.uname, owner.gname
        return header

    def _directory_header(self, name: str) -> None:
        header = self._header(name, self._when, 0o700, ROOT)
        header.type = tarfile.DIRTYPE
        self._outer.write(_bytes(header))

    def _pad(self, size: int) -> None:
        self._outer.write(bytes(-size % BLOCK))

    def _refuse_second(self, name: str) -> None:
        if any(record.name == name for record in self.records):
            raise ValueError(f"the archive already has a member {name}")


class CountingSink:
    """Counts the bytes of the tar on their way to `target`."""

    def __init__(self, target: CompressingWriter) -> None:
        self._target = target
        self.size = 0

    def write(self, data: bytes, /) -> int:
        """Write all of `data` and return its length."""
        self.size += len(data)
        return self._target.write(data)

    def close(self) -> None:
        """End the compressed stream."""
        self._target.close()


def _bytes(header: tarfile.TarInfo) -> bytes:
    return header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
