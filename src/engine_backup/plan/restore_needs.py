"""What a machine would need to restore an archive, and what it has: told before anybody asks for a restore.

No verdict: whether a restore may begin is decided by its own plan, which looks at more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine_backup.model.components import Kind
from engine_backup.model.errors import EngineBackupError, IncompatibleArchiveError
from engine_backup.model.inspection import InspectedComponent, Inspection, Need, NeedKind
from engine_backup.model.preflight import PackageFact, SpaceFact, Volume
from engine_backup.plan import space
from engine_backup.plan.compatibility import accepts
from engine_backup.plan.space import DatabaseNeed

KIBIBYTE = 1024
_UNITS = ("KiB", "MiB", "GiB", "TiB")
OTHER_SERVER = "if PostgreSQL runs on this machine"


@dataclass(frozen=True)
class MachineFacts:
    """What was looked at. `programs` of stock's by name: are they here. `majors` of PostgreSQL's clients."""

    product_version: str | None
    majors: tuple[int, ...]
    packages: tuple[PackageFact, ...]
    programs: Mapping[str, bool]
    data: Volume
    staging: Volume
    temporary: Volume


def restore_needs(
    archive: Inspection, machine: MachineFacts, databases: Sequence[DatabaseNeed], unpacked: int
) -> tuple[Need, ...]:
    """Return every need. `databases` are what each will take, `unpacked` the bytes of the outer tar."""
    return (
        *_product(archive, machine),
        *_postgresql(archive, machine),
        *_spaces(archive, machine, databases, unpacked),
        *(_package(fact) for fact in machine.packages),
        *_stock_programs(machine),
    )


def _product(archive: Inspection, machine: MachineFacts) -> Iterator[Need]:
    needed = f"a product version that takes a backup of {archive.product_version}"
    if machine.product_version is None:
        yield Need(NeedKind.PRODUCT, needed, "unknown", None, "name it with --product-version=X.Y.Z")
        return
    try:
        verdict = accepts(machine.product_version, archive.product_version)
    except IncompatibleArchiveError as error:
        yield Need(NeedKind.PRODUCT, needed, machine.product_version, False, error.message)
    except EngineBackupError as error:
        yield Need(NeedKind.PRODUCT, needed, machine.product_version, None, error.message)
    else:
        yield Need(NeedKind.PRODUCT, needed, machine.product_version, verdict.accepted, verdict.reason)


def _postgresql(archive: Inspection, machine: MachineFacts) -> Iterator[Need]:
    """pg_restore reads no dump that is newer than itself; plain dumps need no program of PostgreSQL's."""
    custom = [
        c for c in archive.components if c.component.kind is Kind.POSTGRES and c.dump_format == "custom"
    ]
    if not custom:
        return
    majors = [_major(c.database.pg_dump_version if c.database else None) for c in custom]
    major = max(majors)
    found = ", ".join(str(major) for major in machine.majors)
    yield Need(
        NeedKind.POSTGRESQL,
        f"pg_restore of PostgreSQL {major} or newer" if major else "pg_restore",
        found or "not installed",
        _is_new_enough(machine.majors, major),
        "" if min(majors) else "which version made a dump is not known",
    )


def _is_new_enough(majors: tuple[int, ...], needed: int) -> bool | None:
    if not majors:
        return False
    return max(majors) >= needed if needed else None


def _major(version: str | None) -> int:
    """Return the first number of `15.18`; that of `9.6.24` counts as 9."""
    first = (version or "").partition(".")[0]
    return int(first) if first.isascii() and first.isdigit() and len(first) < 4 else 0


def _spaces(
    archive: Inspection, machine: MachineFacts, databases: Sequence[DatabaseNeed], unpacked: int
) -> Iterator[Need]:
    if databases:
        fact = space.database_space(machine.data, databases)
        yield _space(NeedKind.DATABASE_SPACE, fact, OTHER_SERVER)
    files = next((c for c in archive.components if c.component.kind is Kind.FILES), None)
    if files is not None and files.raw_size is not None:
        yield _space(NeedKind.FILE_SPACE, SpaceFact(space.FILES, machine.staging, files.raw_size))
    if archive.compressor:
        yield _space(NeedKind.TEMPORARY_SPACE, SpaceFact(space.ARCHIVE, machine.temporary, unpacked))


def _space(kind: NeedKind, fact: SpaceFact, note: str = "") -> Need:
    free = fact.volume.free
    return Need(
        kind,
        f"{size_text(fact.needed)} in {fact.volume.directory} for {fact.place}",
        "unknown" if free is None else f"{size_text(free)} free",
        None if free is None else free >= fact.needed,
        "; ".join(text for text in (fact.reason, note) if text),
    )


def _package(fact: PackageFact) -> Need:
    words = {True: "installed", False: "not installed", None: "unknown"}
    return Need(NeedKind.PACKAGE, f"package {fact.package}", words[fact.installed], fact.installed)


def _stock_programs(machine: MachineFacts) -> Iterator[Need]:
    for name, there in sorted(machine.programs.items()):
        found = "installed" if there else "not installed"
        note = "only for a restore by stock's engine-backup"
        yield Need(NeedKind.STOCK_PROGRAM, f"program {name}", found, there, note)


def stock_programs(components: Sequence[InspectedComponent], compressor: str) -> tuple[str, ...]:
    """Return the programs that stock starts to unpack an archive: this tool needs none of them."""
    return tuple(sorted({compressor, *(c.compressor for c in components)} - {""}))


def size_text(size: int) -> str:
    """Return a number of bytes for people: `512 B`, `1.5 MiB`."""
    if size < KIBIBYTE:
        return f"{size} B"
    amount = float(size)
    for unit in _UNITS:
        amount /= KIBIBYTE
        if amount < KIBIBYTE or unit == _UNITS[-1]:
            break
    return f"{amount:.1f} {unit}"
