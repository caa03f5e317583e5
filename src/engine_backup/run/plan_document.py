"""A plan as a document for programs: what `--dry-run --json` prints.

One JSON object. Readers must ignore fields that they do not know.

`format`, `format_version`  always "engine-backup plan"; 1
`root`, `scopes`, `log`     where, what, and the log of this run
`would_run`                 whether the same command without `--dry-run` would begin
`status`, `status_name`     what this run ends with (docs/exit-codes.md)
`steps`                     in order: `kind`, `component` (null when it is of none), `text` for people;
                            `first` is true for those after which the rest is looked at again;
                            the steps `load_dump` go on side by side, and so do `dump_database`,
                            `save_files` and `copy_sqlite`
`afterwards`                as `steps`: what follows when all else is complete, and is not undone
`connections`               databases to be logged in to: `component`, `host`, `port`, `user`, `database`
`notes`, `warnings`         texts
`problems`                  every reason not to begin: `message`, `hint`, `status`, `status_name`
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from engine_backup.model.backup_steps import SaveMembers, TakeSnapshots
from engine_backup.model.components import Component
from engine_backup.model.errors import EngineBackupError, ExitStatus, Problem
from engine_backup.model.facts import Credentials
from engine_backup.model.requests import Surroundings
from engine_backup.model.steps import (
    ApplyFixes,
    CreateExtensions,
    LoadDump,
    LoadDumps,
    Plan,
    RemoveHostedHosts,
    RemoveHostedStorage,
)

FORMAT = "engine-backup plan"
FORMAT_VERSION = 1

_LOGGING_IN = (CreateExtensions, LoadDump, ApplyFixes, RemoveHostedStorage, RemoveHostedHosts)
_WORD_STARTS = re.compile(r"(?<!^)(?=[A-Z])")


def document(plan: Plan, surroundings: Surroundings) -> dict[str, Any]:
    """Return the document of a plan; it holds nothing secret."""
    status = plan.problems[0].status if plan.problems else ExitStatus.SUCCESS
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "root": str(surroundings.root),
        "scopes": list(surroundings.scopes),
        "log": str(surroundings.log),
        "would_run": not plan.problems,
        **_status(status),
        "steps": [
            *(_step(step, first=True) for step in plan.gate),
            *(_step(step, first=False) for step in _single(plan.steps)),
        ],
        "afterwards": [_step(step, first=False) for step in plan.afterwards],
        "connections": _connections(plan),
        "notes": list(plan.notes),
        "warnings": list(plan.warnings),
        "problems": [_problem(problem) for problem in plan.problems],
    }


def failure(error: EngineBackupError, surroundings: Surroundings) -> dict[str, Any]:
    """Return the document of a run that came to no plan: the archive is damaged, for example."""
    return document(Plan((), problems=(Problem(error.message, error.hint, error.status),)), surroundings)


def render(content: dict[str, Any]) -> str:
    """Return the text of a document, in ASCII: what it names may be in no encoding at all."""
    return json.dumps(content, indent=1, ensure_ascii=True)


def _status(status: ExitStatus) -> dict[str, Any]:
    return {"status": int(status), "status_name": status.name}


def _problem(problem: Problem) -> dict[str, Any]:
    return {"message": problem.message, "hint": problem.hint, **_status(problem.status)}


def _single(steps: Iterable[object]) -> Iterator[object]:
    """What goes on side by side is shown as steps of their own, one after the other."""
    for step in steps:
        if isinstance(step, LoadDumps):
            yield from step.loads
        elif isinstance(step, SaveMembers):
            yield from step.parts
        else:
            yield step


def _step(step: object, first: bool) -> dict[str, Any]:
    component = getattr(step, "component", None)
    return {
        "kind": _WORD_STARTS.sub("_", type(step).__name__).lower(),
        "component": component.name if isinstance(component, Component) else None,
        "text": str(step),
        "first": first,
    }


def _connections(plan: Plan) -> list[dict[str, Any]]:
    found = {_address(component, credentials): None for component, credentials in _logins(plan)}
    names = ("component", "host", "port", "user", "database")
    return [dict(zip(names, address)) for address in found]


def _logins(plan: Plan) -> Iterator[tuple[Component, Credentials]]:
    for step in _single(plan.steps):
        if isinstance(step, TakeSnapshots):
            yield from step.databases
        elif isinstance(step, _LOGGING_IN):
            yield step.component, step.credentials


def _address(component: Component, credentials: Credentials) -> tuple[str, str, int, str, str]:
    return component.name, credentials.host, credentials.port, credentials.user, credentials.database
