"""An archive as a file on the disk, whatever is in it: opening it, and its own hash."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from engine_backup.model.errors import UnreadableArchiveError

CHUNK = 1 << 20

Progress = Callable[[str, int], None]


def open_file(path: Path) -> BinaryIO:
    """Open without waiting for a pipe's other end, and without changing the access time where allowed.

    Raises `UnreadableArchiveError` for all but regular files.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        try:
            descriptor = os.open(path, flags | os.O_NOATIME)
        except PermissionError:
            descriptor = os.open(path, flags)
    except OSError as error:
        hint = "run as who may read it, or name another" if error.errno == errno.EACCES else ""
        raise UnreadableArchiveError(f"cannot open {path}: {error.strerror}", hint) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableArchiveError(f"{path} is no regular file")
    return cast(BinaryIO, os.fdopen(descriptor, "rb"))


def file_sha256(path: Path, progress: Progress | None = None) -> str:
    """Return the hex digest of a whole file as it lies there; raises `UnreadableArchiveError`."""
    digest = hashlib.sha256()
    with open_file(path) as stream:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            digest.update(chunk)
            if progress is not None:
                progress(path.name, len(chunk))
    return digest.hexdigest()
