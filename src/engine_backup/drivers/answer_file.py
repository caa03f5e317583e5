"""Writing the answers that engine-setup is given (the format of otopi, reference 1.1)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from engine_backup.drivers.otopi_answers import SECTION
from engine_backup.model.errors import EngineBackupError

MODE = 0o600


def write_answers(directory: Path, when: datetime, lines: Iterable[str]) -> Path:
    """Write `KEY=type:value` lines into a new file that only we can read, and return its path.

    Raises `EngineBackupError`; then no file is left.
    """
    stem = f"engine-backup-setup-{when:%Y%m%d%H%M%S}"
    text = "\n".join((f"[{SECTION}]", *lines, ""))
    for number in itertools.count():
        path = directory / f"{stem}{f'-{number}' if number else ''}.answers"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
        except FileExistsError:
            continue
        except OSError as error:
            raise _failure(path, error) from error
        break
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        path.unlink()
        raise _failure(path, error) from error
    return path


def _failure(path: Path, error: OSError) -> EngineBackupError:
    return EngineBackupError(f"cannot write the answers for engine-setup to {path}: {error.strerror}")
