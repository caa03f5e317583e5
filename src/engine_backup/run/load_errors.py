"""What is told when a database cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine_backup.model.components import Component
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.options import option_name
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
        hint = f"see the log {run.request.surroundings.log}"
        if step.jobs > 1:
            option = option_name("restore_jobs", step.component)
            hint += f"; with {option}=1 all is loaded in the dump's own order"
        message = f"Errors while restoring database {step.credentials.database}: {error.message}"
        raise LoadError(message, hint, step.component) from error
