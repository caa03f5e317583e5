"""What is told when a database cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine_backup.model.components import Component
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.steps import LoadDump

if TYPE_CHECKING:
    from engine_backup.run.restoring import RestoreRun


class LoadError(EngineBackupError):
    """The dump of a component could not be loaded."""

    def __init__(self, message: str, hint: str, component: Component) -> None:
        super().__init__(message, hint)
        self.component = component


@contextmanager
def told(step: LoadDump, run: RestoreRun) -> Iterator[None]:
    """Let a program's failure say of which database's load it is: raises `LoadError` for `ProgramError`."""
    try:
        yield
    except ProgramError as error:
        message = f"Errors while restoring database {step.credentials.database}: {error.message}"
        raise LoadError(message, f"see the log {run.request.surroundings.log}", step.component) from error
