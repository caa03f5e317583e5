"""Making the databases that a restore loads into: which, where, and by which steps (reference 1, design 9).

A database that is created is created under a passing name, loaded, and given
its real name last, in one transaction with all others: `engine` exists only
if it is whole. An empty database that exists already is taken over in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from engine_backup.model.components import Component
from engine_backup.model.errors import Problem
from engine_backup.model.facts import Credentials, RestoreFacts, ServerFacts, TargetDatabase
from engine_backup.model.option_values import REPLACE
from engine_backup.model.options import option_name
from engine_backup.model.provisioning_steps import (
    AllowAdministrator,
    CreateExtraRoles,
    ExtraRole,
    GrantReading,
    InitialiseServer,
    LeaveAlternatives,
    LoadGrants,
    ProvisionDatabase,
    ProvisionRole,
    RenameDatabases,
    RestorePrivileges,
    StartServer,
)
from engine_backup.model.requests import RestoreRequest
from engine_backup.model.server import ClusterFacts
from engine_backup.plan import server_checks
from engine_backup.plan.clashes import server_of
from engine_backup.plan.database_checks import archived_host, is_local
from engine_backup.plan.database_names import replaced_name, temporary_name, timestamped_name
from engine_backup.plan.server_configuration import access, configuration, configuration_warnings


@dataclass(frozen=True)
class Provisioning:
    """What making databases adds to a plan.

    `gate` comes before databases can be looked at at all. `loads` are the log-ins
    to load with, by component name, where they differ from the final ones. `ends`: nothing comes
    after `before`, for this reason.
    """

    names: frozenset[str] = frozenset()
    gate: tuple[object, ...] = ()
    before: tuple[object, ...] = ()
    loads: dict[str, Credentials] = field(default_factory=dict)
    after: tuple[object, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    ends: Problem | None = None


def is_asked_for(target: TargetDatabase, request: RestoreRequest) -> bool:
    """Whether an option asks to make this database."""
    return request.provision_all or target.component.name in request.provision


def is_provisioned(target: TargetDatabase, request: RestoreRequest, facts: RestoreFacts) -> bool:
    """Whether this database is to be made: asked for, or on its own where there is none (RFE 1821018).

    A plain restore makes each database of the archive whose host is this machine and
    which does not exist. A password that does not fit is not "does not exist".
    """
    if is_asked_for(target, request):
        return True
    if request.provision or request.changed or target.credentials is None:
        return False
    if not is_local(target.credentials.host, facts.host):
        return False
    server = facts.servers.get(target.component.name)
    if server is None or server.cluster is None or server.error is not None:
        return False
    if server.state is None:
        return not server.cluster.running and target.error is not None
    return target.credentials.database not in server.state.databases


def plan_provisioning(request: RestoreRequest, facts: RestoreFacts, when: datetime) -> Provisioning:
    """Return what is to be done for all databases that are to be made."""
    chosen = [t for t in facts.targets if is_provisioned(t, request, facts)]
    if not chosen:
        return Provisioning()
    names = frozenset(target.component.name for target in chosen)
    problems = tuple(dict.fromkeys(problem for t in chosen for problem in _problems(t, request, facts)))
    if problems:
        return Provisioning(names, problems=problems)
    gate = _gate(chosen, facts)
    if gate:
        return Provisioning(names, gate=gate)
    occupied = [t for t in chosen if _occupied(t, facts)]
    if occupied and request.on_existing is None:
        return _alternatives(names, occupied, when)
    return _steps(names, chosen, request, facts, when)


def _server(target: TargetDatabase, facts: RestoreFacts) -> ServerFacts:
    return facts.servers[target.component.name]


def _problems(target: TargetDatabase, request: RestoreRequest, facts: RestoreFacts) -> list[Problem]:
    credentials, label = target.credentials, target.component.label
    if credentials is None or not (credentials.user and credentials.database and credentials.password):
        hint = f"give them with {option_name('change', target.component)}"
        return [Problem(f"Some {label} database credentials missing - cannot provision database", hint)]
    remote = archived_host(target, facts, request)
    if not (request.administrator or is_local(credentials.host, facts.host)):
        hint = "name an administrator: --provision-admin-user and --provision-admin-passfile"
        message = f"Can provision database only in localhost, not at {credentials.address}"
        return [Problem(message, hint), *remote]
    if remote:
        return remote
    server, name = _server(target, facts), target.component.name
    obstacle = server.error or _cluster_problem(server.cluster, credentials.port, target.component)
    if obstacle is not None:
        return [obstacle]
    found = server_checks.problems(target, server, facts.archive.dumps[name], request)
    return [*found, facts.program_problems[name]] if name in facts.program_problems else found


def _cluster_problem(cluster: ClusterFacts | None, port: int, component: Component) -> Problem | None:
    """Return why this machine's own server cannot be the one that is meant."""
    if cluster is None:
        return None
    if cluster.obstacle and not cluster.initialised:
        hint = "initdb takes a writable directory that is empty or not there: see to it, and start again"
        return Problem(f"cannot initialise PostgreSQL: {cluster.obstacle}", hint)
    if cluster.running and cluster.port not in (0, port):
        hint = f"give the right one with {option_name('port', component)}"
        return Problem(f"PostgreSQL of this machine listens on port {cluster.port}, not on {port}", hint)
    return None


