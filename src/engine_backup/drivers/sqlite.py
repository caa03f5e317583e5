"""Grafana's database: a consistent copy while it is in use, and a check."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from engine_backup.model.errors import DamagedArchiveError, EngineBackupError

BUSY_TIMEOUT_SECONDS = 10.0
PAGES_AT_ONCE = 1024
# What SQLite keeps beside a database; of another database they would spoil the restored one.
COMPANIONS: tuple[str, ...] = ("-wal", "-shm", "-journal")


def _read_only(path: Path) -> str:
    return f"file:{quote(str(path))}?mode=ro"


def back_up(source: Path, target: Path) -> None:
    """Copy a database by SQLite's online backup into a new file (SQLite manual, "Online Backup API").

    The source is opened read-only and may be in use; a writer that holds it is
    waited for (10 s). Raises `EngineBackupError` when that fails.
    """
    try:
        with closing(sqlite3.connect(_read_only(source), uri=True, timeout=BUSY_TIMEOUT_SECONDS)) as original:
            _copy(original, target)
    except sqlite3.Error as error:
        message = f"failed to backup {source} with sqlite3: {error}"
        hint = "check the file, who writes to it, and the space in the temporary directory (--tmpdir=DIR)"
        raise EngineBackupError(message, hint) from error


def _copy(original: sqlite3.Connection, target: Path) -> None:
    with closing(sqlite3.connect(target)) as copy:
        original.backup(copy, pages=PAGES_AT_ONCE)
        # The copy shall be one file, whatever mode the original is in.
        copy.execute("PRAGMA journal_mode = DELETE")


def check(path: Path, name: str) -> None:
    """Raise `DamagedArchiveError` unless the file is a sound SQLite database; `name` is for the message."""
    try:
        with closing(sqlite3.connect(_read_only(path), uri=True)) as database:
            findings = [row[0] for row in database.execute("PRAGMA integrity_check(10)")]
    except sqlite3.Error as error:
        raise DamagedArchiveError(f"{name} is not a sound SQLite database: {error}") from error
    if findings != ["ok"]:
        raise DamagedArchiveError(f"{name} is not a sound SQLite database: {findings[0]}")


def broken_references(path: Path) -> tuple[str, ...]:
    """Return the tables with rows that refer to rows which do not exist; `check` has passed the file.

    Raises `EngineBackupError` when that cannot be told.
    """
    try:
        with closing(sqlite3.connect(_read_only(path), uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            rows = database.execute(
                'SELECT DISTINCT "table" FROM pragma_foreign_key_check ORDER BY 1 LIMIT 100'
            )
            return tuple(str(row[0]) for row in rows)
    except sqlite3.Error as error:
        raise EngineBackupError(f"the references in {path.name} cannot be checked: {error}") from error
