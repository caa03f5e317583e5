"""Making sure that what was done to files and directories survives a power cut."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk; raises `OSError`."""
    _sync(directory, os.O_DIRECTORY)


def sync_place(place: bytes) -> None:
    """Bring a file's content, or the names in a directory, to the disk; raises `OSError`."""
    _sync(place, 0)


def sync_entry(name: bytes, directory: int) -> None:
    """Bring what stands under a name in an open directory to the disk: content, owner, mode and times.

    Of other things than files and directories the directory itself tells all. Nothing there is no error.
    Raises `PermissionError` when it may not be read, else `OSError`.
    """
    with suppress(FileNotFoundError):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            # A pipe that somebody puts there meanwhile must not be waited for.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=directory)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _sync(place: bytes | Path, flags: int) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
