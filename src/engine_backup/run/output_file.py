"""An archive under construction: a partial file beside its name, renamed when it is whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import BinaryIO

from engine_backup.drivers.durable import sync_directory
from engine_backup.model.errors import EngineBackupError, Problem

SUFFIX = ".partial"


class OutputFile:
    """`path` is the partial file, `stream` writes to it; `publish` gives it its final name."""

    def __init__(self, final: Path, path: Path, stream: BinaryIO) -> None:
        self.final = final
        self.name = f"file '{final}'"
        self.path = path
        self.stream = stream
        self.published = False

    def give_up(self) -> None:
        """Do nothing: a file keeps no writer waiting."""

    def sync(self) -> None:
        """Bring all that was written to the disk."""
        self.stream.flush()
        os.fsync(self.stream.fileno())

    def publish(self) -> None:
        """Rename to the final name, replacing what stood there in one step, also across a power cut."""
        self.path.replace(self.final)
        self.published = True
        sync_directory(self.final.parent)


def partial_name(final: Path) -> Path:
    """Return the name of an archive while it is written."""
    return final.with_name(final.name + SUFFIX)


def no_directory(directory: Path) -> Problem:
    """Return why nothing can be written into a directory that is not there, or is none."""
    if os.path.lexists(directory):
        return Problem(f"{directory} is no directory", "choose another place")
    return Problem(f"directory {directory} does not exist", f"create it: mkdir -p {quote(str(directory))}")


@contextmanager
def output_file(final: Path, hint: str = "choose another --file=FILE") -> Iterator[OutputFile]:
    """Open `NAME.partial`, mode 0600; it is removed unless the block publishes it.

    `hint` says how to choose another place. A partial file that a killed run left is taken over; one
    that a living run holds (by its lock) raises `EngineBackupError`.
    """
    path = partial_name(final)
    with _open(path, hint) as stream:
        file = OutputFile(final, path, stream)
        try:
            yield file
        finally:
            if not file.published:
                path.unlink()


def _open(path: Path, hint: str) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise EngineBackupError(f"Cannot create '{path}': {error.strerror}", hint) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, "w+b")
    except BlockingIOError as error:
        os.close(descriptor)
        raise EngineBackupError(f"another backup is writing {path}", "wait until it is done") from error
