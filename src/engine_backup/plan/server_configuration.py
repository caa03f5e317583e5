"""What this machine's server needs in its files before databases are loaded into it (reference 1.4, 1.5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from engine_backup.model.facts import Credentials, ServerFacts
from engine_backup.model.provisioning_steps import AllowAccess, ConfigureServer, ExtraRole
from engine_backup.plan.access_rules import method_for, with_access, with_socket_access
from engine_backup.plan.server_settings import Conditions, Edit, edited


def configuration(server: ServerFacts, locales: Collection[str]) -> tuple[ConfigureServer, ...]:
    """Return the step that changes postgresql.conf, if one is needed."""
    edit = _edit(server, locales)
    if edit is None or not edit.changes:
        return ()
    return (ConfigureServer(edit.text, tuple(change.name for change in edit.changes), edit.restart),)


def configuration_warnings(server: ServerFacts, locales: Collection[str]) -> tuple[str, ...]:
    """Name what the product needs and no line of postgresql.conf can give."""
    edit = _edit(server, locales)
    if edit is None:
        return ()
    overridden = (
        f"setting {o.name} is {o.value} by {o.place}; the product wants {o.new}: change it there"
        f" (what ALTER SYSTEM has set goes by ALTER SYSTEM RESET {o.name})"
        for o in edit.overridden
    )
    return (*edit.notes, *overridden)


def _edit(server: ServerFacts, locales: Collection[str]) -> Edit | None:
    """Return the new postgresql.conf; None for a server whose files are not ours to change."""
    if server.cluster is None or server.state is None or not server.configuration_text:
        return None
    method = method_for(server.state.password_encryption)
    conditions = Conditions(server.cluster.major, method, locales)
    return edited(server.configuration_text, server.elsewhere, conditions)


def access(
    server: ServerFacts, logins: Sequence[Credentials], readers: Sequence[ExtraRole]
) -> tuple[AllowAccess, ...]:
    """Return the step that lets each role into its database by pg_hba.conf."""
    if server.cluster is None or server.state is None:
        return ()
    method = method_for(server.state.password_encryption)
    ways = [(_way(login), login.database, login.user) for login in logins]
    ways += [(with_access, role.database, role.name) for role in readers]
    text = server.access_text
    for add, database, user in dict.fromkeys(ways):
        text = add(text, database, user, method, major=server.cluster.major)
    return (AllowAccess(text, tuple(dict.fromkeys(database for _, database, _ in ways))),)


def _way(login: Credentials) -> Callable[..., str]:
    """Return what lets a role in as it will come: on the socket when its host is a directory."""
    return with_socket_access if login.host.startswith("/") else with_access
