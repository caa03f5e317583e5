"""What the demo compares: every row of every table, every file's content, owner and mode."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engine_backup.drivers.archive_reader import open_archive
from engine_backup.drivers.engine_fixes import CHANGED_TABLES
from engine_backup.model.components import BY_NAME, AfterLoad
from engine_backup.model.facts import Credentials
from engine_backup.model.paths import SAVED_PATHS
from engine_backup.plan.file_selection import select
from engine_backup.run.workspace import private_directory
from engine_backup.sample import compare as fingerprints
from engine_backup.sample.compare import DatabaseFingerprint, FileFingerprint

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Before:
    """The engine before its destruction; `saved_paths` are the relative names that a backup must hold."""

    databases: Mapping[str, DatabaseFingerprint]
    files: Mapping[str, FileFingerprint]
    saved_paths: frozenset[bytes]


@dataclass(frozen=True)
class Comparison:
    """A readable table, and a line for everything that is not as it was."""

    lines: tuple[str, ...]
    differences: tuple[str, ...]


def compare(before: Before, root: Path, archive: Path, credentials: Mapping[str, Credentials]) -> Comparison:
    """Compare what is there now with what was there before."""
    now = fingerprints.fingerprint_databases(credentials, fingerprints.BACKUP_EVENTS)
    lines = [f"{'what':32}{'compared':>12}{'the same':>12}{'cleaned':>12}{'different':>12}"]
    differences: list[str] = []
    for name, database in before.databases.items():
        different = _tables(database, now[name])
        cleaned = [table for table in different if table in _corrected(name)]
        lost = [table for table in different if table not in cleaned]
        lines.append(_line(f"{name} database: tables", len(database.tables), len(cleaned), len(lost)))
        rows = sum(count for count, _ in database.tables.values())
        lines.append(_line(f"{name} database: rows", rows, _rows(database, cleaned), _rows(database, lost)))
        differences += [f"{name}: table {table}" for table in lost]
        differences += _schema_differences(name, database, now[name])
    return _with_files(before, root, archive, lines, differences)


def _corrected(name: str) -> frozenset[str]:
    """Return the tables of a component that a restore changes on purpose."""
    return frozenset() if BY_NAME[name].after_load is AfterLoad.NOTHING else CHANGED_TABLES


def _line(what: str, compared: int, cleaned: int, different: int) -> str:
    same = compared - cleaned - different
    return f"{what:32}{compared:>12,}{same:>12,}{cleaned:>12,}{different:>12,}"


def _tables(before: DatabaseFingerprint, now: DatabaseFingerprint) -> list[str]:
    names = sorted(before.tables.keys() | now.tables.keys())
    return [name for name in names if before.tables.get(name) != now.tables.get(name)]


def _rows(database: DatabaseFingerprint, tables: list[str]) -> int:
    return sum(database.tables.get(table, (0, ""))[0] for table in tables)


def _schema_differences(name: str, before: DatabaseFingerprint, now: DatabaseFingerprint) -> list[str]:
    """Views, indexes, constraints, functions, owners and grants must all be back."""
    parts = ("owners", "privileges", "definitions")
    return [f"{name}: {part} differ" for part in parts if getattr(before, part) != getattr(now, part)]


def _with_files(
    before: Before, root: Path, archive: Path, lines: list[str], differences: list[str]
) -> Comparison:
    with private_directory(archive.parent) as workspace, open_archive(archive, workspace) as opened:
        entries = opened.file_entries()
    missing = before.saved_paths - {entry.path for entry in entries}
    names = [os.fsdecode(entry.path) for entry in select(entries, SAVED_PATHS).restore]
    now = fingerprints.fingerprint_tree(root)
    lost = [name for name in names if _of_file(before.files.get(name)) != _of_file(now.get(name))]
    lines.append(_line("files and directories", len(names), 0, len(lost) + len(missing)))
    size = sum(before.files[name].size for name in names)
    lines.append(f"{'  their bytes':32}{size:>12,}")
    differences += [f"not in the archive: /{os.fsdecode(name)}" for name in missing]
    differences += [f"file: /{name}" for name in lost]
    return Comparison(tuple(lines), tuple(differences))


def _of_file(fingerprint: FileFingerprint | None) -> FileFingerprint | None:
    """Compare times in whole seconds, which is what tar keeps."""
    if fingerprint is None:
        return None
    return replace(fingerprint, mtime_ns=fingerprint.mtime_ns // SECOND)
