"""Reading archives of every generation, A to D (reference 4); nothing is believed before it is checked.

What an archive is shows in its content, never in its version: a regular member `files` is an
inner tar, a directory of that name is a tree; a dump's first bytes tell its format and
compressor; `sha256sum` is preferred to `md5sum`.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from engine_backup.drivers import archive_texts, compression
from engine_backup.drivers.archive_dumps import describe, dump_member, find_dumps
from engine_backup.drivers.archive_file import open_file
from engine_backup.drivers.archive_hashes import MemberHashes
from engine_backup.drivers.archived_files import ArchivedFiles
from engine_backup.drivers.member_streams import SegmentedReader
from engine_backup.drivers.tar_relations import check_relations
from engine_backup.drivers.tar_walk import TarWalk
from engine_backup.model.archive import (
    CONFIG_MEMBER,
    DIRECTORY_TREE,
    FILES_MEMBER,
    INNER_TAR,
    MANIFEST_MEMBER,
    OS_VERSION_MEMBER,
    OWN_MEMBERS,
    UNKNOWN_OS,
    VERSION_MEMBER,
    DumpMember,
    EntryType,
    FileEntry,
    Generation,
    MemberInfo,
    ReadLimits,
    generation_of,
)
from engine_backup.model.components import Component
from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError, UnreadableArchiveError
from engine_backup.model.printable import printable

SMALL = 1 << 20
MANIFEST_LIMIT = 64 << 20
CHUNK = 1 << 20
BUFFER = 1 << 18
TREE = FILES_MEMBER + "/"


class Archive:
    """An open archive whose outer tar was read and found sound; see `open_archive`.

    `members` has every outer member but `./` by its name without `./` (other than
    UTF-8 as surrogates), `compressor` that of the archive file, `limits` those that it is read with.
    """

    def __init__(
        self, path: Path, file: BinaryIO, tar: BinaryIO, compressor: str, limits: ReadLimits
    ) -> None:
        self.path = path
        self.compressor = compressor
        self._file_as_stored = file
        self._tar = tar
        self.limits = limits
        self._size = os.fstat(tar.fileno()).st_size
        self.members = self._read_members()

    @property
    def stored_size(self) -> int:
        """The size of the file in bytes."""
        return os.fstat(self._file_as_stored.fileno()).st_size

    def is_in_its_place(self) -> bool:
        """Whether its path still leads to this file: a later backup may have replaced it, or removed it."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file_as_stored.fileno()))
        except OSError:
            return False

    def _read_members(self) -> dict[str, MemberInfo]:
        walk = TarWalk(self._whole(), str(self.path), self.limits)
        found = check_relations(walk, str(self.path), repeated=False)
        members = {member.name: member for path, member in found.items() if path}
        if not OWN_MEMBERS & members.keys():
            raise UnreadableArchiveError(f"{self.path} is a tar archive, but none of engine-backup")
        for member in members.values():
            self._refuse_link(member)
            self._refuse_hole(member)
        return members

    def _refuse_hole(self, member: MemberInfo) -> None:
        """Refuse what would be read for ages, and has next to no content."""
        stored = sum(length for _, _, length in member.segments)
        archived_file = member.name.startswith(TREE)
        if not archived_file and self.limits.is_bomb(member.size, stored):
            raise HostileArchiveError(
                f"{self.path}: {printable(member.name)} is all but empty: {member.size} bytes"
            )

    def _refuse_link(self, member: MemberInfo) -> None:
        is_link = member.entry.type in (EntryType.SYMLINK, EntryType.HARDLINK)
        target = member.entry.link_target or b""
        leaves_tree = member.entry.type is EntryType.HARDLINK and not target.startswith(TREE.encode())
        if is_link and (not member.name.startswith(TREE) or leaves_tree):
            raise HostileArchiveError(
                f"{self.path}: {printable(member.name)} is a link, where backups have none",
                hint="look where the archive comes from",
            )

    @cached_property
    def generation(self) -> Generation:
        """The generation, by `generation_of`."""
        return generation_of(self.members)

    @cached_property
    def version(self) -> str:
        """The version of the engine package that was backed up."""
        return archive_texts.parse_version(self.read_small(VERSION_MEMBER), f"{self.path}: {VERSION_MEMBER}")

    @cached_property
    def os_version(self) -> str:
        """The operating system, such as "rhel9"; "Unknown" in generations that do not say."""
        if OS_VERSION_MEMBER not in self.members:
            return UNKNOWN_OS
        content = self.read_small(OS_VERSION_MEMBER)
        return archive_texts.parse_version(content, f"{self.path}: {OS_VERSION_MEMBER}")

    @cached_property
    def config(self) -> dict[str, str]:
        """The settings in `config`; empty when there is none."""
        if CONFIG_MEMBER not in self.members:
            return {}
        return archive_texts.parse_config(self.read_small(CONFIG_MEMBER), str(self.path))

    @cached_property
    def manifest(self) -> dict[str, Any] | None:
        """Our own `manifest.json`, not yet checked against anything; `None` in stock's archives."""
        if MANIFEST_MEMBER not in self.members:
            return None
        content = self.read_small(MANIFEST_MEMBER, MANIFEST_LIMIT)
        return archive_texts.parse_manifest(content, f"{self.path}: {MANIFEST_MEMBER}")

    @cached_property
    def dumps(self) -> dict[str, DumpMember]:
        """The dump of each component that has one, by the component's name."""
        return find_dumps(self.members, self._dump_config, self.open_member)

    def dump(self, component: Component) -> DumpMember | None:
        """Return the dump of one component, whatever is wrong with the others; its hash is checked first."""
        member = dump_member(component, self.members)
        if member is None:
            return None
        self.hashes.check_members([member.name, *({CONFIG_MEMBER} & self.members.keys())])
        return describe(component, member, self._dump_config, self.open_member)

    @property
    def _dump_config(self) -> dict[str, str] | None:
        return self.config if CONFIG_MEMBER in self.members else None

    @cached_property
    def hashes(self) -> MemberHashes:
        """The hash file, and how members are compared with it."""
        return MemberHashes(str(self.path), self.members, self.open_member, self.read_small)

    @cached_property
    def files_kind(self) -> str | None:
        """How files are archived: `INNER_TAR`, `DIRECTORY_TREE`, or `None` for not at all."""
        files = self.members.get(FILES_MEMBER)
        if files is not None and files.is_file:
            return INNER_TAR if files.size else None
        return DIRECTORY_TREE if any(name.startswith(TREE) for name in self.members) else None

    @property
    def unpacked_size(self) -> int:
        """Bytes of the outer tar, its compressor taken off."""
        return self._size

    @property
    def files_compressor(self) -> str:
        """The compressor of the inner tar; "" for none, and for a tree."""
        return self._files.compressor

    def file_entries(self) -> list[FileEntry]:
        """Return the archived files, in the order of the archive; read once, then remembered."""
        return list(self._files.entries)

    def read_files(self, wanted: Callable[[bytes], bool], limit: int = SMALL) -> dict[bytes, bytes]:
        """Return the content of the archived regular files whose path is `wanted`, in one pass.

        Raises `HostileArchiveError` when one of them is larger than `limit` bytes.
        """
        return self._files.read(wanted, limit)

    def file_contents(self) -> Iterator[tuple[FileEntry, Iterator[bytes]]]:
        """Yield each archived path with its content (of files) in pieces, to be read at once, in one pass.

        Paths that the tar has twice come twice. Raises `HostileArchiveError` for holes that no file has.
        """
        return self._files.contents()

    def open_files_tar(self) -> BinaryIO:
        """Return the tar that holds the archived files, uncompressed, front to back, for GNU tar.

        Names in it are the entries' `stored_name`: of a tree this is the outer tar itself.
        """
        return self._files.open()

    @cached_property
    def _files(self) -> ArchivedFiles:
        source = self._whole if self.files_kind == DIRECTORY_TREE else lambda: self.open_member(FILES_MEMBER)
        return ArchivedFiles(f"{self.path}: files", self.files_kind, source, self.limits)

    def open_member(self, name: str) -> BinaryIO:
        """Return the bytes of a member as they are stored; valid while the archive is open.

        Several may be read at the same time, from several threads.
        """
        member = self._file(name)
        return self._stream(member.segments, member.size, f"{self.path}: {name}")

    def read_small(self, name: str, limit: int = SMALL) -> bytes:
        """Return a whole member; raises `HostileArchiveError` when it has more than `limit` bytes."""
        member = self._file(name)
        if member.size > limit:
            raise HostileArchiveError(f"{self.path}: {name} has {member.size} bytes, more than any backup")
        with self.open_member(name) as stream:
            return stream.read()

    def open_outer_tar(self) -> BinaryIO:
        """Return the outer tar from its first byte to its last, uncompressed."""
        return self._whole()

    def open_as_stored(self) -> BinaryIO:
        """Return the archive file as it is, compressed where it is compressed."""
        descriptor = self._file_as_stored.fileno()
        size = os.fstat(descriptor).st_size
        reader = SegmentedReader(descriptor, ((0, 0, size),), size, str(self.path))
        return cast(BinaryIO, io.BufferedReader(reader, BUFFER))

    def _file(self, name: str) -> MemberInfo:
        member = self.members.get(name)
        while member is not None and member.entry.type is EntryType.HARDLINK:
            member = self.members.get((member.entry.link_target or b"").decode("utf-8", "surrogateescape"))
        if member is None or not member.is_file:
            raise DamagedArchiveError(f"{self.path}: {name} is missing")
        return member

    def _whole(self) -> BinaryIO:
        return self._stream(((0, 0, self._size),), self._size, str(self.path))

    def _stream(self, segments: tuple[tuple[int, int, int], ...], size: int, name: str) -> BinaryIO:
        reader = SegmentedReader(self._tar.fileno(), segments, size, name)
        return cast(BinaryIO, io.BufferedReader(reader, BUFFER))


@contextmanager
def open_archive(path: Path, workspace: Path, limits: ReadLimits | None = None) -> Iterator[Archive]:
    """Open an archive for reading, and read the whole outer tar's headers.

    The file itself is never touched, its times neither. A compressed one is unpacked once
    into a nameless private file in `workspace` (a private directory).
    Raises `UnreadableArchiveError` (no archive at all), `DamagedArchiveError` or `HostileArchiveError`.
    """
    limits = limits or ReadLimits()
    with open_file(path) as source:
        compressor = compression.detect(source.read(16))
        source.seek(0)
        if compressor == compression.NONE:
            yield Archive(path, source, source, compressor, limits)
            return
        with tempfile.TemporaryFile(dir=workspace) as unpacked:
            with compression.open_reader(source, compressor, str(path), limits) as content:
                shutil.copyfileobj(content, unpacked, CHUNK)
            unpacked.flush()
            yield Archive(path, source, cast(BinaryIO, unpacked), compressor, limits)
