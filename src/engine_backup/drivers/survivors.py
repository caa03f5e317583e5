"""Ending what a killed run has left running.

Its children are told by the kernel to end with it; but the workers of one (pg_restore's) may still
be busy, and a program may not listen. A process counts as one of them when it carries the run's name in
its environment, and was started by that run or belongs to the session of one that was.
Servers that such a program has started are no part of it: they have a session of their own, and are stopped
by their way back.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from engine_backup.drivers.children import RUN_VARIABLE, Child, start_time

PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.05
_SERVERS = ("postgres", "postmaster")


def boot() -> str:
    """Return the name of the time since the machine was started; "" where the kernel does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def end(children: Iterable[Child], run: str) -> list[str]:
    """End what is left of the children of a run, by TERM and then KILL; returns the names of what was ended.

    Returns when all of it is gone, or cannot be ended.
    """
    known = tuple(children)
    ended: dict[int, str] = {}
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE_SECONDS
        left = _survivors(known, run)
        for pid, name in left.items():
            ended[pid] = name
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            left = _survivors(known, run)
    return sorted(ended.values())


def _survivors(children: tuple[Child, ...], run: str) -> dict[int, str]:
    started = {child.pid: child.started for child in children}
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            place = Path("/proc", entry)
            with suppress(OSError, IndexError, ValueError):
                name, state, session = _status(place)
                leader = started.get(session)
                if leader is None or state == "Z" or name in _SERVERS or not _carries(place, run):
                    continue
                if int(entry) != session or start_time(session) == leader:
                    found[int(entry)] = name
    return found


def _status(place: Path) -> tuple[str, str, int]:
    """Return a process's name, state and session (proc(5))."""
    text = (place / "stat").read_text("utf-8", "replace")
    name = text[text.index("(") + 1 : text.rindex(")")]
    words = text.rpartition(")")[2].split()
    return name, words[0], int(words[3])


def _carries(place: Path, run: str) -> bool:
    return f"{RUN_VARIABLE}={run}".encode() in (place / "environ").read_bytes().split(b"\0")
