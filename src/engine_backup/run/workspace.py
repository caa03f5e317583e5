"""The private temporary directory of a run."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from engine_backup.drivers import private_directories
from engine_backup.model.errors import EngineBackupError


@contextmanager
def private_directory(parent: Path, option: str = "--tmpdir=DIR") -> Iterator[Path]:
    """Create a directory 0700 below `parent` and remove it with all it holds when the block is left.

    Those that killed runs have left there are removed first.
    Raises `EngineBackupError` when it cannot be created; `option` chooses another place.
    """
    with ExitStack() as stack:
        try:
            directory = stack.enter_context(private_directories.private_directory(parent))
        except OSError as error:
            message = f"cannot create a private directory in {parent}: {error.strerror}"
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            room = "make room there, or " if full else ""
            raise EngineBackupError(message, f"{room}choose another place with {option}") from error
        yield directory
