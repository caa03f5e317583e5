"""Reading tar headers strictly: what is not plainly right is damaged or hostile.

`tarfile`'s own loop ends silently at a bad header, trusts declared sizes of long names and
sees different names than GNU tar where fields are crafted. A restore hands the very
same bytes to GNU tar after this reading, so both must see the same: old GNU and POSIX
headers, long names, old GNU sparse maps, and the plain subset of pax records are
understood; everything else is refused.
(GNU tar manual, "Basic Tar Format"; POSIX.1-2017 pax, "ustar Interchange Format".)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError

BLOCK = 512
_OCTAL = re.compile(rb"[ \0]*([0-7]*)[ \0]*")
_CHECKSUM = slice(148, 156)
_MAGIC_POSIX = b"ustar\x00"
_MAGIC_GNU = b"ustar "
LARGEST = 1 << 62

FILE_TYPES = (b"0", b"\0", b"S")
LONG_NAME, LONG_LINK, PAX = b"L", b"K", b"x"
HARDLINK, SYMLINK, DIRECTORY, SPARSE = b"1", b"2", b"5", b"S"
SPECIAL_TYPES = (b"3", b"4", b"6")
EXTENSION_TYPES = (LONG_NAME, LONG_LINK, PAX)
KNOWN_TYPES = (*FILE_TYPES, HARDLINK, SYMLINK, DIRECTORY)


@dataclass(frozen=True)
class Header:
    """The fields of one header block; names are bytes as they stand there."""

    name: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    uname: str
    gname: str
    size: int
    mtime: int
    link_name: bytes


@dataclass(frozen=True)
class SparseMap:
    """Where the stored bytes of a sparse file belong: (offset, length) pairs, and the file's full size."""

    pieces: tuple[tuple[int, int], ...]
    more: bool
    real_size: int = 0


def parse_header(block: bytes, place: str) -> Header:
    """Return the header in a block of 512 bytes.

    `place` names the archive and the offset in messages. Raises `DamagedArchiveError`.
    """
    _check_sum(block, place)
    return Header(
        name=_name(block),
        type=block[156:157],
        mode=_positive(block[100:108], place, "mode") & 0o7777,
        uid=_positive(block[108:116], place, "uid"),
        gid=_positive(block[116:124], place, "gid"),
        uname=_text(block[265:297]),
        gname=_text(block[297:329]),
        size=_positive(block[124:136], place, "size"),
        mtime=_time(block[136:148], place),
        link_name=_until_nul(block[157:257]),
    )


def looks_like_header(block: bytes) -> bool:
    """Whether a block that may be damaged was once a tar header: of any tar, or the first of a backup."""
    return block[257:263] in (_MAGIC_POSIX, _MAGIC_GNU) or block.startswith(b"./\0")


def parse_sparse_header(block: bytes, place: str) -> SparseMap:
    """Return the first part of a sparse map, from a header of type S."""
    real_size = _positive(block[483:495], place, "real size")
    return SparseMap(_pieces(block[386:482], place), bool(block[482]), real_size)


def parse_sparse_block(block: bytes, place: str) -> SparseMap:
    """Return one more part of a sparse map, from a block that follows the header."""
    return SparseMap(_pieces(block[:504], place), bool(block[504]))


def parse_pax(content: bytes, place: str) -> dict[str, bytes]:
    """Return the records of a pax header ("LENGTH KEY=VALUE" and a line break each).

    Raises `HostileArchiveError` for keys that change the meaning of a member in ways that
    no backup uses, and `DamagedArchiveError` for records that are cut off.
    """
    records: dict[str, bytes] = {}
    while content:
        match = re.match(rb"(\d{1,10}) ([^=\n]{1,100})=", content)
        length = int(match[1]) if match else 0
        if match is None or length <= match.end() or content[length - 1 : length] != b"\n":
            raise DamagedArchiveError(f"{place}: broken pax record")
        key = match[2].decode("utf-8", "replace")
        if key.startswith("GNU.") or key in ("hdrcharset", "charset"):
            raise HostileArchiveError(f"{place}: pax record {key} is not supported")
        records[key] = content[match.end() : length - 1]
        content = content[length:]
    return records


def _check_sum(block: bytes, place: str) -> None:
    """Compare the checksum, whose own field has one right spelling: it guards all bits but these."""
    total = sum(block) - sum(block[_CHECKSUM]) + 8 * 0x20
    if block[_CHECKSUM] != b"%06o\0 " % total:
        raise DamagedArchiveError(f"{place}: the tar header's checksum is wrong")


def _name(block: bytes) -> bytes:
    """Join prefix and name; only POSIX headers have a prefix, GNU's keep times there."""
    name = _until_nul(block[:100])
    prefix = _until_nul(block[345:500]) if block[257:263] == _MAGIC_POSIX else b""
    return prefix + b"/" + name if prefix else name


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(field: bytes) -> str:
    return _until_nul(field).decode("utf-8", "surrogateescape")


def _positive(field: bytes, place: str, what: str) -> int:
    value = _number(field, place, what)
    if not 0 <= value < LARGEST:
        raise HostileArchiveError(f"{place}: absurd {what} {value} in a tar header")
    return value


def _time(field: bytes, place: str) -> int:
    """Read seconds since 1970, or before; what no file system can hold is hostile."""
    value = _number(field, place, "mtime")
    if not -LARGEST < value < LARGEST:
        raise HostileArchiveError(f"{place}: absurd mtime {value} in a tar header")
    return value


def _number(field: bytes, place: str, what: str) -> int:
    """Read an octal number, or GNU's base 256, which begins with 0x80 (positive) or 0xff (negative)."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big", signed=field[0] == 0xFF)
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise DamagedArchiveError(f"{place}: the tar header's {what} is no number")
    return int(match[1] or b"0", 8)


def _pieces(fields: bytes, place: str) -> tuple[tuple[int, int], ...]:
    pairs = (fields[start : start + 24] for start in range(0, len(fields), 24))
    pieces = [
        (_positive(pair[:12], place, "offset"), _positive(pair[12:], place, "length")) for pair in pairs
    ]
    return tuple(piece for piece in pieces if piece[1])
