"""Which tables' rows a backup leaves out, and whether what is left can be restored without them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from engine_backup.model.components import Component
from engine_backup.model.errors import Problem
from engine_backup.model.excluded_data import ExcludedData, TableFact, TableName, TablePattern

MOST_SHOWN = 10


def choose(patterns: Sequence[TablePattern], tables: Sequence[TableFact]) -> ExcludedData:
    """Return the tables of one database that any of its patterns names."""
    chosen = [table for table in tables if any(is_named(table.name, p.pattern) for p in patterns)]
    return ExcludedData(tuple(table.name for table in chosen), sum(table.size for table in chosen))


def is_named(table: TableName, pattern: str) -> bool:
    """Whether a pattern names a table; one without a dot names it in every schema.

    Letters count as they are written: the tables of an engine are all lower case.
    """
    schema, name = table
    # Brackets have no meaning in `--exclude-table-data`; fnmatch would take them for sets of letters.
    shell = pattern.replace("[", "[[]")
    return fnmatchcase(f"{schema}.{name}", shell) if "." in pattern else fnmatchcase(name, shell)


def problems(
    component: Component, patterns: Sequence[TablePattern], tables: Sequence[TableFact]
) -> list[Problem]:
    """Return why rows cannot be left out so: a pattern that names nothing, rows that others refer to.

    A foreign key to rows that are not there makes the load of the whole database fail.
    """
    excluded = frozenset(choose(patterns, tables).tables)
    found = [
        Problem(
            f"{pattern.option}: the {component.label} database has no table that '{pattern.pattern}' names",
            "see its tables with 'engine-backup inspect', or leave the option out",
        )
        for pattern in patterns
        if not any(is_named(table.name, pattern.pattern) for table in tables)
    ]
    return found + [
        Problem(
            f"rows of {_shown(target)} cannot be left out: {_shown(table.name)} refers to them",
            f"leave out both: add --exclude-table-data={component.name}:{_shown(table.name)}",
        )
        for table in tables
        if table.name not in excluded
        for target in dict.fromkeys(table.references)
        if target in excluded
    ]


def warnings(component: Component, excluded: Sequence[str]) -> list[str]:
    """Return what to tell whoever restores a dump without the rows of some tables."""
    if not excluded:
        return []
    more = f" and {len(excluded) - MOST_SHOWN} more" if len(excluded) > MOST_SHOWN else ""
    shown = ", ".join(excluded[:MOST_SHOWN]) + more
    return [f"the backup has no rows of these tables of the {component.label} database: {shown}"]


def _shown(name: TableName) -> str:
    return ".".join(name)
