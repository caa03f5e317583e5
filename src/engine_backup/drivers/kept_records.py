"""Records of what stood under names before they changed: how it is looked at, and the file that says it.

The file `records` has a line of JSON for each name; another process learns from it all that this one knew.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine_backup.drivers.durable import sync_directory

RECORDS = "records"
LABEL = "security.selinux"


@dataclass(frozen=True)
class Status:
    """What a directory gets back: times in nanoseconds, `label` of SELinux as the kernel has it."""

    is_directory: bool
    mode: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    label: str = ""


@dataclass(frozen=True)
class Kept:
    """One name before the first change: its status (None: nothing there), and the number it is kept under."""

    name: bytes
    status: Status | None
    number: str = ""


def status_of(found: os.stat_result, place: bytes) -> Status:
    """Return what a record says of what was `found` at `place`; the label is read of directories only."""
    is_directory = stat.S_ISDIR(found.st_mode)
    return Status(
        is_directory,
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        found.st_atime_ns,
        found.st_mtime_ns,
        _label(place) if is_directory else "",
    )


def read_records(directory: Path) -> list[Kept]:
    """Read what another process recorded; a line that was cut off is about what was never changed."""
    try:
        lines = (directory / RECORDS).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    documents = [json.loads(line) for line in lines]
    return [
        Kept(os.fsencode(d["name"]), Status(**d["status"]) if d["status"] else None, d["number"])
        for d in documents
    ]


def add_records(directory: Path, records: Sequence[Kept]) -> None:
    """Add records and bring them to the disk, after all that `directory` has got before."""
    sync_directory(directory)
    with (directory / RECORDS).open("ab") as file:
        file.writelines(_line(record) for record in records)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(directory)


def _label(place: bytes) -> str:
    """Return a directory's SELinux label; "" where there is none, or no SELinux."""
    try:
        return os.fsdecode(os.getxattr(place, LABEL))
    except OSError:
        return ""


def _line(record: Kept) -> bytes:
    document = {
        "name": os.fsdecode(record.name),
        "status": asdict(record.status) if record.status else None,
        "number": record.number,
    }
    return json.dumps(document, ensure_ascii=True).encode() + b"\n"