def _gate(chosen: list[TargetDatabase], facts: RestoreFacts) -> tuple[object, ...]:
    """Return what must be done before this machine's server can be looked at."""
    clusters = {s.cluster.data: s for t in chosen if (s := _server(t, facts)).cluster}
    steps: list[object] = []
    for server in clusters.values():
        cluster = server.cluster
        if cluster is None or server.state is not None:
            continue
        if not cluster.initialised:
            steps.append(InitialiseServer(cluster))
        if not cluster.running:
            steps.append(StartServer(cluster))
        elif server.needs_administrator_line:
            steps.append(AllowAdministrator(cluster))
    return tuple(steps)


def _occupied(target: TargetDatabase, facts: RestoreFacts) -> bool:
    state = _server(target, facts).state
    if state is None or target.credentials is None:
        return False
    database = state.databases.get(target.credentials.database)
    return database is not None and not database.empty


def _alternatives(names: frozenset[str], occupied: list[TargetDatabase], when: datetime) -> Provisioning:
    databases = tuple(
        (t.component, t.credentials, timestamped_name(t.credentials.database, when))
        for t in occupied
        if t.credentials
    )
    first, _, name = databases[0]
    ends = Problem(
        f"Database '{databases[0][1].database}' is not empty: a restore would make {name} beside it, and end",
        f"run engine-cleanup, or use --on-existing=replace ({first.label} database)",
    )
    return Provisioning(names, before=(LeaveAlternatives(databases),), ends=ends)


def _steps(
    names: frozenset[str],
    chosen: list[TargetDatabase],
    request: RestoreRequest,
    facts: RestoreFacts,
    when: datetime,
) -> Provisioning:
    server = _server(chosen[0], facts)
    finals = [t.credentials for t in chosen if t.credentials]
    loads = {t.component.name: _load_login(t, facts, when) for t in chosen}
    roles = _roles(chosen, facts)
    extra = _extra_roles(chosen, request, facts)
    reading = tuple(role for role in extra if role.reads)
    before = (
        *configuration(server, facts.locales),
        *roles,
        *((CreateExtraRoles(extra),) if extra else ()),
        *(_database_step(t, loads[t.component.name], facts) for t in chosen),
        *access(server, [*finals, *loads.values()], reading),
    )
    after = (
        *(step for t in chosen for step in _privileges(t, loads[t.component.name], request, facts)),
        *(
            GrantReading(t.component, role, loads[t.component.name].database, loads[t.component.name].user)
            for t in chosen
            for role in reading
            if role.component is t.component
        ),
        *_renames(chosen, loads, facts, when),
        *access(server, finals, reading),
    )
    return Provisioning(
        names, before=before, loads=loads, after=after, warnings=configuration_warnings(server, facts.locales)
    )


