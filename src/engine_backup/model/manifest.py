"""`manifest.json`, the member that says what an archive of ours holds.

Written by us, ignored by stock, described in `docs/archive-format.md`. Read
back it is as hostile as the rest of an archive: nothing trusts it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from engine_backup.model.printable import printable

FORMAT = "engine-backup manifest"
FORMAT_VERSION = 1


def is_ours(manifest: Mapping[str, Any] | None) -> bool:
    """Whether a manifest (None: there is none) is of this format, in whatever version."""
    return manifest is not None and manifest.get("format") == FORMAT


def is_understood(manifest: Mapping[str, Any]) -> bool:
    """Whether the fields have the meanings that this version knows."""
    return bool(manifest.get("format_version") == FORMAT_VERSION)


def member_row(manifest: Mapping[str, Any] | None, name: str) -> dict[str, Any] | None:
    """Return what a manifest says of a member; None where it says nothing."""
    listed = (manifest or {}).get("members")
    rows = cast("list[object]", listed) if isinstance(listed, list) else []
    return next((row for row in rows if isinstance(row, dict) and row.get("name") == name), None)


def raw_size(manifest: Mapping[str, Any] | None, name: str) -> int | None:
    """Return a member's unpacked size in bytes; None where the manifest says nothing that makes sense."""
    size = (member_row(manifest, name) or {}).get("raw_size")
    return size if type(size) is int and size >= 0 else None


def excluded_tables(manifest: Mapping[str, Any] | None, name: str) -> tuple[str, ...]:
    """Return the tables, `schema.table`, whose rows were left out of a dump, fit to be printed."""
    said = (member_row(manifest, name) or {}).get("excluded_table_data")
    tables = cast("list[object]", said) if isinstance(said, list) else []
    return tuple(printable(table) for table in tables if isinstance(table, str))


def render(content: Mapping[str, Any]) -> bytes:
    """Return the member's bytes: UTF-8 JSON, sorted by meaning, with its format's name and version first."""
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, **content}
    return (json.dumps(document, indent=1, ensure_ascii=True) + "\n").encode()
