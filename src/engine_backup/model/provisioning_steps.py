"""The steps that make databases on a server; each has one handler in `run`."""

from __future__ import annotations

from dataclasses import dataclass

from engine_backup.model.components import Component
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.model.server import ClusterFacts, ClusterPrivileges


@dataclass(frozen=True)
class InitialiseServer:
    """Make the cluster of this machine."""

    cluster: ClusterFacts

    def __str__(self) -> str:
        return f"initialise PostgreSQL in {self.cluster.data}"


@dataclass(frozen=True)
class StartServer:
    """Start the server of this machine, and enable it at boot."""

    cluster: ClusterFacts

    def __str__(self) -> str:
        return f"start PostgreSQL in {self.cluster.data}, and enable it at boot"


@dataclass(frozen=True)
class AllowAdministrator:
    """Let the cluster's owner in on the socket, until the restore has ended."""

    cluster: ClusterFacts

    def __str__(self) -> str:
        return f"let the account {self.cluster.owner} into PostgreSQL while this restore lasts"


@dataclass(frozen=True)
class ConfigureServer:
    """Give postgresql.conf a new text, and make it count."""

    text: str
    changes: tuple[str, ...]
    restart: bool

    def __str__(self) -> str:
        how = "restart" if self.restart else "reload"
        return f"set {', '.join(self.changes)} in postgresql.conf, and {how} PostgreSQL"


@dataclass(frozen=True)
class AllowAccess:
    """Give pg_hba.conf a new text, and reload it. `names` are the databases that it lets roles into."""

    text: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"let roles into {', '.join(self.names)} by pg_hba.conf"


@dataclass(frozen=True)
class ProvisionRole:
    """Create a role, or give an existing one LOGIN and the password."""

    component: Component
    name: str
    password: Secret
    exists: bool

    def __str__(self) -> str:
        if self.exists:
            return f"give role {self.name} LOGIN and the password of the conf files"
        return f"create role {self.name}"


@dataclass(frozen=True)
class ProvisionDatabase:
    """Create a database (under a passing name), or take over an empty one; then its extensions."""

    component: Component
    name: str
    owner: str
    extensions: tuple[str, ...]
    exists: bool

    def __str__(self) -> str:
        if self.exists:
            return f"take over the empty database {self.name} for role {self.owner}"
        return f"create database {self.name} for role {self.owner}"


@dataclass(frozen=True)
class ExtraRole:
    """A role that a dump grants something to. `password` None: a random one is made and told.

    `reads`: it gets read access to all of the component's database, and access by password (Grafana's role).
    """

    component: Component
    name: str
    database: str
    password: Secret | None = None
    reads: bool = False


@dataclass(frozen=True)
class CreateExtraRoles:
    """Create the roles that dumps grant something to."""

    roles: tuple[ExtraRole, ...]

    def __str__(self) -> str:
        return f"create roles that the dumps name: {', '.join(role.name for role in self.roles)}"


@dataclass(frozen=True)
class GrantReading:
    """Give a role read access to all of a loaded database."""

    component: Component
    role: ExtraRole
    database: str
    owner: str

    def __str__(self) -> str:
        return f"let role {self.role.name} read the {self.component.label} database"


@dataclass(frozen=True)
class LoadGrants:
    """Run a dump's grants as administrator: some were made by others than the owner."""

    component: Component
    database: str
    owner: str

    def __str__(self) -> str:
        return f"grant what the dump of the {self.component.label} database grants"


@dataclass(frozen=True)
class RestorePrivileges:
    """Give a database the privileges and settings that dumps do not hold, as the manifest tells them."""

    component: Component
    database: str
    owner: str
    privileges: ClusterPrivileges

    def __str__(self) -> str:
        return f"restore privileges on, and settings of, the {self.component.label} database"


@dataclass(frozen=True)
class RenameDatabases:
    """Give complete databases their names, all in one transaction; then the final pg_hba.conf."""

    component: Component
    pairs: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "rename " + ", ".join(f"{old} to {new}" for old, new in self.pairs)


@dataclass(frozen=True)
class LeaveAlternatives:
    """Create databases and roles under other names beside those in use, and end the restore."""

    databases: tuple[tuple[Component, Credentials, str], ...]

    def __str__(self) -> str:
        named = ", ".join(f"{new} beside {old.database}" for _, old, new in self.databases)
        return f"create {named}, and stop: existing databases are not empty"
