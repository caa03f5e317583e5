"""A dump that can be read in parts, and the order in which they are loaded."""

from __future__ import annotations

from dataclasses import dataclass

# PostgreSQL's sources, pg_backup.h: teSection.
SECTION_NONE, SECTION_PRE_DATA, SECTION_DATA, SECTION_POST_DATA = 1, 2, 3, 4


@dataclass(frozen=True)
class DumpEntry:
    """An entry of a custom dump's table of contents: its number, its kind, and the entries that it needs.

    `section` is one of `SECTION_*`; `has_rows`: data follow for it.
    """

    number: int
    description: str
    section: int
    needs: tuple[int, ...]
    has_rows: bool = False


@dataclass(frozen=True)
class Frame:
    """A part of a packed member that can be unpacked by itself: from `start` to before `end`, in bytes.

    `first` is the number of the first entry whose rows it holds.
    """

    start: int
    end: int
    first: int

    @property
    def size(self) -> int:
        """Return how many bytes it has, packed."""
        return self.end - self.start


@dataclass(frozen=True)
class DividedDump:
    """A custom dump packed as several frames; those with rows are told.

    What stands before all rows, the table of contents, has `head_size` bytes.
    """

    head_size: int
    entries: tuple[DumpEntry, ...]
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Part:
    """A frame, and the list of what is loaded with it, as `pg_restore --use-list` takes it."""

    frame: Frame
    entries: str


@dataclass(frozen=True)
class LoadOrder:
    """Lists of entries: what comes before all rows, the parts in any order, and what comes after all."""

    head_size: int
    before: str
    parts: tuple[Part, ...]
    after: str
