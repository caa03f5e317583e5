"""The processes of the running system, by their arguments."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_INTERPRETERS = ("python", "platform-python")
_LOOKED_AT = 3


def any_runs(programs: tuple[str, ...]) -> bool:
    """Say whether a process runs one of these programs, itself or as a script of Python."""
    return any(_runs(arguments, programs) for arguments in _command_lines())


def _runs(arguments: list[bytes], programs: tuple[str, ...]) -> bool:
    """Tell a program from, say, an editor that has its file open."""
    names = [os.fsdecode(argument).rpartition("/")[2] for argument in arguments[:_LOOKED_AT]]
    if not names:
        return False
    own = names[1:] if names[0].startswith(_INTERPRETERS) else names[:1]
    return any(name in programs for name in own)


def _command_lines() -> Iterator[list[bytes]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            yield command_line(Path("/proc", entry))


def command_line(process_directory: Path) -> list[bytes]:
    """Return the arguments of a process below /proc; none when it is gone or may not be looked at."""
    try:
        return (process_directory / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
