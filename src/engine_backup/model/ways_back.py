"""What a run that changes the machine writes down before each change: how to take it back.

A way back is data, so that it can stand in the journal and be gone by another process after a crash;
each kind has one handler in `run.taking_back`. All of them may be gone twice, and although
nothing was changed: a way back is recorded first, and the change may never have happened.
`str()` says to people what comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Union

from engine_backup.model.facts import Credentials
from engine_backup.model.server import ClusterPrivileges, RoleBefore


@dataclass(frozen=True)
class ServerAccess:
    """The way to a server as administrator.

    `local`: it is this machine's own cluster, reached by its socket; `credentials` only say where it listens.
    """

    credentials: Credentials
    local: bool


@dataclass(frozen=True)
class ReplacedFile:
    """A server's file that gets a new text.

    `path` is the real file, `copy` the copy of the former one beside it; `digest` and `new_digest` are
    SHA-256 of the former and the new text, in hex. `passing` is the name under which new files are written
    before they are moved to their places.
    """

    path: Path
    copy: Path
    digest: str
    new_digest: str
    passing: Path


@dataclass(frozen=True)
class StartUnit:
    """A service was stopped."""

    unit: str

    def __str__(self) -> str:
        return f"stopping {self.unit}"


@dataclass(frozen=True)
class RemoveCluster:
    """A cluster was initialised in `data`, soon after `begun`, in seconds since 1970.

    `made` are the directories that were not there before.
    """

    data: Path
    made: tuple[Path, ...]
    begun: int

    def __str__(self) -> str:
        return f"the new cluster in {self.data}"


@dataclass(frozen=True)
class DisableServer:
    """The server of this machine was enabled at boot."""

    def __str__(self) -> str:
        return "enabling PostgreSQL at boot"


@dataclass(frozen=True)
class StopServer:
    """The server of this machine was started."""

    def __str__(self) -> str:
        return "starting PostgreSQL"


@dataclass(frozen=True)
class PutServerFileBack:
    """A file of this machine's server was replaced; `restart`: a reload is not enough for what is in it."""

    replaced: ReplacedFile
    restart: bool

    def __str__(self) -> str:
        return str(self.replaced.path)


@dataclass(frozen=True)
class DropRole:
    """A role was created."""

    access: ServerAccess
    name: str

    def __str__(self) -> str:
        return f"role {self.name}"


@dataclass(frozen=True)
class PutRoleBack:
    """A role was given another password."""

    access: ServerAccess
    before: RoleBefore

    def __str__(self) -> str:
        return f"password of role {self.before.name}"


@dataclass(frozen=True)
class DropDatabase:
    """A database was created."""

    access: ServerAccess
    name: str

    def __str__(self) -> str:
        return f"database {self.name}"


@dataclass(frozen=True)
class GiveDatabaseBack:
    """A database was taken over; `created` are the roles that were new then."""

    access: ServerAccess
    name: str
    before: ClusterPrivileges
    created: tuple[str, ...]

    def __str__(self) -> str:
        return f"owner and privileges of database {self.name}"


@dataclass(frozen=True)
class PutNamesBack:
    """Databases were renamed: pairs of the name before and the name since."""

    access: ServerAccess
    pairs: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "names of databases"

    @property
    def set_aside(self) -> tuple[str, ...]:
        """The names under which databases that were there before wait."""
        taken = {new for _, new in self.pairs}
        return tuple(new for old, new in self.pairs if old in taken)


@dataclass(frozen=True)
class DropExtensions:
    """Extensions were created in a database that is loaded in place."""

    credentials: Credentials
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"extensions in {self.credentials.address}"


@dataclass(frozen=True)
class DropAddedExtensions:
    """Extensions were created, as administrator, in a database that was there."""

    access: ServerAccess
    database: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"extensions in database {self.database}"


@dataclass(frozen=True)
class EmptyDatabase:
    """A dump was loaded into a database that was empty."""

    credentials: Credentials
    label: str

    def __str__(self) -> str:
        return f"emptying the {self.label} database '{self.credentials.database}'"


@dataclass(frozen=True)
class RemovePasswordNotes:
    """Passwords of new roles were written to a file."""

    path: Path

    def __str__(self) -> str:
        return f"the passwords in {self.path}"


@dataclass(frozen=True)
class PutFilesBack:
    """Files were placed or rewritten; what they replaced is kept in the run's directory."""

    what: str

    def __str__(self) -> str:
        return self.what


WayBack = Union[
    StartUnit,
    RemoveCluster,
    DisableServer,
    StopServer,
    PutServerFileBack,
    DropRole,
    PutRoleBack,
    DropDatabase,
    GiveDatabaseBack,
    PutNamesBack,
    DropExtensions,
    DropAddedExtensions,
    EmptyDatabase,
    RemovePasswordNotes,
    PutFilesBack,
]
