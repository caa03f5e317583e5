"""What tells a backup from the databases that are live now. Every text in here is printable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine_backup.model.inventory import Inventory, NamedObject

LIVE = "live"


@dataclass(frozen=True)
class Seen:
    """A database at a moment (UTC, ISO 8601; None where nobody knows): its rows by `schema.table`.

    `estimates` are of tables that are too large to count.
    """

    at: str | None
    rows: Mapping[str, int]
    inventory: Inventory
    estimates: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LiveKind:
    """Objects of one kind, in the backup and live; None: that database has no table of them.

    `same`: there is no difference. `complete`: all were compared one by one, else only those with the first
    identities; whether the others are the same is known, too.
    """

    name: str
    saved: int | None
    live: int | None
    only_live: tuple[NamedObject, ...] = ()
    only_saved: tuple[NamedObject, ...] = ()
    renamed: tuple[tuple[NamedObject, NamedObject], ...] = ()
    complete: bool = True
    same: bool = False


@dataclass(frozen=True)
class LiveTable:
    """A table with another number of rows; `saved` is None for one that is only live.

    `estimated`: `live` is what PostgreSQL's planner believes.
    """

    name: str
    saved: int | None
    live: int
    estimated: bool


@dataclass(frozen=True)
class LiveMoment:
    """The latest event or sample, in the backup and live (UTC, ISO 8601); None where no index tells it."""

    name: str
    saved: str | None
    live: str | None


@dataclass(frozen=True)
class LiveDatabase:
    """One component's database in the backup, and live at `address` (host:port/database).

    `seconds_behind` is the time between the two; None where nobody knows when the backup was made.
    `tables` are only those that differ, of `tables_compared`.
    """

    component: str
    address: str
    saved_at: str | None
    live_at: str | None
    seconds_behind: float | None
    moments: tuple[LiveMoment, ...]
    kinds: tuple[LiveKind, ...]
    tables_compared: int
    tables: tuple[LiveTable, ...]
