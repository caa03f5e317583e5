"""Statements that no dump of one database holds, and that reach beyond the database.

A load's role is no superuser, so the server would refuse most of them. But a dump with one of
these was not written by pg_dump, and nothing of it is worth a try.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Far more than the words at the beginning, and little enough for patterns to be quick.
_BEGINNING_SIZE = 4096
# Each sign fits in one way only, or a stranger's text could keep the pattern busy for ages.
_GAP = r"(?:\s|/\*(?:(?!\*/).)*\*/|--[^\n]*\n)+"


@dataclass(frozen=True)
class _Forbidden:
    """A statement by its first words, and what it would do."""

    beginning: re.Pattern[str]
    meaning: str


def _forbidden(words: str, meaning: str) -> _Forbidden:
    pattern = words.replace(" ", _GAP) + r"(?!\w)"
    return _Forbidden(re.compile(pattern, re.IGNORECASE | re.DOTALL), meaning)


# Not among them: COPY … FROM stdin, whose data follow, is no statement of its own here.
FORBIDDEN: tuple[_Forbidden, ...] = (
    _forbidden(r"COPY", "reads or writes files, or runs programs, on the server"),
    _forbidden(r"DO", "runs code at once"),
    _forbidden(r"ALTER SYSTEM", "configures the server"),
    _forbidden(r"LOAD", "loads a library into the server"),
    _forbidden(r"(?:CREATE|ALTER|DROP) (?:ROLE|GROUP|DATABASE|TABLESPACE)", "is about the whole server"),
    _forbidden(rf"(?:CREATE|ALTER|DROP) USER(?!{_GAP}MAPPING\b)", "is about the whole server"),
)


def meaning_of_forbidden(statement: str) -> str:
    """Return what a statement would do that no dump does, or an empty text."""
    beginning = statement[:_BEGINNING_SIZE]
    return next((row.meaning for row in FORBIDDEN if row.beginning.match(beginning)), "")
