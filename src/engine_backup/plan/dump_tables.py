"""Tables in a plain dump: which statements make them, and which fill them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DEFAULT_SCHEMA = "public"
_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_TABLE = rf"(?P<name>{_NAME}(?:\s*\.\s*{_NAME})?)"
# Enough for two names of 63 bytes and all that may stand around them.
_BEGINNING = 1024
_CREATE = re.compile(rf"CREATE\s+(?:UNLOGGED\s+)?TABLE\s+{_TABLE}\s*[(\s]", re.IGNORECASE)
_COPY = re.compile(rf"COPY\s+{_TABLE}\s*[(\s]", re.IGNORECASE)
_OWNER = re.compile(rf"ALTER\s+TABLE\s+{_TABLE}\s+OWNER\s+TO\s+(?P<owner>{_NAME})\s*;", re.IGNORECASE)
_SEARCH_PATH = re.compile(rf"SET\s+search_path\s*=\s*(?P<schema>{_NAME})", re.IGNORECASE)
_PART = re.compile(_NAME)
_GRANTS = re.compile(r"(?:GRANT|REVOKE|ALTER\s+DEFAULT|SET\s+SESSION|RESET\s+SESSION)\b", re.IGNORECASE)


def created_table(statement: str, schema: str = DEFAULT_SCHEMA) -> str | None:
    """Return the `schema.name` of the table that a statement makes; `schema` where it names none."""
    return _qualified(_CREATE.match(statement[:_BEGINNING]), schema)


def filled_table(statement: str, schema: str = DEFAULT_SCHEMA) -> str | None:
    """Return the `schema.name` of the table that a COPY fills."""
    return _qualified(_COPY.match(statement[:_BEGINNING]), schema)


def table_owner(statement: str) -> str | None:
    """Return the role that a statement gives a table to."""
    match = _OWNER.match(statement[:_BEGINNING])
    return _plain(match["owner"]) if match else None


def search_path(statement: str) -> str | None:
    """Return the schema that later names without one are in."""
    match = _SEARCH_PATH.match(statement[:_BEGINNING])
    return _plain(match["schema"]) if match else None


@dataclass
class MadeTables:
    """The tables that a plain dump makes, as `schema.name`, in its order; every statement must be taken."""

    names: list[str] = field(default_factory=list)
    _schema: str = DEFAULT_SCHEMA

    def take(self, statement: str) -> None:
        """Look at the next statement."""
        self._schema = search_path(statement) or self._schema
        table = created_table(statement, self._schema)
        if table is not None:
            self.names.append(table)


def is_about_privileges(statement: str) -> bool:
    """Say whether a statement grants something, or says who does."""
    return _GRANTS.match(statement) is not None


def _qualified(match: re.Match[str] | None, schema: str) -> str | None:
    if match is None:
        return None
    parts = [_plain(part) for part in _PART.findall(match["name"])]
    return ".".join(parts if len(parts) > 1 else (schema, *parts))


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
