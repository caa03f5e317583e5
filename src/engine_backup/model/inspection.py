"""What `inspect` and `list` tell of an archive. Every text in here is fit to be printed, none is secret.

`None` stands for what is not known, empty tuples for what is known to be none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from engine_backup.model.components import Component
from engine_backup.model.drill import Proof
from engine_backup.model.inventory import Inventory
from engine_backup.model.preflight import CertificateFact

LARGEST_TABLES = 10
ON_DISK, IN_DUMP = "disk", "dump"


@dataclass(frozen=True)
class LargeTable:
    """A table, `schema.name`, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class InspectedDatabase:
    """What is known of a PostgreSQL database in an archive.

    `role` is who dumped it, or would log in; `owners` own tables. Versions are such as `15.18`. `size` is
    that on the server's disk. `table_sizes` says where tables were measured: `ON_DISK` (with indexes),
    `IN_DUMP` (the text of their rows), or "" for nowhere. `row_counts` are exact, `row_estimates` the
    planner's, by `schema.table`. `excluded_table_data`: tables whose rows were left out on purpose; None as
    for most backups. `unknown` says why something is None.
    """

    database: str | None = None
    role: str | None = None
    host: str | None = None
    port: int | None = None
    server_version: str | None = None
    pg_dump_version: str | None = None
    size: int | None = None
    snapshot_taken_at: str | None = None
    position: str | None = None
    tables: int | None = None
    largest_tables: tuple[LargeTable, ...] | None = None
    table_sizes: str = ""
    extensions: tuple[str, ...] | None = None
    owners: tuple[str, ...] | None = None
    granted_roles: tuple[str, ...] | None = None
    row_counts: Mapping[str, int] | None = None
    row_estimates: Mapping[str, int] | None = None
    object_counts: Mapping[str, int] | None = None
    excluded_table_data: tuple[str, ...] | None = None
    unknown: str = ""


@dataclass(frozen=True)
class InspectedComponent:
    """A component in an archive; sizes in bytes, `raw_size` without any compressor, pg_dump's own too."""

    component: Component
    member: str
    size: int
    raw_size: int | None = None
    compressor: str = ""
    dump_format: str | None = None
    paths: int | None = None
    extra_paths: tuple[str, ...] | None = None
    database: InspectedDatabase | None = None


@dataclass(frozen=True)
class InspectedSetting:
    """One setting of the product's configuration or of engine-setup's answers."""

    name: str
    value: str


@dataclass(frozen=True)
class InspectedConfiguration:
    """The settings that may be shown, and the number of all others."""

    settings: tuple[InspectedSetting, ...]
    hidden: int


class NeedKind(Enum):
    """What a restore can lack."""

    PRODUCT = "product_version"
    POSTGRESQL = "postgresql"
    DATABASE_SPACE = "database_space"
    FILE_SPACE = "file_space"
    TEMPORARY_SPACE = "temporary_space"
    PACKAGE = "package"
    STOCK_PROGRAM = "stock_program"


@dataclass(frozen=True)
class Need:
    """One thing that a restore needs, what this machine has of it, and whether that is enough."""

    kind: NeedKind
    needed: str
    found: str
    met: bool | None
    note: str = ""


@dataclass(frozen=True)
class RecordedMember:
    """What a manifest says of one member."""

    size: int | None = None
    raw_size: int | None = None
    paths: int | None = None
    extra_paths: tuple[str, ...] | None = None
    database: InspectedDatabase | None = None


@dataclass(frozen=True)
class RecordedArchive:
    """What a manifest says of its archive, as far as it can be understood; `notes` name the rest."""

    tool_version: str | None = None
    fqdn: str | None = None
    hosted_engine: bool | None = None
    started_at: str | None = None
    members: Mapping[str, RecordedMember] = field(default_factory=dict)
    certificates: tuple[CertificateFact, ...] | None = None
    host_certificates: int | None = None
    configuration: InspectedConfiguration | None = None
    inventory: Inventory | None = None
    converted: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """All that `inspect` tells. `drill` is how its last drill went. `compressor` is that of the whole
    file, `hash_kind` "sha256", "md5" or "".

    `converted`: an export has made it of another archive.
    """

    path: str
    size: int
    compressor: str
    generation: str
    tool_version: str | None
    product_version: str
    os_version: str
    made_at: str | None
    fqdn: str | None
    hosted_engine: bool | None
    hash_kind: str
    components: tuple[InspectedComponent, ...]
    certificates: tuple[CertificateFact, ...] | None
    configuration: InspectedConfiguration | None
    host_certificates: int | None = None
    inventory: Inventory | None = None
    converted: bool = False
    drill: Proof | None = None
    needs: tuple[Need, ...] = ()
    notes: tuple[str, ...] = ()


class ArchiveState(Enum):
    """How far `list` got with a file."""

    READABLE = "readable"
    PARTLY_READ = "partly read"
    UNREADABLE = "unreadable"
    DAMAGED = "damaged"
    HOSTILE = "hostile"


@dataclass(frozen=True)
class ListedArchive:
    """One line of `list`. `made_at` is UTC in ISO 8601; `reason` says why the state is not `READABLE`,
    `drill` how its last drill went.
    """

    path: str
    state: ArchiveState
    reason: str = ""
    size: int | None = None
    made_at: str | None = None
    product_version: str | None = None
    generation: str | None = None
    components: tuple[str, ...] | None = None
    fqdn: str | None = None
    drill: Proof | None = None
