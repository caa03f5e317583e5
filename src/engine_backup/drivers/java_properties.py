r"""Java properties files, read as `java.util.Properties` reads them, and changed so that it reads the change.

Rules: the class's documentation of `load(InputStream)` and `store`. A text here has one character
for each byte of the file (ISO 8859-1); every other character is written `\uXXXX`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from engine_backup.model.errors import EngineBackupError

ENCODING = "iso-8859-1"

_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")
_CONTINUED = re.compile(r"(?<!\\)(?:\\\\)*\\\Z")
_CONTINUED_AT_END = re.compile(r"(?<!\\)(?:\\\\)*\\(?:\r\n|\r|\n)?\Z")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.?)", re.DOTALL)
_KEY = re.compile(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_WRITTEN = {"\\": "\\\\", **{sign: f"\\{letter}" for letter, sign in _LETTERS.items()}}
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")


class _Entry(NamedTuple):
    """A key and its value: the number of its first line, its logical line, and its text in the file."""

    number: int
    line: str
    text: str


def parse(text: str, name: str) -> dict[str, str]:
    r"""Return the keys and values of a properties file; the last of several equal keys wins.

    Raises `EngineBackupError` naming the file (`name`) and the line, never the
    value, for a broken `\uXXXX`.
    """
    return dict(_key_and_value(entry, name) for entry in _entries(text) if entry.line)


def rewritten(text: str, values: Mapping[str, str], name: str) -> str:
    """Return the text of a properties file with other values for some keys.

    A key that stands there gets its value in its place (and where it stands twice, once); others
    are added at the end. Every other line stays as it is. Raises `EngineBackupError` as `parse` does.
    """
    pieces: list[str] = []
    left = dict(values)
    for entry in _entries(text):
        key = _key_and_value(entry, name)[0] if entry.line else None
        if key is None or key not in values:
            pieces.append(entry.text)
        elif key in left:
            pieces.append(_assignment(key, left.pop(key)))
    kept = "".join(pieces)
    added = "".join(_assignment(key, value) for key, value in left.items())
    return kept + (_ended(kept) + added if added else "")


def _ended(text: str) -> str:
    """Return what a text needs so that a new line can follow it."""
    end = "" if not text or text.endswith(("\r", "\n")) else "\n"
    # After a carriage return a line feed would still belong to the same line end.
    another = "\r" if text.endswith("\r") else "\n"
    return end + (another if _CONTINUED_AT_END.search(text) else "")


def _assignment(key: str, value: str) -> str:
    return f"{_escaped(key, _KEY_SIGNS)}={_escaped(value)}\n"


_KEY_SIGNS = {sign: f"\\{sign}" for sign in " =:#!"}


def _escaped(text: str, special: Mapping[str, str] | None = None) -> str:
    """Escape what would be read as something else. Blanks are skipped only before a value."""
    signs = {**_WRITTEN, **(special or {})}
    written = "".join(signs.get(sign) or _in_ascii(sign) for sign in text)
    return f"\\{written}" if written.startswith(" ") else written


def _in_ascii(sign: str) -> str:
    if " " <= sign <= "~":
        return sign
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _entries(text: str) -> Iterator[_Entry]:
    """Yield logical lines: those that end in a backslash are joined with the next.

    Comments and blank lines come as entries without a `line`.
    """
    pending: _Entry | None = None
    for number, match in enumerate(_LINE.finditer(text), start=1):
        line = match[1].lstrip(" \t\f")
        if pending is None and (not line or line[0] in "#!"):
            yield _Entry(number, "", match[0])
            continue
        first, before, texts = pending or (number, "", "")
        continued = _CONTINUED.search(line) is not None
        entry = _Entry(first, before + (line[:-1] if continued else line), texts + match[0])
        pending = entry if continued else None
        if not continued:
            yield entry
    if pending is not None:
        yield pending


def _key_and_value(entry: _Entry, name: str) -> tuple[str, str]:
    match = _KEY.match(entry.line)
    if match is None:
        raise EngineBackupError(f"{name}:{entry.number}: neither a key nor a comment")
    key, value = (_unescaped(part, f"{name}:{entry.number}") for part in match.groups())
    return key, value


def _unescaped(text: str, place: str) -> str:
    def letter(match: re.Match[str]) -> str:
        escaped = match.group(1)
        if len(escaped) == 5:
            return chr(int(escaped[1:], 16))
        if escaped == "u":
            raise EngineBackupError(f"{place}: \\u is not followed by four hexadecimal digits")
        return _LETTERS.get(escaped, escaped)

    return _SURROGATES.sub(_joined, _ESCAPE.sub(letter, text))


def _joined(pair: re.Match[str]) -> str:
    """Make one character of the two halves in which Java keeps it."""
    return pair.group().encode("utf-16-be", "surrogatepass").decode("utf-16-be")
