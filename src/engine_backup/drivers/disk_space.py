"""How much room a file system has."""

from __future__ import annotations

import os
from pathlib import Path

from engine_backup.model.preflight import Volume


def free(path: Path) -> Volume:
    """Return the file system that `path` is on, or would be on: the nearest parent that can be seen counts.

    Free is what programs without privileges may use (`f_bavail`): PostgreSQL is one of them.
    """
    place = next(directory for directory in (path, *path.parents) if _can_be_seen(directory))
    status = os.statvfs(place)
    # Some file systems (network, overlay) have no such numbers.
    room = status.f_bavail * status.f_frsize if status.f_blocks else None
    return Volume(str(path), place.stat().st_dev, room)


def _can_be_seen(directory: Path) -> bool:
    """Ordinary users cannot look below the directories of a database server, say."""
    try:
        directory.stat()
    except OSError:
        return False
    return True
