"""A manifest as a stranger may have written it: what has the right type and size is taken, nothing else.

Nothing of it decides what is done to a machine (that has readers of its own, such as
`privileges_document`); it is shown to people, so a wrong field is a note and no error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, Optional, TypeVar

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
from engine_backup.model.printable import printable
from engine_backup.model.shown_settings import SHOWN_SETTINGS

MOST_ROWS = 2000
MOST_NOTES = 10
LARGEST_NUMBER = 1 << 62
LONGEST_KEY = 200

_Found = TypeVar("_Found")
_VERSION = re.compile(r"[0-9A-Za-z._~+:-]{1,100}")


def read(document: Mapping[str, Any]) -> RecordedArchive:
    """Return what a manifest says; raises nothing."""
    if document.get("format") != manifest.FORMAT:
        return RecordedArchive(notes=("manifest.json is none of engine-backup, and not used",))
    if document.get("format_version") != manifest.FORMAT_VERSION:
        return RecordedArchive(notes=("manifest.json is of a version that is not known here, and not used",))
    notes: list[str] = []
    fields = _Fields(document, "", notes)
    rows = fields.objects("members") or ()
    return RecordedArchive(
        tool_version=fields.text("tool_version"),
        fqdn=fields.text("fqdn"),
        hosted_engine=fields.flag("hosted_engine"),
        started_at=fields.time("started_at"),
        members={name: _member(row) for row in rows if (name := row.key("name")) is not None},
        certificates=_all(fields.objects("certificates"), _certificate),
        configuration=_configuration(fields.object("configuration")),
        converted=bool(fields.objects("exported")),
        notes=tuple(dict.fromkeys(notes))[:MOST_NOTES],
    )


class _Fields:
    """An object of the manifest. A missing field is None, one of the wrong kind is None and a note."""

    def __init__(self, found: Mapping[str, Any], place: str, notes: list[str]) -> None:
        self._found = found
        self._place = place
        self._notes = notes

    def _take(self, name: str, what: str, take: Callable[[Any], Optional[_Found]]) -> _Found | None:
        value = self._found.get(name)
        if value is None:
            return None
        taken = take(value)
        if taken is None:
            self._notes.append(f"manifest.json: {self._place}{name} is no {what}, and not used")
        return taken

    def key(self, name: str) -> str | None:
        """Return a text as it is: the name of a member."""
        return self._take(name, "name", lambda v: v if isinstance(v, str) and len(v) < LONGEST_KEY else None)

    def text(self, name: str) -> str | None:
        return self._take(name, "text", lambda value: printable(value) if isinstance(value, str) else None)

    def number(self, name: str) -> int | None:
        return self._take(name, "number of bytes or things", _number)

    def flag(self, name: str) -> bool | None:
        return self._take(name, "true or false", lambda value: value if isinstance(value, bool) else None)

    def time(self, name: str) -> str | None:
        return self._take(name, "time", _time)

    def version(self, name: str) -> str | None:
        return self._take(
            name, "version", lambda v: v if isinstance(v, str) and _VERSION.fullmatch(v) else None
        )

    def texts(self, name: str) -> tuple[str, ...] | None:
        return self._take(name, "list of texts", _texts)

    def object(self, name: str) -> _Fields | None:
        found = self._take(name, "object", lambda value: value if isinstance(value, dict) else None)
        return None if found is None else _Fields(found, f"{self._place}{name}.", self._notes)

    def objects(self, name: str) -> tuple[_Fields, ...] | None:
        found = self._take(name, "list of objects", _objects)
        if found is None:
            return None
        return tuple(_Fields(row, f"{self._place}{name}[{at}].", self._notes) for at, row in enumerate(found))


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < LARGEST_NUMBER else None


def _time(value: object) -> str | None:
    """Return a time with its zone in UTC."""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) and len(value) < 64 else None
        return parsed.astimezone(timezone.utc).isoformat() if parsed and parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or len(value) > MOST_ROWS:
        return None
    texts = tuple(printable(text) for text in value if isinstance(text, str))
    return texts if len(texts) == len(value) else None


def _objects(value: object) -> list[dict[str, Any]] | None:
    fits = isinstance(value, list) and len(value) <= MOST_ROWS and all(isinstance(row, dict) for row in value)
    return value if isinstance(value, list) and fits else None


def _all(
    rows: tuple[_Fields, ...] | None, read_row: Callable[[_Fields], Optional[_Found]]
) -> tuple[_Found, ...] | None:
    if rows is None:
        return None
    return tuple(taken for taken in map(read_row, rows) if taken is not None)


def _member(row: _Fields) -> RecordedMember:
    return RecordedMember(
        size=row.number("size"),
        raw_size=row.number("raw_size"),
        paths=row.number("paths"),
        extra_paths=row.texts("extra_paths"),
        database=_database(row) if row.text("database") is not None else None,
    )


def _database(row: _Fields) -> InspectedDatabase:
    privileges = row.object("privileges")
    owner = privileges.text("owner") if privileges else None
    largest = _all(row.objects("largest_tables"), _table)
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
    )


def _server_version(number: int | None) -> str | None:
    """Return `server_version_num` as people write it: 150018 is 15.18, 90624 is 9.6.24."""
    if number is None:
        return None
    if number >= 100000:
        return f"{number // 10000}.{number % 10000}"
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def _table(row: _Fields) -> LargeTable | None:
    name, size = row.text("name"), row.number("size")
    return None if name is None or size is None else LargeTable(name, size)


def _certificate(row: _Fields) -> CertificateFact | None:
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


def _configuration(found: _Fields | None) -> InspectedConfiguration | None:
    """Return the settings that may be shown; a manifest may be older than the table, or forged."""
    if found is None:
        return None
    rows = _all(found.objects("settings"), _setting) or ()
    shown = tuple(setting for setting in rows if setting.name in SHOWN_SETTINGS)
    return InspectedConfiguration(shown, (found.number("hidden") or 0) + len(rows) - len(shown))


def _setting(row: _Fields) -> InspectedSetting | None:
    name, value = row.text("name"), row.text("value")
    return None if name is None or value is None else InspectedSetting(name, value)
