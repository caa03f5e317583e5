"""Log-ins to databases that options give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine_backup.cli.environment import Environment
from engine_backup.cli.parser import USED, Settings
from engine_backup.model.components import Component
from engine_backup.model.errors import UsageError
from engine_backup.model.facts import Credentials
from engine_backup.model.options import PROMPT, option_name
from engine_backup.model.secret import Secret

DEFAULT_PORT = 5432
_FIELDS = ("host", "port", "user", "passfile", "password", "name", "secured", "secured_validation")


def is_given(settings: Settings, component: Component) -> bool:
    """Whether any option says how to log in to a component's database."""
    return any((component.name, name) in settings for name in _FIELDS)


def credentials_of(
    settings: Settings, component: Component, environment: Environment, needed_by: str
) -> Credentials:
    """Return the log-in that options give; raises `UsageError` for what is missing of it.

    `needed_by` is the option that needs them. A password comes from a file, the option, a prompt or the
    documented variable.
    """

    def setting(name: str, default: Any = None) -> Any:
        return settings.get((component.name, name), default)

    for name in ("host", "user", "name"):
        if not setting(name):
            option = option_name(name, component)
            raise UsageError(f"{option} is missing", f"{needed_by} needs {option}")
    return Credentials(
        host=setting("host"),
        port=setting("port", DEFAULT_PORT),
        user=setting("user"),
        password=_password(settings, component, environment),
        database=setting("name"),
        secured=setting("secured", False),
        secured_validation=setting("secured_validation", False),
        source=needed_by,
    )


def _password(settings: Settings, component: Component, environment: Environment) -> Secret:
    """Later of file, value and prompt wins; else the documented variable."""
    used = [o for o in settings.get(USED, ()) if o.component == component.name]
    given = [o.field for o in used if o.field in ("passfile", "password")]
    if given and given[-1] == "passfile":
        return first_line(Path(settings[(component.name, "passfile")]))
    if given:
        value = settings[(component.name, "password")]
        return _asked(component, environment) if value is PROMPT else Secret(value)
    if component.password_variable in environment.variables:
        return Secret(environment.variables[component.password_variable])
    options = " or ".join(option_name(name, component) for name in ("passfile", "password"))
    raise UsageError(f"{options} is missing", f"or set {component.password_variable}")


def first_line(path: Path) -> Secret:
    """Return a password that stands in the first line of a file; raises `UsageError`."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            return Secret(lines.readline().rstrip("\n"))
    except OSError as error:
        message = f"Can not read password file {path}: {error.strerror}"
        raise UsageError(message, "name a file that can be read; its first line is the password") from error


def _asked(component: Component, environment: Environment) -> Secret:
    if not environment.stdin.isatty():
        raise UsageError("Standard input is not a terminal", f"use {option_name('passfile', component)}=FILE")
    return Secret(environment.prompt(f"Enter {component.label} database password: "))
