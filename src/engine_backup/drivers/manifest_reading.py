"""A manifest as a stranger may have written it: what has the right type and size is taken, nothing else.

Nothing of it decides what is done to a machine (that has readers of its own, such as
`privileges_document`); it is shown to people, so a wrong field is a note and no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine_backup.drivers import inventory_document
from engine_backup.drivers.manifest_fields import Fields, all_of
from engine_backup.model import manifest
from engine_backup.model.inspection import (
    LARGEST_TABLES,
    ON_DISK,
    InspectedConfiguration,
    InspectedDatabase,
    InspectedSetting,
    LargeTable,
    RecordedArchive,
    RecordedMember,
)
from engine_backup.model.preflight import CertificateFact
from engine_backup.model.shown_settings import SHOWN_SETTINGS

MOST_NOTES = 10


def read(document: Mapping[str, Any]) -> RecordedArchive:
    """Return what a manifest says; raises nothing."""
    if document.get("format") != manifest.FORMAT:
        return RecordedArchive(notes=("manifest.json is none of engine-backup, and not used",))
    if document.get("format_version") != manifest.FORMAT_VERSION:
        return RecordedArchive(notes=("manifest.json is of a version that is not known here, and not used",))
    notes: list[str] = []
    fields = Fields(document, "", notes)
    rows = fields.objects("members") or ()
    return RecordedArchive(
        tool_version=fields.text("tool_version"),
        fqdn=fields.text("fqdn"),
        hosted_engine=fields.flag("hosted_engine"),
        started_at=fields.time("started_at"),
        members={name: _member(row) for row in rows if (name := row.key("name")) is not None},
        certificates=all_of(fields.objects("certificates"), _certificate),
        host_certificates=fields.number("host_certificates"),
        configuration=_configuration(fields.object("configuration")),
        inventory=inventory_document.inventory(fields.object("inventory")),
        converted=bool(fields.objects("exported")),
        notes=tuple(dict.fromkeys(notes))[:MOST_NOTES],
    )


def _member(row: Fields) -> RecordedMember:
    return RecordedMember(
        size=row.number("size"),
        raw_size=row.number("raw_size"),
        paths=row.number("paths"),
        extra_paths=row.texts("extra_paths"),
        database=_database(row) if row.text("database") is not None else None,
    )


def _database(row: Fields) -> InspectedDatabase:
    privileges = row.object("privileges")
    owner = privileges.text("owner") if privileges else None
    largest = all_of(row.objects("largest_tables"), _table)
    return InspectedDatabase(
        database=row.text("database"),
        role=row.text("role"),
        host=row.text("host"),
        port=row.number("port"),
        server_version=_server_version(row.number("server_version")),
        pg_dump_version=row.version("pg_dump_version"),
        size=row.number("database_size"),
        snapshot_taken_at=row.time("snapshot_taken_at"),
        position=row.text("position"),
        tables=row.number("tables"),
        largest_tables=None if largest is None else largest[:LARGEST_TABLES],
        table_sizes=ON_DISK if largest is not None else "",
        extensions=row.texts("extensions"),
        owners=None if owner is None else (owner,),
        granted_roles=row.texts("granted_roles"),
        excluded_table_data=row.texts("excluded_table_data"),
        row_counts=row.numbers("row_counts"),
        row_estimates=row.numbers("row_estimates"),
        object_counts=row.numbers("object_counts"),
    )


def _server_version(number: int | None) -> str | None:
    """Return `server_version_num` as people write it: 150018 is 15.18, 90624 is 9.6.24."""
    if number is None:
        return None
    if number >= 100000:
        return f"{number // 10000}.{number % 10000}"
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def _table(row: Fields) -> LargeTable | None:
    name, size = row.text("name"), row.number("size")
    return None if name is None or size is None else LargeTable(name, size)


def _certificate(row: Fields) -> CertificateFact | None:
    path = row.text("path")
    not_before, not_after = row.time("not_before"), row.time("not_after")
    if path is None:
        return None
    return CertificateFact(
        path=path,
        subject=row.text("subject") or "",
        not_before=None if not_before is None else datetime.fromisoformat(not_before),
        not_after=None if not_after is None else datetime.fromisoformat(not_after),
        is_authority=row.flag("is_authority") is True,
        readable=not_after is not None,
        reason=row.text("reason") or "",
    )


def _configuration(found: Fields | None) -> InspectedConfiguration | None:
    """Return the settings that may be shown; a manifest may be older than the table, or forged."""
    if found is None:
        return None
    rows = all_of(found.objects("settings"), _setting) or ()
    shown = tuple(setting for setting in rows if setting.name in SHOWN_SETTINGS)
    return InspectedConfiguration(shown, (found.number("hidden") or 0) + len(rows) - len(shown))


def _setting(row: Fields) -> InspectedSetting | None:
    name, value = row.text("name"), row.text("value")
    return None if name is None or value is None else InspectedSetting(name, value)
