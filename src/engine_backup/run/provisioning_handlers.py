"""One handler for each step that makes databases; each says first how to take back what it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine_backup.drivers import (
    cluster_privileges,
    granting,
    privileges_restoring,
    provisioning,
    roles,
    server_files,
)
from engine_backup.drivers.administration import AlreadyThereError
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.password_notes import free_path, random_password, write_notes
from engine_backup.drivers.postgres import value
from engine_backup.drivers.server_observation import broken_configuration, configuration_files
from engine_backup.model.components import Component
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.places import STAGING_DIRECTORY
from engine_backup.model.provisioning_steps import (
    AllowAccess,
    AllowAdministrator,
    ConfigureServer,
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
from engine_backup.model.secret import Secret
from engine_backup.model.ways_back import (
    DisableServer,
    DropAddedExtensions,
    DropDatabase,
    DropRole,
    GiveDatabaseBack,
    PutNamesBack,
    PutRoleBack,
    PutServerFileBack,
    RemoveCluster,
    RemovePasswordNotes,
    StopServer,
    WayBack,
)
from engine_backup.plan.access_rules import with_administrator_access
from engine_backup.run import administrator_access
from engine_backup.run.administrator_access import ACCESS_FILE
from engine_backup.run.archive_facts import grant_statements
from engine_backup.run.servers import Server

if TYPE_CHECKING:
    from engine_backup.run.restoring import RestoreRun

NOTES_DIRECTORY = STAGING_DIRECTORY.parent


def _cluster(run: RestoreRun) -> LocalCluster:
    return LocalCluster(run.request.surroundings.root)


def _server(component: Component, run: RestoreRun) -> Server:
    return run.servers[component.name]


def initialise_server(step: InitialiseServer, run: RestoreRun) -> None:
    """Initialise this machine's cluster; taken back by removing what it made."""
    run.reporter.say("Initializing PostgreSQL")
    cluster = _cluster(run)
    run.undo.add(RemoveCluster(cluster.data, cluster.missing_directories(), int(time.time())))
    cluster.initialise()


def start_server(step: StartServer, run: RestoreRun) -> None:
    """Start the server, and have it started at boot from now on."""
    cluster = _cluster(run)
    if not cluster.enabled():
        run.undo.add(DisableServer())
        cluster.enable()
    run.undo.add(StopServer())
    cluster.start()


def allow_administrator(step: AllowAdministrator, run: RestoreRun) -> None:
    """Put a line in front of pg_hba.conf, for the time of this run only."""
    cluster = _cluster(run)
    path = step.cluster.data / ACCESS_FILE
    text = with_administrator_access(server_files.read(path), step.cluster.owner)
    _replace(path, text, run)
    run.before_the_end.append(partial(administrator_access.withdraw, cluster))
    cluster.reload()


def _replace(path: Path, text: str, run: RestoreRun, restart: bool = False) -> None:
    """Give a server's file a new text, and make sure that its undo is heard of by the server."""
    replaced = server_files.prepare(path, text, run.started + timedelta(seconds=run.replacements))
    if replaced is None:
        return
    run.replacements += 1
    run.undo.add(PutServerFileBack(replaced, restart))
    server_files.replace(replaced, text)


def configure_server(step: ConfigureServer, run: RestoreRun) -> None:
    """Change postgresql.conf, and reload or restart the server."""
    run.reporter.say("Configuring PostgreSQL")
    cluster = _cluster(run)
    with closing(_any_server(run).connect()) as connection:
        files = configuration_files(connection, run.request.surroundings.root)
    apply = cluster.restart if step.restart else cluster.reload
    _replace(files.configuration, step.text, run, step.restart)
    with closing(_any_server(run).connect()) as connection:
        broken = broken_configuration(connection)
    if broken:
        raise EngineBackupError(f"PostgreSQL does not take its configuration: {broken[0]}")
    apply()


def _any_server(run: RestoreRun) -> Server:
    return next(server for server in run.servers.values() if server.cluster is not None)


def allow_access(step: AllowAccess, run: RestoreRun) -> None:
    """Change pg_hba.conf, and reload it."""
    cluster = _cluster(run)
    with closing(_any_server(run).connect()) as connection:
        files = configuration_files(connection, run.request.surroundings.root)
    _replace(files.access, step.text, run)
    cluster.reload()


def provision_role(step: ProvisionRole, run: RestoreRun) -> None:
    """Create a role, or give it its new password."""
    change = _change_role if step.exists else _create_role
    change(_server(step.component, run), step.name, step.password, run)


@contextmanager
def _making(way: WayBack, run: RestoreRun) -> Iterator[None]:
    """Make what `way` drops; what somebody else has made under that name meanwhile is not dropped."""
    run.undo.add(way)
    try:
        yield
    except AlreadyThereError:
        run.undo.made_nothing()
        raise


def _create_role(server: Server, name: str, password: Secret, run: RestoreRun) -> None:
    with closing(server.connect()) as administrator, _making(DropRole(server.access, name), run):
        roles.create_role(administrator, name, password)
    run.created_roles.add(name)


def _change_role(server: Server, name: str, password: Secret, run: RestoreRun) -> None:
    """Give a role another password; its undo is known before, for the server's answer may not arrive."""
    with closing(server.connect()) as administrator:
        before = roles.observe_role(administrator, name)
        run.undo.add(PutRoleBack(server.access, before))
        roles.change_role(administrator, name, password)


