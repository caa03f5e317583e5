"""What is told before a plan is carried out, and `--dry-run`, for people or for programs."""

from __future__ import annotations

from engine_backup.model.errors import RefusedError
from engine_backup.model.requests import Surroundings
from engine_backup.model.steps import Plan
from engine_backup.run import plan_document
from engine_backup.run.reporting import Reporter


def begin(plan: Plan, surroundings: Surroundings, reporter: Reporter) -> bool:
    """Tell warnings and problems; say whether the steps are to be done.

    Raises `RefusedError` with every problem of the plan. In a dry run the plan
    is printed first.
    """
    for warning in plan.warnings:
        reporter.warn(warning)
    for note in plan.notes:
        reporter.note(note)
    if surroundings.dry_run:
        _show(plan, reporter)
        if surroundings.json:
            reporter.show(plan_document.render(plan_document.document(plan, surroundings)))
    if plan.problems:
        raise RefusedError(plan.problems)
    return not surroundings.dry_run


def _show(plan: Plan, reporter: Reporter) -> None:
    reporter.say("Plan:")
    for number, step in enumerate((*plan.gate, *plan.steps, *plan.afterwards), 1):
        reporter.say(f"  {number}. {step}")
    if plan.afterwards:
        reporter.say("  (the last one follows when the restore is complete, and is not undone)")
    if plan.gate:
        reporter.say("  (databases are looked at, and made, once PostgreSQL can be asked)")
    for note in plan.notes:
        reporter.say(f"  ({note})")
    if not plan.problems:
        reporter.say("Dry run: nothing was changed.")
