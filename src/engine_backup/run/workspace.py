"""Private temporary directories that are gone afterwards, or with the next run when this one is killed."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine_backup.model.errors import EngineBackupError

# Directories named engine-backup.XXXXXX are of stock, or somebody made them: they are not ours to remove.
PREFIX, SUFFIX = "engine-backup.", ".private"
_OURS = re.compile(re.escape(PREFIX) + r"\w{8}" + re.escape(SUFFIX))


@contextmanager
def private_directory(parent: Path) -> Iterator[Path]:
    """Create a directory 0700 below `parent` and remove it with all it holds when the block is left.

    Those that killed runs have left there are removed first.
    Raises `EngineBackupError` when it cannot be created.
    """
    sweep(parent)
    try:
        directory, lock = _made(parent)
    except OSError as error:
        message = f"cannot create a private directory in {parent}: {error.strerror}"
        raise EngineBackupError(
            message, "make room there, or choose another place with --tmpdir=DIR"
        ) from error
    try:
        yield directory
    finally:
        try:
            shutil.rmtree(directory)
        finally:
            os.close(lock)


def sweep(parent: Path) -> None:
    """Remove private directories of ours below `parent` whose run is dead: nobody holds their lock."""
    for path in _ours(parent):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_uid == os.geteuid():
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
            finally:
                os.close(descriptor)


def _ours(parent: Path) -> list[Path]:
    try:
        return [path for path in parent.iterdir() if _OURS.fullmatch(path.name)]
    except OSError:
        return []


def _made(parent: Path) -> tuple[Path, int]:
    """Make a directory and hold its lock; one that was swept away before we held it is made again."""
    while True:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, suffix=SUFFIX, dir=parent))
        with suppress(FileNotFoundError):
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if directory.exists():
                return directory, descriptor
            os.close(descriptor)
