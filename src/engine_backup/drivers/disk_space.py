"""How much room a file system has."""

from __future__ import annotations

import os
from pathlib import Path

from engine_backup.model.preflight import Volume


def free(path: Path) -> Volume:
    """Return the file system that `path` lies on, or would lie on: its nearest parent that exists counts.

    Free is what programs without privileges may use (`f_bavail`): PostgreSQL is one of them.
    Raises `OSError` when a directory may not be looked at.
    """
    place = next(directory for directory in (path, *path.parents) if directory.exists())
    status = os.statvfs(place)
    # Some file systems (network, overlay) have no such numbers.
    room = status.f_bavail * status.f_frsize if status.f_blocks else None
    return Volume(str(path), place.stat().st_dev, room)