def _load_login(target: TargetDatabase, facts: RestoreFacts, when: datetime) -> Credentials:
    """Return the log-in to load with: a passing name, or the empty database that is there."""
    if target.credentials is None:
        raise ValueError(f"{target.component.name} is provisioned without credentials")
    state = _server(target, facts).state
    name = target.credentials.database
    if state is not None and name in state.databases and state.databases[name].empty:
        return target.credentials
    return replace(target.credentials, database=temporary_name(name, when))


def _roles(chosen: list[TargetDatabase], facts: RestoreFacts) -> list[ProvisionRole]:
    steps: dict[tuple[object, str], ProvisionRole] = {}
    for target in chosen:
        state, login = _server(target, facts).state, target.credentials
        if state is not None and login is not None:
            step = ProvisionRole(target.component, login.user, login.password, login.user in state.roles)
            steps.setdefault((server_of(login, facts.host), login.user), step)
    return list(steps.values())


def _database_step(target: TargetDatabase, load: Credentials, facts: RestoreFacts) -> ProvisionDatabase:
    state = _server(target, facts).state
    dump = facts.archive.dumps[target.component.name]
    needed = tuple(dict.fromkeys(("uuid-ossp", *dump.extensions)))
    available = state.available_extensions if state else frozenset()
    return ProvisionDatabase(
        component=target.component,
        name=load.database,
        owner=load.user,
        extensions=tuple(name for name in needed if name in available or name in dump.extensions),
        exists=state is not None and load.database in state.databases,
    )


def _extra_roles(
    chosen: list[TargetDatabase], request: RestoreRequest, facts: RestoreFacts
) -> tuple[ExtraRole, ...]:
    """Return the roles that dumps grant something to, which are not there, and Grafana's reader."""
    if request.permissions is False:
        return ()
    found: dict[str, ExtraRole] = {}
    for target in chosen:
        state, login = _server(target, facts).state, target.credentials
        if state is None or login is None:
            continue
        reader = facts.archive.readers.get(target.component.name)
        for name in facts.archive.dumps[target.component.name].grantees:
            if reader is not None and name == reader.user:
                found[name] = ExtraRole(target.component, name, login.database, reader.password, reads=True)
            elif name not in state.roles and name != login.user:
                found.setdefault(name, ExtraRole(target.component, name, login.database))
    return tuple(found.values())


def _privileges(
    target: TargetDatabase, load: Credentials, request: RestoreRequest, facts: RestoreFacts
) -> list[object]:
    if request.permissions is False:
        return []
    steps: list[object] = []
    dump = facts.archive.dumps[target.component.name]
    if dump.foreign_grants:
        steps.append(LoadGrants(target.component, load.database, load.user))
    if dump.privileges is not None:
        steps.append(RestorePrivileges(target.component, load.database, load.user, dump.privileges))
    return steps


def _renames(
    chosen: list[TargetDatabase], loads: dict[str, Credentials], facts: RestoreFacts, when: datetime
) -> list[RenameDatabases]:
    pairs: dict[object, list[tuple[str, str]]] = {}
    first: dict[object, Component] = {}
    for target in chosen:
        load, final = loads[target.component.name], target.credentials
        if final is None or load.database == final.database:
            continue
        place = server_of(final, facts.host)
        here = pairs.setdefault(place, [])
        first.setdefault(place, target.component)
        state = _server(target, facts).state
        if state is not None and final.database in state.databases:
            here.append((final.database, replaced_name(final.database, when)))
        here.append((load.database, final.database))
    return [RenameDatabases(first[place], tuple(here)) for place, here in pairs.items()]


def needs_question(request: RestoreRequest, facts: RestoreFacts) -> list[str]:
    """Return the databases that would be replaced and that nobody has agreed to (`--yes`) yet."""
    if request.on_existing != REPLACE or request.yes:
        return []
    return [
        t.credentials.database
        for t in facts.targets
        if is_provisioned(t, request, facts) and _occupied(t, facts) and t.credentials
    ]
