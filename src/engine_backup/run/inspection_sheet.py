"""An inspection as tables for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from engine_backup.model.drill import Proof
from engine_backup.model.inspection import (
    IN_DUMP,
    InspectedComponent,
    InspectedDatabase,
    Inspection,
    LargeTable,
    Need,
)
from engine_backup.model.inventory import MOMENTS, OBJECT_KINDS, Inventory
from engine_backup.model.preflight import CertificateFact
from engine_backup.model.sheet import Cell, CellOrText, Section, Sheet, Style
from engine_backup.plan.preflight import SOON
from engine_backup.plan.restore_needs import size_text

UNKNOWN = Cell("unknown", Style.FAINT)
SHOWN_TABLES = 3
HASHES = "hashes not checked; engine-backup verify does"
_MET = {
    True: Cell("yes", Style.GOOD),
    False: Cell("no", Style.BAD),
    None: Cell("unknown", Style.DOUBTFUL),
}


def sheet(found: Inspection, now: datetime) -> Sheet:
    """Return what people are shown; certificates are judged at `now`."""
    sections = (
        Section(found.path, tuple(_archive(found))),
        Section("Components", tuple(map(_component, found.components)), _COMPONENT_HEAD),
        *(_database(row, row.database) for row in found.components if row.database is not None),
        _inventory(found.inventory),
        _certificates(found, now),
        _configuration(found),
        Section("To restore it, this machine needs", tuple(map(_need, found.needs))),
        Section("Notes", tuple((note,) for note in (*found.notes, HASHES))),
    )
    return tuple(section for section in sections if section.rows)


def _archive(found: Inspection) -> Iterable[tuple[CellOrText, ...]]:
    packed = f", packed with {found.compressor}" if found.compressor else ""
    how = "converted" if found.converted else "written"
    by = f", {how} by engine-backup {found.tool_version}" if found.tool_version else ", written by stock"
    yield "size", size_text(found.size) + packed
    yield "generation", found.generation + by
    yield "product version", found.product_version
    yield "operating system", found.os_version
    yield "made at", _or_unknown(found.made_at)
    yield "engine", _or_unknown(found.fqdn)
    yield "hosted engine", _HOSTED[found.hosted_engine]
    yield "drill", _drill(found.drill)


def _drill(proof: Proof | None) -> CellOrText:
    if proof is None:
        return Cell("none is recorded", Style.FAINT)
    if proof.passed:
        return Cell(f"proven on {proof.at[:10]}", Style.GOOD)
    return Cell(f"drill failed on {proof.at[:10]}", Style.BAD)


_HOSTED: dict[bool | None, CellOrText] = {True: "yes", False: "no", None: UNKNOWN}
_COMPONENT_HEAD = ("component", "packed", "raw", "format", "compressor", "")


def _component(row: InspectedComponent) -> tuple[CellOrText, ...]:
    raw = UNKNOWN.text if row.raw_size is None else size_text(row.raw_size)
    return (
        row.component.label,
        Cell(size_text(row.size), right=True),
        Cell(raw, Style.FAINT if row.raw_size is None else Style.PLAIN, right=True),
        row.dump_format or "tar",
        row.compressor or "-",
        "" if row.paths is None else f"{row.paths} paths",
    )


def _database(row: InspectedComponent, found: InspectedDatabase) -> Section:
    rows: list[tuple[CellOrText, ...]] = [
        ("database", _or_unknown(found.database)),
        ("role", _or_unknown(found.role)),
        ("server", _server(found)),
        ("PostgreSQL", _or_unknown(found.server_version)),
        ("pg_dump", _or_unknown(found.pg_dump_version)),
        ("size on the server", UNKNOWN if found.size is None else size_text(found.size)),
        ("snapshot taken at", _or_unknown(found.snapshot_taken_at)),
        ("tables", UNKNOWN if found.tables is None else str(found.tables)),
        ("largest tables", _largest(found)),
        ("rows", _rows(found)),
        ("extensions", _listed(found.extensions)),
        ("owners", _listed(found.owners)),
        ("granted to", _listed(found.granted_roles)),
    ]
    if found.excluded_table_data:
        rows.append(("rows left out of", Cell(", ".join(found.excluded_table_data), Style.DOUBTFUL)))
    if found.unknown:
        rows.append(("unknown because", Cell(found.unknown, Style.DOUBTFUL)))
    return Section(f"{row.component.label} database", tuple(rows))


def _server(found: InspectedDatabase) -> CellOrText:
    return UNKNOWN if found.host is None else f"{found.host}:{found.port or '?'}"


def _largest(found: InspectedDatabase) -> CellOrText:
    if found.largest_tables is None:
        return UNKNOWN
    measured = " (text of the rows)" if found.table_sizes == IN_DUMP else ""
    return ", ".join(_table(table) for table in found.largest_tables[:SHOWN_TABLES]) + measured


def _table(table: LargeTable) -> str:
    return f"{table.name} {size_text(table.size)}"


def _rows(found: InspectedDatabase) -> CellOrText:
    if not found.row_counts and not found.row_estimates:
        return UNKNOWN
    counts, estimates = found.row_counts or {}, found.row_estimates or {}
    counted = f"{sum(counts.values()):,} in {len(counts)} tables"
    return f"{counted}, and about {sum(estimates.values()):,} in large ones" if estimates else counted


def _inventory(found: Inventory | None) -> Section:
    if found is None:
        return Section("", ())
    kinds = [(k.label, found.kinds[k.name].count) for k in OBJECT_KINDS if k.name in found.kinds]
    counts = tuple((label, Cell(f"{count:,}", right=True)) for label, count in kinds)
    return Section(
        "Inventory",
        (*counts, *((m.label, found.moments[m.name]) for m in MOMENTS if m.name in found.moments)),
    )


def _certificates(found: Inspection, now: datetime) -> Section:
    rows = [_certificate(fact, now) for fact in found.certificates or ()]
    if found.host_certificates:
        rows.append((Cell("not read", Style.FAINT), f"{found.host_certificates} of other machines"))
    return Section("Certificates", tuple(rows), ("valid until", "file", "subject"))


def _certificate(fact: CertificateFact, now: datetime) -> tuple[CellOrText, ...]:
    if fact.not_after is None:
        return Cell("unreadable", Style.BAD), fact.path, fact.reason
    return Cell(f"{fact.not_after:%Y-%m-%d}", _validity(fact.not_after, now)), fact.path, fact.subject


def _validity(not_after: datetime, now: datetime) -> Style:
    if not_after <= now:
        return Style.BAD
    return Style.DOUBTFUL if not_after - now <= SOON else Style.GOOD


def _configuration(found: Inspection) -> Section:
    if found.configuration is None:
        return Section("", ())
    described = tuple(f"{c.component.conf_prefix}DB_" for c in found.components if c.database is not None)
    rows: list[tuple[CellOrText, ...]] = [
        (s.name, s.value) for s in found.configuration.settings if not s.name.startswith(described)
    ]
    if found.configuration.hidden:
        rows.append((Cell(f"{found.configuration.hidden} others are hidden", Style.FAINT),))
    return Section("Configuration", tuple(rows))


def _need(need: Need) -> tuple[CellOrText, ...]:
    return _MET[need.met], need.needed, need.found, Cell(need.note, Style.FAINT)


def _listed(names: tuple[str, ...] | None) -> CellOrText:
    return UNKNOWN if names is None else ", ".join(names) or "none"


def _or_unknown(text: str | None) -> CellOrText:
    return UNKNOWN if text is None else text
