"""The fields of a JSON object that a stranger may have written: what has the right type and size is taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, Optional, TypeVar

from engine_backup.model.printable import printable

MOST_ROWS = 2000
LARGEST_NUMBER = 1 << 62
LONGEST_KEY = 200

_Found = TypeVar("_Found")
_VERSION = re.compile(r"[0-9A-Za-z._~+:-]{1,100}")


class Fields:
    """An object of the manifest. A missing field is None, one of the wrong kind is None and a note."""

    def __init__(self, found: Mapping[str, Any], place: str, notes: list[str]) -> None:
        self._found = found
        self._place = place
        self._notes = notes

    def take(self, name: str, what: str, take: Callable[[Any], Optional[_Found]]) -> _Found | None:
        """Return what `take` makes of a field; None from it means that the field is none of `what`."""
        value = self._found.get(name)
        if value is None:
            return None
        taken = take(value)
        if taken is None:
            self.note(name, what)
        return taken

    def note(self, name: str, what: str) -> None:
        """Note that a field is not what it should be."""
        self._notes.append(f"manifest.json: {self._place}{name} is no {what}, and not used")

    def key(self, name: str) -> str | None:
        """Return a text as it is: the name of a member."""
        return self.take(name, "name", lambda v: v if isinstance(v, str) and len(v) < LONGEST_KEY else None)

    def text(self, name: str) -> str | None:
        """Return a text, fit for a terminal and cut."""
        return self.take(name, "text", lambda value: printable(value) if isinstance(value, str) else None)

    def number(self, name: str) -> int | None:
        """Return a number of bytes or things, from 0 on."""
        return self.take(name, "number of bytes or things", _number)

    def flag(self, name: str) -> bool | None:
        """Return true or false."""
        return self.take(name, "true or false", lambda value: value if isinstance(value, bool) else None)

    def time(self, name: str) -> str | None:
        """Return a time with its zone, in UTC as ISO 8601."""
        return self.take(name, "time", _time)

    def version(self, name: str) -> str | None:
        """Return a version: a word without blanks."""
        return self.matching(name, _VERSION, "version")

    def matching(self, name: str, pattern: re.Pattern[str], what: str = "text of its form") -> str | None:
        """Return a text that a pattern fits as a whole."""
        return self.take(name, what, lambda v: v if isinstance(v, str) and pattern.fullmatch(v) else None)

    def numbers(self, name: str) -> Mapping[str, int] | None:
        """Return an object of names with numbers."""
        return self.take(name, "list of names with numbers", _numbers)

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Return a list of texts."""
        return self.take(name, "list of texts", _texts)

    def object(self, name: str) -> Fields | None:
        """Return an object."""
        found = self.take(name, "object", lambda value: value if isinstance(value, dict) else None)
        return None if found is None else Fields(found, f"{self._place}{name}.", self._notes)

    def objects(self, name: str) -> tuple[Fields, ...] | None:
        """Return a list of objects."""
        found = self.take(name, "list of objects", _objects)
        if found is None:
            return None
        return tuple(Fields(row, f"{self._place}{name}[{at}].", self._notes) for at, row in enumerate(found))


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < LARGEST_NUMBER else None


def _numbers(value: object) -> dict[str, int] | None:
    if not isinstance(value, dict) or len(value) > MOST_ROWS:
        return None
    numbers = {printable(name): number for name, number in value.items() if _number(number) is not None}
    return numbers if len(numbers) == len(value) else None


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


def all_of(
    rows: tuple[Fields, ...] | None, read_row: Callable[[Fields], Optional[_Found]]
) -> tuple[_Found, ...] | None:
    """Return what each of the objects says, without those that say nothing; None for None."""
    if rows is None:
        return None
    return tuple(taken for taken in map(read_row, rows) if taken is not None)
