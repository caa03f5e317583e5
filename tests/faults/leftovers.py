"""What no run may leave behind: names, processes, locks on files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

RESTORE_DIRECTORY = "var/lib/ovirt-engine-backup/restore"
PREFIXES = (".engine-backup-", "engine-backup.")
SUFFIXES = (".new", ".partial")


def names(*places: Path) -> list[str]:
    """Return paths of passing names anywhere below these directories."""
    found = []
    for place in places:
        for top, directories, files in os.walk(place):
            found += [
                f"{top}/{n}" for n in directories + files if n.startswith(PREFIXES) or n.endswith(SUFFIXES)
            ]
    return [f"passing name {path}" for path in sorted(found)]


def content(*places: Path) -> list[str]:
    """Return what lies in directories that are empty when nothing runs; they need not be there."""
    return [f"left in {p}: {n}" for p in places if p.is_dir() for n in sorted(os.listdir(p))]


def processes(directory: Path, spared: frozenset[int]) -> list[str]:
    """Name processes that have to do with a directory by their words, place or open files.

    `spared` are servers: they and their children do not count, nor do we.
    """
    marks = (str(directory),)
    found = []
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        if pid in spared or _parent(pid) in spared or pid == os.getpid():
            continue
        if any(mark in text for text in _traces(pid) for mark in marks):
            found.append(f"process {pid} {_words(pid)}")
    return found


def _traces(pid: int) -> Iterator[str]:
    place = Path("/proc", str(pid))
    yield _words(pid)
    try:
        yield str((place / "cwd").readlink())
        for descriptor in (place / "fd").iterdir():
            yield str(descriptor.readlink())
    except OSError:  # it has just ended, or is somebody else's
        return


def _words(pid: int) -> str:
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def locks(*places: Path) -> list[str]:
    """Name files below these directories that somebody has locked (proc(5), /proc/locks)."""
    fields = (word for line in Path("/proc/locks").read_text().splitlines() for word in line.split())
    numbers = {int(word.rpartition(":")[2]) for word in fields if word.count(":") == 2}
    found = []
    for place in places:
        for top, _, files in os.walk(place):
            paths = (Path(top, name) for name in files)
            found += [f"lock on {p}" for p in paths if p.lstat().st_ino in numbers and _is_locked(p)]
    return found


def _is_locked(path: Path) -> bool:
    """Try it: numbers of files are those of one file system only."""
    with path.open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
