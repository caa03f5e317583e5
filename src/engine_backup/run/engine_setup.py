"""engine-setup after a restore: the restore is complete by then, and stays whatever comes of it."""

from __future__ import annotations

import re
from datetime import datetime

from engine_backup.drivers import process
from engine_backup.drivers.answer_file import write_answers
from engine_backup.drivers.command import Command
from engine_backup.model.engine_setup import ACCEPT_DEFAULTS, BY_HAND, OFFLINE, PROGRAM, RunEngineSetup
from engine_backup.model.errors import EngineBackupError, EngineSetupError, InterruptedByUserError
from engine_backup.model.requests import Surroundings
from engine_backup.run.reporting import Reporter

# It undoes what it has begun, with a database of any size.
PATIENCE_SECONDS = 600.0
# `Log file: …` at its beginning, `Log file is located at …` at its end.
_ITS_LOG = re.compile(r"Log file(?: is located at|:) (/\S+)")


def run_engine_setup(step: RunEngineSetup, surroundings: Surroundings, reporter: Reporter) -> None:
    """Write the answers, run engine-setup, and show what it says as it says it.

    Raises `EngineSetupError` when it could not be run, failed, or was stopped. The answers stay.
    """
    command = Command(step.program)
    its_log: list[str] = []

    def tell(line: str) -> None:
        its_log.extend(_ITS_LOG.findall(line))
        reporter.say(f"  {line}" if line else "")

    try:
        command = _prepared(step, surroundings, reporter)
        status = process.follow(command, tell).status
    except (EngineBackupError, InterruptedByUserError, OSError) as error:
        raise _failure(
            f"{PROGRAM} was not run to its end: {error}", command, its_log, surroundings
        ) from error
    if status:
        how = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
        raise _failure(f"{PROGRAM} {how}", command, its_log, surroundings)
    reporter.say(f"{PROGRAM} has ended well")


def _prepared(step: RunEngineSetup, surroundings: Surroundings, reporter: Reporter) -> Command:
    """Answers lie beside the log, as notes of passwords do; a device has no such place."""
    log = surroundings.log
    place = log.parent if log.is_file() else surroundings.tmpdir
    answers = write_answers(place, datetime.now(), map(str, step.answers))
    reporter.say(f"Running {PROGRAM}:")
    reporter.say(f"- answers are in {answers}")
    command = Command(
        step.program, (f"--config-append={answers}", OFFLINE, ACCEPT_DEFAULTS), patience=PATIENCE_SECONDS
    )
    reporter.note(f"running {command}")
    return command


def _failure(
    message: str, command: Command, its_log: list[str], surroundings: Surroundings
) -> EngineSetupError:
    logs = " and ".join(dict.fromkeys((*its_log[-1:], str(surroundings.log))))
    again = str(command) if command.arguments else BY_HAND
    return EngineSetupError(
        f"the restore is complete, and stays; but {message}",
        f"see {logs}; put right what is in the way, then: {again}",
    )
