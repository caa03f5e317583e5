"""Reaching a directory under a root step by step, without being led astray by symbolic links."""

# Archived names are bytes, pathlib holds text.
# ruff: noqa: PTH101, PTH112, PTH115

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine_backup.model.errors import EngineBackupError

MOST_LINKS = 40
_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Create = Callable[[bytes], None]


class BlockedPathError(EngineBackupError):
    """The way is blocked by something that is no directory, or by a link that is not followed."""


class DirectoryWalk:
    """Opens the directories of relative names under `root`.

    `followed` names the directories that may be symbolic links; see `file_placing`. Targets
    of links are read as inside the root, so absolute links lead nowhere else.
    """

    def __init__(self, root: bytes, followed: frozenset[bytes]) -> None:
        self._root = root
        self._followed = followed

    @contextmanager
    def parent_of(self, name: bytes, create: Create | None = None) -> Iterator[int]:
        """Give a descriptor (for `dir_fd` only) of the directory that holds `name`.

        Missing directories are made, 0755, after a call of `create` with their name; without
        `create` they raise `FileNotFoundError`. Raises `BlockedPathError`.
        """
        way = _Way(self._root, self._followed, create)
        try:
            for part in name.split(b"/")[:-1]:
                way.enter(part)
            yield way.descriptor
        finally:
            os.close(way.descriptor)


class _Way:
    """A position under the root: `descriptor` is open there, `_here` is how it is reached without links."""

    def __init__(self, root: bytes, followed: frozenset[bytes], create: Create | None) -> None:
        self._root = root
        self._followed = followed
        self._create = create
        self._named: list[bytes] = []
        self._here: list[bytes] = []
        self._links = 0
        self.descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def enter(self, part: bytes) -> None:
        """Go into the next directory of the name."""
        self._named.append(part)
        name = b"/".join(self._named)
        target = self._step(part, name, name in self._followed)
        if target is not None:
            self._follow(target, name)

    def _follow(self, target: bytes, name: bytes) -> None:
        """Walk the target of a link that may be followed; links inside it are the admin's as well."""
        pending = deque([target])
        while pending:
            path = pending.popleft()
            if path.startswith(b"/"):
                self._return_to([])
            for number, part in enumerate(parts := [p for p in path.split(b"/") if p not in (b"", b".")]):
                if part == b"..":
                    self._return_to(self._here[:-1])
                    continue
                further = self._step(part, name, True)
                if further is not None:
                    pending.extendleft([b"/".join(parts[number + 1 :]), further])
                    break

    def _step(self, part: bytes, name: bytes, may_follow: bool) -> bytes | None:
        """Enter a directory, or return the target of the link that stands there."""
        try:
            self._move(os.open(part, _FLAGS, dir_fd=self.descriptor), [*self._here, part])
        except FileNotFoundError:
            if self._create is None:
                raise
            self._create(name)
            os.mkdir(part, 0o755, dir_fd=self.descriptor)
            self._move(os.open(part, _FLAGS, dir_fd=self.descriptor), [*self._here, part])
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            return self._target(part, name, may_follow)
        return None

    def _target(self, part: bytes, name: bytes, may_follow: bool) -> bytes:
        status = os.stat(part, dir_fd=self.descriptor, follow_symlinks=False)
        shown = "/" + os.fsdecode(name)
        if not stat.S_ISLNK(status.st_mode):
            raise BlockedPathError(f"{shown} is no directory here, but one in the archive")
        self._links += 1
        if not may_follow or status.st_uid not in (0, os.geteuid()) or self._links > MOST_LINKS:
            raise BlockedPathError(
                f"{shown} is a symbolic link, and nothing is restored through it",
                hint="put the directory itself in its place, or mount it there",
            )
        return os.readlink(part, dir_fd=self.descriptor)

    def _return_to(self, here: list[bytes]) -> None:
        """Start again at the root and go down to a place that was reached before."""
        self._move(os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), [])
        for part in here:
            self._move(os.open(part, _FLAGS, dir_fd=self.descriptor), [*self._here, part])

    def _move(self, descriptor: int, here: list[bytes]) -> None:
        os.close(self.descriptor)
        self.descriptor = descriptor
        self._here = here
