"""`-` in the place of an archive's name: standard output for a backup, and nothing that could be read."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from io import UnsupportedOperation
from pathlib import Path
from typing import TextIO

from engine_backup.cli.environment import Environment
from engine_backup.model.errors import UsageError
from engine_backup.model.modes import STANDARD


def check_readable(given: str) -> None:
    """Raise `UsageError` for an archive that would come from standard input."""
    if given == STANDARD:
        raise UsageError(
            "an archive must be a file, and cannot come from standard input: it is read in no order",
            "save it to a file first, and name that; a file that is called - is ./-",
        )


def check_writable(given: str) -> None:
    """Raise `UsageError` where only a backup could be written to standard output."""
    if given == STANDARD:
        raise UsageError(
            "only a backup can be written to standard output",
            "name a file; one that is to be called - is ./-",
        )


def check_replaceable(file: Path) -> None:
    """Raise `UsageError` for a link such as /dev/stdout: a backup would take its place for everybody."""
    if os.path.islink(file) and file.parent.resolve().parts[1:2] in (("dev",), ("proc",)):  # noqa: PTH114
        raise UsageError(
            f"{file} stands for an open file, and cannot be replaced", "--file=- is standard output"
        )


def check_standard_output(environment: Environment, log: Path) -> None:
    """Raise `UsageError` unless standard output can take an archive, and nothing else goes there."""
    if environment.stdout_closed:
        raise UsageError("standard output is closed", "send the archive to a program or to a file")
    if environment.stdout.isatty():
        raise UsageError(
            "standard output is a terminal, and an archive is no text",
            "send it to a program or to a file, or name a file: --file=FILE",
        )
    output = _status(environment.stdout)
    if output is None or stat.S_ISCHR(output.st_mode):
        return
    errors = _status(environment.stderr)
    if errors is not None and os.path.samestat(output, errors):
        raise UsageError(
            "standard output and standard error are the same: messages would be within the archive",
            "leave 2>&1 out, or send messages elsewhere: 2>FILE",
        )
    with suppress(OSError):
        if os.path.samestat(output, log.stat()):
            raise UsageError("--file and --log can not be the same", "give the log another name")


def is_missing(file: Path) -> bool:
    """Return whether nothing is there. Of a place where this user may not look, reading it tells more."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def check_not_same(file: Path, log: Path) -> None:
    """Raise `UsageError` when the log would be written into the archive."""
    same = file == log
    with suppress(OSError):
        same = same or (file.samefile(log) and file.is_file())
    if same:
        raise UsageError("--file and --log can not be the same", "give the log another name")


def _status(stream: TextIO) -> os.stat_result | None:
    """Return what is behind a stream; None where nothing is, but memory."""
    try:
        return os.fstat(stream.fileno())
    except UnsupportedOperation:
        return None
