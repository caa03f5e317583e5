"""What is remembered of drills: `NAME.drill.json` beside an archive, and the history, a line for each drill.

A record is as hostile as the archive that it lies beside: it counts only for the very archive that it speaks
of, and only when nobody else than its owner, root or we could have written it.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from engine_backup.drivers.durable import sync_directory
from engine_backup.model.drill import FAILED, FORMAT, PASSED, ArchiveIdentity, Proof

SUFFIX = ".drill.json"
LARGEST = 4 << 20
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


def place_of(archive: Path) -> Path:
    """Return where the record of an archive lies."""
    return archive.with_name(archive.name + SUFFIX)


def write(place: Path, text: str) -> None:
    """Write a record, 0600, replacing an older one in one step; raises `OSError`."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=place.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(place.parent)


def append(place: Path, line: str) -> None:
    """Add a line to a history, which is made 0600 with its directory 0700; raises `OSError`."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(place, flags, 0o600)
    try:
        os.write(descriptor, line.encode("ascii") + b"\n")
    finally:
        os.close(descriptor)


def read(archive: Path, identity: ArchiveIdentity | None) -> Proof | None:
    """Return what is remembered of the last drill of this very archive; None for anything else."""
    content = _content(place_of(archive), archive) if identity is not None else None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return None
    named, at, outcome = content.get("archive"), content.get("started_at"), content.get("outcome")
    if identity is None or not _fits(named, identity) or outcome not in (PASSED, FAILED):
        return None
    return Proof(at, outcome == PASSED) if isinstance(at, str) and _is_past(at) else None


def _fits(named: Any, identity: ArchiveIdentity) -> bool:
    return (
        isinstance(named, Mapping)
        and named.get("size") == identity.size
        and named.get("hashes") == identity.hashes
    )


def _is_past(text: str) -> bool:
    with suppress(ValueError):
        return bool(_TIME.fullmatch(text)) and datetime.fromisoformat(text) <= datetime.now(timezone.utc)
    return False


def _content(place: Path, archive: Path) -> Any:
    """Return what a record holds; None when there is none, or nothing that can be understood."""
    with suppress(OSError, ValueError, RecursionError):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(place, flags), "rb") as file:
            status = os.fstat(file.fileno())
            owners = (0, os.geteuid(), archive.stat().st_uid)
            if not stat.S_ISREG(status.st_mode) or status.st_uid not in owners or status.st_mode & 0o022:
                return None
            return json.loads(file.read(LARGEST)) if status.st_size <= LARGEST else None
    return None
