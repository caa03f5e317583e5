"""Where the frames of a zstd stream lie, found without unpacking it (RFC 8878, section 3.1.1)."""

from __future__ import annotations

from typing import BinaryIO

from engine_backup.drivers.compressors import COMPRESSORS
from engine_backup.model.presets import ZSTD

(MAGIC,) = COMPRESSORS[ZSTD].magics
# The widths in bytes of the fields of a frame's header, by what its descriptor says.
DICTIONARY_WIDTHS, SIZE_WIDTHS = (0, 1, 2, 4), (0, 2, 4, 8)
SINGLE_SEGMENT, WITH_CHECKSUM, RESERVED = 0x20, 0x04, 0x08
CHECKSUM_WIDTH, BLOCK_HEADER_WIDTH = 4, 3
REPEATED_BYTE, RESERVED_TYPE = 1, 3
# 1.2 TiB of data.
MOST_BLOCKS = 10_000_000


def find(stream: BinaryIO, size: int) -> tuple[int, ...] | None:
    """Return where each frame begins in a seekable stream of `size` bytes, and where the last one ends.

    None where it is not made of whole frames with data, or of too many blocks. Only headers are read.
    """
    starts = [0]
    left = MOST_BLOCKS
    while starts[-1] < size:
        found = _end_of_frame(stream, starts[-1], left)
        if found is None or found[0] > size:
            return None
        end, left = found
        starts.append(end)
    return tuple(starts)


def _end_of_frame(stream: BinaryIO, start: int, most_blocks: int) -> tuple[int, int] | None:
    """Return where a frame ends, and how many more blocks there may be."""
    stream.seek(start)
    head = stream.read(len(MAGIC) + 1)
    if len(head) <= len(MAGIC) or not head.startswith(MAGIC):
        return None
    descriptor = head[-1]
    if descriptor & RESERVED:
        return None
    place, last = start + len(head) + _rest_of_header(descriptor), False
    while not last:
        stream.seek(place)
        block = int.from_bytes(stream.read(BLOCK_HEADER_WIDTH).ljust(BLOCK_HEADER_WIDTH, b"\xff"), "little")
        last, kind, length = bool(block & 1), block >> 1 & 3, block >> 3
        most_blocks -= 1
        if kind == RESERVED_TYPE or most_blocks < 0:
            return None
        place += BLOCK_HEADER_WIDTH + (1 if kind == REPEATED_BYTE else length)
    return place + (CHECKSUM_WIDTH if descriptor & WITH_CHECKSUM else 0), most_blocks


def _rest_of_header(descriptor: int) -> int:
    single = bool(descriptor & SINGLE_SEGMENT)
    width = SIZE_WIDTHS[descriptor >> 6] or int(single)
    return (0 if single else 1) + DICTIONARY_WIDTHS[descriptor & 3] + width
