"""The comparison with live databases, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine_backup.model.components import BY_NAME
from engine_backup.model.inventory import MOMENTS, OBJECT_KINDS, NamedObject
from engine_backup.model.live import LiveDatabase, LiveKind, LiveTable
from engine_backup.model.sheet import Cell, CellOrText, Section, Style
from engine_backup.plan.inventory_comparison import capped
from engine_backup.plan.live_comparison import span

MOST_NAMES = 5
MOST_TABLES = 5
HEAD = ("", "saved", "live", "")
_KINDS = {kind.name: kind.label for kind in OBJECT_KINDS}
_MOMENTS = {moment.name: moment.label for moment in MOMENTS}


def section(found: LiveDatabase) -> Section:
    """Return a table of what one database held and holds; of tables only those that differ most."""
    behind = "" if found.seconds_behind is None else f"{span(found.seconds_behind)} behind"
    return Section(
        f"{BY_NAME[found.component].label} database, live at {found.address}",
        (
            ("seen at", found.saved_at or "unknown", found.live_at or "unknown", behind),
            *((_MOMENTS[m.name], m.saved or "unknown", m.live or "unknown", "") for m in found.moments),
            *(row for kind in found.kinds for row in _kind(kind)),
            *_tables(found),
        ),
        HEAD,
    )


def _kind(kind: LiveKind) -> Iterable[tuple[CellOrText, ...]]:
    note = "" if kind.complete else "not all were compared one by one"
    yield _KINDS[kind.name], _count(kind.saved), _count(kind.live), Cell(note, Style.FAINT)
    yield from _names("only live", kind.only_live)
    yield from _names("only in the backup", kind.only_saved)
    yield from _names("renamed", [now for _, now in kind.renamed])


def _names(what: str, objects: Sequence[NamedObject]) -> Iterable[tuple[CellOrText, ...]]:
    """Show names, where there are any; the document has all of them, with their identities."""
    if objects:
        names = [f"'{row.name}'" if row.name else row.identity for row in objects]
        yield "", "", "", f"{what}: {', '.join(capped(names, MOST_NAMES))}"


def _tables(found: LiveDatabase) -> Iterable[tuple[CellOrText, ...]]:
    """Show the tables that differ most; an estimate differs nearly always."""
    largest = sorted(found.tables, key=lambda table: (-abs(table.live - (table.saved or 0)), table.name))
    for table in largest[:MOST_TABLES]:
        yield table.name, _count(table.saved), _live_rows(table), Cell("rows", Style.FAINT)
    if len(largest) > MOST_TABLES:
        yield (
            Cell(f"{len(largest) - MOST_TABLES} more tables have other numbers of rows", Style.FAINT),
            "",
            "",
            "",
        )


def _live_rows(table: LiveTable) -> Cell:
    return Cell(f"about {table.live:,}" if table.estimated else f"{table.live:,}", right=True)


def _count(count: int | None) -> Cell:
    return Cell("none" if count is None else f"{count:,}", right=True)
