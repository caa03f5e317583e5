"""How far a backup is behind a live database: in time, in objects and in rows. That is nobody's fault."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from engine_backup.model.inventory import MOMENTS, OBJECT_KINDS, KindInventory, ObjectKind
from engine_backup.model.live import LiveDatabase, LiveKind, LiveMoment, LiveTable, Seen
from engine_backup.plan.inventory_comparison import differences

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def compare(
    component: str, address: str, saved: Seen, live: Seen, excluded: Collection[str] = ()
) -> LiveDatabase:
    """Compare a component's database in the backup with the live one at `address`.

    Of `excluded` tables (`schema.table`) the backup left the rows out: nothing is said of them.
    """
    saved, live = (
        replace(seen, rows=_without(seen.rows, excluded), estimates=_without(seen.estimates, excluded))
        for seen in (saved, live)
    )
    kinds = (
        _kind(kind, saved.inventory.kinds.get(kind.name), live.inventory.kinds.get(kind.name))
        for kind in OBJECT_KINDS
        if kind.component == component and not _any_of((source.table for source in kind.sources), excluded)
    )
    names = [m.name for m in MOMENTS if m.component == component and not _any_of(m.tables, excluded)]
    moments = (LiveMoment(n, saved.inventory.moments.get(n), live.inventory.moments.get(n)) for n in names)
    both = saved.rows.keys() & (live.rows.keys() | live.estimates.keys())
    return LiveDatabase(
        component=component,
        address=address,
        saved_at=saved.at,
        live_at=live.at,
        seconds_behind=_seconds(saved.at, live.at),
        moments=tuple(moment for moment in moments if moment.saved or moment.live),
        kinds=tuple(kind for kind in kinds if kind is not None),
        tables_compared=len(both),
        tables=tuple(_tables(saved, live)),
    )


def _without(counts: Mapping[str, int], excluded: Collection[str]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name not in excluded}


def _any_of(tables: Iterable[str], excluded: Collection[str]) -> bool:
    return any(f"public.{table}" in excluded for table in tables)


def sentence(found: LiveDatabase) -> str:
    """Return in one line how far the backup is behind."""
    behind = "unknown time" if found.seconds_behind is None else span(found.seconds_behind)
    kinds = [text for kind in found.kinds if (text := in_words(kind))]
    exact = sum(not table.estimated for table in found.tables)
    rows = f"{exact} of {found.tables_compared} tables have other numbers of rows" if exact else ""
    return "; ".join([f"{behind} behind", *kinds, *filter(None, [rows])])


def in_words(kind: LiveKind) -> str:
    """Return how a kind differs: "virtual machines 305, saved 300"; nothing where it does not."""
    if kind.same:
        return ""
    label = next(row.label for row in OBJECT_KINDS if row.name == kind.name)
    if kind.saved == kind.live:
        return f"{label} {kind.live:,}, {_changed(kind)} others"
    live, saved = ("none" if count is None else f"{count:,}" for count in (kind.live, kind.saved))
    return f"{label} {live}, saved {saved}"


def _changed(kind: LiveKind) -> str:
    """Return how many of as many as there were are new or renamed, as far as they were compared."""
    changed = max(len(kind.only_live), len(kind.only_saved)) + len(kind.renamed)
    return f"{changed} of them" if kind.complete else "some of them"


def span(seconds: float) -> str:
    """Return a length of time in its two largest units: "3 h 12 min"."""
    left = int(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part) or "0 s"


def _kind(kind: ObjectKind, saved: KindInventory | None, live: KindInventory | None) -> LiveKind | None:
    if saved is None and live is None:
        return None
    if saved is None:
        return LiveKind(kind.name, None, live.count if live else None)
    if live is None:
        return LiveKind(kind.name, saved.count, None)
    found = differences(saved, live)
    return LiveKind(
        name=kind.name,
        saved=saved.count,
        live=live.count,
        only_live=found.new,
        only_saved=found.gone,
        renamed=found.renamed,
        complete=found.complete or found.same,
        same=found.same,
    )


def _tables(saved: Seen, live: Seen) -> Iterable[LiveTable]:
    """Return tables that differ; one that is large, live, and was never analyzed is not known to be there."""
    for name in sorted(live.rows.keys() | live.estimates.keys()):
        estimated = name not in live.rows
        count = live.estimates[name] if estimated else live.rows[name]
        if saved.rows.get(name) != count:
            yield LiveTable(name, saved.rows.get(name), count, estimated)


def _seconds(saved: str | None, live: str | None) -> float | None:
    """Return the time between two moments; two clocks may differ, and nothing is in the future."""
    if saved is None or live is None:
        return None
    return max(0.0, (datetime.fromisoformat(live) - datetime.fromisoformat(saved)).total_seconds())
