"""What stood where files are being placed, kept so that it can be put back exactly, also after a crash.

A file is kept by a second hard link: placing replaces names, never content, so
the old inode keeps owner, mode, times, label and links by itself. Where a link cannot
be made (another file system) a copy with the same attributes stands in.
What is kept under which number is recorded beside them (`kept_records`), on the disk before anything changes.
"""

# Archived names are bytes, pathlib holds text.
# ruff: noqa: PTH101, PTH108, PTH116

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from engine_backup.drivers.directory_walk import BlockedPathError, DirectoryWalk
from engine_backup.drivers.durable import sync_entry, sync_place
from engine_backup.drivers.file_placing import TEMPORARY_PREFIX
from engine_backup.drivers.kept_records import LABEL, Kept, add_records, read_records, status_of
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.paths import DIRECTORIES_ABOVE


class KeptFiles:
    """Keeps in `directory` (private, on the same file system if possible) what is about to change.

    A directory that another process left is taken up. `before` is what `file_placing.Placing`
    calls with each relative name. `passing` is how names begin under which files are written
    beside their places: what is left of these when a run was killed goes away with `restore`.
    """

    def __init__(
        self,
        root: Path,
        directory: Path,
        followed: frozenset[bytes] = DIRECTORIES_ABOVE,
        passing: bytes = TEMPORARY_PREFIX,
    ) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._place = directory
        self._directory = os.fsencode(directory)
        self._walk = DirectoryWalk(os.fsencode(root), followed)
        self._passing = passing
        self._records = read_records(directory)
        self._seen = {record.name for record in self._records}
        self._there: set[bytes] = set()
        self._in_use: list[bytes] = []
        self._copied: dict[tuple[int, int], bytes] = {}
        self._back: dict[tuple[int, int], bytes] = {}

    def keep(self, names: Iterable[bytes]) -> None:
        """Keep what stands under all these names before any of them is changed; waits for the disk once."""
        fresh: list[Kept] = []
        for name in names:
            for part in self._concerned(name):
                self._keep(part, fresh)
        self._write(fresh)

    def before(self, name: bytes) -> None:
        """Keep what stands under `name`, and the times of the directory that holds it."""
        fresh: list[Kept] = []
        parent = name.rpartition(b"/")[0]
        if parent:
            self._keep(parent, fresh)
        self._keep(name, fresh)
        self._write(fresh)

    def new(self) -> tuple[bytes, ...]:
        """Return the names under which nothing stood before, missing directories above files among them."""
        return tuple(record.name for record in self._records if record.status is None)

    def make_lasting(self) -> None:
        """Bring what stands now under all names that were kept, and the directories above, to the disk.

        Nothing else: to wait for all that anybody has written can take minutes, and without end where
        a network file system does not answer. Raises `OSError`.
        """
        names = {record.name for record in self._records}
        names |= {name.rpartition(b"/")[0] for name in names}
        try:
            for name in names:
                # What has moved away, or is reached through a link by now, is no concern of ours any more.
                with suppress(FileNotFoundError, BlockedPathError), self._walk.parent_of(name) as directory:
                    sync_entry(_last(name) or b".", directory)
        except PermissionError:
            os.sync()  # what an ordinary user has placed they may not be allowed to read

    def restore(self) -> tuple[bytes, ...]:
        """Put everything back, the last change first; times of directories at the very end.

        Returns directories that were new and stay, since others have put something there.
        What cannot be put back stays kept, to be tried again; all else is put back before
        `EngineBackupError` tells of it.
        """
        self._in_use.clear()
        self._remove_passing()
        left: dict[int, Kept] = {}
        errors: list[str] = []
        for put_back in (self._restore, self._dress_directory):
            for number in reversed(range(len(self._records))):
                record = self._records[number]
                try:
                    put_back(record)
                except (OSError, EngineBackupError) as error:
                    left[number] = record
                    errors.append(f"/{os.fsdecode(record.name)}: {getattr(error, 'strerror', error)}")
        self.make_lasting()  # before anybody writes down that it is done
        if errors:
            raise EngineBackupError(f"{len(left)} files and directories are not as before, first {errors[0]}")
        return tuple(self._in_use)

    def _concerned(self, name: bytes) -> list[bytes]:
        """Return a name, the directory that holds it, and the missing ones above with what holds these."""
        parts = name.split(b"/")
        above = [b"/".join(parts[:count]) for count in range(1, len(parts))]
        missing = next((number for number, part in enumerate(above) if self._is_missing(part)), len(above))
        return [*above[max(0, missing - 1) :], name]

    def _is_missing(self, name: bytes) -> bool:
        if name in self._there:
            return False
        try:
            with self._walk.parent_of(name) as parent:
                os.stat(_last(name), dir_fd=parent)
        except FileNotFoundError:
            return True
        self._there.add(name)
        return False

    def _keep(self, name: bytes, fresh: list[Kept]) -> None:
        if name in self._seen:
            return
        number = str(len(self._seen))
        self._seen.add(name)
        try:
            with self._walk.parent_of(name) as parent:
                fresh.append(self._look(name, parent, number))
        except FileNotFoundError:
            fresh.append(Kept(name, None))

    def _look(self, name: bytes, parent: int, number: str) -> Kept:
        last = _last(name)
        status = os.stat(last, dir_fd=parent, follow_symlinks=False)
        found = status_of(status, b"/proc/self/fd/%d/%s" % (parent, last))
        if found.is_directory:
            return Kept(name, found)
        kept = self._kept(number)
        try:
            os.link(last, kept, src_dir_fd=parent, follow_symlinks=False)
        except OSError:
            self._copy_once(b"/proc/self/fd/%d/%s" % (parent, last), kept, status)
        return Kept(name, found, number)

    def _copy_once(self, source: bytes, kept: bytes, status: os.stat_result) -> None:
        """Copy a file, or link to the copy of the same file under another name."""
        first = self._copied.setdefault((status.st_dev, status.st_ino), kept)
        if first is kept:
            _copy(source, kept, status)
        else:
            os.link(first, kept, follow_symlinks=False)

    def _kept(self, number: str) -> bytes:
        return os.path.join(self._directory, number.encode())

    def _write(self, fresh: list[Kept]) -> None:
        """Bring records to the disk; links and copies before them."""
        if fresh:
            add_records(self._place, fresh)
            self._records += fresh

    def _remove_passing(self) -> None:
        places = {record.name.rpartition(b"/")[0]: record.name for record in self._records}
        for name in places.values():
            with suppress(OSError, EngineBackupError), self._walk.parent_of(name) as directory:
                for found in os.listdir(b"/proc/self/fd/%d" % directory):
                    if found.startswith(self._passing):
                        os.unlink(found, dir_fd=directory)

    def _restore(self, record: Kept) -> None:
        try:
            with self._walk.parent_of(record.name) as parent:
                if record.status is None:
                    _remove(_last(record.name), parent)
                elif record.number and os.path.lexists(self._kept(record.number)):
                    self._put_back(record, parent)
        except FileNotFoundError:
            if record.status is not None:
                raise
        except OSError as error:
            if record.status is not None or error.errno != errno.ENOTEMPTY:
                raise
            self._in_use.append(record.name)

    def _put_back(self, record: Kept, parent: int) -> None:
        last, kept = _last(record.name), self._kept(record.number)
        try:
            os.rename(kept, last, dst_dir_fd=parent)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy_back(record.name, kept, parent)
            sync_place(b"/proc/self/fd/%d" % parent)
        # Renaming one of two names of the same file over the other does nothing: the file was not replaced.
        with suppress(FileNotFoundError):
            os.unlink(kept)

    def _copy_back(self, name: bytes, kept: bytes, parent: int) -> None:
        """Copy to another file system; names that were links to the same file are again."""
        passing = self._passing + b"back"
        status = os.lstat(kept)
        first = self._back.get((status.st_dev, status.st_ino))
        try:
            if first is None:
                _copy(kept, b"/proc/self/fd/%d/%s" % (parent, passing), status)
            else:
                with self._walk.parent_of(first) as other:
                    os.link(_last(first), passing, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)
            os.rename(passing, _last(name), src_dir_fd=parent, dst_dir_fd=parent)
            self._back[status.st_dev, status.st_ino] = name
        finally:
            with suppress(FileNotFoundError):
                os.unlink(passing, dir_fd=parent)

    def _dress_directory(self, record: Kept) -> None:
        status = record.status
        if status is None or not status.is_directory:
            return
        with self._walk.parent_of(record.name) as parent:
            place = b"/proc/self/fd/%d/%s" % (parent, _last(record.name))
            now = status_of(os.stat(place), place)
            if replace(now, atime_ns=status.atime_ns) == status:
                return
            if (now.uid, now.gid) != (status.uid, status.gid):
                os.chown(place, status.uid, status.gid)
            os.chmod(place, status.mode)
            if status.label != now.label:
                os.setxattr(place, LABEL, os.fsencode(status.label))
            os.utime(place, ns=(status.atime_ns, status.mtime_ns))


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
    if stat.S_ISREG(status.st_mode):
        sync_place(target)
