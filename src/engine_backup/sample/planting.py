"""Putting files below a root, with the owners and modes of the real machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Union

Name = Union[str, bytes]


@dataclass(frozen=True)
class Owner:
    """Numeric owner of a file; the numbers are those that RHEL and the oVirt packages use."""

    uid: int
    gid: int


ROOT = Owner(0, 0)
OVIRT = Owner(108, 108)
ROOT_OVIRT = Owner(0, 108)
APACHE = Owner(48, 48)
GRAFANA = Owner(471, 471)
ROOT_GRAFANA = Owner(0, 471)
OPENVSWITCH = Owner(990, 990)

# 2026-05-30 12:00:00 UTC; one moment for all files, so that two trees of one size are equal
MODIFIED = 1780142400


class Planter:
    """Creates files below `root`. Names are relative to it; owners are set where we may set them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._may_own = os.geteuid() == 0

    def path(self, name: Name) -> Path:
        """Return where a name lies on this machine; bytes that are no UTF-8 become surrogate escapes."""
        return self._root / os.fsdecode(name).lstrip("/")

    def directory(self, name: Name, mode: int = 0o755, owner: Owner = ROOT) -> None:
        """Make a directory, and those above it."""
        self._make(self.path(name))
        self.settle(name, mode, owner)

    def file(self, name: Name, content: Name, mode: int = 0o644, owner: Owner = ROOT) -> None:
        """Make or replace a file."""
        path = self.path(name)
        self._make(path.parent)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.settle(name, mode, owner)

    def sparse_file(self, name: Name, size: int, island: bytes, owner: Owner = ROOT) -> None:
        """Make a file that is a hole but for `island` in its first half and its last bytes."""
        self.file(name, b"", 0o644, owner)
        with self.path(name).open("r+b") as file:
            file.truncate(size)
            file.seek(size // 4)
            file.write(island)
            file.seek(size - 5)
            file.write(b"tail\n")

    def link(self, name: Name, target: Name) -> None:
        """Make a symbolic link; its target need not exist."""
        path = self.path(name)
        self._make(path.parent)
        path.symlink_to(os.fsdecode(target))

    def second_name(self, name: Name, first: Name) -> None:
        """Make a hard link."""
        os.link(self.path(first), self.path(name))

    def settle(self, name: Name, mode: int, owner: Owner) -> None:
        """Give a file that is there its owner and mode (in this order: changing owners clears setgid)."""
        path = self.path(name)
        if self._may_own:
            os.chown(path, owner.uid, owner.gid)
        path.chmod(mode)

    def _make(self, directory: Path) -> None:
        """Make a directory and those above it, with the same mode whatever our umask."""
        for path in reversed((directory, *directory.parents)):
            if not path.exists():
                path.mkdir()
                path.chmod(0o755)

    def date(self) -> None:
        """Set the times of everything below the root, once all is there."""
        for top, directories, files in os.walk(self._root, topdown=False):
            for name in directories + files:
                os.utime(os.path.join(top, name), (MODIFIED, MODIFIED), follow_symlinks=False)
