"""Walking over the members of a tar, strictly, front to back; over a file or over a stream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

from engine_backup.drivers import tar_headers
from engine_backup.drivers.compression import Sink
from engine_backup.drivers.tar_headers import BLOCK, Header, looks_like_header
from engine_backup.model.archive import EntryType, FileEntry, MemberInfo, ReadLimits
from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError, UnreadableArchiveError
from engine_backup.model.printable import printable_name

CHUNK = 1 << 18
_DECIMAL = re.compile(rb"(-?[0-9]{1,18})(\.[0-9]*)?")
_NUMBERS = ("uid", "gid", "size", "mtime")
_TYPES = {
    tar_headers.HARDLINK: EntryType.HARDLINK,
    tar_headers.SYMLINK: EntryType.SYMLINK,
    tar_headers.DIRECTORY: EntryType.DIRECTORY,
}


class TarWalk:
    """One pass over a tar; iterate to get its members.

    `name` is that of the archive, for messages. While a member is the current one,
    `read_content` gives its bytes. Damage, names that no backup has, and anything
    but zeros behind the end raise errors of `DamagedArchiveError`'s kin.
    """

    def __init__(self, stream: BinaryIO, name: str, limits: ReadLimits) -> None:
        self._stream = stream
        self._name = name
        self._limits = limits
        self._position = 0
        self._headers = b""

    def __iter__(self) -> Iterator[MemberInfo]:
        """Yield the members in the order of the tar."""
        count = 0
        while True:
            member = self._next_member()
            if member is None:
                break
            count += 1
            if count > self._limits.members:
                raise HostileArchiveError(f"{self._name} has more than {self._limits.members} members")
            end = self._position + sum(length for _, _, length in member.segments)
            yield member
            self._skip_to(end)
            self._zeros(-end % BLOCK, "behind a member")
        self._check_end()

    def read_content(self, member: MemberInfo) -> bytes:
        """Return the content of the current member, holes filled; for small ones only."""
        content = bytearray(member.size)
        for start, _, length in member.segments:
            content[start : start + length] = self._exactly(length)
        return bytes(content)

    def chunks(self, member: MemberInfo) -> Iterator[bytes]:
        """Yield the content of the current member piece by piece, holes filled."""
        position = 0
        for start, _, length in (*member.segments, (member.size, 0, 0)):
            while position < start:
                yield bytes(min(CHUNK, start - position))
                position = min(start, position + CHUNK)
            for done in range(0, length, CHUNK):
                yield self._exactly(min(CHUNK, length - done))
            position += length

    def copy_member(self, member: MemberInfo, sink: Sink) -> None:
        """Write the current member as it stands in the tar: headers, stored bytes, padding."""
        sink.write(self._headers)
        stored = sum(length for _, _, length in member.segments)
        for start in range(0, stored, CHUNK):
            sink.write(self._exactly(min(CHUNK, stored - start)))
        sink.write(bytes(-stored % BLOCK))

    def _next_member(self) -> MemberInfo | None:
        """Read one member's headers; `None` at the end of the archive."""
        stored = link = b""
        records: dict[str, bytes] = {}
        self._headers = b""
        block = self._first_block()
        while block is not None:
            self._headers += block
            header = tar_headers.parse_header(block, self._place())
            if header.type not in tar_headers.EXTENSION_TYPES:
                header = self._with_extensions(header, records, stored, link)
                return self._member(header, block)
            content = self._extension(header)
            if header.type == tar_headers.PAX:
                records = tar_headers.parse_pax(content, self._place())
            elif header.type == tar_headers.LONG_NAME:
                stored = content.partition(b"\0")[0]
            else:
                link = content.partition(b"\0")[0]
            block = self._exactly(BLOCK)
        return None

    def _first_block(self) -> bytes | None:
        at_start = self._position == 0
        block = self._read(BLOCK)
        if at_start and (len(block) < BLOCK or (block.strip(b"\0") and not looks_like_header(block))):
            raise UnreadableArchiveError(f"{self._name} is not a tar archive")
        if not block:
            raise self._damaged("has no end-of-archive mark: it was cut off")
        if len(block) < BLOCK:
            raise self._damaged("is cut off")
        return block if block.strip(b"\0") else None

    def _extension(self, header: Header) -> bytes:
        if not 0 < header.size <= self._limits.name_bytes:
            raise HostileArchiveError(f"{self._place()}: a name or pax header of {header.size} bytes")
        content = self._exactly(header.size)
        padding = -header.size % BLOCK
        self._zeros(padding, "behind a long name")
        self._headers += content + bytes(padding)
        return content

    def _with_extensions(
        self, header: Header, records: dict[str, bytes], stored: bytes, link: bytes
    ) -> Header:
        """Apply long names and pax records to the header that follows them."""
        texts = {key: records[key].decode("utf-8", "replace") for key in ("uname", "gname") if key in records}
        numbers = {key: self._decimal(key, records[key]) for key in _NUMBERS if key in records}
        return replace(
            header,
            name=records.get("path") or stored or header.name,
            link_name=records.get("linkpath") or link or header.link_name,
            **texts,  # type: ignore[arg-type]
            **numbers,  # type: ignore[arg-type]
        )

    def _decimal(self, key: str, value: bytes) -> int:
        """Read a number of a pax record; fractions of a second are dropped, as entries count seconds."""
        match = _DECIMAL.fullmatch(value)
        if match is None or (match[1].startswith(b"-") and key != "mtime"):
            raise self._damaged(f"has a broken {key} in a pax header before byte {self._position}")
        return int(match[1])

    def _member(self, header: Header, block: bytes) -> MemberInfo:
        path = self._safe_path(header.name)
        kind = self._type(header)
        if kind is EntryType.FILE:
            size, segments = self._content(header, block)
        else:
            size, segments = 0, ()
        entry = FileEntry(
            path=path,
            type=kind,
            mode=header.mode,
            uid=header.uid,
            gid=header.gid,
            uname=header.uname,
            gname=header.gname,
            mtime=header.mtime,
            size=size,
            link_target=self._link_target(kind, header),
            stored_name=header.name,
        )
        return MemberInfo(path.decode("utf-8", "surrogateescape"), entry, segments)

    def _type(self, header: Header) -> EntryType:
        if header.type in tar_headers.SPECIAL_TYPES:
            raise self._hostile(header.name, "is a device or a pipe")
        if header.type not in tar_headers.KNOWN_TYPES:
            raise self._damaged(f"has a member of unknown type {header.type!r} before byte {self._position}")
        if header.type == b"\0" and header.name.endswith(b"/"):
            return EntryType.DIRECTORY
        kind = _TYPES.get(header.type, EntryType.FILE)
        if kind is not EntryType.DIRECTORY and header.name.endswith(b"/"):
            raise self._hostile(header.name, "is named as a directory, and is none")
        if kind is not EntryType.FILE and header.size:
            raise self._hostile(header.name, "declares content that its type cannot have")
        return kind

    def _link_target(self, kind: EntryType, header: Header) -> bytes | None:
        if kind is EntryType.SYMLINK:
            return header.link_name
        return self._safe_path(header.link_name) if kind is EntryType.HARDLINK else None

    def _content(self, header: Header, block: bytes) -> tuple[int, tuple[tuple[int, int, int], ...]]:
        """Return the full size and the segments of a file, with the position at its first byte."""
        if header.type != tar_headers.SPARSE:
            return header.size, ((0, self._position, header.size),) if header.size else ()
        part = tar_headers.parse_sparse_header(block, self._place())
        real_size, pieces, more = part.real_size, list(part.pieces), part.more
        if real_size > self._limits.sparse_bytes:
            raise self._hostile(header.name, f"declares {real_size} bytes, more than any file system holds")
        while more:
            more_map = self._exactly(BLOCK)
            self._headers += more_map
            part = tar_headers.parse_sparse_block(more_map, self._place())
            pieces.extend(part.pieces)
            more = part.more
            if len(pieces) > self._limits.sparse_segments:
                raise self._hostile(header.name, "has an absurd sparse map")
        return real_size, self._sparse_segments(header, pieces, real_size)

    def _sparse_segments(
        self, header: Header, pieces: Iterable[tuple[int, int]], real_size: int
    ) -> tuple[tuple[int, int, int], ...]:
        segments = []
        end = stored = 0
        for start, length in pieces:
            if start < end or start + length > real_size:
                raise self._hostile(header.name, "has a sparse map that contradicts itself")
            segments.append((start, self._position + stored, length))
            end, stored = start + length, stored + length
        if stored != header.size:
            raise self._hostile(header.name, "has a sparse map that contradicts its size")
        return tuple(segments)

    def _safe_path(self, name: bytes) -> bytes:
        """Return the name without `./`; refuse what could point outside."""
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if not name or b"\0" in name:
            raise self._damaged(f"has a member without a name before byte {self._position}")
        if name.startswith(b"/"):
            raise self._hostile(name, "has an absolute name")
        if b".." in parts:
            raise self._hostile(name, 'has ".." in its name')
        return b"/".join(parts)

    def _check_end(self) -> None:
        """After the first block of zeros there must be a second, and nothing else to the end."""
        second = self._read(BLOCK)
        if len(second) < BLOCK or second.strip(b"\0"):
            raise self._damaged("has only half an end-of-archive mark: it is cut off or changed")
        while True:
            rest = self._read(CHUNK)
            if not rest:
                return
            if rest.strip(b"\0"):
                raise self._damaged("has something behind its end-of-archive mark")

    def _zeros(self, count: int, where: str) -> None:
        if self._exactly(count).strip(b"\0"):
            raise self._damaged(f"has a flipped bit in the padding {where}, before byte {self._position}")

    def _skip_to(self, end: int) -> None:
        if end < self._position:
            raise ValueError("more was read than belongs to the member")
        if self._stream.seekable():
            self._stream.seek(end)
            self._position = end
        while self._position < end:
            self._exactly(min(CHUNK, end - self._position))

    def _exactly(self, count: int) -> bytes:
        data = self._read(count)
        if len(data) < count:
            raise self._damaged("is cut off")
        return data

    def _read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._position += len(data)
        return data

    def _place(self) -> str:
        return f"{self._name} near byte {self._position}"

    def _damaged(self, detail: str) -> DamagedArchiveError:
        return DamagedArchiveError(f"{self._name} {detail}")

    def _hostile(self, name: bytes, detail: str) -> HostileArchiveError:
        return HostileArchiveError(
            f"{self._name}: {printable_name(name)} {detail}",
            hint="no backup holds such a member; look where the archive comes from",
        )
