"""What the person at the command line asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from engine_backup.model.components import SCOPE_ALL
from engine_backup.model.excluded_data import TablePattern
from engine_backup.model.facts import Credentials
from engine_backup.model.hooks import TIME_LIMIT_SECONDS
from engine_backup.model.modes import STANDARD
from engine_backup.model.secret import Secret
from engine_backup.model.verify_levels import Level

# `--file=-`. Every other file of a request is an absolute path.
STANDARD_OUTPUT = Path(STANDARD)


@dataclass(frozen=True)
class Surroundings:
    """What all modes share. `root` is the root directory of the engine to work on.

    `product_version` and `os_version` are to be assumed instead of those that are installed.
    `json`: what is told is told to a program, and nothing else is. `hook_timeout`: how many seconds
    the hooks of a stage may take.
    """

    root: Path
    log: Path
    tmpdir: Path
    scopes: tuple[str, ...] = (SCOPE_ALL,)
    product_version: str | None = None
    os_version: str | None = None
    pg_bindir: Path | None = None
    dry_run: bool = False
    json: bool = False
    warnings: tuple[str, ...] = ()
    hook_timeout: int = TIME_LIMIT_SECONDS


@dataclass(frozen=True)
class DumpWish:
    """`--*-db-dump-format` and `--*-db-compressor`; None where nothing was asked."""

    dump_format: str | None = None
    compressor: str | None = None


@dataclass(frozen=True)
class BackupRequest:
    """`--mode=backup`. `preset` is None when none was named: the plan chooses by risk.

    `file_named`: the person named the file; else hooks may name another. `jobs`: how many members are made
    at the same time; None is decided by the processors. `excluded`: tables whose rows are not wanted.
    """

    surroundings: Surroundings
    file: Path
    preset: str | None = None
    archive_compressor: str | None = None
    files_compressor: str | None = None
    dumps: Mapping[str, DumpWish] = field(default_factory=dict)
    include_paths: tuple[str, ...] = ()
    no_overwrite: bool = False
    file_named: bool = True
    jobs: int | None = None
    excluded: tuple[TablePattern, ...] = ()

    @property
    def to_standard_output(self) -> bool:
        """Whether the archive goes to another program, and is no file."""
        return self.file == STANDARD_OUTPUT

    @property
    def spool_parent(self) -> Path:
        """The directory below which members wait for their place in the archive."""
        return self.surroundings.tmpdir if self.to_standard_output else self.file.parent


@dataclass(frozen=True)
class Administrator:
    """A role that may create roles and databases on servers that are reached over the network."""

    user: str
    password: Secret


@dataclass(frozen=True)
class RestoreRequest:
    """`--mode=restore`. `permissions` is None when neither option was given.

    `on_existing` is what becomes of a database that is to be provisioned, exists, and is not empty:
    None (a new one with a time in its name, and the restore ends), "refuse" or "replace".
    `changed` are the credentials of `--change-*-db-credentials` by component name, `restore_jobs`
    the numbers of `--*-db-restore-jobs` that were given.
    """

    surroundings: Surroundings
    file: Path
    permissions: bool | None = None
    keep_temporary_data: bool = False
    changed: Mapping[str, Credentials] = field(default_factory=dict)
    restore_jobs: Mapping[str, int] = field(default_factory=dict)
    provision: frozenset[str] = frozenset()
    provision_all: bool = False
    on_existing: str | None = None
    administrator: Administrator | None = None
    yes: bool = False
    he_remove_storage_vm: bool = False
    he_remove_hosts: bool = False
    include_paths: tuple[str, ...] = ()
    allow_paths: tuple[str, ...] = ()
    accept_archived_hosts: bool = False
    keep_undo: bool = False
    run_engine_setup: bool = False
    run_restored_hooks: bool = False
    analyze: bool = True


@dataclass(frozen=True)
class VerifyRequest:
    """`--mode=verify`."""

    surroundings: Surroundings
    file: Path
    level: Level = Level.FULL


@dataclass(frozen=True)
class DrillRequest:
    """`drill`. `log_named`: the person named the log, so it must be written.

    `against`: compare with live databases ("live"). `live` are log-ins to them, by component, in the place of
    those in conf files.
    """

    surroundings: Surroundings
    file: Path
    log_named: bool = False
    against: str | None = None
    live: Mapping[str, Credentials] = field(default_factory=dict)


@dataclass(frozen=True)
class InspectRequest:
    """`inspect`."""

    surroundings: Surroundings
    file: Path


@dataclass(frozen=True)
class ListRequest:
    """`list`: archives, and directories whose archives are meant."""

    surroundings: Surroundings
    places: tuple[Path, ...]


@dataclass(frozen=True)
class JournalRequest:
    """`rollback`, `commit` and `journal`. `run` names a run; None is the one that is meant anyway.

    `give_up`: what cannot be taken back is left, and the journal set aside.
    """

    surroundings: Surroundings
    mode: str
    run: str | None = None
    give_up: bool = False


@dataclass(frozen=True)
class ExtractRequest:
    """`extract`. `output` is a directory, or None for standard output.

    `components` are names of components whose dumps (or files) are meant; `as_sql` gives dumps as SQL
    text. `json` is the form of the credentials.
    """

    file: Path
    tmpdir: Path
    paths: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    pki: bool = False
    credentials: bool = False
    fqdn: bool = False
    output: Path | None = None
    as_sql: bool = False
    json: bool = False
    same_owner: bool = False
    pg_bindir: Path | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportRequest:
    """`export`. `form` is a name of `EXPORT_FORMS`."""

    file: Path
    output: Path
    form: str
    tmpdir: Path
    no_overwrite: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DemoRequest:
    """`demo`. `vms` and `days` size the sample engine; it is left in `keep` when that is given."""

    vms: int
    days: int
    keep: Path | None = None
    pg_bindir: Path | None = None


TakingOutRequest = Union[ExtractRequest, ExportRequest]
Request = Union[
    BackupRequest,
    RestoreRequest,
    VerifyRequest,
    DrillRequest,
    InspectRequest,
    ListRequest,
    JournalRequest,
    ExtractRequest,
    ExportRequest,
    DemoRequest,
]
