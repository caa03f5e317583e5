"""What stood where files are being placed, kept so that it can be put back exactly.

A file is kept by a second hard link: placing replaces names, never content, so
the old inode keeps owner, mode, times and links by itself. Where a link cannot
be made (another file system) a copy with the same attributes stands in.
"""

# Archived names are bytes, pathlib holds text.
# ruff: noqa: PTH101, PTH108, PTH116

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine_backup.drivers.directory_walk import DirectoryWalk
from engine_backup.model.paths import DIRECTORIES_ABOVE


@dataclass(frozen=True)
class _Kept:
    """One name before the first change: its status (None: nothing was there) and where it is kept."""

    name: bytes
    status: os.stat_result | None
    kept: bytes = b""


class KeptFiles:
    """Keeps in `directory` (private, on the same file system if possible) what is about to change.

    `before` is what `file_placing.Placing` calls with each relative name.
    """

    def __init__(self, root: Path, directory: Path, followed: frozenset[bytes] = DIRECTORIES_ABOVE) -> None:
        directory.mkdir(mode=0o700)
        self._directory = os.fsencode(directory)
        self._walk = DirectoryWalk(os.fsencode(root), followed)
        self._records: list[_Kept] = []
        self._seen: set[bytes] = set()

    def before(self, name: bytes) -> None:
        """Keep what stands under `name`, and the times of the directory that holds it."""
        parent = name.rpartition(b"/")[0]
        if parent:
            self._keep(parent)
        self._keep(name)

    def restore(self) -> None:
        """Put everything back, the last change first; times of directories at the very end."""
        for record in reversed(self._records):
            self._restore(record)
        for record in reversed(self._records):
            if record.status is not None and stat.S_ISDIR(record.status.st_mode):
                self._dress_directory(record.name, record.status)
        self._records.clear()
        self._seen.clear()

    def _keep(self, name: bytes) -> None:
        if name in self._seen:
            return
        self._seen.add(name)
        try:
            with self._walk.parent_of(name) as parent:
                self._records.append(self._look(name, parent))
        except FileNotFoundError:
            self._records.append(_Kept(name, None))

    def _look(self, name: bytes, parent: int) -> _Kept:
        last = _last(name)
        status = os.stat(last, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            return _Kept(name, status)
        kept = os.path.join(self._directory, b"%d" % len(self._records))
        try:
            os.link(last, kept, src_dir_fd=parent, follow_symlinks=False)
        except OSError:
            _copy(b"/proc/self/fd/%d/%s" % (parent, last), kept, status)
        return _Kept(name, status, kept)

    def _restore(self, record: _Kept) -> None:
        try:
            with self._walk.parent_of(record.name) as parent:
                if record.status is None:
                    _remove(_last(record.name), parent)
                elif record.kept:
                    self._put_back(record, parent)
        except FileNotFoundError:
            if record.status is not None:
                raise

    def _put_back(self, record: _Kept, parent: int) -> None:
        last = _last(record.name)
        try:
            os.rename(record.kept, last, dst_dir_fd=parent)
        except OSError:
            place = b"/proc/self/fd/%d/%s" % (parent, last)
            with suppress(FileNotFoundError):
                os.unlink(place)
            _copy(record.kept, place, os.lstat(record.kept))
        # Renaming one of two names of the same file over the other does nothing: the file was not replaced.
        with suppress(FileNotFoundError):
            os.unlink(record.kept)

    def _dress_directory(self, name: bytes, status: os.stat_result) -> None:
        with self._walk.parent_of(name) as parent:
            place = b"/proc/self/fd/%d/%s" % (parent, _last(name))
            if (now := os.stat(place)).st_uid != status.st_uid or now.st_gid != status.st_gid:
                os.chown(place, status.st_uid, status.st_gid)
            os.chmod(place, stat.S_IMODE(status.st_mode))
            os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))


def _last(name: bytes) -> bytes:
    return name.rpartition(b"/")[2]


def _remove(name: bytes, parent: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except IsADirectoryError:
        os.rmdir(name, dir_fd=parent)


def _copy(source: bytes, target: bytes, status: os.stat_result) -> None:
    shutil.copy2(source, target, follow_symlinks=False)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
