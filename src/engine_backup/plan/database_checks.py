"""What must be true of a database before a dump may be loaded into it (design section 9)."""

from __future__ import annotations

from engine_backup.model.errors import Problem
from engine_backup.model.facts import (
    ArchiveFacts,
    DatabaseState,
    DumpFacts,
    HostFacts,
    Origin,
    RestoreFacts,
    TargetDatabase,
)
from engine_backup.model.options import option_name
from engine_backup.model.requests import RestoreRequest

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
UTF8 = "UTF8"


def is_local(host: str, machine: HostFacts) -> bool:
    """Whether a database host is this machine: a socket's directory, or a name that leads here."""
    return host in LOCAL_HOSTS or host.startswith("/") or host in machine.own_names


def missing_extensions(dump: DumpFacts, target: TargetDatabase) -> tuple[str, ...]:
    """Name the extensions that the dump needs and the database has not."""
    present = target.state.extensions if target.state else frozenset()
    return tuple(name for name in dump.extensions if name not in present)


def problems(
    target: TargetDatabase, facts: RestoreFacts, request: RestoreRequest, permissions: bool
) -> list[Problem]:
    """Return every reason not to load into this database, with the privileges in its dump or without."""
    component = target.component
    change = option_name("change", component)
    if target.credentials is None:
        return [
            Problem(
                f"no credentials for the {component.label} database",
                f"restore files too, or give them with {change}",
            )
        ]
    remote = archived_host(target, facts, request)
    if remote:
        return remote
    if target.error is not None:
        return [_explained(target.error, target, facts)]
    if target.state is None:
        return []
    dump = facts.archive.dumps[component.name]
    found = [*_state_problems(target, target.state), *_extension_problems(target, target.state, dump)]
    return found + (_role_problems(target, target.state, dump) if permissions else [])


def may_connect(
    target: TargetDatabase, archive: ArchiveFacts, host: HostFacts, request: RestoreRequest
) -> bool:
    """Whether we may log in: archived credentials may point at production, which only the admin can mean."""
    if target.credentials is None:
        return False
    if target.origin is not Origin.ARCHIVE or request.accept_archived_hosts:
        return True
    return is_local(target.credentials.host, host) or archive.fqdn == host.fqdn


def archived_host(target: TargetDatabase, facts: RestoreFacts, request: RestoreRequest) -> list[Problem]:
    """Return the problem of a remote database that only the archive names."""
    if target.credentials is None or may_connect(target, facts.archive, facts.host, request):
        return []
    return [
        Problem(
            f"the archive of {facts.archive.fqdn} names the remote database {target.credentials.address}",
            "if that is the database to load into, add --accept-archived-hosts;"
            f" else name another with {option_name('change', target.component)}",
        )
    ]


def warnings(target: TargetDatabase, facts: RestoreFacts) -> list[str]:
    """Return what does not keep a dump from being loaded."""
    server, credentials = facts.servers.get(target.component.name), target.credentials
    if credentials is None:
        return []
    if target.state is not None:
        sessions = target.state.sessions
    elif server and server.state and credentials.database in server.state.databases:
        sessions = server.state.databases[credentials.database].sessions
    else:
        sessions = 0
    return (
        [f"database '{credentials.database}' is in use: other sessions in it: {sessions}"] if sessions else []
    )


def _explained(error: Problem, target: TargetDatabase, facts: RestoreFacts) -> Problem:
    """Add what the administrator of this machine's own server knows and a log-in that fails is not told."""
    server, credentials = facts.servers.get(target.component.name), target.credentials
    if server is None or server.cluster is None or server.state is None or credentials is None:
        return error
    if server.cluster.port != credentials.port:
        return error
    name, role = _identifier(credentials.user), server.state.roles.get(credentials.user)
    if role is None:
        hint = f"CREATE ROLE {name} LOGIN PASSWORD …, or {option_name('provision', target.component)}"
        return Problem(f"{error.message}; there is no role '{credentials.user}'", hint)
    if not role.can_login:
        hint = f"as administrator: ALTER ROLE {name} LOGIN"
        return Problem(f"{error.message}; role '{credentials.user}' may not log in", hint)
    if credentials.database not in server.state.databases:
        hint = f"CREATE DATABASE …, or {option_name('provision', target.component)}"
        return Problem(f"{error.message}; there is no database '{credentials.database}'", hint)
    return error


def _state_problems(target: TargetDatabase, state: DatabaseState) -> list[Problem]:
    if target.credentials is None:
        return []
    database, user = target.credentials.database, target.credentials.user
    found = []
    if state.objects:
        found.append(
            Problem(
                f"Database '{database}' is not empty: it has {state.objects} objects",
                "run engine-cleanup, or drop and create it again",
            )
        )
    if state.encoding != UTF8:
        hint = "create it again with ENCODING 'UTF8' TEMPLATE template0"
        found.append(Problem(f"Database '{database}' is in {state.encoding}, not in UTF8", hint))
    if state.superuser:
        hint = f'a dump is a program: ALTER ROLE "{user}" NOSUPERUSER'
        found.append(Problem(f"role '{user}' of database '{database}' is a superuser", hint))
    elif not state.may_create:
        hint = f'make it the owner: ALTER DATABASE "{database}" OWNER TO "{user}"'
        found.append(Problem(f"role '{user}' may not create objects in database '{database}'", hint))
    return found


def _extension_problems(target: TargetDatabase, state: DatabaseState, dump: DumpFacts) -> list[Problem]:
    return [
        Problem(
            f"database '{target.credentials.database}' needs the extension {name}",
            f'as administrator, in that database: CREATE EXTENSION "{name}" (package postgresql-contrib)',
        )
        for name in missing_extensions(dump, target)
        if target.credentials and name not in state.creatable_extensions
    ]


def _role_problems(target: TargetDatabase, state: DatabaseState, dump: DumpFacts) -> list[Problem]:
    label = target.component.label
    if dump.foreign_grants:
        message = (
            f"the {label} dump has grants made by others than its owner, which only a superuser can restore"
        )
        return [Problem(message, "use --no-restore-permissions, and grant again afterwards")]
    missing = [name for name in dump.grantees if name not in state.roles]
    if not missing:
        return []
    statements = " ".join(f"CREATE ROLE {_identifier(name)} LOGIN;" for name in missing)
    return [
        Problem(
            f"the {label} database grants to roles that do not exist here: {', '.join(missing)}",
            f"as administrator: {statements} - or use --no-restore-permissions",
        )
    ]


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
