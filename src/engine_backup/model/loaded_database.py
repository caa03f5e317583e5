"""What was found in a database that a drill has loaded. Names of relations are `schema.name`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ForeignObject:
    """Something that belongs to another role than the one that loaded it; `kind` as people say it."""

    kind: str
    name: str
    owner: str


@dataclass(frozen=True)
class OpenConstraint:
    """A constraint that PostgreSQL has never compared with all rows (`NOT VALID` in the dump).

    `violations` are rows that break it, None where nobody could count them; `reason` says why.
    """

    name: str
    table: str
    kind: str
    violations: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class IndexFact:
    """An index; sizes in bytes.

    `number` is its OID. `usable`: PostgreSQL itself takes it for complete. `btree`: amcheck can read it.
    `computed`: what is in it depends on expressions, or on operators that PostgreSQL does not bring.
    """

    number: int
    name: str
    table: str
    usable: bool
    btree: bool
    computed: bool
    size: int
    table_size: int


@dataclass(frozen=True)
class SequenceFact:
    """A sequence that numbers a column: the `next` number, and the `largest` there is (None: no row)."""

    name: str
    column: str
    next: int
    largest: int | None


@dataclass(frozen=True)
class BrokenReference:
    """A rule that rows break: how many do, and what is said of the first of them."""

    rows: int
    findings: tuple[str, ...]


@dataclass(frozen=True)
class CheckedReferences:
    """How many rules were looked at, how many this schema has no tables for, and which are broken.

    `leftovers` are broken as on healthy engines.
    """

    checked: int
    skipped: int
    broken: tuple[BrokenReference, ...] = ()
    leftovers: tuple[BrokenReference, ...] = ()


@dataclass(frozen=True)
class CatalogFacts:
    """What the catalog of a loaded database says. `relations` have PostgreSQL's letter for their kind."""

    relations: Mapping[str, str] = field(default_factory=dict)
    foreign_objects: tuple[ForeignObject, ...] = ()
    constraints: int = 0
    open_constraints: tuple[OpenConstraint, ...] = ()
    indexes: tuple[IndexFact, ...] = ()
