"""Telling pg_restore where the rows of each table lie in a custom dump.

A pg_dump that writes into a pipe cannot go back and enter it into the table of contents. Without it each
process of `pg_restore -j` reads through the dump for its tables, and none knows which tables are large and
should come first. PostgreSQL's sources, pg_backup_custom.c: _StartData, _EndData.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from engine_backup.drivers import custom_dump_entries
from engine_backup.drivers.custom_dump_entries import BLOCK_OF_ROWS, MOST_ENTRIES, NUMBER_SIZE, SET
from engine_backup.model.errors import DamagedArchiveError

CHUNK = 1 << 20
# The rows of a table end with a piece of no bytes; then comes the next table: its kind of block, its number.
# Rows are text, which has no zero bytes, and lengths of pieces have no five of them in a row.
END_OF_ROWS = b"\0\0\0\0\0"
BOUNDARY = END_OF_ROWS + BLOCK_OF_ROWS
SEAM = len(BOUNDARY) + NUMBER_SIZE - 1
# Rows have no such byte either, only lengths of pieces, and few of them. One byte is found ten times faster.
MARK = b"\1"
FEW = 1000


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
            found += boundaries(tail + data[:SEAM], place - len(tail))
            found += boundaries(data, place)
        tail = data[-SEAM:] if len(data) >= SEAM else (tail + data)[-SEAM:]
        place += len(data)


def boundaries(window: bytes, place: int) -> list[tuple[int, int]]:
    """Return number and place of the blocks of rows that begin in a window, as far as it holds their numbers.

    The first of all is none of them. `place` is that of the window, in bytes. What looks alike in a table of
    contents, a zero and a text of one byte, would be numbers above two millions.
    """
    found = []
    sought = MARK if window.count(MARK) <= FEW else BOUNDARY
    before = BOUNDARY.index(sought)
    at = window.find(sought)
    while at >= 0:
        start, end = at - before, at - before + len(BOUNDARY) + NUMBER_SIZE
        if start >= 0 and end <= len(window) and window.startswith(BOUNDARY, start):
            number = int.from_bytes(window[end - NUMBER_SIZE : end], "little")
            if 0 < number <= MOST_ENTRIES:
                found.append((number, place + start + len(END_OF_ROWS)))
        at = window.find(sought, at + 1)
    return found


def _enter(file: BinaryIO, found: list[tuple[int, int]]) -> None:
    """Enter the places behind the table of contents, if they are those of the entries with rows."""
    with os.fdopen(os.dup(file.fileno()), "rb") as reader:
        reader.seek(0)
        contents = custom_dump_entries.read(reader, "the dump")
    if contents is None:
        return
    blocks = [(contents.first, contents.size)]
    blocks += [(number, place) for number, place in found if place > contents.size]
    places = dict(blocks)
    if len(places) == len(blocks) and places.keys() == contents.places.keys():
        for number, place in contents.places.items():
            offset = places[number].to_bytes(contents.offset_size, "little")
            os.pwrite(file.fileno(), SET + offset, place)
