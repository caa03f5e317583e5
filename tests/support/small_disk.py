"""Disks of a few kilobytes, in a mount namespace of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

# $1 limit, $2 mount point, $3 where to say what is left, then the command.
SCRIPT = """
mount -t tmpfs -o "$1",mode=0700 tmpfs "$2" || exit 99
mounted=$2 report=$3
shift 3
"$@"
status=$?
find "$mounted" -mindepth 1 > "$report"
exit $status
"""


@cache
def _unshare() -> tuple[str, ...]:
    """Return how to get a private mount namespace; nothing where the system does not allow it."""
    program = shutil.which("unshare")
    own = () if os.getuid() == 0 else ("--user", "--map-root-user")
    words = (program or "unshare", *own, "--mount")
    probe = [*words, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return (
        words if program and subprocess.run(probe, capture_output=True, check=False).returncode == 0 else ()
    )


def available() -> bool:
    """Say whether such disks can be had."""
    return bool(_unshare())


def on_small_disk(mount_point: Path, kilobytes: int, report: Path) -> list[str]:
    """Return words to put before a command: it sees a small disk at `mount_point`.

    Afterwards `report` lists what is left there.
    """
    return _limited(f"size={kilobytes}k", mount_point, report)


def on_disk_of_few_files(mount_point: Path, files: int, report: Path) -> list[str]:
    """Like `on_small_disk`, but there is room enough for bytes, and none for more than a few files."""
    return _limited(f"size=64m,nr_inodes={files}", mount_point, report)


def on_read_only_disk(mount_point: Path, report: Path) -> list[str]:
    """Like `on_small_disk`, but the disk is empty and stays so."""
    return _limited("ro", mount_point, report)


def _limited(limit: str, mount_point: Path, report: Path) -> list[str]:
    script = ["sh", "-c", SCRIPT, "small_disk", limit, str(mount_point), str(report)]
    return [*_unshare(), *script]
