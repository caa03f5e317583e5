"""From words to an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from engine_backup.cli.console import TextConsole
from engine_backup.cli.environment import Environment
from engine_backup.cli.parser import SHOW, Settings, build_parser, parse
from engine_backup.model.errors import EngineBackupError, ExitStatus, InterruptedByUserError, UsageError
from engine_backup.run import stopping

if TYPE_CHECKING:
    from engine_backup.model.requests import Request


def main() -> int:
    """Run the command of this process; returns its exit status.

    libpq reads PG* variables from the process; only what this tool passes
    explicitly shall decide where it connects, so they are dropped here
    (stock empties the environment too, bug 1172191).
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    stopping.obey(_leave)
    os.umask(0o077)
    return run(sys.argv[1:], Environment())


def _leave(error: EngineBackupError) -> NoReturn:
    """End the process at once, from within a signal handler: streams may be in the middle of a line."""
    os.write(2, f"\nFATAL: {error.message}\n  hint: {error.hint}\n".encode())
    os._exit(error.status)


def run(words: Sequence[str], environment: Environment) -> int:
    """Do what a command line asks; returns the exit status and raises nothing that is foreseen."""
    console = TextConsole(environment.stdin, environment.stdout, environment.stderr, environment.coloured)
    try:
        settings = parse(words)
        if SHOW in settings:
            _show(console, settings)
            return ExitStatus.SUCCESS
        from engine_backup.run.dispatch import perform

        request = _request(settings, environment)
        status = perform(request, console)
        return ExitStatus.FAILURE if console.lost and not status and _is_read(request) else status
    except (EngineBackupError, InterruptedByUserError) as error:
        console.fatal(error)
        return error.status
    finally:
        console.abandon_unread()


def _request(settings: Settings, environment: Environment) -> Request:
    from engine_backup.cli.request_building import build_request

    try:
        return build_request(settings, environment)
    except OSError as error:  # of a current directory that was removed, for one
        place = os.fsdecode(error.filename) if error.filename else "the current directory"
        raise UsageError(
            f"cannot look at {place}: {error.strerror}", "go to another directory, or name another place"
        ) from error


def _is_read(request: Request) -> bool:
    """Whether all that a request gives is what it prints; others are done when it cannot be printed."""
    from engine_backup.model.requests import InspectRequest, ListRequest

    if isinstance(request, (InspectRequest, ListRequest)):
        return True
    surroundings = getattr(request, "surroundings", None)
    return surroundings is not None and surroundings.json


def _show(console: TextConsole, settings: Settings) -> None:
    if settings[SHOW] is None:
        _help(console, settings)
    else:
        console.say(settings[SHOW])


def _help(console: TextConsole, settings: Settings) -> None:
    from pathlib import Path

    from engine_backup.run.help import help_address

    console.say(build_parser().format_help().rstrip())
    address = help_address(Path(settings.get(("", "root"), "/")))
    if address:
        console.say(f"\nFor more information, see {address}")
