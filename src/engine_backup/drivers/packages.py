"""Which packages are installed under a root directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from engine_backup.drivers import host, process
from engine_backup.drivers.command import Command
from engine_backup.model.errors import EngineBackupError


def installed(package: str, root: Path) -> bool | None:
    """Say whether a package is installed; None when there is no rpm, or it cannot tell."""
    return installed_of((package,), root)[package]


def installed_of(names: Sequence[str], root: Path) -> dict[str, bool | None]:
    """Say the same of several packages, asking once: to ask takes longer than to answer."""
    program = host.find_program("rpm", root) if names else None
    if program is None:
        return dict.fromkeys(names)
    # Another root has its own package database.
    place = () if os.path.realpath(root) == "/" else ("--root", str(root))
    command = Command(program, ("-q", *place, "--qf", r"%{NAME}\n", *names))
    try:
        # The status is the number of packages that are not there.
        outcome = process.run(command, accept=frozenset(range(len(names) + 1)))
    except EngineBackupError:
        return dict.fromkeys(names)
    if "error:" in outcome.stderr:
        # A package database that cannot be opened ends with the same status as missing packages.
        return dict.fromkeys(names)
    there = outcome.stdout.decode("utf-8", "replace").splitlines()
    return {name: name in there for name in names}
