"""The head of a dump of pg_dump's format `custom`, read without PostgreSQL's programs.

PostgreSQL's sources, pg_backup_archiver.c: ReadHead, ReadInt, ReadStr. What follows the head differs
from version to version and is left to pg_restore.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from engine_backup.model.errors import DamagedArchiveError

MAGIC = b"PGDMP"
OLDEST, FIRST_WITH_ALGORITHM, NEWEST_MAJOR = (1, 10), (1, 15), 1
LONGEST_TEXT = 1024
LARGEST_NUMBER_SIZE = 8
TIME_FIELDS = 7


@dataclass(frozen=True)
class CustomDumpHeader:
    """`packed`: pg_dump has compressed the rows itself. Versions as pg_dump wrote them."""

    archive_version: tuple[int, int]
    packed: bool
    database: str
    server_version: str
    pg_dump_version: str


def read(stream: BinaryIO, name: str) -> CustomDumpHeader | None:
    """Return the head of a dump, or None when its version is beyond us; `name` is for messages.

    Known are the versions since 1.10. Raises `DamagedArchiveError`.
    """
    opened = open_fields(stream, name)
    return None if opened is None else opened[0]


def open_fields(stream: BinaryIO, name: str) -> tuple[CustomDumpHeader, Fields] | None:
    """Return the head of a dump, and what reads on behind it; as `read`."""
    fields = Fields(stream, name)
    start = fields.exactly(11)
    if not start.startswith(MAGIC):
        raise DamagedArchiveError(f"{name} is no custom dump")
    version = (start[5], start[6])
    fields.number_size, fields.offset_size = start[8], start[9]
    if version < OLDEST or version[0] > NEWEST_MAJOR or not 0 < start[8] <= LARGEST_NUMBER_SIZE:
        return None
    packed = _is_packed(version, fields)
    for _ in range(TIME_FIELDS):
        fields.number()
    header = CustomDumpHeader(version, packed, fields.text(), fields.text(), fields.text())
    return header, fields


def _is_packed(version: tuple[int, int], fields: Fields) -> bool:
    """Before 1.15 there was gzip's level, with -1 for its default; since then an algorithm's number."""
    if version < FIRST_WITH_ALGORITHM:
        return fields.number() != 0
    return fields.exactly(1) != b"\0"


class Fields:
    """The numbers and texts of a dump, in their order; raises `DamagedArchiveError` when they end.

    `place` is how many bytes were read.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.number_size = 4
        self.offset_size = 8
        self.place = 0
        self._stream = stream
        self._name = name

    def number(self) -> int:
        """Return a number."""
        data = self.exactly(1 + self.number_size)
        number = int.from_bytes(data[1:], "little")
        return -number if data[0] else number

    def text(self) -> str:
        """Return a text of the head, in bytes that are none of UTF-8 with escapes."""
        return self.bytes_or_none(LONGEST_TEXT)[0].decode("utf-8", "backslashreplace")

    def bytes_or_none(self, longest: int) -> tuple[bytes, bool]:
        """Return a text, and whether there is one: b"" and False stand for none."""
        length = self.number()
        if length > longest:
            raise DamagedArchiveError(f"{self._name} has a text of {length} bytes in its head")
        return (self.exactly(length) if length > 0 else b"", length >= 0)

    def exactly(self, count: int) -> bytes:
        """Return so many bytes."""
        data = self._stream.read(count)
        if len(data) < count:
            raise DamagedArchiveError(f"{self._name} is cut off")
        self.place += count
        return data
