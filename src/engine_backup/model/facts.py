"""What was observed of the machine, of databases and of archives, before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass

from engine_backup.model.components import Component
from engine_backup.model.errors import Problem
from engine_backup.model.secret import Secret


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


@dataclass(frozen=True)
class DatabaseState:
    """What is in a database, and what the role that looked may do there.

    `server_version` as PostgreSQL's number (150018), `size` in bytes, `objects`
    the number of objects that belong to no system schema and no extension.
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


@dataclass(frozen=True)
class HostFacts:
    """The machine under a root directory. `product_version` is None when nothing tells it.

    `set_up` says whether engine-setup has configured anything here.
    """

    fqdn: str
    os_version: str
    product_version: str | None
    hosted_engine: bool = False
    set_up: bool = True


@dataclass(frozen=True)
class DatabaseFacts:
    """One database of the component table as this machine's configuration describes it.

    `enabled` None: engine-setup's answers do not mention it. `error` says why
    it cannot be dumped, None when it can. `size` in bytes.
    """

    component: Component
    enabled: bool | None
    credentials: Credentials | None = None
    error: Problem | None = None
    size: int = 0


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


@dataclass(frozen=True)
class BackupFacts:
    """Everything that was looked at before a backup is planned."""

    host: HostFacts
    target: TargetFacts
    databases: tuple[DatabaseFacts, ...]
    single_files: tuple[FileFacts, ...]
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
