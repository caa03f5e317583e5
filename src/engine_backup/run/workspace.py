"""Private temporary directories that are gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine_backup.model.errors import EngineBackupError


@contextmanager
def private_directory(parent: Path) -> Iterator[Path]:
    """Create a directory 0700 below `parent` and remove it with all it holds when the block is left.

    Raises `EngineBackupError` when it cannot be created.
    """
    try:
        directory = Path(tempfile.mkdtemp(prefix="engine-backup.", dir=parent))
    except OSError as error:
        message = f"cannot create a private directory in {parent}: {error.strerror}"
        raise EngineBackupError(
            message, "make room there, or choose another place with --tmpdir=DIR"
        ) from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
