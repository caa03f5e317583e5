"""Services of the machine under a root directory: do they run, stopping and starting them."""

from __future__ import annotations

import os
from pathlib import Path

from engine_backup.drivers import host, process, processes
from engine_backup.drivers.command import Command, Outcome
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.services import Service

# Also on their way up or down they still work on their data.
_RUNNING = frozenset({"active", "activating", "reloading", "refreshing", "deactivating"})
_STATES = frozenset({*_RUNNING, "inactive", "failed", "maintenance", "unknown"})
_ANY_STATUS = frozenset(range(-64, 256))


def is_running(service: Service, root: Path) -> bool:
    """Say whether a service runs, by systemd or by its process.

    Processes belong to the running system, so for another root only its own `systemctl` counts.
    """
    if is_active(service.unit, root):
        return True
    return _is_system(root) and processes.any_runs(service.programs)


def is_active(unit: str, root: Path) -> bool | None:
    """Say what `systemctl is-active` says; None when there is no systemd that would know."""
    outcome = _asked(root, "is-active", unit)
    state = outcome.stdout.decode("utf-8", "replace").strip() if outcome else ""
    return state in _RUNNING if state in _STATES else None


def unit_exists(unit: str, root: Path) -> bool | None:
    """Say whether systemd has a unit of that name; None when there is no systemd that would know."""
    outcome = _asked(root, "show", "--property=LoadState", unit)
    text = outcome.stdout.decode("utf-8", "replace").strip() if outcome else ""
    name, _, state = text.partition("=")
    return state != "not-found" if name == "LoadState" and state else None


def stop(unit: str, root: Path) -> None:
    """Stop a unit and wait until it has ended; raises `EngineBackupError`."""
    _told(root, "stop", unit)


def start(unit: str, root: Path) -> None:
    """Start a unit and wait until it says that it is ready; raises `EngineBackupError`."""
    _told(root, "start", unit)


def _told(root: Path, verb: str, unit: str) -> None:
    program = host.find_program("systemctl", root)
    hint = f"{verb} it by hand: systemctl {verb} {unit}; its own log: journalctl -u {unit}"
    if program is None:
        raise EngineBackupError(f"cannot {verb} {unit}: there is no systemctl", hint)
    try:
        process.run(_command(program, root, verb, unit))
    except EngineBackupError as error:
        raise EngineBackupError(f"cannot {verb} {unit}: {error.message}", hint) from error


def _asked(root: Path, *arguments: str) -> Outcome | None:
    program = host.find_program("systemctl", root)
    if program is None:
        return None
    try:
        return process.run(_command(program, root, *arguments), accept=_ANY_STATUS)
    except EngineBackupError:
        return None


def _command(program: str, root: Path, *arguments: str) -> Command:
    # The systemctl of a mounted system must not speak to the systemd of this one: offline, it answers
    # nothing to questions and does nothing (systemd's documentation of environment variables).
    environment = {} if _is_system(root) else {"SYSTEMD_OFFLINE": "1"}
    return Command(program, arguments, environment=environment)


def _is_system(root: Path) -> bool:
    return os.path.realpath(root) == "/"
