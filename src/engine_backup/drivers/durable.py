"""Making sure that what was done to files and directories survives a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk; raises `OSError`."""
    _sync(directory, os.O_DIRECTORY)


def sync_place(place: bytes) -> None:
    """Bring a file's content, or the names in a directory, to the disk; raises `OSError`."""
    _sync(place, 0)


def _sync(place: bytes | Path, flags: int) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
