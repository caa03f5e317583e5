"""`--mode=restore`: check the archive, look, plan, do the plan's steps, or take back what was done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.archive_reader import open_archive
from engine_backup.model.components import BY_NAME
from engine_backup.model.errors import EngineBackupError, ExitStatus, UsageError
from engine_backup.model.facts import RestoreFacts
from engine_backup.model.hooks import LATE_STAGE_OF_MODE
from engine_backup.model.modes import RESTORE
from engine_backup.model.requests import RestoreRequest
from engine_backup.model.steps import Plan
from engine_backup.plan.provisioning import needs_question
from engine_backup.plan.restore import plan_restore
from engine_backup.run import closing, restore_facts, stopping
from engine_backup.run.archive_facts import observe_archive
from engine_backup.run.changing import Change, changing, new_head
from engine_backup.run.hook_members import offer_members
from engine_backup.run.hook_stages import Hooks, hooks_of
from engine_backup.run.reading import checked
from engine_backup.run.reporting import Reporter
from engine_backup.run.restoring import RestoreRun, perform
from engine_backup.run.servers import servers_of
from engine_backup.run.showing_plans import begin
from engine_backup.run.workspace import private_directory


def restore(request: RestoreRequest, reporter: Reporter) -> ExitStatus:
    """Restore; raises `EngineBackupError`. What can be checked is checked before the first change."""
    with hooks_of(RESTORE, request.file, request.surroundings, reporter) as hooks:
        hooks.with_restored = request.run_restored_hooks
        hooks.early()
        added = (*request.include_paths, *hooks.added_paths)
        complete = _restore(replace(request, include_paths=added), hooks, reporter)
    if complete:
        reporter.say("Done.")
    return ExitStatus.SUCCESS


def _restore(request: RestoreRequest, hooks: Hooks, reporter: Reporter) -> bool:
    """Restore; says whether that was asked for, and not only its plan."""
    surroundings = request.surroundings
    programs = postgres_programs.installed(surroundings.pg_bindir, surroundings.root)
    with ExitStack() as unstoppable, private_directory(surroundings.tmpdir) as workspace:
        _announce(request, reporter)
        with open_archive(request.file, workspace) as archive:
            checked(archive, reporter)
            archive_facts = observe_archive(archive, programs, surroundings.root)
            facts, selection = restore_facts.observe(request, archive_facts, programs, workspace)
            facts = replace(facts, hooks=hooks.paths)
            started = datetime.now()
            plan = plan_restore(request, facts, selection, started)
            if not begin(plan, surroundings, reporter):
                return False
            _ask(request, facts, reporter)
            offer_members(archive, LATE_STAGE_OF_MODE[RESTORE], hooks)
            head = new_head(request.file, plan.concerned, surroundings.tmpdir)
            with changing(head, request.keep_undo, surroundings, reporter, unstoppable) as change:
                run = RestoreRun(
                    request, archive, facts, reporter, workspace, programs, change.undo, change.directory,
                    change.kept, change.passing, started, hooks,
                )  # fmt: skip
                _execute(plan, run, change)
        closing.tell(plan, facts, reporter)
    closing.finish(plan, surroundings, reporter)
    return True


def _ask(request: RestoreRequest, facts: RestoreFacts, reporter: Reporter) -> None:
    """Have a person agree before databases in use are set aside; raises `UsageError`."""
    names = needs_question(request, facts)
    if names and not reporter.console.confirm(f"Replace database {', '.join(names)}? [y/N] "):
        raise UsageError("databases are only replaced when somebody agrees", "answer y, or add --yes")


def _announce(request: RestoreRequest, reporter: Reporter) -> None:
    reporter.say("Preparing to restore:")
    for name, credentials in request.changed.items():
        label = BY_NAME[name].label
        reporter.say(f"- Setting credentials for {label} database '{credentials.database}'")
    reporter.say(f"- Unpacking file '{request.file}'")


def _execute(plan: Plan, run: RestoreRun, change: Change) -> None:
    """Do all steps; `change` takes back those that were done when this raises.

    When all are done it is too late for signals: nothing of it may be undone, or reported as stopped.
    """
    run.servers = servers_of(list(run.facts.targets), run.request, run.facts.host)
    if plan.gate:
        _perform(plan.gate, run, change)
        plan = _plan_again(plan, run)
    _perform(plan.steps, run, change)
    change.unstoppable.enter_context(stopping.ignored())
    for action in run.before_the_end:
        _finish(action, run)


def _finish(action: Callable[[], None], run: RestoreRun) -> None:
    """Do what is left to do after a restore that has succeeded; no reason to undo it if this fails."""
    try:
        action()
    except EngineBackupError as error:
        run.reporter.warn(f"{error.message} ({error.hint})")


def _perform(steps: tuple[object, ...], run: RestoreRun, change: Change) -> None:
    for step in steps:
        with change.step(str(step)):
            perform(step, run)


def _plan_again(told: Plan, run: RestoreRun) -> Plan:
    """Look at the server that runs now, and plan the rest; raises `RefusedError` with what is in the way."""
    facts, selection = restore_facts.observe(run.request, run.facts.archive, run.programs, run.workspace)
    # Our own journal is among those that are there now.
    run.facts = replace(facts, journals=(), hooks=run.facts.hooks)
    plan = plan_restore(run.request, run.facts, selection, run.started)
    if plan.gate:
        raise EngineBackupError(f"this did not help: {plan.gate[0]}", "look into the server's log")
    news = tuple(warning for warning in plan.warnings if warning not in told.warnings)
    begin(replace(plan, warnings=news), run.request.surroundings, run.reporter)
    _ask(run.request, run.facts, run.reporter)
    return plan
