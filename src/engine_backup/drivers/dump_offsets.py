"""Telling pg_restore where the rows of each table lie in a custom dump.

A pg_dump that writes into a pipe cannot go back and enter it into the table of contents. Without it each
process of `pg_restore -j` reads through the dump for its tables, and none knows which tables are large and
should come first. PostgreSQL's sources, pg_backup_archiver.c: WriteToc, WriteOffset; pg_backup_custom.c:
_StartData, _EndData.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine_backup.drivers import custom_dump_header
from engine_backup.drivers.custom_dump_header import Fields
from engine_backup.model.errors import DamagedArchiveError

CHUNK = 1 << 20
# Since PostgreSQL 9.0; what is left alone is slower, and no worse.
OLDEST, WITH_TABLE_AM, WITH_KIND = (1, 12), (1, 14), (1, 16)
LONGEST_TEXT = 64 << 20
MOST_ENTRIES = 1_000_000
LARGE_OBJECTS = b"BLOBS"
NOT_SET, SET = b"\1", b"\2"
# The rows of a table end with a piece of no bytes; then comes the next table: its kind of block, its number.
# Rows are text, which has no zero bytes, and lengths of pieces have no five of them in a row.
END_OF_ROWS, BLOCK_OF_ROWS = b"\0\0\0\0\0", b"\1\0"
BOUNDARY = END_OF_ROWS + BLOCK_OF_ROWS
NUMBER_SIZE = 4
SEAM = len(BOUNDARY) + NUMBER_SIZE - 1
# Rows have no such byte either, only lengths of pieces, and few of them. One byte is found ten times faster.
MARK = b"\1"
FEW = 1000


@dataclass(frozen=True)
class _Entry:
    """An entry that has rows; `place` is where the table of contents says that nobody knows where."""

    number: int
    place: int


def unpack(source: BinaryIO, target: Path) -> None:
    """Copy a custom dump into a new file, and enter there where the rows of each table lie.

    Where that cannot be found out for sure the copy is exact. Raises `OSError`.
    """
    found: list[tuple[int, int]] = []
    with target.open("x+b") as file:
        _copy(source, file, found)
        file.flush()
        try:
            _enter(file, found)
        except DamagedArchiveError:
            return  # pg_restore says it better


def _copy(source: BinaryIO, file: BinaryIO, found: list[tuple[int, int]]) -> None:
    """Copy, and note number and place of each block of rows but the first."""
    tail, place = b"", 0
    while data := source.read(CHUNK):
        file.write(data)
        if len(found) < MOST_ENTRIES:
            # What lies across two pieces; each side is too short to hold one as a whole.
            found += _boundaries(tail + data[:SEAM], place - len(tail))
            found += _boundaries(data, place)
        tail = data[-SEAM:] if len(data) >= SEAM else (tail + data)[-SEAM:]
        place += len(data)


def _boundaries(window: bytes, place: int) -> list[tuple[int, int]]:
    """Return the blocks that begin in a window, as far as it holds their numbers."""
    found = []
    sought = MARK if window.count(MARK) <= FEW else BOUNDARY
    before = BOUNDARY.index(sought)
    at = window.find(sought)
    while at >= 0:
        start, end = at - before, at - before + len(BOUNDARY) + NUMBER_SIZE
        if start >= 0 and end <= len(window) and window.startswith(BOUNDARY, start):
            number = int.from_bytes(window[end - NUMBER_SIZE : end], "little")
            found.append((number, place + start + len(END_OF_ROWS)))
        at = window.find(sought, at + 1)
    return found


def _enter(file: BinaryIO, found: list[tuple[int, int]]) -> None:
    """Enter the places behind the table of contents, if they are those of the entries with rows."""
    with os.fdopen(os.dup(file.fileno()), "rb") as reader:
        reader.seek(0)
        opened = custom_dump_header.open_fields(reader, "the dump")
        if opened is None:
            return
        header, fields = opened
        if header.packed or header.archive_version < OLDEST or fields.number_size != NUMBER_SIZE:
            return
        entries = _entries(reader, fields, header.archive_version)
        first = reader.tell()
        head = reader.read(len(BLOCK_OF_ROWS) + NUMBER_SIZE)
    if entries is None or not head.startswith(BLOCK_OF_ROWS):
        return
    blocks = [(int.from_bytes(head[len(BLOCK_OF_ROWS) :], "little"), first)]
    blocks += [(number, place) for number, place in found if place > first]
    places = dict(blocks)
    if len(places) == len(blocks) and places.keys() == {entry.number for entry in entries}:
        for entry in entries:
            offset = places[entry.number].to_bytes(fields.offset_size, "little")
            os.pwrite(file.fileno(), SET + offset, entry.place)


def _entries(reader: BinaryIO, fields: Fields, version: tuple[int, int]) -> list[_Entry] | None:
    """Return the entries with rows in places unknown; None where others have data, too."""
    count = fields.number()
    if not 0 <= count <= MOST_ENTRIES:
        return None
    entries = []
    for _ in range(count):
        number, _has_data = fields.number(), fields.number()
        texts = [fields.bytes_or_none(LONGEST_TEXT)[0] for _ in range(4)]
        fields.number()
        _skip_texts(fields, 6 if version >= WITH_TABLE_AM else 5)
        if version >= WITH_KIND:
            fields.number()
        _skip_texts(fields, 2)
        while fields.bytes_or_none(LONGEST_TEXT)[1]:
            pass
        place = reader.tell()
        state = fields.exactly(1 + fields.offset_size)[:1]
        if texts[3].startswith(LARGE_OBJECTS) or state == SET:
            return None
        if state == NOT_SET:
            entries.append(_Entry(number, place))
    return entries


def _skip_texts(fields: Fields, count: int) -> None:
    for _ in range(count):
        fields.bytes_or_none(LONGEST_TEXT)
