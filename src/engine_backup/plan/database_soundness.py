"""The checks of one loaded database, made from what was found in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from engine_backup.model.checks import Check, Outcome
from engine_backup.model.loaded_database import CatalogFacts, CheckedReferences, SequenceFact
from engine_backup.model.printable import printable
from engine_backup.plan.row_agreement import TABLE_KINDS, Recorded, missing_tables, other_numbers, other_rows

MOST_FINDINGS = 20
_SCHEMA_VERSION = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{4,6})")


def check(
    subject: str, name: str, findings: Sequence[str], detail: str = "", otherwise: Outcome = Outcome.PASS
) -> Check:
    """Return a check that has failed where anything was found; only so many findings are kept."""
    shown = [printable(finding) for finding in findings[:MOST_FINDINGS]]
    if len(findings) > MOST_FINDINGS:
        shown.append(f"and {len(findings) - MOST_FINDINGS:,} more")
    return Check(subject, name, Outcome.FAIL if findings else otherwise, detail, tuple(shown))


def tables(subject: str, made: Collection[str], recorded: Recorded, catalog: CatalogFacts) -> Check:
    """Say whether each table is there that the dump makes, or that the backup has counted."""
    expected = {*made, *recorded.rows, *recorded.estimates, *recorded.excluded}
    found = sum(kind in TABLE_KINDS for kind in catalog.relations.values())
    return check(subject, "tables", missing_tables(expected, catalog.relations), _counted(found, "table"))


def objects(subject: str, recorded: Recorded, found: Mapping[str, int]) -> Check:
    """Say whether there are as many objects of each kind as the backup has counted."""
    there = ((kind.replace("_", " "), number) for kind, number in found.items() if number)
    detail = ", ".join(_counted(number, _one_of(kind), kind) for kind, number in there)
    if not recorded.objects:
        return check(subject, "objects", (), f"{detail}; nothing to compare with", Outcome.NOT_IN_ARCHIVE)
    return check(subject, "objects", other_numbers(recorded, found), detail)


def rows(subject: str, recorded: Recorded, found: Mapping[str, int]) -> Check:
    """Say whether the tables have the rows that the backup has counted."""
    detail = f"{_counted(len(found), 'table')}, {_counted(sum(found.values()), 'row')}"
    if recorded.excluded:
        detail += f"; the rows of {_counted(len(recorded.excluded), 'table')} were left out on purpose"
    compared = recorded.rows.keys() & found.keys()
    estimated = (recorded.estimates.keys() & found.keys()) - compared - set(recorded.excluded)
    if not (compared or estimated or recorded.excluded):
        return check(subject, "row counts", (), f"{detail}; nothing to compare with", Outcome.NOT_IN_ARCHIVE)
    if estimated:
        detail += f"; of {_counted(len(estimated), 'large table')} the backup has estimates only"
    return check(subject, "row counts", other_rows(recorded, found), detail)


def constraints(subject: str, catalog: CatalogFacts) -> Check:
    """Say whether all constraints hold; PostgreSQL has looked at those that are marked valid."""
    findings = [
        f"{row.kind} {row.name} of {row.table}: broken by {_counted(row.violations, 'row')}"
        for row in catalog.open_constraints
        if row.violations
    ]
    unknown = [
        f"{row.kind} {row.name} of {row.table} could not be looked at: {row.reason}"
        for row in catalog.open_constraints
        if row.violations is None
    ]
    detail = _counted(catalog.constraints, "constraint")
    if catalog.open_constraints:
        names = ", ".join(sorted(row.name for row in catalog.open_constraints)[:MOST_FINDINGS])
        detail += f"; the dump says NOT VALID of {printable(names)}: their rows were looked at"
    return _judged(subject, "constraints", findings, unknown, detail)


def sequences(subject: str, found: Sequence[SequenceFact]) -> Check:
    """Say whether each sequence goes on behind the largest number that is in use."""
    findings = [
        f"sequence {row.name} goes on with {row.next}, but {row.column} has {row.largest} already"
        for row in found
        if row.largest is not None and row.next <= row.largest
    ]
    return check(subject, "sequences", findings, f"{_counted(len(found), 'sequence')} of columns")


def owners(subject: str, owner: str, catalog: CatalogFacts) -> Check:
    """Say whether everything belongs to the role that the configuration names."""
    findings = [f"{row.kind} {row.name} belongs to {row.owner}" for row in catalog.foreign_objects]
    return check(
        subject, "owner", findings, f"{_counted(len(catalog.relations), 'object')} of {printable(owner)}"
    )


def references(subject: str, found: CheckedReferences) -> Check:
    """Say whether what the rows refer to is there."""
    findings = [line for broken in found.broken for line in _told(broken.rows, broken.findings)]
    detail = _counted(found.checked, "rule")
    if found.skipped:
        detail += f"; {found.skipped:,} are about tables that this release does not have"
    if found.leftovers:
        number = sum(left.rows for left in found.leftovers)
        detail += f"; {_counted(number, 'row')} left behind, as engines do: {found.leftovers[0].findings[0]}"
    if not found.checked:
        return check(subject, "references", (), detail, Outcome.NOT_IN_ARCHIVE)
    return check(subject, "references", findings, detail)


def _told(number: int, findings: Sequence[str]) -> list[str]:
    """Return the first lines of one rule, so that others have their place, too."""
    first = list(findings[: MOST_FINDINGS // 4])
    return [*first, f"and {number - len(first):,} more such rows"] if number > len(first) else first


@dataclass(frozen=True)
class IndexResults:
    """How the indexes were looked at. `damaged` and `unread` are findings; `compared` with all rows."""

    checker: bool
    compared: int = 0
    structure_only: int = 0
    damaged: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @classmethod
    def together(cls, checker: bool, parts: Sequence[IndexResults]) -> IndexResults:
        """Return what several have found."""
        return cls(
            checker,
            sum(part.compared for part in parts),
            sum(part.structure_only for part in parts),
            tuple(sorted(line for part in parts for line in part.damaged)),
            tuple(sorted(line for part in parts for line in part.unread)),
        )


def indexes(subject: str, catalog: CatalogFacts, results: IndexResults) -> Check:
    """Say whether the indexes are complete, and have what their tables have."""
    incomplete = (row for row in catalog.indexes if not row.usable)
    findings = [f"index {row.name} of {row.table} is not complete" for row in incomplete]
    findings += results.damaged
    detail = _counted(len(catalog.indexes), "index", "indexes")
    if results.checker:
        detail += f"; amcheck has compared {results.compared:,} with all rows of their tables"
        if results.structure_only:
            detail += f", and read {results.structure_only:,} of large tables"
    else:
        detail += "; this server has no amcheck: only PostgreSQL's own marks were looked at"
    return _judged(subject, "indexes", findings, results.unread, detail)


def _judged(subject: str, name: str, findings: Sequence[str], unread: Sequence[str], detail: str) -> Check:
    """Return a check that has failed where something is wrong, else could not run if something is unknown."""
    made = check(subject, name, [*findings, *unread], detail)
    return replace(made, outcome=Outcome.COULD_NOT_RUN) if unread and not findings else made


def schema_version(subject: str, versions: Sequence[str], product: tuple[int, int] | None) -> Check:
    """Say whether the schema is one that the archive's product version can use.

    It may be older: engine-setup brings it up to date. `product` None: the archive does not tell.
    """
    if len(versions) != 1:
        return check(subject, "schema version", [f"schema_version has {len(versions)} current rows, not one"])
    match = _SCHEMA_VERSION.fullmatch(versions[0])
    if match is None:
        return check(subject, "schema version", [f"the schema's version is {versions[0]!r}"])
    shown = "_".join(match.groups())
    line = (int(match[1]), int(match[2]))
    if product is None:
        return check(subject, "schema version", (), f"{shown}; the archive has no version to compare with")
    if line > product:
        name = ".".join(map(str, product))
        return check(subject, "schema version", [f"the schema is {shown}, newer than release {name}"])
    return check(subject, "schema version", (), shown)


def change_log(subject: str, locks: Sequence[str]) -> Check:
    """Say whether an upgrade of the schema was under way; Keycloak does not start on one that is locked."""
    findings = [f"databasechangeloglock {lock} is held" for lock in locks]
    return check(subject, "change log", findings, "not locked" if not locks else "")


def _one_of(kinds: str) -> str:
    return kinds[:-2] if kinds.endswith("xes") else kinds[:-1]


def _counted(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def could_not_run(subject: str, name: str, reason: str) -> Check:
    """Return a check that nobody could make."""
    return Check(subject, name, Outcome.COULD_NOT_RUN, "", (printable(reason),))
