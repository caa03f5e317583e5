"""Which roles a dump's SQL grants something to."""

from __future__ import annotations

import re
from collections.abc import Iterable

# A word, a quoted identifier, a string, or a sign; comments and white space between them are dropped.
_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?\*/|"(?:[^"]|"")*"|[eE]?'(?:[^'\\]|''|\\.)*'|[\w$]+|[^\s\w]""", re.DOTALL
)
_GRANT = re.compile(r"\s*GRANT\s", re.IGNORECASE)
_FOREIGN = re.compile(r"\s*SET\s+SESSION\s+AUTHORIZATION\s+(?!DEFAULT\b)", re.IGNORECASE)
_NO_ROLES = frozenset({"PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE"})


def grantees(statements: Iterable[str]) -> tuple[str, ...]:
    """Return the roles that GRANT statements name, sorted, without PUBLIC.

    Understands quoted and mixed-case names, several names, and what follows
    them (WITH GRANT OPTION, GRANTED BY); PostgreSQL manual, GRANT.
    """
    found: set[str] = set()
    for statement in statements:
        if _GRANT.match(statement):
            found |= _roles(_tokens(statement))
    return tuple(sorted(found))


def has_foreign_grants(statements: Iterable[str]) -> bool:
    """Whether some grants were made by others than the owner, which only a superuser can bring back.

    pg_dump writes them between SET SESSION AUTHORIZATION and RESET (reference 13.4).
    """
    return any(_FOREIGN.match(statement) for statement in statements)


def _tokens(statement: str) -> list[str]:
    tokens = (match.group() for match in _TOKEN.finditer(statement))
    return [token for token in tokens if not token.startswith(("--", "/*"))]


def _roles(tokens: list[str]) -> set[str]:
    """Read the names behind the last TO that no quotes hide."""
    places = [place for place, token in enumerate(tokens) if token.upper() == "TO"]
    names: set[str] = set()
    if not places:
        return names
    for token in tokens[places[-1] + 1 :]:
        if token in (",",) or token.upper() == "GROUP":
            continue
        if token == ";" or token.upper() in ("WITH", "GRANTED"):
            break
        if token not in _NO_ROLES:
            names.add(_name(token))
    return names


def _name(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token.lower()
