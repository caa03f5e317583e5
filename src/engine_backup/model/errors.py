"""Errors that people are meant to read, and the exit status that each ends with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitStatus(IntEnum):
    """The process's exit statuses; described one by one in `docs/exit-codes.md`.

    Stock knows 0 and 1 only, and its callers test for zero, so every number
    above 0 means failure to them.
    """

    SUCCESS = 0
    FAILURE = 1
    REFUSED = 3
    UNREADABLE_ARCHIVE = 4
    DAMAGED_ARCHIVE = 5
    HOSTILE_ARCHIVE = 6
    INCOMPATIBLE_ARCHIVE = 7
    INCOMPLETE_CHANGE = 8
    SETUP_FAILED = 9
    DRILL_FAILED = 10
    INTERRUPTED = 130


@dataclass(frozen=True)
class Problem:
    """A reason not to begin; `hint` says what to do about it.

    `status` is the exit status when this is the first problem of a plan.
    """

    message: str
    hint: str = ""
    status: ExitStatus = ExitStatus.REFUSED


class EngineBackupError(Exception):
    """A failure that is told in one line: what happened to which thing, and what to do next.

    `message` names the thing; `hint` names the next command. Where the place that
    raises it knows no better, the kind of error has a usual hint.
    """

    status = ExitStatus.FAILURE
    usual_hint = "see the log"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.usual_hint


class UsageError(EngineBackupError):
    """The command line cannot be understood or contradicts itself."""

    usual_hint = "see 'engine-backup --help'"


class ConfigurationError(EngineBackupError):
    """A line of the product's own configuration cannot be understood."""

    usual_hint = "correct that line of the file"


class RefusedError(EngineBackupError):
    """The plan has problems, all of them named; nothing was touched."""

    status = ExitStatus.REFUSED

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)
        self.status = self.problems[0].status


class UnreadableArchiveError(EngineBackupError):
    """The file is no archive of this tool, or cannot be opened."""

    status = ExitStatus.UNREADABLE_ARCHIVE
    usual_hint = "name a backup made by engine-backup: --file=FILE"


class DamagedArchiveError(EngineBackupError):
    """The archive is not what was once written: truncated, flipped, or parts are missing."""

    status = ExitStatus.DAMAGED_ARCHIVE
    usual_hint = "use another backup, or another copy of this one"


class HostileArchiveError(EngineBackupError):
    """The archive holds something that no backup writes and that could do harm."""

    status = ExitStatus.HOSTILE_ARCHIVE
    usual_hint = "do not use it; look where the archive comes from"


class IncompatibleArchiveError(EngineBackupError):
    """The archive is sound, but not for the installed product version."""

    status = ExitStatus.INCOMPATIBLE_ARCHIVE


class IncompleteChangeError(EngineBackupError):
    """A change was begun and could not be finished; the machine is not as before."""

    status = ExitStatus.INCOMPLETE_CHANGE


class EngineSetupError(EngineBackupError):
    """A restore is complete, and stays; `engine-setup`, which was asked for too, did not end well."""

    status = ExitStatus.SETUP_FAILED


class InterruptedByUserError(BaseException):
    """A signal asked us to stop.

    Like `KeyboardInterrupt` it is no `Exception`: where a failure is put up with
    or only noted, a wish to stop must not be.
    """

    status = ExitStatus.INTERRUPTED
    hint = "start it again when nothing is in the way"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ProgramError(EngineBackupError):
    """A program that we started failed; `exit_status` is negative for a signal."""

    def __init__(self, message: str, exit_status: int, error_output: str = "", hint: str = "") -> None:
        super().__init__(message, hint)
        self.exit_status = exit_status
        self.error_output = error_output
