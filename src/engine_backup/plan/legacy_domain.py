"""The old kerberos/ldap integration, which restored engines cannot use any more (reference 2.4).

Stock searches the dump's text and has missed every case since pg_dump writes
`public.vdc_options` (quirk 13); here the COPY block is read by its columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TABLE = "vdc_options"
OPTION = "DomainName"
MESSAGE = "legacy kerberos/ldap directory integration was in use"
HINT = "Please migrate to ovirt-engine-extension-aaa-ldap and backup/restore again"

_COPY = re.compile(r'COPY\s+(?:"?\w+"?\.)?"?(\w+)"?\s*\(([^)]*)\)\s+FROM\s+stdin', re.IGNORECASE)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def is_options_table(statement: str) -> bool:
    """Whether a COPY statement fills the engine's options."""
    match = _COPY.search(statement)
    return match is not None and match.group(1) == TABLE


def legacy_domains(statement: str, data: bytes) -> list[str]:
    """Return the non-empty domain names that a COPY block of the options table sets."""
    match = _COPY.search(statement)
    if match is None:
        return []
    columns = [column.strip().strip('"') for column in match.group(2).split(",")]
    rows = (dict(zip(columns, fields)) for fields in _rows(data))
    values = (row.get("option_value") or "" for row in rows if row.get("option_name") == OPTION)
    return [value for value in values if value.strip()]


def _rows(data: bytes) -> Iterator[list[str | None]]:
    """Read COPY's text format (PostgreSQL manual, COPY, "Text Format")."""
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if line:
            yield [None if field == "\\N" else _unescaped(field) for field in line.split("\t")]


def _unescaped(field: str) -> str:
    return _ESCAPE.sub(lambda match: _LETTERS.get(match.group(1), match.group(1)), field)
