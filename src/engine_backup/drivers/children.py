"""Children of a run: told of when they start, marked with its name, and ended when it ends."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

RUN_VARIABLE = "ENGINE_BACKUP_RUN"

_PR_SET_PDEATHSIG = 1  # prctl(2)
# Loaded here, for a child between fork and exec must do as little as possible.
_prctl = ctypes.CDLL(None).prctl


@dataclass(frozen=True)
class Child:
    """A program that was started: its process id, and when it started, in the kernel's ticks since boot."""

    pid: int
    started: int
    program: str


@dataclass
class _Announcements:
    """Who is told of children, and the name of the run that they carry in their environment."""

    listeners: list[tuple[Callable[[Child], None], str]] = field(default_factory=list)


_announcements = _Announcements()


@contextmanager
def announced(listener: Callable[[Child], None], run: str) -> Iterator[None]:
    """Tell `listener` of each child that is started within the block, with `run` in its `RUN_VARIABLE`."""
    entry = (listener, run)
    _announcements.listeners.append(entry)
    try:
        yield
    finally:
        _announcements.listeners.remove(entry)


def marks() -> dict[str, str]:
    """Return the variable that names the run to its children; nothing outside of a run."""
    return {RUN_VARIABLE: _announcements.listeners[-1][1]} if _announcements.listeners else {}


def announce(pid: int, program: str) -> None:
    """Tell the listeners of a child that was just started; raises what they raise."""
    for listener, _ in _announcements.listeners:
        listener(Child(pid, start_time(pid), program))


def dying_with(parent: int) -> Callable[[], None]:
    """Return what a child does before it becomes its program: it asks the kernel to end with its parent.

    The parent may have ended already.
    """

    def prepare() -> None:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def start_time(pid: int) -> int:
    """Return when a process started, in the kernel's ticks since boot; 0 when it is gone (proc(5))."""
    try:
        text = Path("/proc", str(pid), "stat").read_text("utf-8", "replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[19])
