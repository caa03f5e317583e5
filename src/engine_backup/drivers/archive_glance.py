"""A quick look at a file: is it an archive of ours or of stock's, and what is in it.

Of an archive that is compressed as a whole only the beginning is unpacked: nobody waits minutes for a line
of a list. Nothing is written, no hash is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from engine_backup.drivers import compression
from engine_backup.drivers.archive_file import open_file
from engine_backup.drivers.tar_walk import TarWalk
from engine_backup.model.archive import (
    HASH_FILES,
    MANIFEST_MEMBER,
    OWN_MEMBERS,
    VERSION_MEMBER,
    MemberInfo,
    ReadLimits,
)
from engine_backup.model.errors import EngineBackupError, UnreadableArchiveError

UNPACKED_AT_MOST = 64 << 20
_READ: Mapping[str, int] = {
    VERSION_MEMBER: 1 << 12,
    MANIFEST_MEMBER: 16 << 20,
    **{name: 16 << 20 for name, _ in HASH_FILES},
}


@dataclass
class Glance:
    """What was seen of an archive before it ended, or before `error`, or before enough was unpacked.

    `contents` are those of `version`, `manifest.json` and the list of hashes, where they were met.
    `whole`: the end was seen.
    """

    size: int
    members: dict[str, MemberInfo] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    whole: bool = False
    error: EngineBackupError | None = None

    @property
    def is_archive(self) -> bool:
        """Whether a member was seen that backups have."""
        return not OWN_MEMBERS.isdisjoint(self.members)


def glance(path: Path, unpacked_at_most: int = UNPACKED_AT_MOST) -> Glance:
    """Return what a file seems to be. Raises `UnreadableArchiveError` for what is no archive, and what only
    the beginning of one could tell: `DamagedArchiveError` and `HostileArchiveError`.
    """
    with open_file(path) as source:
        found = Glance(path.stat().st_size)
        try:
            _walk(source, path, found, unpacked_at_most)
        except EngineBackupError as error:
            if not found.is_archive:
                raise
            found.error = error
    if not found.is_archive:
        where = "" if found.whole else f" as far as its first {unpacked_at_most} bytes tell"
        raise UnreadableArchiveError(f"{path} is a tar archive, but none of engine-backup{where}")
    return found


def _walk(source: BinaryIO, path: Path, found: Glance, unpacked_at_most: int) -> None:
    compressor = compression.detect(source.read(16))
    source.seek(0)
    stream = source
    if compressor != compression.NONE:
        unpacked = compression.open_reader(source, compressor, str(path))
        stream = cast(BinaryIO, _Beginning(unpacked, unpacked_at_most))
    walk = TarWalk(stream, str(path), ReadLimits())
    try:
        for member in walk:
            found.members[member.name] = member
            if member.is_file and member.size <= _READ.get(member.name, -1):
                found.contents[member.name] = walk.read_content(member)
        found.whole = True
    except _EnoughError:
        return


class _EnoughError(Exception):
    """As much was unpacked as a glance may cost."""


class _Beginning:
    """The first bytes of a stream; to read on is `_EnoughError`."""

    def __init__(self, stream: BinaryIO, left: int) -> None:
        self._stream = stream
        self._left = left

    def seekable(self) -> bool:
        return False

    def read(self, size: int) -> bytes:
        if self._left <= 0:
            raise _EnoughError
        data = self._stream.read(size)
        self._left -= len(data)
        return data
