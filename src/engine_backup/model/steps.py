"""The steps that plans are made of; each has one handler in `run`.

A step is data: what to do, and in `str()` the line that `--dry-run` prints.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine_backup.model.archive import FileEntry
from engine_backup.model.components import AfterLoad, Component
from engine_backup.model.divided_dumps import LoadOrder
from engine_backup.model.engine_setup import RunEngineSetup
from engine_backup.model.errors import Problem
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret


@dataclass(frozen=True)
class RunHooks:
    """Run administrators' hooks of one stage. What they change is theirs: nothing takes it back."""

    stage: str
    hooks: tuple[str, ...]

    def __str__(self) -> str:
        return f"run hooks of stage {self.stage}: {', '.join(self.hooks)}"


@dataclass(frozen=True)
class StageFiles:
    """Unpack the chosen files into a private directory beside their targets."""

    entries: tuple[FileEntry, ...]

    def __str__(self) -> str:
        return f"unpack {len(self.entries)} files and directories into a private directory"


@dataclass(frozen=True)
class ForgetApache:
    """Take the answer that says Apache is configured out of the unpacked answers (reference 9.5).

    `left_out` are the files of Apache, which were left out, since the operating system is another one.
    """

    entries: tuple[FileEntry, ...]
    left_out: tuple[bytes, ...]
    archived_system: str
    system: str

    def __str__(self) -> str:
        return "let engine-setup ask about Apache again: the operating system is another one"


@dataclass(frozen=True)
class EncryptPkcs12:
    """Encrypt unpacked PKCS#12 files anew, before they are put in their places (reference 9.5).

    `entries` and `kept` belong together: each file, and the name under which it stays as it was.
    """

    entries: tuple[FileEntry, ...]
    kept: tuple[FileEntry, ...]
    password: Secret

    def __str__(self) -> str:
        return (
            f"encrypt {len(self.entries)} PKCS#12 files anew, and keep them as they were beside the new ones"
        )


@dataclass(frozen=True)
class StopServices:
    """Stop services that would disturb; they are started again when the restore is undone."""

    units: tuple[str, ...]

    def __str__(self) -> str:
        return f"stop {', '.join(self.units)}"


@dataclass(frozen=True)
class CreateExtensions:
    """Create extensions that a dump needs and that the role may create."""

    component: Component
    credentials: Credentials
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"create {', '.join(self.names)} in {self.credentials.address}"


@dataclass(frozen=True)
class LoadDump:
    """One load of `LoadDumps`: a dump into an empty database; emptied again when a later step fails.

    `final_name` is what the database is called in the end. `unpacked`: the dump is unpacked to the
    temporary directory first, which lets `jobs` processes load it at the same time; else it is streamed.
    `settings` are names and values for the sessions that load. `reason`: why it is not unpacked although
    several processes could load it then. `order`: it is loaded part by part, `jobs` parts at the same time.
    """

    component: Component
    credentials: Credentials
    permissions: bool
    jobs: int
    unpacked: bool
    final_name: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    order: LoadOrder | None = None

    def __str__(self) -> str:
        grants = "with" if self.permissions else "without"
        place = self.credentials.address
        return f"load the {self.component.label} database into {place} ({self._way}, {grants} permissions)"

    @property
    def _way(self) -> str:
        if self.order is not None:
            return f"streamed in {len(self.order.parts)} parts, {self.jobs} jobs"
        way = f"unpacked first, {self.jobs} jobs" if self.unpacked else "streamed"
        return f"{way}: {self.reason}" if self.reason else way


@dataclass(frozen=True)
class LoadDumps:
    """Load dumps, or parts of them, `at_once` of them at the same time; the first that fails ends the others.

    `analyze`: statistics of a database that is loaded are gathered while others still are being loaded.
    """

    loads: tuple[LoadDump, ...]
    at_once: int = 1
    analyze: bool = False

    def __str__(self) -> str:
        if len(self.loads) == 1:
            return str(self.loads[0])
        lines = "".join(f"\n     {load}" for load in self.loads)
        what = "databases" if all(load.order is None for load in self.loads) else "databases, their parts"
        return f"load {len(self.loads)} {what}, {self.at_once} at a time:{lines}"


@dataclass(frozen=True)
class ApplyFixes:
    """Correct what a restored database must not believe any more, in one transaction."""

    component: Component
    credentials: Credentials
    which: AfterLoad
    final_name: str = ""

    def __str__(self) -> str:
        return f"clean up temporary data in the {self.component.label} database {self.credentials.address}"


@dataclass(frozen=True)
class Loaded:
    """A database that was loaded, and the log-in that loaded it."""

    component: Component
    credentials: Credentials


@dataclass(frozen=True)
class AnalyzeDatabases:
    """Gather the statistics by which PostgreSQL plans queries, of so many tables at the same time.

    Databases whose statistics were gathered while others were loaded are done already.
    What takes a load back takes them back too.
    """

    databases: tuple[Loaded, ...]
    at_once: int

    def __str__(self) -> str:
        return f"gather statistics of {len(self.databases)} databases, {self.at_once} tables at a time"


@dataclass(frozen=True)
class RemoveHostedStorage:
    """Remove the hosted-engine storage domain and VM from a loaded database, in one transaction.

    What takes the load back takes this back too: the database goes, or is emptied.
    """

    component: Component
    credentials: Credentials

    def __str__(self) -> str:
        return (
            "remove the hosted-engine storage domain, all its entities and the hosted-engine VM"
            f" from {self.credentials.address}"
        )


@dataclass(frozen=True)
class RemoveHostedHosts:
    """Remove all hosted-engine hosts from a loaded database, in one transaction; taken back with the load."""

    component: Component
    credentials: Credentials

    def __str__(self) -> str:
        return f"remove all hosted-engine hosts from {self.credentials.address}"


@dataclass(frozen=True)
class PlaceFiles:
    """Move the unpacked files to their places."""

    entries: tuple[FileEntry, ...]

    def __str__(self) -> str:
        return f"put {len(self.entries)} files and directories in their places"


@dataclass(frozen=True)
class PlaceSqlite:
    """Put a SQLite database in its place and remove what belonged to the old one."""

    component: Component

    def __str__(self) -> str:
        return f"restore the {self.component.label} database {self.component.path}"


@dataclass(frozen=True)
class RelabelFiles:
    """Give restored files their SELinux labels, where SELinux is on. `names` are relative to the root."""

    names: tuple[bytes, ...]

    def __str__(self) -> str:
        return f"set the SELinux labels of {len(self.names)} files and directories, if SELinux is on"


@dataclass(frozen=True)
class RewriteCredentials:
    """Write changed credentials into the conf files of their component."""

    component: Component
    credentials: Credentials

    def __str__(self) -> str:
        return f"rewrite the credentials of the {self.component.label} database to {self.credentials.address}"


@dataclass(frozen=True)
class Plan:
    """Ordered steps, what to know beforehand, and every reason not to begin.

    `gate` steps come first: what must run before the rest can be looked at (a server that is
    stopped). `notes` are decisions with their reasons, told by `--dry-run` and in the log.
    `concerned` names what a restore changes, as in its journal. `afterwards` are done when all else is
    complete and its journal has ended: they are not undone.
    """

    steps: tuple[object, ...]
    gate: tuple[object, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    concerned: tuple[str, ...] = ()
    afterwards: tuple[RunEngineSetup, ...] = ()
