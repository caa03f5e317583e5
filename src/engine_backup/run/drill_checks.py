"""What a drill's own restore proves, and the further checks that look at what was restored."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import psycopg2

from engine_backup.drivers import host, postgres
from engine_backup.model.checks import Check, Outcome
from engine_backup.model.components import BY_NAME, COMPONENTS, FILES, Component, Kind
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import ArchiveFacts
from engine_backup.model.printable import printable
from engine_backup.model.steps import PlaceFiles, Plan
from engine_backup.plan.restore_needs import size_text
from engine_backup.run import drill_databases
from engine_backup.run.drill_files import check_files
from engine_backup.run.drill_inventory import inventory_agrees
from engine_backup.run.drill_restore import FILE_STEPS, Failure, Restored
from engine_backup.run.drilled import Drilled, DrilledDatabase

ARCHIVE = "archive"
HASHES, READING, PLAN, LOAD, EXTENSIONS, RESTORE = (
    "hashes", "reading", "plan", "load", "extensions", "restore",
)  # fmt: skip
LONGEST_FINDING = 1000
# The machine's fault, and not the archive's: nothing is proven, and nothing refuted.
# A write that fits in part only has no error of the system: PostgreSQL (md.c) then says the last.
_OF_THE_MACHINE = (
    *(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO)),
    "could not extend file",
    # The drill's own limit, made of an estimate.
    "exceeds temp_file_limit",
)

Checking = Callable[[], Iterable[Check]]


def passed(subject: str, name: str, detail: str = "") -> Check:
    """Return a check that passed."""
    return Check(subject, name, Outcome.PASS, detail)


def failed(subject: str, name: str, error: EngineBackupError) -> Check:
    """Return a check that an error ended; a full disk of this machine refutes nothing.

    Its hint is for somebody who restores, and not told.
    """
    unable = any(words in error.message for words in _OF_THE_MACHINE)
    return Check(
        subject, name, Outcome.COULD_NOT_RUN if unable else Outcome.FAIL, "", (finding(error.message),)
    )


def in_order(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return checks by what they are about: the whole archive first, then components as in their table."""
    subjects = [ARCHIVE, *BY_NAME]
    return tuple(sorted(checks, key=lambda check: subjects.index(check.subject)))


def finding(text: str) -> str:
    """Return a line that is fit to be printed."""
    return printable(" ".join(text.split()), LONGEST_FINDING)


def of_plan(plan: Plan) -> Check:
    """Return whether a restore would begin at all."""
    if not plan.problems:
        return passed(ARCHIVE, PLAN, f"{len(plan.steps)} steps, {len(plan.warnings)} warnings")
    findings = tuple(
        finding(f"{problem.message} ({problem.hint})" if problem.hint else problem.message)
        for problem in plan.problems
    )
    return Check(ARCHIVE, PLAN, Outcome.FAIL, "a restore would refuse", findings)


def of_restore(plan: Plan, facts: ArchiveFacts, restored: Restored) -> list[Check]:
    """Return for each component whether it came back, or that the archive has none."""
    return [check for component in COMPONENTS for check in _of_component(component, plan, facts, restored)]


def _of_component(component: Component, plan: Plan, facts: ArchiveFacts, restored: Restored) -> list[Check]:
    name = LOAD if component.kind is Kind.POSTGRES else RESTORE
    of_files = component.kind is Kind.FILES
    if not (facts.has_files if of_files else component.name in facts.dumps):
        absent = Check(component.name, name, Outcome.NOT_IN_ARCHIVE)
        return [absent] if component.written else []
    failures = [f for f in restored.failures if _concerns(component, f)]
    if failures:
        return [_told(component, name, failure) for failure in failures]
    if of_files:
        return [passed(component.name, name, f"{_placed(plan)} files and directories")]
    size = size_text(facts.dumps[component.name].member.size)
    if component.kind is Kind.POSTGRES:
        rows = restored.rows[component.name]
        size += f" loaded: {len(rows)} tables, {sum(rows.values()):,} rows"
    return [passed(component.name, name, size)]


def _concerns(component: Component, failure: Failure) -> bool:
    """A step of files fails for all that are files, one of a database for all databases."""
    return isinstance(failure.step, FILE_STEPS) == (component.kind is not Kind.POSTGRES)


def _told(component: Component, name: str, failure: Failure) -> Check:
    if failure.component in (component, None):
        return failed(component.name, name, failure.error)
    label = failure.component.label if failure.component else ""
    because = f"not finished, since the {label} database failed"
    return Check(component.name, name, Outcome.COULD_NOT_RUN, because)


def _placed(plan: Plan) -> int:
    return sum(len(step.entries) for step in plan.steps if isinstance(step, PlaceFiles))


def of_unplanned(facts: ArchiveFacts) -> list[Check]:
    """Return the checks of components that nobody has tried to restore."""
    names = [*facts.dumps, *([FILES.name] if facts.has_files else [])]
    because = "a restore would refuse"
    return [
        Check(
            name,
            LOAD if BY_NAME[name].kind is Kind.POSTGRES else RESTORE,
            Outcome.COULD_NOT_RUN,
            because,
        )
        for name in names
    ]


def of_restored(drilled: Drilled) -> list[Check]:
    """Look at all that was restored, several things at the same time."""
    works: list[tuple[str, Checking]] = [
        (database.component.name, _bound(check, drilled, database))
        for database in drilled.databases.values()
        for check in DATABASE_CHECKS
    ]
    now = datetime.now(timezone.utc)
    works.append((FILES.name, lambda: check_files(drilled, now)))
    with ThreadPoolExecutor(host.cores(), "look") as pool:
        others = pool.map(lambda work: _looked(*work), works)
        databases = drill_databases.check(drilled)
        return [*databases, *(check for checks in others for check in checks)]


def _bound(
    check: Callable[[Drilled, DrilledDatabase], Iterable[Check]], drilled: Drilled, database: DrilledDatabase
) -> Checking:
    return lambda: check(drilled, database)


def _looked(subject: str, checking: Checking) -> list[Check]:
    """Return the checks, or one that could not run: what is not looked at is not proven."""
    try:
        return list(checking())
    except (EngineBackupError, OSError, psycopg2.Error) as error:
        message = error.message if isinstance(error, EngineBackupError) else str(error)
        return [Check(subject, "checking", Outcome.COULD_NOT_RUN, "", (finding(message),))]


def _extensions(drilled: Drilled, database: DrilledDatabase) -> Iterable[Check]:
    """All that the dump needs is there, in the version that this server has."""
    with postgres.session(database.credentials) as connection:
        there = dict(postgres.rows(connection, "SELECT extname, extversion FROM pg_catalog.pg_extension"))
    missing = [name for name in database.dump.extensions if name not in there]
    outcome = Outcome.FAIL if missing else Outcome.PASS
    present = ", ".join(f"{name} {there[name]}" for name in database.dump.extensions if name in there)
    findings = tuple(finding(f"extension {name} is missing") for name in missing)
    yield Check(database.component.name, EXTENSIONS, outcome, finding(present or "none needed"), findings)


DATABASE_CHECKS: tuple[Callable[[Drilled, DrilledDatabase], Iterable[Check]], ...] = (
    _extensions,
    inventory_agrees,
)
