"""What the kernel tells of processes, proc(5). Processes that end meanwhile count as nothing."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KIBIBYTE = 1024
STANDARD_STREAMS = 2


def family(pid: int) -> list[int]:
    """Return the process and all its living descendants."""
    found = [pid]
    for member in found:
        found += _children(member)
    return found


def memory(pid: int) -> int:
    """Return the bytes that a process holds; pages that several share are split among them."""
    return _field(f"/proc/{pid}/smaps_rollup", "Pss:")


def highest_memory(pid: int) -> int:
    """Return the most bytes that a process has ever held."""
    return _field(f"/proc/{pid}/status", "VmHWM:")


def computed(pid: int) -> float:
    """Return the processor seconds of a process and of all its children, dead and alive; 0 for no process."""
    return sum(_ticks(member) for member in family(pid)) / TICKS if pid else 0.0


def computed_by_all() -> float:
    """Return the processor seconds that the whole machine has computed since it was started."""
    fields = [int(number) for number in _text("/proc/stat").partition("\n")[0].split()[1:]]
    user, nice, system, _idle, _waiting, hard, soft = fields[:7]
    return (user + nice + system + hard + soft) / TICKS


def nameless_files(pid: int) -> dict[int, int]:
    """Return inode and allocated bytes of open regular files without a name, but for standard streams."""
    found = {}
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            if int(entry.name) <= STANDARD_STREAMS:
                continue
            with suppress(OSError):
                status = entry.stat()
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 0 and _is_on_disk(status):
                    found[status.st_ino] = status.st_blocks * 512
    return found


def _is_on_disk(status: os.stat_result) -> bool:
    """Say whether a file lies on a device, not in memory: those have no major number."""
    return os.major(status.st_dev) != 0


def _ticks(pid: int) -> int:
    """Return what a process has computed, with its children that have ended."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return sum(int(number) for number in fields[11:15])


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            found += [int(word) for word in _text(f"/proc/{pid}/task/{task}/children").split()]
    return found


def _field(path: str, name: str) -> int:
    for line in _text(path).splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * KIBIBYTE
    return 0


def _text(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text()
    return ""
