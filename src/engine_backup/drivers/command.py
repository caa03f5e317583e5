"""What a program is asked to do, and what is said of how it ended; `process` starts it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine_backup.model.errors import ProgramError

PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class OsUser:
    """An account to run a child as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """A program to start. `arguments` are public: they show in `ps`, in logs and in messages.

    `environment` is added to the small standard one. `user` drops privileges
    (root only). `files` are descriptors that the child inherits. `patience` is how many seconds it may take
    to clear up when it is told to end.
    """

    program: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    user: OsUser | None = None
    files: tuple[int, ...] = ()
    patience: float = PATIENCE_SECONDS

    @property
    def name(self) -> str:
        """The program's name without its directory."""
        return Path(self.program).name

    def __str__(self) -> str:
        return shlex.join((self.program, *self.arguments))


@dataclass(frozen=True)
class Outcome:
    """How a program ended. `status` is negative for a signal."""

    command: Command
    status: int
    stdout: bytes
    stderr: str


def failure(command: Command, status: int, error_output: str) -> ProgramError:
    """Describe a program's failure in one line, with the line that it wrote about it itself."""
    ending = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
    detail = _telling_line(command.name, error_output)
    return ProgramError(f"{command.name} {ending}{detail and ': '}{detail}", status, error_output)


def _telling_line(program: str, error_output: str) -> str:
    """Return the line that says why: PostgreSQL's programs mark it, and quote statements after it."""
    lines = [line.strip() for line in error_output.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith((f"{program}: error:", f"{program}: fatal:"))]
    return marked[0] if marked else lines[-1] if lines else ""
