"""Settings that mean the same in several kinds of requests."""

from __future__ import annotations

import os
from pathlib import Path

from engine_backup.cli.environment import Environment
from engine_backup.cli.parser import USED, Settings
from engine_backup.model.errors import UsageError


def temporary_directory(settings: Settings, environment: Environment) -> Path:
    """Return the parent of private directories; raises `UsageError` when it is not there."""
    tmpdir = Path(settings.get(("", "tmpdir")) or environment.variables.get("TMPDIR") or "/tmp")  # noqa: S108
    if not is_directory(tmpdir):
        raise UsageError(
            f"Temporary directory {tmpdir} is missing or not a directory", "create it, or choose --tmpdir=DIR"
        )
    return tmpdir.absolute()


def is_directory(path: Path) -> bool:
    """Return whether there is a directory that this user can see."""
    return os.path.isdir(path)  # noqa: PTH112  (Path.is_dir raises where nobody may look)


def irrelevant(settings: Settings, mode: str) -> tuple[str, ...]:
    """Name the options that have no meaning in this mode; stock ignores them in silence."""
    names = [o.name for o in settings.get(USED, ()) if mode not in o.modes]
    return tuple(f"{name} has no meaning with --mode={mode}" for name in dict.fromkeys(names))
