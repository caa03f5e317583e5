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
    return _Head(stream, name).read()


class _Head:
    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._number_size = 4

    def read(self) -> CustomDumpHeader | None:
        start = self._exactly(11)
        if not start.startswith(MAGIC):
            raise DamagedArchiveError(f"{self._name} is no custom dump")
        version = (start[5], start[6])
        self._number_size = start[8]
        if version < OLDEST or version[0] > NEWEST_MAJOR or not 0 < self._number_size <= LARGEST_NUMBER_SIZE:
            return None
        packed = self._is_packed(version)
        for _ in range(TIME_FIELDS):
            self._number()
        return CustomDumpHeader(version, packed, self._text(), self._text(), self._text())

    def _is_packed(self, version: tuple[int, int]) -> bool:
        """Before 1.15 there was gzip's level, with -1 for its default; since then an algorithm's number."""
        if version < FIRST_WITH_ALGORITHM:
            return self._number() != 0
        return self._exactly(1) != b"\0"

    def _number(self) -> int:
        data = self._exactly(1 + self._number_size)
        number = int.from_bytes(data[1:], "little")
        return -number if data[0] else number

    def _text(self) -> str:
        length = self._number()
        if length > LONGEST_TEXT:
            raise DamagedArchiveError(f"{self._name} has a text of {length} bytes in its head")
        return self._exactly(length).decode("utf-8", "backslashreplace") if length > 0 else ""

    def _exactly(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise DamagedArchiveError(f"{self._name} is cut off")
        return data
