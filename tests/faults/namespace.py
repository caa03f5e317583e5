"""Mounts that only chosen processes see: a mount namespace that a sleeping process keeps open."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

FILLER = "filler"

# $1 and so on: mount commands; the process says when it is done, and waits for its end.
SCRIPT = 'for command; do sh -c "$command" || exit 99; done; echo ready; exec sleep infinity'


@cache
def available() -> bool:
    """Say whether mounts can be had; only root can also run a server of another account among them."""
    if os.geteuid() != 0:
        return False
    words = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Namespace:
    """A mount namespace with its mounts. Until it is closed, its root can be looked at from outside."""

    def __init__(self, *mounts: str) -> None:
        words = ["unshare", "--mount", "--propagation=private", "sh", "-c", SCRIPT, "namespace", *mounts]
        self._holder = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline()
        assert said == b"ready\n", said

    @property
    def pid(self) -> int:
        """The process that keeps the namespace open."""
        return self._holder.pid

    def enter(self) -> list[str]:
        """Return words to put before a command."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--"]

    def seen(self, path: Path) -> Path:
        """Return a path as it leads there from outside."""
        return Path(f"/proc/{self.pid}/root{path}")

    def close(self) -> None:
        """Let go of it; the mounts vanish with the last process in it."""
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()


def limited_disk(place: Path, megabytes: int) -> str:
    """Return a command that mounts a disk of that size, which holds what was there before, and `FILLER`."""
    return (
        f"t=$(mktemp -d) && cp -a {place} $t/kept && mount -t tmpfs -o size={megabytes}m tmpfs {place}"
        f" && cp -a $t/kept/. {place} && : > {place}/{FILLER} && touch -r $t/kept {place} && rm -r $t"
    )


def fill(place: Path) -> str:
    """Return a command that leaves no room there; no time of a directory changes by that."""
    return f"cat /dev/zero > {place}/{FILLER} 2> /dev/null || true"


def make_room(place: Path) -> str:
    """Return a command that undoes `fill`."""
    return f": > {place}/{FILLER}"


def lockable(place: Path) -> str:
    """Return a command that makes a directory a mount of its own, which can be made read-only later."""
    return f"mount --bind {place} {place}"


def lock(place: Path) -> str:
    """Return a command that makes such a mount read-only."""
    return f"mount -o remount,bind,ro {place}"


def unlock(place: Path) -> str:
    """Return a command that makes it writable again."""
    return f"mount -o remount,bind,rw {place}"
