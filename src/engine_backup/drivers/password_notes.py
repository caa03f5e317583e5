"""Telling the administrator the passwords that were made up for him."""

from __future__ import annotations

import itertools
import os
import secrets
import string
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from engine_backup.model.errors import EngineBackupError
from engine_backup.model.secret import Secret

PASSWORD_LENGTH = 22  # stock's, and its letters (reference 1.3)
_LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def random_password() -> Secret:
    """Return a new password of 22 digits and letters."""
    return Secret("".join(secrets.choice(_LETTERS) for _ in range(PASSWORD_LENGTH)))


def free_path(directory: Path, when: datetime) -> Path:
    """Return a name for a file of notes that nothing has: that of another run of the same second stays."""
    stem = f"engine-backup-roles-{when:%Y%m%d%H%M%S}"
    numbered = (f"{stem}-{number}" for number in itertools.count(1))
    names = (directory / f"{name}.passwords" for name in itertools.chain((stem,), numbered))
    return next(name for name in names if not os.path.lexists(name))


def write_notes(path: Path, notes: Iterable[tuple[str, str, Secret]]) -> None:
    """Write a line `role<TAB>database<TAB>password` for each into a new file that only we can read.

    Backslash, tab and line end in a name are escaped. Raises `EngineBackupError`, also when there
    is something of this name already, which stays: it may hold passwords that are needed.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _failure(path, error) from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(_line(role, database, password) for role, database, password in notes)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink()
        raise _failure(path, error) from error


def _failure(path: Path, error: OSError) -> EngineBackupError:
    message = f"cannot write the passwords of new roles to {path}: {error.strerror}"
    return EngineBackupError(message, "make room for it, or move away what is there")


def _line(role: str, database: str, password: Secret) -> str:
    names = (role.translate(_ESCAPES), database.translate(_ESCAPES))
    return "\t".join((*names, password.reveal())) + "\n"
