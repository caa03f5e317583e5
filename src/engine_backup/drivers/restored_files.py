"""Looking at restored files without being led out of their root: no symbolic link is ever followed."""

# Archived names are bytes, pathlib holds text.
# ruff: noqa: PTH115

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from engine_backup.drivers.directory_walk import DirectoryWalk
from engine_backup.model.errors import EngineBackupError

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnreadableFileError(EngineBackupError):
    """A restored file cannot be read; the message is a reason without the file's name."""


class RestoredFiles:
    """The files below a root directory, by relative names. Raises `UnreadableFileError` for what blocks."""

    def __init__(self, root: Path) -> None:
        self._walk = DirectoryWalk(os.fsencode(root), frozenset())

    def status(self, name: bytes) -> os.stat_result | None:
        """Return what stands there, of a link itself; None for nothing."""
        with self._parent(name) as parent:
            return None if parent is None else _status(_last(name), parent)

    def link_target(self, name: bytes) -> bytes | None:
        """Return what a symbolic link says; None for anything else."""
        with self._parent(name) as parent:
            status = None if parent is None else _status(_last(name), parent)
            if parent is None or status is None or not stat.S_ISLNK(status.st_mode):
                return None
            return os.readlink(_last(name), dir_fd=parent)

    def read(self, name: bytes, limit: int) -> bytes | None:
        """Return the content of a regular file, None when nothing is there.

        Raises `UnreadableFileError` for more than `limit` bytes, and for all but regular files.
        """
        if self.status(name) is None:
            return None
        with self.open(name) as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise UnreadableFileError(f"it has more than {limit} bytes")
        return content

    def holds(self, name: bytes, chunks: Iterable[bytes]) -> bool:
        """Whether a file has just this content."""
        with self.open(name) as stream:
            return all(stream.read(len(chunk)) == chunk for chunk in chunks) and not stream.read(1)

    def open(self, name: bytes) -> BinaryIO:
        """Return a regular file, opened for reading."""
        with self._parent(name) as parent:
            if parent is None:
                raise UnreadableFileError("it is missing")
            try:
                descriptor = os.open(_last(name), READ_FLAGS, dir_fd=parent)
            except OSError as error:
                raise UnreadableFileError(_reason(error)) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UnreadableFileError("it is no regular file")
        return os.fdopen(descriptor, "rb")

    @contextmanager
    def _parent(self, name: bytes) -> Iterator[int | None]:
        """Give the directory of a name; None when it is missing."""
        with ExitStack() as stack:
            try:
                parent = stack.enter_context(self._walk.parent_of(name))
            except FileNotFoundError:
                yield None
                return
            except EngineBackupError as error:
                raise UnreadableFileError(error.message) from error
            except OSError as error:
                raise UnreadableFileError(_reason(error)) from error
            yield parent


def _status(name: bytes, parent: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableFileError(_reason(error)) from error


def _last(name: bytes) -> bytes:
    return name.rpartition(b"/")[2]


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
