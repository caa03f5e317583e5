"""The table of contents of a custom dump, as far as it says where rows are, and what needs what.

PostgreSQL's sources, pg_backup_archiver.c: WriteToc, ReadToc, WriteOffset; pg_backup_custom.c: _ReadExtraToc.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from engine_backup.drivers import custom_dump_header
from engine_backup.drivers.custom_dump_header import Fields
from engine_backup.model.divided_dumps import DumpEntry
from engine_backup.model.errors import DamagedArchiveError

# From PostgreSQL 9.0 to 18; later ones may have more fields.
OLDEST, WITH_TABLE_AM, WITH_KIND, NEWEST = (1, 12), (1, 14), (1, 16), (1, 16)
LONGEST_TEXT = 64 << 20
MOST_ENTRIES = 1_000_000
LONGEST_NUMBER = 10
LARGE_OBJECTS = b"BLOBS"
NOT_SET, SET = b"\1", b"\2"
# What stands before the rows of a table: the kind of block, and a sign before the table's number.
BLOCK_OF_ROWS = b"\1\0"
NUMBER_SIZE = 4


@dataclass(frozen=True)
class Contents:
    """A table of contents, in `size` bytes of all that stands before the rows.

    `places` are those, by number, where it says that nobody knows where an entry's rows are, `first` is the
    number of the entry whose rows come first.
    """

    entries: tuple[DumpEntry, ...]
    places: dict[int, int]
    offset_size: int
    size: int
    first: int


def read(stream: BinaryIO, name: str) -> Contents | None:
    """Return the contents of a dump from its beginning.

    None where it holds more than rows that pg_dump wrote into a pipe, one table after the other, unpacked.
    Raises `DamagedArchiveError`.
    """
    opened = custom_dump_header.open_fields(stream, name)
    if opened is None:
        return None
    header, fields = opened
    known = OLDEST <= header.archive_version <= NEWEST
    if header.packed or not known or fields.number_size != NUMBER_SIZE:
        return None
    entries: list[DumpEntry] = []
    places: dict[int, int] = {}
    for entry, kind, place, state in _entries(fields, header.archive_version):
        if kind.startswith(LARGE_OBJECTS) or state == SET:
            return None
        entries.append(entry)
        if entry.has_rows:
            places[entry.number] = place
    size, first = fields.place, first_number(stream)
    if first is None:
        return None
    return Contents(tuple(entries), places, fields.offset_size, size, first)


def first_number(stream: BinaryIO) -> int | None:
    """Return the number of the entry whose rows come next; None where no rows come next."""
    head = stream.read(len(BLOCK_OF_ROWS) + NUMBER_SIZE)
    if len(head) < len(BLOCK_OF_ROWS) + NUMBER_SIZE or not head.startswith(BLOCK_OF_ROWS):
        return None
    return int.from_bytes(head[len(BLOCK_OF_ROWS) :], "little")


def _entries(fields: Fields, version: tuple[int, int]) -> Iterator[tuple[DumpEntry, bytes, int, bytes]]:
    """Yield each entry with its kind, the place where it says where its rows are, and whether it knows."""
    count = fields.number()
    if not 0 <= count <= MOST_ENTRIES:
        raise DamagedArchiveError(f"a dump has {count} entries")
    for _ in range(count):
        number, _has_data = fields.number(), fields.number()
        kind = [fields.bytes_or_none(LONGEST_TEXT)[0] for _ in range(4)][3]
        section = fields.number()
        _skip_texts(fields, 6 if version >= WITH_TABLE_AM else 5)
        if version >= WITH_KIND:
            fields.number()
        _skip_texts(fields, 2)
        # Each is told once for each column.
        needs = tuple(dict.fromkeys(_needs(fields)))
        place = fields.place
        state = fields.exactly(1 + fields.offset_size)[:1]
        description = kind.decode("ascii", "replace")
        yield DumpEntry(number, description, section, needs, state == NOT_SET), kind, place, state


def _needs(fields: Fields) -> Iterator[int]:
    while True:
        text, there = fields.bytes_or_none(LONGEST_TEXT)
        if not there:
            return
        if not text.isdigit() or len(text) > LONGEST_NUMBER:
            raise DamagedArchiveError("a dump has an entry that needs what is no entry")
        yield int(text)


def _skip_texts(fields: Fields, count: int) -> None:
    for _ in range(count):
        fields.bytes_or_none(LONGEST_TEXT)
