"""Java properties files, read as `java.util.Properties` reads them."""

from __future__ import annotations

import re

from engine_backup.model.errors import EngineBackupError

_LINE_END = re.compile(r"\r\n|\r|\n")
_CONTINUED = re.compile(r"(?<!\\)(?:\\\\)*\\$")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.?)", re.DOTALL)
_KEY = re.compile(r"((?:\\.|[^\\=:\s])*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse(text: str, name: str) -> dict[str, str]:
    r"""Return the keys and values of a properties file; the last of several equal keys wins.

    Raises `EngineBackupError` naming the file (`name`) and the line, never the
    value, for a broken `\uXXXX`.
    """
    values = {}
    for number, line in _logical_lines(text):
        match = _KEY.match(line)
        if match:
            key, value = (_unescaped(part, f"{name}:{number}") for part in match.groups())
            values[key] = value
    return values


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Join lines that end in a backslash with the next; drop comments and blank lines."""
    lines: list[tuple[int, str]] = []
    pending: tuple[int, str] | None = None
    for number, raw in enumerate(_LINE_END.split(text), start=1):
        line = raw.lstrip(" \t\f")
        if pending is None and (not line or line[0] in "#!"):
            continue
        first, before = pending or (number, "")
        whole = before + line
        pending = (first, whole[:-1]) if _CONTINUED.search(line) else None
        if pending is None:
            lines.append((first, whole))
    return lines if pending is None else [*lines, pending]


def _unescaped(text: str, place: str) -> str:
    def letter(match: re.Match[str]) -> str:
        escaped = match.group(1)
        if len(escaped) == 5:
            return chr(int(escaped[1:], 16))
        if escaped == "u":
            raise EngineBackupError(f"{place}: \\u is not followed by four hexadecimal digits")
        return _LETTERS.get(escaped, escaped)

    return _ESCAPE.sub(letter, text)
