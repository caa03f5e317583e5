"""`--mode=restore`: check the archive, look, plan, do the plan's steps, or take back what was done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.archive_reader import Archive, open_archive
from engine_backup.drivers.kept_files import KeptFiles
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.components import BY_NAME, AfterLoad
from engine_backup.model.errors import EngineBackupError, ExitStatus, IncompleteChangeError
from engine_backup.model.facts import RestoreFacts
from engine_backup.model.requests import RestoreRequest
from engine_backup.model.steps import LoadDump, Plan
from engine_backup.plan.restore import plan_restore
from engine_backup.run import restore_facts, restore_steps, stopping
from engine_backup.run.archive_facts import observe_archive
from engine_backup.run.reading import checked
from engine_backup.run.reporting import Reporter
from engine_backup.run.showing_plans import begin
from engine_backup.run.undo import Undo
from engine_backup.run.workspace import private_directory

STAGING_DIRECTORY = Path("var/lib/ovirt-engine-backup/restore")


@dataclass
class RestoreRun:
    """What the handlers of a running restore share.

    `staging` is a private directory on the file system of the root; `kept` keeps
    what placed files replace until the run has ended.
    """

    request: RestoreRequest
    archive: Archive
    facts: RestoreFacts
    reporter: Reporter
    workspace: Path
    programs: tuple[Programs, ...]
    undo: Undo
    staging: Path
    kept: KeptFiles


def restore(request: RestoreRequest, reporter: Reporter) -> ExitStatus:
    """Restore; raises `EngineBackupError`. What can be checked is checked before the first change."""
    surroundings = request.surroundings
    programs = postgres_programs.installed(surroundings.pg_bindir, surroundings.root)
    with private_directory(surroundings.tmpdir) as workspace:
        _announce(request, reporter)
        with open_archive(request.file, workspace) as archive:
            checked(archive, reporter)
            archive_facts = observe_archive(archive, programs)
            facts, selection = restore_facts.observe(request, archive_facts, programs, workspace)
            plan = plan_restore(request, facts, selection)
            if not begin(plan, surroundings, reporter):
                return ExitStatus.SUCCESS
            with _staging_directory(surroundings.root) as staging:
                undo = Undo(reporter)
                kept = KeptFiles(surroundings.root, staging / "kept")
                run = RestoreRun(request, archive, facts, reporter, workspace, programs, undo, staging, kept)
                _execute(plan, run)
    _closing_notes(plan, facts, reporter)
    return ExitStatus.SUCCESS


@contextmanager
def _staging_directory(root: Path) -> Iterator[Path]:
    """Make a private directory where restored files wait, and replaced ones."""
    parent = root / STAGING_DIRECTORY
    made = [directory for directory in (parent, *parent.parents) if not directory.exists()]
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    parent.chmod(0o700)
    try:
        with private_directory(parent) as directory:
            yield directory
    finally:
        for directory in made:
            if not any(directory.iterdir()):
                directory.rmdir()


def _announce(request: RestoreRequest, reporter: Reporter) -> None:
    reporter.say("Preparing to restore:")
    for name, credentials in request.changed.items():
        label = BY_NAME[name].label
        reporter.say(f"- Setting credentials for {label} database '{credentials.database}'")
    reporter.say(f"- Unpacking file '{request.file}'")


def _execute(plan: Plan, run: RestoreRun) -> None:
    run.reporter.say("Restoring:")
    try:
        for step in plan.steps:
            run.reporter.note(f"step: {step}")
            restore_steps.HANDLERS[type(step)](step, run)
    except BaseException as error:
        with stopping.ignored():
            failures = run.undo.unwind()
        if failures:
            raise _incomplete(error, failures) from error
        raise
    os.sync()
    run.undo.forget()


def _incomplete(error: BaseException, failures: list[str]) -> IncompleteChangeError:
    reason = error.message if isinstance(error, EngineBackupError) else str(error) or type(error).__name__
    return IncompleteChangeError(
        f"{reason}; and undoing was incomplete: {'; '.join(failures)}",
        "put right by hand what is named here, then restore again",
    )


def _closing_notes(plan: Plan, facts: RestoreFacts, reporter: Reporter) -> None:
    for step in plan.steps:
        if isinstance(step, LoadDump) and step.component.after_load is AfterLoad.ENGINE:
            member = facts.archive.dumps[step.component.name].member
            when = datetime.fromtimestamp(member.mtime).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
            reporter.frame(
                "Please note:",
                f"The engine database was backed up at {when}.",
                "Objects that were added, removed or changed after this date, such as virtual",
                "machines, disks, etc., are missing in the engine, and will probably require",
                "recovery or recreation.",
            )
    reporter.say("You should now run engine-setup.")
    reporter.say("Done.")
