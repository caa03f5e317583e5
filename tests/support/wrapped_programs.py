"""Programs that stand before PostgreSQL's own, for `--pg-bindir`: they record, slow down, or fail."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from engine_backup.drivers.postgres_programs import Programs

# A line for sh that is a text to Python: the interpreter's path may hold blanks, which `#!` does not take.
HEAD = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import os, signal, subprocess, sys, time
from pathlib import Path

REAL = {real!r}
PLACE = Path({place!r})
if sys.argv[1:] == ["--version"]:
    os.execv(REAL, [REAL, "--version"])


def names(text):
    return any(text in word for word in sys.argv[1:])


def become_real():
    os.execv(REAL, [REAL, *sys.argv[1:]])

"""

# Says that it is there, and goes on only when it is told to.
WAIT = """
def wait():
    (PLACE / "pid").write_text(str(os.getpid()))
    (PLACE / "reached").touch()
    while not (PLACE / "go").exists():
        time.sleep(0.01)

"""


def wrapped(directory: Path, real: Programs, **bodies: str) -> Path:
    """Return a directory with all client programs; those in `bodies` are Python scripts with that body.

    In a body `REAL` is the real program, `PLACE` the directory for what is
    recorded, `names(text)` says whether an argument holds a text, and
    `become_real()` hands over. `--version` is answered by the real program.
    """
    directory.mkdir(exist_ok=True)
    for name in ("pg_dump", "pg_restore"):
        write_program(directory / name, real.path(name), bodies.get(name, "become_real()\n"))
    return directory


def write_program(path: Path, real: str, body: str) -> None:
    """Write one such program."""
    path.write_text(HEAD.format(python=shlex.quote(sys.executable), real=real, place=str(path.parent)) + body)
    path.chmod(0o755)
