"""The command as a process of its own, as cron and people start it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.machine import Result

SOURCE = Path(__file__).parent.parent.parent / "src"
COMMAND = (sys.executable, "-m", "engine_backup")


def environment() -> dict[str, str]:
    """Return an environment in which our own package is found."""
    return {**os.environ, "PYTHONPATH": str(SOURCE)}


def start(words: Sequence[str], before: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start the command; `before` are words of a program that starts it."""
    return subprocess.Popen(
        [*before, *COMMAND, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def result(process: subprocess.Popen[str]) -> Result:
    """Wait for the command and return what it did."""
    stdout, stderr = process.communicate()
    return Result(process.returncode, stdout, stderr)


def run(words: Sequence[str], before: Sequence[str] = ()) -> Result:
    """Run the command to its end."""
    return result(start(words, before))
