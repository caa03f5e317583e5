"""Which archived files a restore may write (design, "What a restore may write").

The archive is a stranger: that a path stands in it, or in its manifest, is no
reason to write it. The table of known paths and the admin's options decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from os import fsdecode
from shlex import quote
from typing import NamedTuple

from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.paths import (
    GUARDED_PATHS,
    LEFT_OUT_OF_RESTORE,
    Condition,
    LeftOutPath,
    SavedPath,
    extra_path,
)

ABOVE = "a directory above the saved paths, which belongs to the system"


class PathNote(NamedTuple):
    """An archived path that is not restored, and why, or which option restores it."""

    path: bytes
    note: str


@dataclass(frozen=True)
class Selection:
    """The decision about every archived path.

    `restore`  entries to write, in the order of the archive
    `excluded` known paths that are left out, with the reason
    `unknown`  paths outside the table, with the option that restores them
    `refused`  paths that could take over the machine, with the option that restores them

    A whole tree that shares one fate is listed by its top only.
    """

    restore: tuple[FileEntry, ...]
    excluded: tuple[PathNote, ...]
    unknown: tuple[PathNote, ...]
    refused: tuple[PathNote, ...]


class Fate(NamedTuple):
    """What happens to one path: the name of a field of `Selection`, and the note."""

    kind: str
    note: str = ""


@dataclass(frozen=True)
class SelectionRules:
    """The rows that decide: known table, the admin's additions and permissions, what is left out."""

    table: tuple[SavedPath, ...]
    extra: tuple[SavedPath, ...]
    allowed: tuple[SavedPath, ...]
    left_out: tuple[LeftOutPath, ...]

    def fate(self, entry: FileEntry) -> Fate:
        """Decide about one entry; what the admin allowed by name comes first."""
        path = entry.path
        if _covered(path, self.allowed):
            return Fate("restore")
        for row in self.left_out:
            if row.covers(path):
                return Fate("excluded", row.reason)
        if _covered(path, GUARDED_PATHS):
            return Fate("refused", _option("--allow-path", path))
        if _covered(path, (*self.table, *self.extra)):
            return Fate("restore")
        if entry.type is EntryType.DIRECTORY and self._is_above(path):
            return Fate("excluded", ABOVE)
        return Fate("unknown", _option("--include-path", path))

    def _is_above(self, path: bytes) -> bool:
        parts = path.split(b"/")
        rows = (*self.table, *self.extra, *self.allowed)
        return any(
            len(parts) < len(row.components) and list(row.components[: len(parts)]) == parts for row in rows
        )


def select(
    entries: Iterable[FileEntry],
    table: Sequence[SavedPath],
    extra_paths: Sequence[str] = (),
    allow_paths: Sequence[str] = (),
    conditions: Collection[Condition] = (Condition.NO_REPORTS,),
) -> Selection:
    """Return the decision about every entry.

    `extra_paths` and `allow_paths` are absolute paths or globs as the admin typed
    them; `conditions` are those that hold. `OS_CHANGED` is one of them when the archive's operating
    system is another one and the archived engine had configured Apache (reference 9.5).
    """
    left_out = tuple(row for row in LEFT_OUT_OF_RESTORE if row.condition in (Condition.ALWAYS, *conditions))
    rules = SelectionRules(
        tuple(table),
        tuple(extra_path(path) for path in extra_paths),
        tuple(extra_path(path) for path in allow_paths),
        left_out,
    )
    restore: list[FileEntry] = []
    notes: dict[str, dict[bytes, str]] = {"excluded": {}, "unknown": {}, "refused": {}}
    for entry in entries:
        fate = rules.fate(entry)
        if fate.kind == "restore":
            restore.append(entry)
        else:
            notes[fate.kind][entry.path] = fate.note
    return Selection(tuple(restore), **{kind: _tops(found) for kind, found in notes.items()})


def _covered(path: bytes, rows: Iterable[SavedPath]) -> bool:
    return any(row.covers(path) for row in rows)


def _option(option: str, path: bytes) -> str:
    return f"{option}={quote('/' + fsdecode(path))}"


def _tops(notes: dict[bytes, str]) -> tuple[PathNote, ...]:
    """Leave out paths below another one that is listed for the same kind of reason."""
    listed: list[PathNote] = []
    for path in sorted(notes, key=lambda name: name.split(b"/")):
        above = listed[-1] if listed else None
        if above is None or above.note == ABOVE or not path.startswith(above.path + b"/"):
            listed.append(PathNote(path, notes[path]))
    return tuple(listed)
