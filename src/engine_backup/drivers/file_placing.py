"""Moving staged files to their places under the root.

Symbolic links on the machine: a *directory above the known paths* (`/var`,
`/var/lib/ovirt-engine`) may be a link, because admins move such directories to other
disks; it is followed, read as inside the root, when root or we ourselves own it. Any
other link on the way to a target is refused: a user who owns a directory of the engine, or
an earlier archive, could have put it there to lead our writes astray.
"""

# Archived names are bytes, pathlib holds text.
# ruff: noqa: PTH101, PTH112, PTH115

from __future__ import annotations

import errno
import grp
import os
import pwd
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine_backup.drivers.directory_walk import BlockedPathError, DirectoryWalk
from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.paths import DIRECTORIES_ABOVE

CHUNK = 1 << 22
OWNER_REFUSED = (errno.EPERM, errno.EINVAL)
TEMPORARY_PREFIX = b".engine-backup-"

Before = Callable[[bytes], None]


@dataclass(frozen=True)
class PlaceReport:
    """What placing did: number of entries, and names whose owner or set-id bits are not as archived."""

    placed: int
    owners_not_set: tuple[bytes, ...]
    set_id_dropped: tuple[bytes, ...]


def check_places(
    root: Path, entries: Iterable[FileEntry], followed: frozenset[bytes] = DIRECTORIES_ABOVE
) -> list[str]:
    """Return what stands in the way of placing the entries, in words; changes nothing."""
    walk = DirectoryWalk(os.fsencode(root), followed)
    problems: dict[str, None] = {}
    for entry in entries:
        problem = _obstacle(walk, entry)
        if problem:
            problems[problem] = None
    return list(problems)


def place(
    staging: Path, root: Path, entries: Iterable[FileEntry], placing: Placing | None = None
) -> PlaceReport:
    """Move all entries from `staging` to `root`, directories' own settings last; return how it went.

    Raises `EngineBackupError` at the first that fails; those before it have then been placed.
    """
    placing = placing or Placing(staging, root)
    ordered = sorted(entries, key=lambda entry: entry.path)
    for entry in ordered:
        placing.place_entry(entry)
    for entry in reversed(ordered):
        if entry.type is EntryType.DIRECTORY:
            placing.finish_directory(entry)
    return placing.report()


