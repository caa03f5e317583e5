"""What was observed of the machine, of databases and of archives, before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from engine_backup.model.archive import DumpMember, FileEntry
from engine_backup.model.components import Component
from engine_backup.model.divided_dumps import DividedDump
from engine_backup.model.engine_setup import ArchivedSetup, SetupFacts
from engine_backup.model.errors import Problem
from engine_backup.model.excluded_data import TableFact
from engine_backup.model.journal import JournalFacts
from engine_backup.model.pkcs12 import Pkcs12Facts
from engine_backup.model.preflight import CertificateFact, PreflightFacts, Volume
from engine_backup.model.secret import Secret
from engine_backup.model.server import (
    ClusterFacts,
    ClusterPrivileges,
    MemorySettings,
    ServerState,
    SettingElsewhere,
)


@dataclass(frozen=True)
class Credentials:
    """How to log in to one database; `source` says where this stands (a path or an option)."""

    host: str
    port: int
    user: str
    password: Secret
    database: str
    secured: bool = False
    secured_validation: bool = False
    source: str = ""

    @property
    def address(self) -> str:
        """`host:port/database`, for people."""
        return f"{self.host}:{self.port}/{self.database}"


class Origin(Enum):
    """Where the credentials of a database to load into come from."""

    OPTIONS = "the command line"
    ARCHIVE = "the archive"
    MACHINE = "this machine's configuration"


@dataclass(frozen=True)
class DatabaseState:
    """What is in a database, and what the role that looked may do there.

    `server_version` as PostgreSQL's number (150018), `size` in bytes, `objects`
    the number of objects that belong to no system schema and no extension,
    `sessions` those of others.
    """

    server_version: int
    size: int
    objects: int
    encoding: str
    superuser: bool
    may_create: bool
    extensions: frozenset[str]
    creatable_extensions: frozenset[str]
    roles: frozenset[str]
    functions: frozenset[str]
    sessions: int = 0
    memory: MemorySettings = field(default_factory=MemorySettings)


@dataclass(frozen=True)
class HostFacts:
    """The machine under a root directory. `product_version` is None when nothing tells it.

    `set_up` says whether engine-setup has configured anything here.
    `own_names` are those names of database hosts that lead to this machine.
    """

    fqdn: str
    os_version: str
    product_version: str | None
    hosted_engine: bool = False
    set_up: bool = True
    own_names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class DatabaseFacts:
    """One database of the component table as this machine's configuration describes it.

    `enabled` None: engine-setup's answers do not mention it. `error` says why
    it cannot be dumped, None when it can. `size` in bytes. `hosted_engine`: it
    knows a machine that the engine itself runs in. `tables` are looked at only where rows of some are to be
    left out.
    """

    component: Component
    enabled: bool | None
    credentials: Credentials | None = None
    error: Problem | None = None
    size: int = 0
    hosted_engine: bool = False
    tables: tuple[TableFact, ...] = ()


@dataclass(frozen=True)
class FileFacts:
    """A component that is a single file: is it there, and how large (bytes)."""

    component: Component
    enabled: bool | None
    exists: bool = False
    size: int = 0


@dataclass(frozen=True)
class TargetFacts:
    """The place where an archive is to be written."""

    path: str
    directory_exists: bool
    directory_writable: bool
    is_default_directory: bool
    exists: bool
    is_regular: bool
    directory_is_other: bool = False  # something is in its place


@dataclass(frozen=True)
class BackupFacts:
    """Everything that was looked at before a backup is planned; `cores` that this program may use.

    The volumes are those of the archive's directory and of the temporary one; None: nobody may look, or
    there is none. `target` is None when the archive goes to standard output.
    """

    host: HostFacts
    target: TargetFacts | None
    databases: tuple[DatabaseFacts, ...]
    single_files: tuple[FileFacts, ...]
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    cores: int = 1
    archive_volume: Volume | None = None
    temporary_volume: Volume | None = None


@dataclass(frozen=True)
class DumpFacts:
    """What the dump of one component says of itself; `kept` is the list that `pg_restore -L` takes.

    `foreign_grants`: some grants were made by others than the owner.
    `programs_major` is the major version of the pg_dump that wrote it (0: not told).
    `unpacked_size` in bytes, None when only unpacking would tell. `privileges` are what dumps do
    not hold, as the manifest tells them. `tables` are those that it makes, as `schema.name`; `owners` own
    them. `database` is the one it was made of, `role` who made it, as the manifest tells. `excluded` are
    tables whose rows were left out on purpose. Empty where nothing says so. `divided`: its parts can be read
    one by one.
    """

    member: DumpMember
    kept: str = ""
    left_out: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    grantees: tuple[str, ...] = ()
    foreign_grants: bool = False
    programs_major: int = 0
    unpacked_size: int | None = None
    privileges: ClusterPrivileges | None = None
    owners: tuple[str, ...] = ()
    database: str = ""
    role: str = ""
    tables: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    divided: DividedDump | None = None


@dataclass(frozen=True)
class ArchiveFacts:
    """What an archive holds, as far as a plan needs it; all of it hostile until checked.

    `credentials` by component name, as the conf files inside the archive say;
    `recorded_sizes` are those of the databases when they were saved, in bytes, as the manifest tells.
    `readers` are second, read-only log-ins (Grafana's, to DWH's database).
    `setup` is what engine-setup was told when the engine was set up.
    """

    generation: str
    version: str
    os_version: str
    fqdn: str
    has_files: bool
    apache_configured: bool
    entries: tuple[FileEntry, ...]
    dumps: Mapping[str, DumpFacts]
    credentials: Mapping[str, Credentials]
    readers: Mapping[str, Credentials] = field(default_factory=dict)
    certificates: tuple[CertificateFact, ...] = ()
    recorded_sizes: Mapping[str, int] = field(default_factory=dict)
    hosted_engine: bool = False
    setup: ArchivedSetup = field(default_factory=ArchivedSetup)
    pkcs12: Pkcs12Facts | None = None


@dataclass(frozen=True)
class ServerFacts:
    """The server that databases are to be made on.

    `cluster` is this machine's own (None: an administrator's server over the network, `host`).
    `state` is None while the server does not run, or when nobody may look (`error` says why).
    The texts are those of its conf files, `elsewhere` the settings that stand in other places.
    """

    host: str
    port: int
    cluster: ClusterFacts | None = None
    state: ServerState | None = None
    error: Problem | None = None
    configuration_text: str = ""
    access_text: str = ""
    elsewhere: Mapping[str, SettingElsewhere] = field(default_factory=dict)
    needs_administrator_line: bool = False


@dataclass(frozen=True)
class TargetDatabase:
    """A database to load into, and what was found there; `origin` is where the credentials come from."""

    component: Component
    credentials: Credentials | None
    origin: Origin
    state: DatabaseState | None = None
    error: Problem | None = None


@dataclass(frozen=True)
class RestoreFacts:
    """Everything that was looked at before a restore is planned.

    `servers` by component name, for components whose database may have to be made.
    `program_problems`, by component too: PostgreSQL's programs here do not fit dump and server.
    `locales` are this machine's. `preflight` is what surrounds a restore.
    `place_problems` are targets of files that cannot be written.
    `existing_files` are conf files of this machine that credentials could be rewritten in.
    `journals` are those of other restores here.
    `hooks` of this machine, by stage.
    `free_space` of the temporary directory and `memory` in bytes; `cores` that this program may use.
    `engine_setup` is what there is to run afterwards.
    """

    host: HostFacts
    archive: ArchiveFacts
    targets: tuple[TargetDatabase, ...]
    servers: Mapping[str, ServerFacts] = field(default_factory=dict)
    program_problems: Mapping[str, Problem] = field(default_factory=dict)
    locales: frozenset[str] = frozenset()
    preflight: PreflightFacts = field(default_factory=PreflightFacts)
    place_problems: tuple[str, ...] = ()
    existing_files: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    journals: tuple[JournalFacts, ...] = ()
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    free_space: int = 0
    cores: int = 1
    memory: int = 0
    engine_setup: SetupFacts = field(default_factory=SetupFacts)
