"""SELinux labels of restored files, by the machine's own programs (reference 9.5)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from engine_backup.drivers import process
from engine_backup.drivers.command import Command
from engine_backup.drivers.host import find_program
from engine_backup.model.errors import EngineBackupError, ProgramError


def is_enabled(root: Path) -> bool:
    """Say whether SELinux is on; without `selinuxenabled` under this root it is not."""
    program = find_program("selinuxenabled", root)
    if program is None:
        return False
    return process.run(Command(program), accept=frozenset({0, 1})).status == 0


def can_relabel(root: Path) -> bool:
    """Say whether the root has the program that `relabel` needs."""
    return find_program("restorecon", root) is not None


def relabel(root: Path, names: Iterable[bytes]) -> None:
    """Give files the labels that the policy has for their places; `names` are relative to the root.

    Names reach restorecon in a list with NULs between them (restorecon(8), `-0 -f`).
    Raises `EngineBackupError`.
    """
    program = find_program("restorecon", root)
    if program is None:
        raise EngineBackupError("SELinux is on, but there is no restorecon", "install policycoreutils")
    with tempfile.NamedTemporaryFile() as listing:
        listing.write(b"".join(os.path.join(os.fsencode(root), name) + b"\0" for name in names))
        listing.flush()
        try:
            process.run(Command(program, ("-0", "-f", listing.name)))
        except ProgramError as error:
            message = f"Failed setting selinux contexts: {error.message}"
            raise EngineBackupError(message, "see the log, and audit.log") from error
