"""Private temporary directories that are gone afterwards, or with the next run when this one is killed.

A run holds a lock on each directory of its own. One that nobody holds is of a dead run: whoever makes a new
one beside it removes it, and ends the server that the dead run may have left running in it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine_backup.drivers.command import OsUser

# Directories named engine-backup.XXXXXX are of stock, or somebody made them: they are not ours to remove.
PREFIX, SUFFIX = "engine-backup.", ".private"
PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.05
ATTEMPTS = 3
_OURS = re.compile(re.escape(PREFIX) + r"\w{8}" + re.escape(SUFFIX))


@contextmanager
def private_directory(parent: Path, owner: OsUser | None = None) -> Iterator[Path]:
    """Create a directory 0700 below `parent` and remove it with all it holds when the block is left.

    It belongs to `owner`, or to us. Those that killed runs have left there are removed first.
    Raises `OSError` when it cannot be created.
    """
    sweep(parent, owner)
    directory, lock = _made(parent, owner)
    try:
        yield directory
    finally:
        try:
            _remove(directory)
        finally:
            os.close(lock)


def sweep(parent: Path, owner: OsUser | None = None) -> None:
    """Remove private directories below `parent`, ours or of `owner`, whose run is dead: nobody locks them."""
    owners = {os.geteuid(), owner.uid if owner else os.geteuid()}
    for path in _ours(parent):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_uid in owners:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _end_servers(path, os.fstat(descriptor).st_uid)
                    _remove(path)
            finally:
                os.close(descriptor)


def _ours(parent: Path) -> list[Path]:
    try:
        return [path for path in parent.iterdir() if _OURS.fullmatch(path.name)]
    except OSError:
        return []


def _made(parent: Path, owner: OsUser | None) -> tuple[Path, int]:
    """Make a directory and hold its lock; one that was swept away before we held it is made again."""
    while True:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, suffix=SUFFIX, dir=parent))
        with suppress(FileNotFoundError):
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if directory.exists():
                if owner is not None:
                    os.chown(directory, owner.uid, owner.gid)
                return directory, descriptor
            os.close(descriptor)


def _remove(directory: Path) -> None:
    """Remove a tree from which a dying server may still be taking its own files."""
    for _ in range(ATTEMPTS - 1):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
    shutil.rmtree(directory)


def _end_servers(directory: Path, uid: int) -> None:
    """End the owner's processes that work in a directory: QUIT stops PostgreSQL at once, then KILL."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE_SECONDS
        left = _at_work(directory, uid)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            left = _at_work(directory, uid)


def _at_work(directory: Path, uid: int) -> list[int]:
    """Return the processes of an account whose working directory lies below a directory (proc(5))."""
    real = directory.resolve()
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            with suppress(OSError):
                if place.stat().st_uid == uid and real in (place / "cwd").readlink().parents:
                    found.append(int(place.name))
    return found
