"""Restored files by absolute paths; links among them are followed by what they say, never by the system."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path

from engine_backup.drivers.restored_files import RestoredFiles, UnreadableFileError
from engine_backup.model.archive import FileEntry
from engine_backup.model.printable import printable

SIZE_LIMIT = 1 << 18
MOST_LINKS = 8


class LinkedFiles:
    """The files of an archive that were placed below a root. `paths` are theirs, absolute."""

    def __init__(self, root: Path, placed: Sequence[FileEntry]) -> None:
        self._files = RestoredFiles(root)
        self.paths = tuple("/" + os.fsdecode(entry.path) for entry in placed)
        self._known = frozenset(self.paths)

    def read(self, path: str) -> bytes | None:
        """Return a file's content; None when it is not among them. Raises `UnreadableFileError`."""
        if path not in self._known:
            return None
        end = self._end(path)
        if end not in self._known:
            shown = printable(end)
            raise UnreadableFileError(f"it is a link to {shown}, which is not among the restored files")
        return self._files.read(_name(end), SIZE_LIMIT)

    def elsewhere(self, path: str) -> str:
        """Return where a link leads that leaves the restored files; "" for all others."""
        try:
            end = self._end(path)
        except UnreadableFileError:
            return ""
        return "" if end in self._known or end == path else end

    def _end(self, path: str) -> str:
        at = path
        for _ in range(MOST_LINKS):
            target = self._files.link_target(_name(at)) if at in self._known else None
            if target is None:
                return at
            at = posixpath.normpath(posixpath.join(posixpath.dirname(at), os.fsdecode(target)))
        raise UnreadableFileError("it is a link that leads on for ever")


def _name(path: str) -> bytes:
    return os.fsencode(path.lstrip("/"))
