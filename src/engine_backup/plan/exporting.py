"""What becomes of each member of an archive that is converted, and what the new archive says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine_backup.model.archive import (
    CONFIG_MEMBER,
    FILES_MEMBER,
    HASH_FILES,
    MANIFEST_MEMBER,
    OS_VERSION_MEMBER,
    VERSION_MEMBER,
    EntryType,
    FileEntry,
    MemberInfo,
    MemberRecord,
)
from engine_backup.model.components import BY_NAME, DATABASES, FILES, Kind
from engine_backup.model.exporting import Conversion, DumpShape, ExportFacts, ExportForm
from engine_backup.model.manifest import is_ours, is_understood, member_row
from engine_backup.model.paths import DIRECTORIES_ABOVE
from engine_backup.model.presets import CUSTOM, NO_COMPRESSOR, PLAIN, Packing

MADE_ANEW = frozenset(
    {VERSION_MEMBER, OS_VERSION_MEMBER, CONFIG_MEMBER, MANIFEST_MEMBER, *(name for name, _ in HASH_FILES)}
)
TREE = FILES_MEMBER + "/"


def plan_conversions(form: ExportForm, facts: ExportFacts) -> tuple[Conversion, ...]:
    """Return what becomes of the members that are not made anew, in the order of the archive.

    Files of a tree become one inner tar, whose place is that of the first of them.
    """
    dumps = {dump.member: dump for dump in facts.dumps}
    found: dict[str, Conversion] = {}
    for member in facts.members:
        conversion = _conversion(member, form, facts, dumps)
        if conversion is not None:
            found.setdefault(conversion.target, conversion)
    return tuple(found.values())


def _conversion(
    member: MemberInfo, form: ExportForm, facts: ExportFacts, dumps: Mapping[str, DumpShape]
) -> Conversion | None:
    if member.name == FILES_MEMBER or member.name.startswith(TREE):
        return _files(member, form, facts)
    if member.name in dumps:
        return _dump(dumps[member.name], form)
    is_empty_dump = member.size == 0 and member.name in {row.member for row in BY_NAME.values()}
    if member.name in MADE_ANEW or is_empty_dump or not member.is_file:
        return None
    return Conversion(member.name, member.name)


def _files(member: MemberInfo, form: ExportForm, facts: ExportFacts) -> Conversion | None:
    if facts.files_compressor is None:
        return Conversion(TREE, FILES_MEMBER, FILES.name, packing=form.files)
    if not member.size:
        return None
    kept = facts.files_compressor in form.files_kept
    packing = None if kept else form.files
    return Conversion(
        member.name, FILES_MEMBER, FILES.name, compressor=facts.files_compressor, packing=packing
    )


def _dump(dump: DumpShape, form: ExportForm) -> Conversion:
    component = BY_NAME[dump.component_name]
    return Conversion(
        dump.member,
        component.member,
        component.name,
        dump.dump_format,
        dump.compressor,
        _dump_packing(dump, form),
        keeps_owner=component.kind is Kind.SQLITE,
    )


def _dump_packing(dump: DumpShape, form: ExportForm) -> Packing | None:
    if BY_NAME[dump.component_name].kind is Kind.SQLITE or dump.compressor in form.dumps_kept:
        return None
    if dump.own_compression and dump.compressor == NO_COMPRESSOR:
        return None
    return form.dumps


def directories(members: Iterable[MemberInfo]) -> tuple[str, ...]:
    """Return the directories of the new archive: "db", and those of the old one but for a tree of files."""
    names = [m.name for m in members if m.entry.type is EntryType.DIRECTORY]
    kept = [name for name in names if name != FILES_MEMBER and not name.startswith(TREE)]
    return tuple(dict.fromkeys(("db", *kept)))


def is_by_product(entry: FileEntry) -> bool:
    """Say whether a directory of a tree was only made on the way to what was saved (reference 13.7)."""
    return entry.type is EntryType.DIRECTORY and entry.path in DIRECTORIES_ABOVE


def config_text(conversions: Iterable[Conversion], declared: Mapping[str, str]) -> str:
    """Return `config` for the new archive (reference 4.2); `declared` is that of the old one.

    Databases that are not there have their lines too: stock takes a missing line for `custom` and then
    asks about permissions (quirk 17).
    """
    by_name = {conversion.component_name: conversion for conversion in conversions}
    lines = []
    for component in DATABASES:
        conversion = by_name.get(component.name)
        if conversion is None and not component.written:
            continue
        absent = Conversion("", "", dump_format=declared.get(f"{component.dump_prefix}_DUMP_FORMAT", PLAIN))
        shown = conversion or absent
        lines.append(f"{component.dump_prefix}_DUMP_COMPRESSOR={shown.target_compressor}\n")
        lines.append(f"{component.dump_prefix}_DUMP_FORMAT={shown.dump_format}\n")
    return "".join(lines)


def manifest_content(
    old: Mapping[str, Any] | None,
    facts: Mapping[str, Any],
    records: Iterable[MemberRecord],
    details: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the manifest of the new archive.

    What the old one said stays, but for what is another thing now or is known from the archive itself:
    `facts`, and `members`, whose `details` are by name. The old one is as hostile as the rest of its
    archive: of lists only rows of the right kind are taken over, and nothing of a format that we do not know.
    """
    known = old if old is not None and is_ours(old) and is_understood(old) else {}
    earlier = known.get("exported")
    exported = [row for row in earlier if isinstance(row, dict)] if isinstance(earlier, list) else []
    kept = {key: value for key, value in known.items() if key not in ("format", "format_version")}
    members = [
        {
            **(member_row(known, record.name) or {}),
            "name": record.name,
            "size": record.size,
            "sha256": record.sha256,
            **details.get(record.name, {"raw_size": record.size}),
        }
        for record in records
    ]
    tool = {"tool_version": kept.get("tool_version", facts["tool_version"])}
    return {**kept, **facts, **tool, "members": members, "exported": [*exported, facts["exported"]]}


def describe(conversion: Conversion) -> str:
    """Return in words what becomes of a member's packing."""
    now = conversion.target_compressor or "not packed"
    if conversion.source == TREE:
        return f"directory tree -> tar, {now}"
    if conversion.packing is None:
        own = "pg_dump's own packing" if conversion.dump_format == CUSTOM else "as it was"
        return f"{now}, as it was" if conversion.target_compressor else own
    return f"{conversion.compressor or 'not packed'} -> {now}"
