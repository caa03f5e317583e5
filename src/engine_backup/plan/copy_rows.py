"""The rows of a COPY block, by their columns (PostgreSQL manual, COPY, "Text Format")."""

from __future__ import annotations

import re
from collections.abc import Iterator

_COPY = re.compile(r'COPY\s+(?:"?\w+"?\.)?"?(\w+)"?\s*\(([^)]*)\)\s+FROM\s+stdin', re.IGNORECASE)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def copied_table(statement: str) -> str | None:
    """Return the name, without its schema, of the table that a COPY statement fills; None for others."""
    match = _COPY.search(statement)
    return match.group(1) if match else None


def rows(statement: str, data: bytes) -> Iterator[dict[str, str | None]]:
    """Yield each row of the data of a COPY statement, by the names of its columns."""
    match = _COPY.search(statement)
    if match is None:
        return
    columns = [column.strip().strip('"') for column in match.group(2).split(",")]
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if line:
            yield dict(zip(columns, map(_value, line.split("\t"))))


def _value(field: str) -> str | None:
    if field == "\\N":
        return None
    return _ESCAPE.sub(lambda match: _LETTERS.get(match.group(1), match.group(1)), field)
