"""Whether a database holds the objects that a backup says it held: hosts, virtual machines, disks, …"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from engine_backup.model.checks import Check, Outcome
from engine_backup.model.inventory import (
    MOMENTS,
    OBJECT_KINDS,
    Inventory,
    KindInventory,
    Moment,
    NamedObject,
    ObjectKind,
)

MOST_FINDINGS = 10
NAME = "inventory"


@dataclass(frozen=True)
class Differences:
    """How the objects of one kind differ: by identity, and by name (pairs of then and now).

    `complete`: all objects were compared one by one. `same`: there is no difference, also among those that
    only counts and digests tell of.
    """

    gone: tuple[NamedObject, ...]
    new: tuple[NamedObject, ...]
    renamed: tuple[tuple[NamedObject, NamedObject], ...]
    complete: bool
    same: bool


def inventory_checks(
    component: str, recorded: Inventory | None, restored: Inventory, excluded: Collection[str] = ()
) -> tuple[Check, ...]:
    """Return a check for each kind and moment that a component's database has, as a manifest told them.

    `restored` is what was read, the same way, from its restored database. A manifest that tells nothing is
    one check that is not in the archive; a database that never has any of it, none. Of `excluded` tables
    (`schema.table`) the backup left the rows out: what is told of them is not in the archive.
    """
    kinds = tuple(kind for kind in OBJECT_KINDS if kind.component == component)
    moments = tuple(moment for moment in MOMENTS if moment.component == component)
    if recorded is None:
        absent = Check(
            component, NAME, Outcome.NOT_IN_ARCHIVE, "the archive does not say what it should hold"
        )
        return (absent,) if kinds or moments else ()
    checks = (
        *(_kind_check(k, recorded.kinds.get(k.name), restored.kinds.get(k.name)) for k in kinds),
        *(_moment_check(m, recorded.moments.get(m.name), restored.moments.get(m.name)) for m in moments),
    )
    lost = {
        *(k.label for k in kinds if any(f"public.{source.table}" in excluded for source in k.sources)),
        *(m.label for m in moments if any(f"public.{table}" in excluded for table in m.tables)),
    }
    return tuple(_left_out(check) if check.name in lost else check for check in checks if check is not None)


def _left_out(check: Check) -> Check:
    return Check(check.subject, check.name, Outcome.NOT_IN_ARCHIVE, "the backup left the rows out")


def differences(then: KindInventory, now: KindInventory) -> Differences:
    """Compare the objects of one kind; of lists that were cut only as far as both of them reach."""
    if then.digest and (then.count, then.digest) == (now.count, now.digest):
        return Differences((), (), (), then.complete and now.complete, True)
    ends = [listed.objects[-1].identity for listed in (then, now) if not listed.complete and listed.objects]
    end = min(ends, default=None)
    old, new = (
        {row.identity: row for row in listed.objects if end is None or row.identity <= end}
        for listed in (then, now)
    )
    gone = tuple(row for identity, row in old.items() if identity not in new)
    added = tuple(row for identity, row in new.items() if identity not in old)
    both = ((row, new[identity]) for identity, row in old.items() if identity in new)
    renamed = tuple((row, other) for row, other in both if row.name != other.name)
    complete = then.complete and now.complete
    agree = not (then.digest and now.digest) or then.digest == now.digest
    same = then.count == now.count and agree and not (gone or added or renamed)
    return Differences(gone, added, renamed, complete, same)


def shown(row: NamedObject) -> str:
    """Return how people are told of an object."""
    return f"'{row.name}' ({row.identity})" if row.name else row.identity


def capped(lines: Sequence[str], most: int = MOST_FINDINGS) -> tuple[str, ...]:
    """Return the first lines, and how many more there are."""
    return tuple(lines) if len(lines) <= most else (*lines[:most], f"and {len(lines) - most} more")


def _kind_check(kind: ObjectKind, then: KindInventory | None, now: KindInventory | None) -> Check | None:
    if then is None and now is None:
        return None
    if then is None:
        detail = "the archive does not say how many there were"
        return Check(kind.component, kind.label, Outcome.NOT_IN_ARCHIVE, detail)
    if now is None:
        finding = f"the restored database does not have the table of its {then.count} {kind.label}"
        return Check(kind.component, kind.label, Outcome.FAIL, f"0 of {then.count}", (finding,))
    found = differences(then, now)
    if found.same:
        return Check(kind.component, kind.label, Outcome.PASS, f"{then.count:,}, the same as when saved")
    detail = f"{now.count:,}; the archive says {then.count:,}"
    return Check(kind.component, kind.label, Outcome.FAIL, detail, capped(_findings(kind, found)))


def _findings(kind: ObjectKind, found: Differences) -> list[str]:
    """Name what differs; what cannot be named is told as such."""
    lines = [
        *(f"{kind.label}: {shown(row)} is missing" for row in found.gone),
        *(f"{kind.label}: {shown(row)} was not there when it was saved" for row in found.new),
        *(f"{kind.label}: {shown(row)} is called '{now.name}'" for row, now in found.renamed),
    ]
    return lines or [f"{kind.label}: others than those that the archive names are missing, new or changed"]


def _moment_check(moment: Moment, then: str | None, now: str | None) -> Check | None:
    if then is None:
        return None
    if then == now:
        return Check(moment.component, moment.label, Outcome.PASS, then)
    finding = f"the {moment.label} is of {now or 'unknown time'}, the archive says {then}"
    return Check(moment.component, moment.label, Outcome.FAIL, "", (finding,))
