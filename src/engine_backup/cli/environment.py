"""What the command line takes from the process around it, in one value that tests replace."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TextIO


def _prompt(question: str) -> str:
    from getpass import getpass

    return getpass(question)


@dataclass(frozen=True)
class Environment:
    """Environment variables, streams, the local time, and a way to ask for a password."""

    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    now: Callable[[], datetime] = datetime.now
    prompt: Callable[[str], str] = _prompt

    @property
    def coloured(self) -> bool:
        """Whether normal output may have colours: on a terminal that has some, unless NO_COLOR is set.

        https://no-color.org: any value but an empty one counts.
        """
        dumb = self.variables.get("TERM") == "dumb"
        return self.stdout.isatty() and not dumb and not self.variables.get("NO_COLOR")
