"""What stood where files are being placed, kept so that it can be put back exactly.

A file is kept by a second hard link: placing replaces names, never content, so
the old inode keeps owner, mode, times and links by itself. Where a link cannot
be made (another file system) a copy with the same attributes stands in.
"""

# Archived names are bytes, pathlib holds text.
# ruff: noqa: PTH101, PTH108, PTH116

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine_backup.drivers.directory_walk import DirectoryWalk
from engine_backup.drivers.file_placing import TEMPORARY_PREFIX
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.paths import DIRECTORIES_ABOVE

NAMES = "names"


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
        """Put everything back, the last change first; times of directories at the very end.

        What cannot be put back stays kept, to be tried again; all else is put back before
        `EngineBackupError` tells of it.
        """
        left: dict[int, _Kept] = {}
        errors: list[str] = []
        for put_back in (self._restore, self._dress_directory):
            for number in reversed(range(len(self._records))):
                record = self._records[number]
                try:
                    put_back(record)
                except (OSError, EngineBackupError) as error:
                    left[number] = record
                    errors.append(f"/{os.fsdecode(record.name)}: {getattr(error, 'strerror', error)}")
        self._records = [record for _, record in sorted(left.items())]
        if errors:
            raise EngineBackupError(f"{len(left)} files and directories are not as before, first {errors[0]}")
        self._seen.clear()

    def preserve(self, directory: Path) -> bool:
        """Move what could not be put back to `directory`, with a list of the names; False when all was."""
        kept = [record for record in self._records if record.kept]
        if not kept:
            return False
        Path(os.fsdecode(self._directory)).rename(directory)
        names = (b"%s\t/%s\n" % (_last(record.kept), record.name) for record in kept)
        (directory / NAMES).write_bytes(b"".join(names))
        return True

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
        kept = os.path.join(self._directory, b"%d" % len(self._seen))
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
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            passing = b"%s%d" % (TEMPORARY_PREFIX, os.getpid())
            try:
                _copy(record.kept, b"/proc/self/fd/%d/%s" % (parent, passing), os.lstat(record.kept))
                os.rename(passing, last, src_dir_fd=parent, dst_dir_fd=parent)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(passing, dir_fd=parent)
        # Renaming one of two names of the same file over the other does nothing: the file was not replaced.
        with suppress(FileNotFoundError):
            os.unlink(record.kept)

    def _dress_directory(self, record: _Kept) -> None:
        status = record.status
        if status is None or not stat.S_ISDIR(status.st_mode):
            return
        with self._walk.parent_of(record.name) as parent:
            place = b"/proc/self/fd/%d/%s" % (parent, _last(record.name))
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
