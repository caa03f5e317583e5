"""Replacing a configuration file of the PostgreSQL server, and putting the former one back.

The server's account owns these files and their directory, and we are root:
names are never written through, and a link is only followed where that account
gains nothing by it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from engine_backup.model.errors import EngineBackupError


@dataclass(frozen=True)
class ReplacedFile:
    """What undoing takes: the real file, the copy of the former one beside it, and that one's SHA-256."""

    path: Path
    copy: Path
    digest: str


def read(path: Path) -> str:
    """Return a file's text; bytes other than UTF-8 as surrogates, as `replace` takes them."""
    return _content(real_file(path)).decode("utf-8", "surrogateescape")


def replace(path: Path, text: str, when: datetime) -> ReplacedFile | None:
    """Give a file a new text in one step; None when it has it already.

    The former file is copied to `FILE.YYYYmmddHHMMSS` beside it, with owner, mode, times and
    attributes, as stock does (reference 1.5). Owner and mode stay. Raises `EngineBackupError`;
    then the file is as it was.
    """
    place = real_file(path)
    former, content = _content(place), text.encode("utf-8", "surrogateescape")
    if former == content:
        return None
    try:
        copy = _kept_copy(place, former, when)
        _move_in(_written(place, content, place, keep_times=False), place)
    except OSError as error:
        raise EngineBackupError(f"cannot rewrite {place}: {error.strerror}") from error
    return ReplacedFile(place, copy, hashlib.sha256(former).hexdigest())


def restore(replaced: ReplacedFile) -> None:
    """Put the former file back with its times, and leave no copy; nothing happens when that was done.

    Raises `EngineBackupError` when the copy is gone or is no longer what it was.
    """
    copied = os.path.lexists(replaced.copy)
    source = replaced.copy if copied else replaced.path
    if hashlib.sha256(_content(source)).hexdigest() != replaced.digest:
        raise EngineBackupError(
            f"cannot put the former {replaced.path} back: {replaced.copy} is not what it was",
            f"compare {replaced.path} with your own copies",
        )
    if copied:
        try:
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


def _kept_copy(place: Path, content: bytes, when: datetime) -> Path:
    """Copy a file under a name that is free: an older copy of the same second stays what it is."""
    stem = f"{place.name}.{when:%Y%m%d%H%M%S}"
    written = _written(place, content, place, keep_times=True)
    try:
        for number in range(1000):
            copy = place.with_name(f"{stem}.{number}" if number else stem)
            try:
                os.link(written, copy)
            except FileExistsError:
                continue
            return copy
    finally:
        written.unlink()
    raise EngineBackupError(f"cannot copy {place}: too many copies", f"remove {stem}.* from {place.parent}")


def _written(place: Path, content: bytes, like: Path, *, keep_times: bool) -> Path:
    """Write a new file beside `place`, with owner, mode and attributes of `like`, and return its name.

    The name does not end in `.conf`: a server that reads the directory passes it over.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", suffix=".new", dir=place.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            _take_attributes(descriptor, name, like, keep_times)
            os.fsync(descriptor)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _take_attributes(descriptor: int, name: str, like: Path, keep_times: bool) -> None:
    owner, own = like.stat(), os.fstat(descriptor)
    if (owner.st_uid, owner.st_gid) != (own.st_uid, own.st_gid):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    shutil.copystat(like, name, follow_symlinks=False)
    if not keep_times:
        os.utime(descriptor)


def _move_in(source: Path, target: Path) -> None:
    source.replace(target)
    descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
