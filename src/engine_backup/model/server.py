"""What was observed of a PostgreSQL server before it is provisioned, and what belongs to its databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine_backup.model.secret import Secret


@dataclass(frozen=True)
class SettingElsewhere:
    """A server setting that does not get its value from postgresql.conf itself.

    `value` as it could stand in that file, with its unit. `place` says to people
    where it stands. `final`: it is read after postgresql.conf (ALTER SYSTEM, the
    command line), so no line there changes it; otherwise a line at the end does.
    """

    value: str
    place: str
    final: bool


@dataclass(frozen=True)
class ServerFiles:
    """Where a running server reads its configuration from (SHOW config_file, hba_file, data_directory)."""

    configuration: Path
    access: Path
    data: Path


@dataclass(frozen=True)
class ClusterFacts:
    """The PostgreSQL cluster in one data directory.

    `major` is what PG_VERSION says, 0 when not initialised. `owner` is the OS account that owns
    the data directory, or would. `port`, `socket_directory` and `pid` (0 when not running) come
    from postmaster.pid; `ready`: the server says that it takes connections. `obstacle` says why
    the data directory cannot be initialised, "" when nothing is known to be in the way.
    """

    data: Path
    owner: str
    uid: int
    gid: int
    major: int = 0
    pid: int = 0
    port: int = 0
    socket_directory: Path | None = None
    ready: bool = False
    obstacle: str = ""

    @property
    def initialised(self) -> bool:
        """Whether there is a cluster at all."""
        return self.major > 0

    @property
    def running(self) -> bool:
        """Whether its server runs."""
        return self.pid > 0


@dataclass(frozen=True)
class RoleState:
    """A role of the server.

    `superuser`: it is one, or can act as one: by membership, or by what only a superuser should
    get (predefined roles that run programs or touch the server's files).
    """

    name: str
    can_login: bool
    superuser: bool


@dataclass(frozen=True)
class RoleBefore:
    """A role as it was before it was changed; with `verifier_known` it can come back exactly.

    `verifier` is what the server keeps instead of the password, None when there was none.
    `expired` is the moment from which its password did not count any more, "" when it did.
    """

    name: str
    can_login: bool
    verifier_known: bool
    verifier: Secret | None = None
    expired: str = ""


@dataclass(frozen=True)
class DatabaseOnServer:
    """A database, seen by the server's administrator.

    `size` in bytes; `objects` as in `DatabaseState`, None when nobody could look: `problem`
    says why. `sessions` of others, not of the server's own workers.
    """

    name: str
    owner: str
    encoding: str
    size: int
    objects: int | None
    sessions: int
    collation: str
    problem: str = ""

    @property
    def empty(self) -> bool:
        """Whether it is known that nobody made anything in it."""
        return self.objects == 0


@dataclass(frozen=True)
class MemorySettings:
    """What a server uses memory for, in bytes; 0 when nobody has looked.

    `parallel_maintenance_workers` is a number, None where the server knows no such setting (before 11).
    """

    shared_buffers: int = 0
    maintenance_work_mem: int = 0
    parallel_maintenance_workers: int | None = None


@dataclass(frozen=True)
class ServerState:
    """A server, seen by its administrator.

    `version` as PostgreSQL's number; `databases` are those that were asked for and exist;
    `locales` those of the few that matter which the server has.
    """

    version: int
    administrator: str
    databases: Mapping[str, DatabaseOnServer]
    roles: Mapping[str, RoleState]
    available_extensions: frozenset[str]
    trusted_extensions: frozenset[str]
    locales: frozenset[str]
    password_encryption: str
    is_superuser: bool
    may_create_database: bool
    may_create_role: bool
    read_only: bool = False
    memory: MemorySettings = field(default_factory=MemorySettings)


@dataclass(frozen=True)
class DatabaseGrant:
    """What a role may do with a database; `grantee` None is PUBLIC. `grantable` is part of `privileges`."""

    grantee: str | None
    privileges: tuple[str, ...]
    grantable: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredSetting:
    """A setting of ALTER DATABASE or ALTER ROLE (pg_db_role_setting), `value` as the catalog has it.

    `role` None: of all roles in this database. `everywhere`: of this role in all databases.
    """

    role: str | None
    name: str
    value: str
    everywhere: bool = False


@dataclass(frozen=True)
class Membership:
    """`member` belongs to `role`; before PostgreSQL 16 every member inherits and may SET ROLE."""

    role: str
    member: str
    admin: bool = False
    inherit: bool = True
    settable: bool = True


@dataclass(frozen=True)
class ClusterPrivileges:
    """What belongs to a database and lies outside of it, so that no dump of it holds it.

    `grants` None: nobody ever granted or revoked anything, the server's defaults count.
    """

    owner: str
    grants: tuple[DatabaseGrant, ...] | None = None
    settings: tuple[StoredSetting, ...] = ()
    memberships: tuple[Membership, ...] = ()


@dataclass(frozen=True)
class PrivilegeStatement:
    """A single GRANT, REVOKE or ALTER DEFAULT PRIVILEGES, checked to be no more than that.

    `role` is who has to run it, "" the administrator.
    """

    text: str
    role: str
