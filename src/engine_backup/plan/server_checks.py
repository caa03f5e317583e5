"""What must be true of a server before databases are made on it."""

from __future__ import annotations

from engine_backup.model.errors import Problem
from engine_backup.model.facts import Credentials, DumpFacts, ServerFacts, TargetDatabase
from engine_backup.model.option_values import REFUSE
from engine_backup.model.requests import RestoreRequest
from engine_backup.model.server import DatabaseOnServer, ServerState
from engine_backup.plan.access_rules import broken_lines
from engine_backup.plan.database_checks import UTF8


def problems(
    target: TargetDatabase, server: ServerFacts, dump: DumpFacts, request: RestoreRequest
) -> list[Problem]:
    """Return every reason not to make a database; none while the server cannot be asked."""
    state, credentials = server.state, target.credentials
    if state is None or credentials is None:
        return []
    return [
        *_role_problems(state, credentials),
        *_database_problems(state.databases.get(credentials.database), request),
        *_rights_problems(state, credentials),
        *_extension_problems(target, state, dump),
        *_access_problems(server.access_text),
    ]


def _role_problems(state: ServerState, credentials: Credentials) -> list[Problem]:
    role = state.roles.get(credentials.user)
    if role is None or not role.superuser:
        return []
    hint = "a dump is a program: choose another role, or ALTER ROLE … NOSUPERUSER"
    return [Problem(f"role '{credentials.user}' is a superuser", hint)]


def _database_problems(database: DatabaseOnServer | None, request: RestoreRequest) -> list[Problem]:
    if database is None:
        return []
    if database.problem:
        message = f"cannot look into database '{database.name}': {database.problem}"
        return [Problem(message, "see the server's log")]
    if database.empty and database.encoding != UTF8:
        message = f"Database '{database.name}' is in {database.encoding}, not in UTF8"
        return [Problem(message, "it is empty: drop it, and the restore makes a new one")]
    if not database.empty and request.on_existing == REFUSE:
        hint = "run engine-cleanup, or use --on-existing=replace"
        return [Problem(f"Database '{database.name}' is not empty", hint)]
    return []


def _rights_problems(state: ServerState, credentials: Credentials) -> list[Problem]:
    """Return what keeps an administrator from making anything at all."""
    place = f"{credentials.host}:{credentials.port}"
    if state.read_only:
        return [Problem(f"the server at {place} takes no changes, as a standby does", "name the primary")]
    if state.may_create_database and state.may_create_role:
        return []
    return [
        Problem(
            f"role '{state.administrator}' may not create databases and roles at {place}",
            "name a superuser, or a role with CREATEDB and CREATEROLE",
        )
    ]


def _extension_problems(target: TargetDatabase, state: ServerState, dump: DumpFacts) -> list[Problem]:
    creatable = state.available_extensions if state.is_superuser else state.trusted_extensions
    return [
        Problem(
            f"the {target.component.label} dump needs the extension '{name}', which cannot be made here",
            "install postgresql-contrib of the server's version"
            if name not in state.available_extensions
            else "name a superuser as administrator",
        )
        for name in dump.extensions
        if name not in creatable
    ]


def _access_problems(access_text: str) -> list[Problem]:
    lines = broken_lines(access_text)[:1]
    return [
        Problem(f"pg_hba.conf has a line that PostgreSQL does not take: {line}", "correct it")
        for line in lines
    ]
