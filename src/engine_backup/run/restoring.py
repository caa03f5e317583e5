"""What the steps of a restore share, and how a step is done: the same for a real restore and for a drill."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.facts import RestoreFacts
from engine_backup.model.requests import RestoreRequest
from engine_backup.model.steps import StageFiles, StopServices
from engine_backup.model.ways_back import WayBack
from engine_backup.run import provisioning_handlers, restore_steps
from engine_backup.run.hook_stages import Hooks
from engine_backup.run.reporting import Reporter
from engine_backup.run.servers import Server

PROVISIONING, RESTORING = "Provisioning PostgreSQL users/databases:", "Restoring:"
QUIET = (StageFiles, StopServices)


class WaysBack(Protocol):
    """Who is told how to take back each change, before it is made."""

    def add(self, way: WayBack, /) -> None:
        """Take note of how to take back what is about to be done."""

    def made_nothing(self) -> None:
        """The change of the last way back has failed, and changed nothing."""

    def forget(self) -> None:
        """Nothing of all that was done so far is to be taken back."""


class Keeping(Protocol):
    """Who keeps what files replace."""

    def keep(self, names: Iterable[bytes], /) -> None:
        """Keep what stands under all these names, before any of them is changed."""

    def before(self, name: bytes, /) -> None:
        """Keep what stands under a name, right before that is changed."""

    def new(self) -> tuple[bytes, ...]:
        """Return the names under which nothing stood before."""


@dataclass
class RestoreRun:
    """What the handlers of a running restore share.

    `staging` is the run's private directory on the file system of the root; `kept` keeps
    what placed files replace until the run has ended. `passing` is how names begin that only stand
    beside files for a moment. `before_the_end` is done when all steps are, while all can still be undone.
    `analyzed` are the components of databases whose statistics are gathered already.
    """

    request: RestoreRequest
    archive: Archive
    facts: RestoreFacts
    reporter: Reporter
    workspace: Path
    programs: tuple[Programs, ...]
    undo: WaysBack
    staging: Path
    kept: Keeping
    passing: bytes
    started: datetime
    hooks: Hooks
    servers: dict[str, Server] = field(default_factory=dict)
    before_the_end: list[Callable[[], None]] = field(default_factory=list)
    created_roles: set[str] = field(default_factory=set)
    analyzed: set[str] = field(default_factory=set)
    replacements: int = 0
    headings: list[str] = field(default_factory=list)


def perform(step: object, run: RestoreRun) -> None:
    """Do one step of a plan; raises `EngineBackupError`."""
    _head(step, run)
    run.reporter.note(f"step: {step}")
    handlers = {**restore_steps.HANDLERS, **provisioning_handlers.HANDLERS}
    handlers[type(step)](step, run)


def _head(step: object, run: RestoreRun) -> None:
    """Say once what the next lines are about; databases are made before they are loaded (reference 10.4)."""
    heading = PROVISIONING if type(step) in provisioning_handlers.HANDLERS else RESTORING
    if not isinstance(step, QUIET) and heading not in run.headings and RESTORING not in run.headings:
        run.reporter.say(heading)
        run.headings.append(heading)