class Placing:
    """Places entries one by one.

    `before` is called with a relative name right before the thing of that name is created, replaced or
    given another mode, owner or time: missing parents, the entry, and a directory again when it is finished.
    Copies are written under names that begin with `passing` before they are moved to their places.
    """

    def __init__(
        self,
        staging: Path,
        root: Path,
        followed: frozenset[bytes] = DIRECTORIES_ABOVE,
        before: Before = lambda _name: None,
        passing: bytes = TEMPORARY_PREFIX,
    ) -> None:
        self._staging = os.fsencode(staging)
        self._passing = passing
        self._before = before
        self._walk = DirectoryWalk(os.fsencode(root), followed)
        self._copied: dict[tuple[int, int], bytes] = {}
        self._placed = 0
        self._owners_not_set: dict[bytes, None] = {}
        self._set_id_dropped: list[bytes] = []

    def report(self) -> PlaceReport:
        """Return what was done so far."""
        return PlaceReport(self._placed, tuple(self._owners_not_set), tuple(self._set_id_dropped))

    def place_entry(self, entry: FileEntry) -> None:
        """Make a directory, or replace whatever is there by the staged file or link in one step.

        A directory stays closed to others until `finish_directory`.
        """
        with _naming(entry), self._parent(entry.path) as parent:
            name = _last(entry.path)
            if entry.type is EntryType.DIRECTORY:
                self._make_directory(parent, name, entry)
            else:
                self._place_file(parent, name, entry)
        self._placed += 1

    def finish_directory(self, entry: FileEntry) -> None:
        """Give a directory its archived owner, mode and time; to be done after its content is placed."""
        with _naming(entry), self._parent(entry.path) as parent:
            self._before(entry.path)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            directory = os.open(_last(entry.path), flags, dir_fd=parent)
            try:
                self._set_owner(entry, directory)
                os.chmod(directory, entry.mode)
                os.utime(directory, (entry.mtime, entry.mtime))
            finally:
                os.close(directory)

    @contextmanager
    def _parent(self, path: bytes) -> Iterator[int]:
        with self._walk.parent_of(path, create=self._before) as parent:
            yield parent

    def _make_directory(self, parent: int, name: bytes, entry: FileEntry) -> None:
        status = _status(name, parent)
        if status is None:
            self._before(entry.path)
            os.mkdir(name, 0o700, dir_fd=parent)
        elif not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "something else stands where a directory belongs")

    def _place_file(self, parent: int, name: bytes, entry: FileEntry) -> None:
        staged = os.path.join(self._staging, entry.stored_name)
        self._dress(staged, entry)
        self._before(entry.path)
        try:
            os.rename(staged, name, dst_dir_fd=parent)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(staged, parent, name, entry)

    def _dress(self, staged: bytes, entry: FileEntry) -> None:
        """Set owner, mode and time while the file is still in the private directory."""
        self._set_owner(entry, staged)
        if entry.type is not EntryType.SYMLINK and not stat.S_ISLNK(os.lstat(staged).st_mode):
            if entry.is_set_id:
                self._set_id_dropped.append(entry.path)
            os.chmod(staged, entry.mode & ~0o6000)
        os.utime(staged, (entry.mtime, entry.mtime), follow_symlinks=False)

    def _set_owner(self, entry: FileEntry, place: bytes | int) -> None:
        status = os.fstat(place) if isinstance(place, int) else os.lstat(place)
        wanted = (user_number(entry.uname, entry.uid), group_number(entry.gname, entry.gid))
        if (status.st_uid, status.st_gid) == wanted:
            return
        for uid, gid in (wanted, (-1, wanted[1])):
            try:
                os.chown(place, uid, gid, follow_symlinks=isinstance(place, int))
            except (OSError, OverflowError) as error:
                # An ordinary user can at most give a file to another group of theirs; in a
                # user namespace (rootless containers) even root knows only some numbers.
                if isinstance(error, OSError) and error.errno not in OWNER_REFUSED:
                    raise
                self._owners_not_set[entry.path] = None
            else:
                return

    def _copy(self, staged: bytes, parent: int, name: bytes, entry: FileEntry) -> None:
        """Copy to the other file system under a passing name, then rename; links among files are kept."""
        temporary = self._passing + secrets.token_hex(8).encode()
        status = os.lstat(staged)
        try:
            if stat.S_ISLNK(status.st_mode):
                os.symlink(os.readlink(staged), temporary, dir_fd=parent)
                os.chown(temporary, status.st_uid, status.st_gid, dir_fd=parent, follow_symlinks=False)
                times = (status.st_atime_ns, status.st_mtime_ns)
                os.utime(temporary, ns=times, dir_fd=parent, follow_symlinks=False)
            elif not self._link_to_copy(status, parent, temporary):
                _copy_file(staged, parent, temporary, status)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=parent)
            raise
        self._copied.setdefault((status.st_dev, status.st_ino), entry.path)

    def _link_to_copy(self, status: os.stat_result, parent: int, temporary: bytes) -> bool:
        """Link to the copy of the same staged file that was placed before, if one can be linked."""
        earlier = self._copied.get((status.st_dev, status.st_ino))
        if earlier is None:
            return False
        with self._parent(earlier) as other:
            try:
                os.link(_last(earlier), temporary, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                    raise
                return False
        return True


@cache
def user_number(name: str, number: int) -> int:
    """Return this machine's number of the user `name`, or `number` when there is no such user."""
    with suppress(KeyError):
        return pwd.getpwnam(name).pw_uid
    return number


@cache
def group_number(name: str, number: int) -> int:
    """Return this machine's number of the group `name`, or `number` when there is no such group."""
    with suppress(KeyError):
        return grp.getgrnam(name).gr_gid
    return number


def _copy_file(staged: bytes, parent: int, temporary: bytes, status: os.stat_result) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    if not status.st_mode & 0o400:
        os.chmod(staged, 0o600)
    with (
        open(staged, "rb") as source,
        os.fdopen(os.open(temporary, flags, 0o600, dir_fd=parent), "wb") as copy,
    ):
        _copy_pieces(source.fileno(), copy.fileno(), status.st_size)
        os.chown(copy.fileno(), status.st_uid, status.st_gid)
        os.chmod(copy.fileno(), stat.S_IMODE(status.st_mode))
        os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_pieces(source: int, copy: int, size: int) -> None:
    """Copy what is no hole, so that sparse files stay sparse."""
    os.ftruncate(copy, size)
    position = 0
    while position < size:
        try:
            start = os.lseek(source, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        position = os.lseek(source, start, os.SEEK_HOLE)
        os.lseek(copy, start, os.SEEK_SET)
        while start < position:
            sent = os.sendfile(copy, source, start, min(CHUNK, position - start))
            if sent == 0:
                raise OSError(errno.EIO, "the staged file became shorter")
            start += sent


def _obstacle(walk: DirectoryWalk, entry: FileEntry) -> str:
    try:
        with walk.parent_of(entry.path) as parent:
            return _obstacle_in(parent, entry)
    except BlockedPathError as error:
        return str(error)
    except FileNotFoundError:
        return ""


def _obstacle_in(parent: int, entry: FileEntry) -> str:
    shown = "/" + os.fsdecode(entry.path)
    if not os.access(b".", os.W_OK | os.X_OK, dir_fd=parent):
        return f"no permission to write in the directory of {shown}"
    status = _status(_last(entry.path), parent)
    is_directory = entry.type is EntryType.DIRECTORY
    if status is None or stat.S_ISDIR(status.st_mode) is is_directory:
        return ""
    if is_directory:
        return f"{shown} is no directory here, but one in the archive"
    return f"{shown} is a directory here, but none in the archive"


def _status(name: bytes, parent: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _last(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


@contextmanager
def _naming(entry: FileEntry) -> Iterator[None]:
    """Turn an operating system error into one that names the target."""
    try:
        yield
    except OSError as error:
        raise EngineBackupError(f"cannot restore /{os.fsdecode(entry.path)}: {error.strerror}") from error
