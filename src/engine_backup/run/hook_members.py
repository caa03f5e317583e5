"""Members that hooks add to an archive, and get back from it (reference 4.2 and 5.4)."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.archive_writer import ArchiveWriter
from engine_backup.model.archive import MemberInfo
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.hooks import is_own_member

if TYPE_CHECKING:
    from engine_backup.run.hook_stages import Hooks

CHUNK = 1 << 20
DUMPS_DIRECTORY = "db"
# What a tar header holds besides `./` and the `/` of a directory: longer names need headers of their own.
LONGEST_NAME = 97


def add_members(directory: Path, writer: ArchiveWriter) -> list[str]:
    """Add everything below a directory to an archive, and return the names of the files.

    `db` is there already. Raises `EngineBackupError` naming what cannot be a member.
    """
    names = []
    for path, name in _below(directory):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            if name != DUMPS_DIRECTORY:
                writer.add_directory(name)
            continue
        _check(name, status)
        with (
            path.open("rb") as source,
            writer.member(name, int(status.st_mtime), stat.S_IMODE(status.st_mode) & 0o777) as sink,
        ):
            shutil.copyfileobj(source, sink, CHUNK)
        names.append(name)
    return names


def _below(directory: Path) -> Iterator[tuple[Path, str]]:
    """Yield what is below a directory with its name there, each directory before what it holds."""
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if len(os.fsencode(name)) > LONGEST_NAME:
            raise _refused(name, f"its name has more than {LONGEST_NAME} bytes")
        yield path, name


def _check(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _refused(name, "it is neither a file nor a directory")
    if is_own_member(name):
        raise _refused(name, "the archive has a member of this name itself")


def _refused(name: str, reason: str) -> EngineBackupError:
    return EngineBackupError(
        f"hooks left {name} in tardir, which cannot be put into the archive: {reason}", "correct the hook"
    )


def offer_members(archive: Archive, stage: str, hooks: Hooks) -> None:
    """Put the members that hooks once added where hooks of a stage find them; not if there are none."""
    if not hooks.may_run(stage):
        return
    for member in archive.members.values():
        if member.is_file and not is_own_member(member.name):
            _put(member, archive, hooks.directory / member.name)


def _put(member: MemberInfo, archive: Archive, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open_member(member.name) as source, target.open("xb") as copy:
        shutil.copyfileobj(source, copy, CHUNK)
    target.chmod(member.mode & 0o777)
