"""What the command line takes from the process around it, in one value that tests replace."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from io import FileIO, TextIOWrapper
from typing import TextIO


def _prompt(question: str) -> str:
    from getpass import getpass

    return getpass(question)


def _standard(stream: TextIO | None, number: int, mode: str) -> TextIO:
    """Return a standard stream, or one to nowhere for one that is closed.

    It takes the number of the closed one: else the next file that is opened gets it, and with it what other
    programs and libraries print.
    """
    if stream is not None:
        return stream
    descriptor = os.open(os.devnull, os.O_RDWR)
    if descriptor != number:
        os.dup2(descriptor, number)
        os.close(descriptor)
    return TextIOWrapper(FileIO(number, mode))


@dataclass(frozen=True)
class Environment:
    """Environment variables, streams, the local time, and a way to ask for a password.

    `stdout_closed`: nothing that is written to `stdout` arrives anywhere (`>&-`).
    """

    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stdin: TextIO = field(default_factory=lambda: _standard(sys.stdin, 0, "r"))
    stdout: TextIO = field(default_factory=lambda: _standard(sys.stdout, 1, "w"))
    stderr: TextIO = field(default_factory=lambda: _standard(sys.stderr, 2, "w"))
    stdout_closed: bool = field(default_factory=lambda: sys.stdout is None)
    now: Callable[[], datetime] = datetime.now
    prompt: Callable[[str], str] = _prompt

    @property
    def coloured(self) -> bool:
        """Whether normal output may have colours: on a terminal that has some, unless NO_COLOR is set.

        https://no-color.org: any value but an empty one counts.
        """
        dumb = self.variables.get("TERM") == "dumb"
        return self.stdout.isatty() and not dumb and not self.variables.get("NO_COLOR")
