"""Where configuration files are read from: a root directory, or the files of an archive."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Union

from engine_backup.model.errors import EngineBackupError

Source = Union[Path, Mapping[str, bytes]]
"""A root directory, or {absolute path: content} taken out of an archive."""


class ConfigurationSource(Protocol):
    """Configuration files by their absolute paths."""

    def read(self, path: str) -> str | None:
        """Return a file's text, other bytes than UTF-8 as surrogates, or None when it does not exist."""

    def below(self, directory: str) -> list[str]:
        """Return the paths of all regular files below a directory, sorted by their whole path."""


def open_source(source: Source) -> ConfigurationSource:
    """Give both kinds of source the same face, so that one code path reads both."""
    return RootDirectory(source) if isinstance(source, Path) else ArchivedFiles(source)


class RootDirectory:
    """The files under a root directory; those that cannot be read raise `EngineBackupError`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> str | None:
        """Return a file's text, or None when there is no such file."""
        place = self._root / path.lstrip("/")
        try:
            return place.read_bytes().decode("utf-8", "surrogateescape") if place.is_file() else None
        except OSError as error:
            raise EngineBackupError(f"cannot read {place}: {error.strerror}") from error

    def below(self, directory: str) -> list[str]:
        """Return the paths of all regular files below a directory, sorted."""
        start = self._root / directory.lstrip("/")
        found = (Path(parent) / name for parent, _, names in os.walk(start) for name in names)
        return sorted(f"/{path.relative_to(self._root)}" for path in found if path.is_file())


class ArchivedFiles:
    """Files taken out of an archive; nobody vouches for what stands in them."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def read(self, path: str) -> str | None:
        """Return a file's text, or None when the archive has no such file."""
        content = self._files.get(path)
        return None if content is None else content.decode("utf-8", "surrogateescape")

    def below(self, directory: str) -> list[str]:
        """Return the paths of all files below a directory, sorted."""
        return sorted(path for path in self._files if path.startswith(f"{directory}/"))
