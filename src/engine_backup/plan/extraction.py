"""Which archived files are meant by the paths that somebody named, and how they are put down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from os import fsdecode, fsencode

from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.components import BY_NAME, Component, Kind
from engine_backup.model.errors import Problem
from engine_backup.model.extraction import Chosen
from engine_backup.model.paths import SAVED_PATHS, SavedPath, extra_path
from engine_backup.model.presets import CUSTOM

PKI_GROUP = "pki"
PRIVATE_BITS = 0o700
GLOB_SIGNS = "*?["

# What a terminal cannot show, as the format of a dump says.
BINARY_FORMATS = frozenset({CUSTOM, "sqlite"})


def matching(path: str, entries: Sequence[FileEntry]) -> tuple[FileEntry, ...]:
    """Return the entries that a path means: itself and all below; a glob only where no name is the same."""
    if not path.strip("/"):
        return tuple(entries)
    found = _covered((SavedPath(path, ""),), entries)
    if not found and any(sign in path for sign in GLOB_SIGNS):
        found = _covered((extra_path(path),), entries)
    return found


def pki_entries(entries: Sequence[FileEntry]) -> tuple[FileEntry, ...]:
    """Return the certificates and keys."""
    return _covered(tuple(row for row in SAVED_PATHS if row.group == PKI_GROUP), entries)


def _covered(rows: tuple[SavedPath, ...], entries: Iterable[FileEntry]) -> tuple[FileEntry, ...]:
    return tuple(entry for entry in entries if any(row.covers(entry.path) for row in rows))


def in_order(chosen: Iterable[FileEntry], entries: Iterable[FileEntry]) -> tuple[FileEntry, ...]:
    """Return the chosen entries once each, in the order of the archive."""
    paths = {entry.path for entry in chosen}
    return tuple(entry for entry in entries if entry.path in paths)


def not_there(path: str, entries: Iterable[FileEntry]) -> Problem:
    """Return the problem of a path that means nothing, with a path that may have been meant."""
    name = fsencode(path).rstrip(b"/").rpartition(b"/")[2]
    alike = next((entry.path for entry in entries if entry.path.rpartition(b"/")[2] == name), None)
    if alike is not None:
        return Problem(f"{path} is not in the archive", f"did you mean /{fsdecode(alike)}?")
    return Problem(
        f"{path} is not in the archive",
        "name it as on the engine, such as /etc/pki/ovirt-engine/ca.pem; a directory means all below it",
    )


def missing_component(component: Component, present: Sequence[str]) -> Problem:
    """Return the problem of a component that the archive does not have."""
    what = component.label if component.kind is Kind.FILES else f"{component.label} database"
    return Problem(f"the archive has no {what}", f"it has: {', '.join(present) or 'nothing'}")


def dump_file_name(component_name: str, dump_format: str, as_sql: bool) -> str:
    """Return what an extracted dump is called."""
    if BY_NAME[component_name].kind is Kind.SQLITE:
        return BY_NAME[component_name].member.rpartition("/")[2]
    return f"{component_name}.{'sql' if as_sql or dump_format != CUSTOM else 'dump'}"


def output_problems(chosen: Chosen, is_terminal: bool) -> tuple[Problem, ...]:
    """Return why what was chosen cannot go to standard output."""
    if chosen.count == 1 and chosen.entries:
        return _entry_problems(chosen.entries[0])
    if chosen.count != 1:
        return (
            Problem(
                f"{chosen.count} files and directories are meant, and standard output takes one file",
                "name a new directory for them: --output=DIR",
            ),
        )
    if is_terminal and any(d.member.dump_format in BINARY_FORMATS and not d.as_sql for d in chosen.dumps):
        name = chosen.dumps[0].file_name
        is_dump = chosen.dumps[0].member.dump_format == CUSTOM
        more = ", or read it as text with --as=sql" if is_dump else ""
        return (Problem(f"{name} is no text for a terminal", f"write it to a file with '> {name}'{more}"),)
    return ()


def _entry_problems(entry: FileEntry) -> tuple[Problem, ...]:
    shown = f"/{fsdecode(entry.path)}"
    if entry.type is EntryType.SYMLINK:
        target = fsdecode(entry.link_target or b"")
        return (
            Problem(f"{shown} is a symbolic link to {target}", "extract that, or the link: --output=DIR"),
        )
    if entry.type is EntryType.DIRECTORY:
        return (Problem(f"{shown} is a directory", "name a new directory for it: --output=DIR"),)
    return ()


def owned_by(entry: FileEntry, uid: int, gid: int) -> FileEntry:
    """Return an entry as it is put down for somebody: theirs, closed to others, never wider than archived."""
    return replace(entry, uid=uid, gid=gid, uname="", gname="", mode=entry.mode & PRIVATE_BITS)


def with_directories_above(entries: Sequence[FileEntry], uid: int, gid: int) -> tuple[FileEntry, ...]:
    """Add the directories that are needed and not chosen themselves, private."""
    there = {entry.path for entry in entries}
    added: dict[bytes, FileEntry] = {}
    for entry in entries:
        parts = entry.path.split(b"/")
        for count in range(1, len(parts)):
            path = b"/".join(parts[:count])
            if path not in there and path not in added:
                added[path] = _directory(path, uid, gid, entry.mtime)
    return (*added.values(), *entries)


def _directory(path: bytes, uid: int, gid: int, mtime: int) -> FileEntry:
    return FileEntry(path, EntryType.DIRECTORY, PRIVATE_BITS, uid, gid, "", "", mtime)
