"""Paths that administrators' hooks add to a backup (contract K7, reference 5.4)."""

from __future__ import annotations

from pathlib import Path

from engine_backup.drivers import hooks
from engine_backup.model.options import BACKUP, RESTORE, VERIFY
from engine_backup.model.paths import SAVED_PATHS
from engine_backup.model.requests import Surroundings
from engine_backup.run.reporting import Reporter

# The stages at which stock's list of paths can be changed before it is used.
STAGES = ("init", "defaults", "config")


# What stock would run in each mode, and this version does not yet.
LATER_STAGES = {
    BACKUP: ("dobackup", "cleanup"),
    RESTORE: ("init", "defaults", "config", "dorestore", "cleanup"),
    VERIFY: ("init", "defaults", "config", "doverify", "cleanup"),
}


def warn_of_later_hooks(mode: str, root: Path, reporter: Reporter) -> None:
    """Name the scripts of this machine that stock would run in a mode, and that do not run."""
    if root != Path("/"):
        return
    for stage in LATER_STAGES[mode]:
        for script in hooks.discover(root, stage).scripts:
            reporter.warn(
                f"hook {script} is not run: this version runs no hooks of stage {stage} in mode {mode}"
            )


def added_backup_paths(surroundings: Surroundings, file: Path, reporter: Reporter) -> tuple[str, ...]:
    """Run the early hooks of this machine and return the paths that they add to `BACKUP_PATHS`.

    Hooks speak about the running system: they never run under another root,
    nor in a dry run. Raises `EngineBackupError` naming a script that fails.
    """
    if surroundings.root != Path("/"):
        return ()
    listed = "\n".join(row.path for row in SAVED_PATHS)
    variables = {
        "BACKUP_PATHS": listed,
        "MODE": BACKUP,
        "SCOPE": ",".join(surroundings.scopes),
        "FILE": str(file),
        "LOG": str(surroundings.log),
    }
    for stage in STAGES:
        found = hooks.discover(surroundings.root, stage)
        for script in found.untrusted:
            reporter.warn(f"hook {script.path} is not run: {script.reason}")
        if surroundings.dry_run and found.scripts:
            reporter.warn(f"hooks of stage {stage} are not run in a dry run")
            continue
        outcome = hooks.run_stage(found.scripts, variables)
        reporter.log.raw(outcome.output)
        variables.update(outcome.changed)
    return tuple(hooks.added_paths(listed, variables["BACKUP_PATHS"]))
