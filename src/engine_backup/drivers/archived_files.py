"""The files inside an archive: an inner tar since 3.6, a tree in the outer tar before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import BinaryIO

from engine_backup.drivers import compression
from engine_backup.drivers.tar_relations import check_relations
from engine_backup.drivers.tar_walk import TarWalk
from engine_backup.model.archive import DIRECTORY_TREE, EntryType, FileEntry, MemberInfo, ReadLimits
from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError, UnreadableArchiveError
from engine_backup.model.printable import printable_name

TREE = b"files/"


class ArchivedFiles:
    """The archived files of one archive.

    `source` opens the stored stream: the member `files`, or the whole outer tar for a tree.
    """

    def __init__(
        self, name: str, kind: str | None, source: Callable[[], BinaryIO], limits: ReadLimits
    ) -> None:
        self._name = name
        self._kind = kind
        self._source = source
        self._limits = limits

    @cached_property
    def compressor(self) -> str:
        """The compressor of the inner tar, "" for none."""
        if self._kind is None or self._kind == DIRECTORY_TREE:
            return compression.NONE
        with self._source() as stream:
            return compression.detect(stream.read(16))

    def open(self) -> BinaryIO:
        """Return the uncompressed tar, for reading front to back."""
        if self._kind is None:
            raise DamagedArchiveError(f"{self._name}: the archive holds no files")
        return compression.open_reader(self._source(), self.compressor, self._name, self._limits)

    @cached_property
    def entries(self) -> tuple[FileEntry, ...]:
        """The entries, in the order of the archive; checked one by one and against each other."""
        if self._kind is None:
            return ()
        found = check_relations((member for _, member in self._walk()), self._name, repeated=True)
        return tuple(member.entry for member in found.values())

    def read(self, wanted: Callable[[bytes], bool], limit: int) -> dict[bytes, bytes]:
        """Return the content of regular files whose path is wanted; see `Archive.read_files`."""
        sources = {entry.path: self._content_path(entry) for entry in self.entries if wanted(entry.path)}
        needed = {source for source in sources.values() if source is not None}
        contents: dict[bytes, bytes] = {}
        if needed:
            for walk, member in self._walk():
                if member.entry.path in needed and member.entry.type is EntryType.FILE:
                    self._check_size(member, limit)
                    contents[member.entry.path] = walk.read_content(member)
        return {
            path: contents[source]
            for path, source in sources.items()
            if source is not None and source in contents
        }

    def contents(self) -> Iterator[tuple[FileEntry, Iterator[bytes]]]:
        """Yield each entry with its content in pieces; see `Archive.file_contents`."""
        for walk, member in self._walk():
            stored = sum(length for _, _, length in member.segments)
            limits = self._limits
            if member.size > limits.expanded_bytes and member.size > stored * limits.expansion_ratio:
                shown = member.entry.path.decode("utf-8", "backslashreplace")
                raise HostileArchiveError(f"{self._name}: {shown} is one hole of {member.size} bytes")
            yield member.entry, walk.chunks(member)

    @cached_property
    def _by_path(self) -> dict[bytes, FileEntry]:
        return {entry.path: entry for entry in self.entries}

    def _content_path(self, entry: FileEntry) -> bytes | None:
        """Return where the content of a file stands, which for a hard link is elsewhere."""
        while entry.type is EntryType.HARDLINK:
            entry = self._by_path[entry.link_target or b""]
        return entry.path if entry.type is EntryType.FILE else None

    def _walk(self) -> Iterator[tuple[TarWalk, MemberInfo]]:
        with self.open() as stream:
            walk = TarWalk(stream, self._name, self._limits)
            try:
                for member in walk:
                    ours = self._ours(member)
                    if ours is not None:
                        yield walk, ours
            except UnreadableArchiveError as error:
                raise DamagedArchiveError(error.message) from error

    def _ours(self, member: MemberInfo) -> MemberInfo | None:
        """Return the member with the path that it has on the machine; `None` for the tops and for dumps."""
        entry = member.entry
        if self._kind != DIRECTORY_TREE:
            return member if entry.path else None
        if not entry.path.startswith(TREE):
            return None
        target = entry.link_target
        if entry.type is EntryType.HARDLINK and target is not None:
            target = target[len(TREE) :]
        return replace(member, entry=replace(entry, path=entry.path[len(TREE) :], link_target=target))

    def _check_size(self, member: MemberInfo, limit: int) -> None:
        if member.size > limit:
            shown = printable_name(member.entry.path)
            raise HostileArchiveError(
                f"{self._name}: {shown} has {member.size} bytes, more than a configuration file"
            )
