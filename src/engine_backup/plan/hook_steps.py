"""Which hooks a restore runs, and which of the archive's it does not."""

from __future__ import annotations

from collections.abc import Mapping
from os import fsdecode

from engine_backup.model.archive import EntryType
from engine_backup.model.hooks import CONFIG, LATE_STAGE_OF_MODE, stage_of, stages_of
from engine_backup.model.modes import RESTORE
from engine_backup.model.steps import RunHooks
from engine_backup.plan.file_selection import Selection

Hooks = Mapping[str, tuple[str, ...]]


def hook_steps(present: Hooks, selection: Selection, with_restored: bool) -> tuple[RunHooks, ...]:
    """Return the steps at the end of a restore; `present` are the hooks that are there, by stage.

    The configuration is loaded again where files are restored (reference 5.4), so that stage comes again.
    """
    stages = ((CONFIG,) if selection.restore else ()) + (LATE_STAGE_OF_MODE[RESTORE],)
    restored = restored_hooks(present, selection) if with_restored else {}
    found = ((stage, (*present.get(stage, ()), *restored.get(stage, ()))) for stage in stages)
    return tuple(RunHooks(stage, hooks) for stage, hooks in found if hooks)


def restored_hooks(present: Hooks, selection: Selection) -> dict[str, tuple[str, ...]]:
    """Return the hooks that are restored and were not there, by stage."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in selection.restore:
        stage = None if entry.type is EntryType.DIRECTORY else stage_of(entry.path)
        path = "/" + fsdecode(entry.path)
        if stage is not None and path not in present.get(stage, ()):
            found[stage] = (*found.get(stage, ()), path)
    return found


def warnings(present: Hooks, selection: Selection, with_restored: bool) -> list[str]:
    """Name the restored hooks that a restore would run, and does not."""
    if with_restored:
        return []
    found = restored_hooks(present, selection)
    return [
        f"hook {path} comes from the archive, and is not run; --run-restored-hooks runs it"
        for stage in stages_of(RESTORE)
        for path in found.get(stage, ())
    ]
