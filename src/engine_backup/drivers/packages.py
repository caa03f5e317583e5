"""Which packages are installed under a root directory."""

from __future__ import annotations

import os
from pathlib import Path

from engine_backup.drivers import host, process
from engine_backup.drivers.process import Command
from engine_backup.model.errors import EngineBackupError

_NOT_INSTALLED = 1


def installed(package: str, root: Path) -> bool | None:
    """Say whether a package is installed; None when there is no rpm, or it cannot tell."""
    program = host.find_program("rpm", root)
    if program is None:
        return None
    # Another root has its own package database.
    place = () if os.path.realpath(root) == "/" else ("--root", str(root))
    command = Command(program, ("-q", *place, "--qf", "%{NAME}", package))
    try:
        outcome = process.run(command, accept=frozenset({0, _NOT_INSTALLED}))
    except EngineBackupError:
        return None
    if "error:" in outcome.stderr:
        # A package database that cannot be opened ends with the same status as a missing package.
        return None
    return outcome.status != _NOT_INSTALLED
