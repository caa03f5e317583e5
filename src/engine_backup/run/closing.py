"""The end of a restore that went well: what to know, what is still to be done, and engine-setup."""

from __future__ import annotations

from datetime import datetime

from engine_backup.model.components import AfterLoad
from engine_backup.model.engine_setup import BY_HAND
from engine_backup.model.facts import RestoreFacts
from engine_backup.model.requests import Surroundings
from engine_backup.model.steps import LoadDumps, PlaceFiles, Plan
from engine_backup.plan.closing import closing_notes
from engine_backup.run.engine_setup import run_engine_setup
from engine_backup.run.reporting import Reporter


def tell(plan: Plan, facts: RestoreFacts, reporter: Reporter) -> None:
    """Say how old the engine's database is, and which restored files are not in force yet."""
    loads = (load for step in plan.steps if isinstance(step, LoadDumps) for load in step.loads)
    for load in loads:
        if load.component.after_load is AfterLoad.ENGINE:
            member = facts.archive.dumps[load.component.name].member
            when = datetime.fromtimestamp(member.mtime).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
            reporter.frame(
                "Please note:",
                f"The engine database was backed up at {when}.",
                "Objects that were added, removed or changed after this date, such as virtual",
                "machines, disks, etc., are missing in the engine, and will probably require",
                "recovery or recreation.",
            )
    placed = [entry.path for step in plan.steps if isinstance(step, PlaceFiles) for entry in step.entries]
    for note in closing_notes(placed):
        reporter.say(f"Note: {note}")


def finish(plan: Plan, surroundings: Surroundings, reporter: Reporter) -> None:
    """Run engine-setup where that was asked for, or say how; raises `EngineSetupError`.

    The restore is over: signals stop engine-setup, and undo nothing.
    """
    for step in plan.afterwards:
        run_engine_setup(step, surroundings, reporter)
    if not plan.afterwards:
        reporter.say(f"Next command: {BY_HAND}")
        reporter.say("You should now run engine-setup.")
