"""The command as it is installed, started as a program of its own for each job."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.ground import Ground
from benchmarks.meter import Invocation

OURS = "ours"
STAGING = Path("var/lib/ovirt-engine-backup")


def backup(ground: Ground, *options: str) -> Invocation:
    """Return how to back up the engine."""
    words = _words(ground, "backup", *options)
    return _invocation(ground, words)


def verify(ground: Ground, *options: str) -> Invocation:
    """Return how to verify the archive."""
    return _invocation(ground, _words(ground, "verify", *options))


def restore(ground: Ground, *options: str) -> Invocation:
    """Return how to restore the archive into empty databases that are there, as stock's stand-in does."""
    return _invocation(ground, _words(ground, "restore", "--restore-permissions", *options))


def drill(ground: Ground) -> Invocation:
    """Return how to drill the archive."""
    log = f"--log={ground.logs / 'drill'}.log"
    words = (*program(), "drill", str(ground.archive(OURS)), log, f"--tmpdir={ground.temporary}")
    return _invocation(ground, words)


def inspect(ground: Ground) -> Invocation:
    """Return how to look into the archive."""
    return _invocation(ground, (*program(), "inspect", str(ground.archive(OURS))))


def usage(ground: Ground) -> Invocation:
    """Return how to ask for help."""
    return _invocation(ground, (*program(), "--help"))


def program() -> tuple[str, ...]:
    """Return the installed command; without an installation, the module of the same name."""
    installed = Path(sys.executable).with_name("engine-backup")
    return (str(installed),) if installed.exists() else (sys.executable, "-m", "engine_backup")


def _words(ground: Ground, mode: str, *options: str) -> tuple[str, ...]:
    return (
        *program(),
        f"--mode={mode}",
        f"--root={ground.root}",
        f"--file={ground.archive(OURS)}",
        f"--log={ground.logs / mode}.log",
        f"--tmpdir={ground.temporary}",
        *options,
    )


def _invocation(ground: Ground, words: tuple[str, ...]) -> Invocation:
    return Invocation(
        words=words,
        environment=ground.environment,
        watched=(ground.temporary, ground.archives(OURS), ground.root / STAGING),
        archive=ground.archive(OURS),
        server=ground.server.pid,
    )