def provision_database(step: ProvisionDatabase, run: RestoreRun) -> None:
    """Make a database for its owner, with its extensions."""
    server = _server(step.component, run)
    login = next(t.credentials for t in run.facts.targets if t.component is step.component)
    shown = login.database if login else step.name
    run.reporter.say(f"- user '{step.owner}', database '{shown}'")
    with closing(server.connect()) as administrator:
        if step.exists:
            with closing(server.connect(step.name)) as connection:
                before = cluster_privileges.read(connection)
            created = tuple(sorted(run.created_roles))
            run.undo.add(GiveDatabaseBack(server.access, step.name, before, created))
            provisioning.set_owner(administrator, step.name, step.owner)
        else:
            with _making(DropDatabase(server.access, step.name), run):
                provisioning.create_database(administrator, step.name, step.owner)
    with closing(server.connect(step.name)) as administrator:
        missing = provisioning.missing_extensions(administrator, step.extensions)
        if step.exists and missing:
            run.undo.add(DropAddedExtensions(server.access, step.name, missing))
        provisioning.create_extensions(administrator, missing)


def create_extra_roles(step: CreateExtraRoles, run: RestoreRun) -> None:
    """Create roles that dumps name; random passwords go into a private file that the output names."""
    notes = []
    for role in step.roles:
        password = role.password or random_password()
        if _create_extra_role(role, password, run) and not role.password:
            notes.append((role.name, role.database, password))
    if notes:
        path = free_path(_notes_directory(run), run.started)
        run.undo.add(RemovePasswordNotes(path))
        write_notes(path, notes)
        run.reporter.say(f"- passwords of new roles are in {path}")


def _notes_directory(run: RestoreRun) -> Path:
    """Return where the log is, but nothing is kept beside a device."""
    surroundings = run.request.surroundings
    return surroundings.log.parent if surroundings.log.is_file() else surroundings.root / NOTES_DIRECTORY


def _create_extra_role(role: ExtraRole, password: Secret, run: RestoreRun) -> bool:
    """Create a role and return True; of those that exist, the reader gets the password of the conf files."""
    server = _server(role.component, run)
    state = run.facts.servers[role.component.name].state
    exists = state is not None and role.name in state.roles
    if exists and not (role.reads and role.password):
        return False
    kind = "user" if role.reads else "extra user"
    run.reporter.say(f"- {kind} '{role.name}' on database '{role.database}'")
    change = _change_role if exists else _create_role
    change(server, role.name, password, run)
    return not exists


def grant_reading(step: GrantReading, run: RestoreRun) -> None:
    """Give Grafana's role what it reads with."""
    with closing(_server(step.component, run).connect(step.database)) as administrator:
        granting.grant_reader(administrator, step.role.name, step.database, step.owner)


def load_grants(step: LoadGrants, run: RestoreRun) -> None:
    """Run a dump's grants as administrator."""
    dump = run.facts.archive.dumps[step.component.name]
    statements = grant_statements(run.archive, dump, run.programs, step.owner)
    with closing(_server(step.component, run).connect(step.database)) as administrator:
        for line in granting.load_grants(administrator, statements):
            run.reporter.warn(f"{step.component.label} database: not granted: {line}")


def restore_privileges(step: RestorePrivileges, run: RestoreRun) -> None:
    """Give a database what the manifest says of its privileges and settings."""
    with closing(_server(step.component, run).connect(step.database)) as administrator:
        for line in privileges_restoring.apply(administrator, step.privileges, step.owner, run.created_roles):
            run.reporter.note(f"{step.component.label} database: {line}")


def rename_databases(step: RenameDatabases, run: RestoreRun) -> None:
    """Give all databases their names at once."""
    server = _server(step.component, run)
    run.undo.add(PutNamesBack(server.access, step.pairs))
    with closing(server.connect()) as administrator:
        provisioning.rename_databases(administrator, step.pairs)
    for old, new in step.pairs:
        run.reporter.note(f"database {old} is now {new}")


def leave_alternatives(step: LeaveAlternatives, run: RestoreRun) -> None:
    """Create empty databases beside those in use, as stock does, and end the restore."""
    for component, login, name in step.databases:
        state = run.facts.servers[component.name].state
        exists = state is not None and login.user in state.roles
        server = _server(component, run)
        with closing(server.connect()) as administrator:
            owner = login.user if exists else value(administrator, "SELECT current_user::text")
            with _making(DropDatabase(server.access, name), run):
                provisioning.create_database(administrator, name, owner)
    run.undo.forget()
    first = step.databases[0]
    raise EngineBackupError(
        f"Existing database '{first[1].database}' or user '{first[1].user}' found and temporary ones created"
        " - Please clean up everything and try again",
        f"created: {', '.join(name for _, _, name in step.databases)};"
        " run engine-cleanup and drop them, or use --on-existing=replace",
    )


HANDLERS: dict[type, Callable[[Any, RestoreRun], None]] = {
    InitialiseServer: initialise_server,
    StartServer: start_server,
    AllowAdministrator: allow_administrator,
    ConfigureServer: configure_server,
    AllowAccess: allow_access,
    ProvisionRole: provision_role,
    ProvisionDatabase: provision_database,
    CreateExtraRoles: create_extra_roles,
    GrantReading: grant_reading,
    LoadGrants: load_grants,
    RestorePrivileges: restore_privileges,
    RenameDatabases: rename_databases,
    LeaveAlternatives: leave_alternatives,
}
