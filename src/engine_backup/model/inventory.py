"""What a backup tells of the objects in its databases: how many rows, how many and which machines.

Read in the snapshot that is dumped, written to the manifest, and read again from a database that was
restored, or is live. Every text in here is printable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Objects of one kind that are named one by one; the digest covers the others.
MOST_OBJECTS = 1000
LONGEST_NAME = 255


@dataclass(frozen=True)
class Source:
    """Where objects of a kind stand: a table of schema public, and the columns that identify and name them.

    `only` is a column and the value that rows of this kind have in it.
    """

    table: str
    identity: str
    name: str
    only: tuple[str, str] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that must be there, of a type of texts, UUIDs or whole numbers."""
        return (self.identity, self.name, *(self.only[:1] if self.only else ()))


@dataclass(frozen=True)
class ObjectKind:
    """One kind of objects; `component` has the database, the first of the `sources` that is there is read."""

    name: str
    label: str
    sources: tuple[Source, ...]
    component: str = "engine"


@dataclass(frozen=True)
class Moment:
    """The latest time in a column that has an index: `tables` of schema public, the first that is there."""

    name: str
    label: str
    component: str
    tables: tuple[str, ...]
    column: str


# Clusters were vds_groups until 3.6.
OBJECT_KINDS: tuple[ObjectKind, ...] = (
    ObjectKind("data_centers", "data centers", (Source("storage_pool", "id", "name"),)),
    ObjectKind(
        "clusters",
        "clusters",
        (Source("cluster", "cluster_id", "name"), Source("vds_groups", "vds_group_id", "name")),
    ),
    ObjectKind("hosts", "hosts", (Source("vds_static", "vds_id", "vds_name"),)),
    ObjectKind(
        "vms", "virtual machines", (Source("vm_static", "vm_guid", "vm_name", ("entity_type", "VM")),)
    ),
    ObjectKind(
        "templates", "templates", (Source("vm_static", "vm_guid", "vm_name", ("entity_type", "TEMPLATE")),)
    ),
    ObjectKind("disks", "disks", (Source("base_disks", "disk_id", "disk_alias"),)),
    ObjectKind(
        "storage_domains", "storage domains", (Source("storage_domain_static", "id", "storage_name"),)
    ),
    ObjectKind("networks", "networks", (Source("network", "id", "name"),)),
    ObjectKind("users", "users", (Source("users", "user_id", "username"),)),
)

MOMENTS: tuple[Moment, ...] = (
    Moment("last_event_at", "last event", "engine", ("audit_log",), "log_time"),
    Moment(
        "dwh_last_sample_at",
        "last sample",
        "dwh",
        ("vm_samples_history", "host_samples_history"),
        "history_datetime",
    ),
)

OBJECT_COUNTS: tuple[str, ...] = (
    "tables",
    "views",
    "materialized_views",
    "sequences",
    "indexes",
    "constraints",
    "triggers",
    "functions",
    "types",
)


@dataclass(frozen=True)
class NamedObject:
    """One object: its identity in the database, and what people call it (may be empty)."""

    identity: str
    name: str


@dataclass(frozen=True)
class KindInventory:
    """The objects of one kind, by identity. `complete`: all `count` of them are listed.

    `digest` is a SHA-256 over identities and names of all; empty where it is not known.
    """

    count: int
    objects: tuple[NamedObject, ...] = ()
    complete: bool = True
    digest: str = ""


@dataclass(frozen=True)
class Inventory:
    """What is in an engine's databases, by names of `OBJECT_KINDS`, and of `MOMENTS` (UTC, ISO 8601).

    What the schema of a release does not have is missing.
    """

    kinds: Mapping[str, KindInventory] = field(default_factory=dict)
    moments: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: Inventory) -> Inventory:
        """Return both: databases of one engine are looked at one by one."""
        return Inventory({**self.kinds, **other.kinds}, {**self.moments, **other.moments})


@dataclass(frozen=True)
class DatabaseCounts:
    """How much is in one database: tables as `schema.name`; `objects` by names of `OBJECT_COUNTS`.

    `rows` are exact, of small tables; `estimates` are the planner's, of all others that were ever analyzed.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    estimates: Mapping[str, int] = field(default_factory=dict)
    objects: Mapping[str, int] = field(default_factory=dict)
