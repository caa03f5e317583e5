"""The servers that databases may be made on: this machine's own, or one reached as administrator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers import administrator, postgres, postgres_probe, server_files, server_observation
from engine_backup.drivers.administrator import AdministratorRefusedError
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.server_survey import observe_server
from engine_backup.model.errors import EngineBackupError, Problem
from engine_backup.model.facts import Credentials, HostFacts, ServerFacts, TargetDatabase
from engine_backup.model.requests import Administrator, RestoreRequest
from engine_backup.model.ways_back import ServerAccess
from engine_backup.plan.database_checks import is_local

MAINTENANCE_DATABASE = "postgres"
# A reload takes effect a moment later.
PATIENCE_SECONDS = 5.0


@dataclass
class Server:
    """A server and the way to it as administrator; `cluster` is None for one over the network."""

    credentials: Credentials
    cluster: LocalCluster | None

    @classmethod
    def reached_by(cls, access: ServerAccess, root: Path) -> Server:
        """Return the server that a journal speaks of."""
        return cls(access.credentials, LocalCluster(root) if access.local else None)

    @property
    def access(self) -> ServerAccess:
        """The way to it, for a journal."""
        return ServerAccess(self.credentials, self.cluster is not None)

    def connect(self, database: str = MAINTENANCE_DATABASE) -> Connection:
        """Log in as administrator, in autocommit mode; the caller closes. Raises `LoginError`."""
        if self.cluster is not None:
            return administrator.connect(self.cluster.observe(), database, patience_seconds=PATIENCE_SECONDS)
        connection = postgres.connect(replace(self.credentials, database=database))
        connection.autocommit = True
        return connection


def servers_of(
    targets: list[TargetDatabase], request: RestoreRequest, machine: HostFacts
) -> dict[str, Server]:
    """Return the server of each target that this run could administer, by component name."""
    local = LocalCluster(request.surroundings.root)
    found = {}
    for target in targets:
        login = target.credentials
        if login is None:
            continue
        if is_local(login.host, machine) and request.administrator is None:
            found[target.component.name] = Server(login, local)
        elif request.administrator is not None:
            found[target.component.name] = Server(_as_administrator(login, request.administrator), None)
    return found


def _as_administrator(login: Credentials, administrator_role: Administrator) -> Credentials:
    return replace(
        login,
        user=administrator_role.user,
        password=administrator_role.password,
        database=MAINTENANCE_DATABASE,
        source="--provision-admin-user",
    )


def observe_servers(
    servers: Mapping[str, Server], targets: list[TargetDatabase], root: Path
) -> dict[str, ServerFacts]:
    """Look at each server once; what cannot be seen is told in the facts."""
    names = [t.credentials.database for t in targets if t.credentials]
    seen: dict[str, ServerFacts] = {}
    facts = {}
    for component, server in servers.items():
        key = "local" if server.cluster else f"{server.credentials.host}:{server.credentials.port}"
        if key not in seen:
            seen[key] = _observe(server, names, root)
        facts[component] = seen[key]
    return facts


def _observe(server: Server, names: list[str], root: Path) -> ServerFacts:
    login = server.credentials
    facts = ServerFacts(login.host, login.port)
    try:
        if server.cluster is None:
            return _looked_into(server, facts, names)
        facts = replace(facts, cluster=server.cluster.observe())
        if facts.cluster is None or not facts.cluster.running:
            return replace(facts, error=_stranger(server.cluster, login))
        return _with_files(server, _looked_into(server, facts, names), root)
    except AdministratorRefusedError:
        return replace(facts, needs_administrator_line=True)
    except EngineBackupError as error:
        return replace(facts, error=Problem(error.message, error.hint))


def _stranger(cluster: LocalCluster, login: Credentials) -> Problem | None:
    """Return the problem of a server that is not ours to administer, and has the port."""
    if not postgres_probe.listens(login.host, login.port):
        return None
    return Problem(
        f"{login.host}:{login.port} is served by another server than that of {cluster.data}",
        "stop it, or name its administrator: --provision-admin-user and --provision-admin-passfile",
    )


def _looked_into(server: Server, facts: ServerFacts, names: list[str]) -> ServerFacts:
    connection = _first_connection(server)
    try:
        return replace(facts, state=observe_server(connection, names, server.connect))
    finally:
        connection.close()


def _first_connection(server: Server) -> Connection:
    """Connect without the patience that a reload needs."""
    if server.cluster is None:
        return server.connect()
    return administrator.connect(server.cluster.observe())


def _with_files(server: Server, facts: ServerFacts, root: Path) -> ServerFacts:
    connection = _first_connection(server)
    try:
        files = server_observation.configuration_files(connection, root)
        return replace(
            facts,
            configuration_text=server_files.read(files.configuration),
            access_text=server_files.read(files.access),
            elsewhere=server_observation.settings_elsewhere(connection),
        )
    finally:
        connection.close()
