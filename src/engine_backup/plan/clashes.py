"""What components may not share: a database, or a role with different passwords."""

from __future__ import annotations

from collections.abc import Iterable

from engine_backup.model.errors import Problem
from engine_backup.model.facts import Credentials, HostFacts, TargetDatabase
from engine_backup.plan.database_checks import is_local

THIS_MACHINE = ""


def server_of(login: Credentials, machine: HostFacts) -> tuple[str, int]:
    """Return what is equal for log-ins to the same server, by whatever name of this machine."""
    return (THIS_MACHINE if is_local(login.host, machine) else login.host), login.port


def problems(targets: Iterable[TargetDatabase], machine: HostFacts) -> list[Problem]:
    """Return a problem for each component that is in the way of an earlier one."""
    databases: dict[tuple[object, str], TargetDatabase] = {}
    roles: dict[tuple[object, str], TargetDatabase] = {}
    found = []
    for target in targets:
        login = target.credentials
        if login is None:
            continue
        server = server_of(login, machine)
        other = databases.setdefault((server, login.database), target)
        if other is not target:
            what = f"{_both(other, target)} name the same database {login.address}"
            found.append(Problem(what, "give one of them another, with --change-…-credentials"))
        other = roles.setdefault((server, login.user), target)
        if other.credentials and other.credentials.password != login.password:
            what = f"{_both(other, target)} name the same role '{login.user}' with different passwords"
            found.append(Problem(what, "a role has one password: correct it, or use two roles"))
    return found


def _both(one: TargetDatabase, another: TargetDatabase) -> str:
    return f"the log-ins of the {one.component.label} and {another.component.label} databases"
