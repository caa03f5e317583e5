"""Replacing a configuration file of the PostgreSQL server, and putting the former one back.

The server's account owns these files and their directory, and we are root:
names are never written through, and a link is only followed where that account
gains nothing by it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from engine_backup.drivers.durable import sync_directory
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.ways_back import ReplacedFile

MOST_COPIES = 1000


def read(path: Path) -> str:
    """Return a file's text; bytes other than UTF-8 as surrogates, as `replace` takes them."""
    return _content(real_file(path)).decode("utf-8", "surrogateescape")


def prepare(path: Path, text: str, when: datetime) -> ReplacedFile | None:
    """Return how a file will be replaced by `replace`, and put back; None when it has that text already.

    Nothing is changed yet. The copy's name is `FILE.YYYYmmddHHMMSS`, as with stock (reference 1.5), or
    one that is free: an older copy of the same second stays what it is.
    """
    place = real_file(path)
    former = _content(place)
    if former == _encoded(text):
        return None
    stem = f"{place.name}.{when:%Y%m%d%H%M%S}"
    names = (place.with_name(f"{stem}.{number}" if number else stem) for number in range(MOST_COPIES))
    copy = next((name for name in names if not os.path.lexists(name)), None)
    if copy is None:
        raise EngineBackupError(
            f"cannot copy {place}: too many copies", f"remove {stem}.* from {place.parent}"
        )
    passing = place.with_name(f".{place.name}.{secrets.token_hex(8)}.new")
    return ReplacedFile(place, copy, _digest(former), _digest(_encoded(text)), passing)


def replace(replaced: ReplacedFile, text: str) -> None:
    """Give a file a new text in one step, after copying it with owner, mode, times and attributes.

    Owner and mode stay. Raises `EngineBackupError`; then the file is as it was.
    """
    place = replaced.path
    try:
        _write(replaced.passing, _content(place), place, keep_times=True)
        replaced.passing.rename(_free(replaced.copy))
        _write(replaced.passing, _encoded(text), place, keep_times=False)
        _move_in(replaced.passing, place)
    except OSError as error:
        raise EngineBackupError(f"cannot rewrite {place}: {error.strerror}") from error


def rewrite(path: Path, text: str) -> None:
    """Give a file a new text in one step, with its former times, and keep no copy.

    For what is there for a moment only. Raises `EngineBackupError`.
    """
    place = real_file(path)
    passing = place.with_name(f".{place.name}.engine-backup.new")
    try:
        # What a killed run has left under this name.
        passing.unlink(missing_ok=True)
        _write(passing, _encoded(text), place, keep_times=True)
        _move_in(passing, place)
    except OSError as error:
        raise EngineBackupError(f"cannot rewrite {place}: {error.strerror}") from error


def remove_passing(path: Path) -> None:
    """Remove what a `rewrite` that was killed has left; raises `EngineBackupError`."""
    place = real_file(path)
    try:
        place.with_name(f".{place.name}.engine-backup.new").unlink(missing_ok=True)
    except OSError as error:
        raise EngineBackupError(f"cannot clear up beside {place}: {error.strerror}") from error


def restore(replaced: ReplacedFile) -> None:
    """Put the former file back with its times, and leave no copy; nothing happens when that was done.

    Raises `EngineBackupError` when the copy is no longer what it was, or gone while the new text is there.
    """
    copied = os.path.lexists(replaced.copy)
    digest = _digest(_content(replaced.copy if copied else replaced.path))
    if digest == replaced.new_digest or (copied and digest != replaced.digest):
        raise EngineBackupError(
            f"cannot put the former {replaced.path} back: {replaced.copy} is not what it was",
            f"compare {replaced.path} with your own copies",
        )
    try:
        with suppress(FileNotFoundError):
            replaced.passing.unlink()
        if copied:
            _move_in(replaced.copy, replaced.path)
    except OSError as error:
        raise EngineBackupError(f"cannot put {replaced.path} back: {error.strerror}") from error


def real_file(path: Path) -> Path:
    """Return the regular file that a path leads to.

    A link is followed when root made it, or when it leads to a file of the account that made it.
    """
    try:
        link, real = path.lstat(), Path(os.path.realpath(path))
        target = real.lstat()
    except OSError as error:
        raise EngineBackupError(f"cannot read {path}: {error.strerror}") from error
    if not stat.S_ISREG(target.st_mode):
        raise EngineBackupError(f"{path} is no regular file", "put a regular file there")
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in (0, target.st_uid):
        raise EngineBackupError(
            f"{path} is a link to a file of somebody else: {real}", "put a regular file there"
        )
    return real


def _content(place: Path) -> bytes:
    try:
        with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return file.read()
    except OSError as error:
        raise EngineBackupError(f"cannot read {place}: {error.strerror}") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _free(copy: Path) -> Path:
    """Return the name of a copy, which nobody may have taken meanwhile."""
    if os.path.lexists(copy):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(copy))
    return copy


def _write(passing: Path, content: bytes, like: Path, *, keep_times: bool) -> None:
    """Write a new file with owner, mode and attributes of `like`.

    Its name does not end in `.conf`: a server that reads the directory passes it over.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(passing, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            _take_attributes(descriptor, str(passing), like, keep_times)
            os.fsync(descriptor)
    except BaseException:
        passing.unlink(missing_ok=True)
        raise


def _take_attributes(descriptor: int, name: str, like: Path, keep_times: bool) -> None:
    owner, own = like.stat(), os.fstat(descriptor)
    if (owner.st_uid, owner.st_gid) != (own.st_uid, own.st_gid):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    shutil.copystat(like, name, follow_symlinks=False)
    if not keep_times:
        os.utime(descriptor)


def _move_in(source: Path, target: Path) -> None:
    source.replace(target)
    sync_directory(target.parent)
