"""Whether a loaded database has as many rows and objects as its backup says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

# Estimates are those of the last ANALYZE or VACUUM, which may be long ago: more rows say nothing, and fewer
# only when hardly any of many are left.
SMALLEST_ESTIMATE = 10_000
FEWEST_LEFT = 10
LARGEST_NUMBER = 1 << 62
TABLE_KINDS = frozenset({"r", "p"})
_KINDS = {"v": "a view", "m": "a materialized view", "S": "a sequence", "f": "a foreign table"}


@dataclass(frozen=True)
class Recorded:
    """What a backup says is in a database; tables are `schema.name`.

    `rows` are exact, `estimates` the planner's. `excluded` are tables whose rows were left out on purpose.
    `objects` are numbers by kind. Each is empty where the backup says nothing.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    estimates: Mapping[str, int] = field(default_factory=dict)
    excluded: Collection[str] = ()
    objects: Mapping[str, int] = field(default_factory=dict)


def missing_tables(expected: Iterable[str], relations: Mapping[str, str]) -> list[str]:
    """Return a finding for each expected table that is not there, or is none; `relations` by kind."""
    return [
        f"{table} is {_KINDS.get(relations[table], 'no table')}, and no table"
        if table in relations
        else f"{table} is missing"
        for table in sorted(set(expected))
        if relations.get(table) not in TABLE_KINDS
    ]


def other_numbers(recorded: Recorded, found: Mapping[str, int]) -> list[str]:
    """Return a finding for each kind of objects that there are not as many of."""
    return [
        f"{kind.replace('_', ' ')}: {found[kind]:,}, the backup had {number:,}"
        for kind, number in recorded.objects.items()
        if kind in found and found[kind] != number
    ]


def other_rows(recorded: Recorded, found: Mapping[str, int]) -> list[str]:
    """Return a finding for each table that has not the rows it should have.

    A table that is not there at all is not spoken of.
    """
    findings = (_finding(recorded, table, found[table]) for table in sorted(found))
    return [finding for finding in findings if finding]


def _finding(recorded: Recorded, table: str, number: int) -> str:
    if table in recorded.excluded:
        return f"{table}: {_rows(number)}, though the backup left them out" if number else ""
    if table in recorded.rows:
        expected = recorded.rows[table]
        return f"{table}: {_rows(number)}, the backup had {expected:,}" if number != expected else ""
    estimate = recorded.estimates.get(table, 0)
    if estimate >= SMALLEST_ESTIMATE and number * FEWEST_LEFT < estimate:
        return f"{table}: {_rows(number)}, the backup had about {estimate:,}"
    return ""


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


def recorded(row: Mapping[str, object] | None) -> Recorded:
    """Return what the row of a dump in the manifest says of its database; what makes no sense is left out."""
    said = row or {}
    excluded = said.get("excluded_table_data")
    return Recorded(
        rows=_numbers(said.get("row_counts")),
        estimates=_numbers(said.get("row_estimates")),
        excluded=frozenset(name for name in excluded if isinstance(name, str))
        if isinstance(excluded, list)
        else frozenset(),
        objects=_numbers(said.get("object_counts")),
    )


def _numbers(found: object) -> dict[str, int]:
    rows = found.items() if isinstance(found, dict) else ()
    return {
        name: number
        for name, number in rows
        if isinstance(name, str) and type(number) is int and 0 <= number < LARGEST_NUMBER
    }
