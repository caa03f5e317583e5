"""The text of postgresql.conf: its lines, settings and values, as PostgreSQL's own scanner reads them.

The grammar is that of guc-file.l; the numbers are those of parse_int and
parse_real in guc.c (PostgreSQL manual, 20.1). Lines end with a line feed
alone; a carriage return is a blank, so files with CRLF are read and kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

INCLUDES = frozenset({"include", "include_if_exists", "include_dir"})
# Former names that the server still takes (map_old_guc_names in guc.c).
FORMER_NAMES: Mapping[str, str] = {"sort_mem": "work_mem", "vacuum_mem": "maintenance_work_mem"}

# Letters, `_`, and all above ASCII; said by what is none of it, which Python compiles 20 ms faster.
_LETTER = r"[^\x00-@\[-^`{-\x7f]"
_LETTER_OR_DIGIT = r"[^\x00-/:-@\[-^`{-\x7f]"
_WORD = rf"{_LETTER}{_LETTER_OR_DIGIT}*"
_NAME = rf"{_WORD}(?:\.{_WORD})?"
_QUOTED = r"'(?:[^'\\\n]|\\.|'')*'"
_INTEGER = r"[-+]?(?:0x[0-9a-fA-F]+|[0-9]+)[a-zA-Z]*"
_REAL = r"[-+]?[0-9]*\.[0-9]*(?:[Ee][-+]?[0-9]+)?"
_LONGER = rf"(?:{_LETTER_OR_DIGIT}|[-._:/])"
# Two words with a dot are a name to the scanner, and no value.
_UNQUOTED = rf"(?!{_WORD}\.{_WORD}(?!{_LONGER})){_LETTER}{_LONGER}*"
_BLANKS = r"[ \t\r]*"
_END = rf"{_BLANKS}(?:#.*)?"
_SETTING = re.compile(
    # A longer word would be an unquoted string, and no name.
    rf"{_BLANKS}(?P<name>{_NAME})(?!{_LONGER}){_BLANKS}=?{_BLANKS}"
    rf"(?P<value>{_QUOTED}|{_REAL}|{_INTEGER}|{_UNQUOTED}){_END}",
    re.DOTALL,
)
_NOTHING = re.compile(_END, re.DOTALL)
_COMMENTED = re.compile(rf"{_BLANKS}#[# \t]*(?P<name>{_NAME}){_BLANKS}=")
_ESCAPE = re.compile(r"''|\\([0-7]{1,3}|.)", re.DOTALL)
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_NUMBER = re.compile(
    r"\s*(?P<sign>[-+]?)(?P<digits>0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
    r"\s*(?P<unit>[A-Za-z]*)\s*"
)
_OCTAL = re.compile(r"0[0-9]+")
# In bytes and in microseconds; names are case-sensitive (PostgreSQL manual, 20.1.1).
_MEMORY = {"B": 1.0, "kB": 1024.0, "MB": 1024.0**2, "GB": 1024.0**3, "TB": 1024.0**4}
_TIME = {"us": 1.0, "ms": 1e3, "s": 1e6, "min": 60e6, "h": 3600e6, "d": 86400e6}


@dataclass(frozen=True)
class Line:
    """One line with its end. `name` is that of its setting (lower case, current), "" when there is none.

    `commented` is the setting that the line would hold without its leading `#`.
    `broken`: the server does not take the line, and so not the file.
    """

    text: str
    name: str = ""
    value: str = ""
    commented: str = ""
    broken: bool = False

    @property
    def ending(self) -> str:
        """The characters that end the line; none at the end of some files."""
        return self.text[len(self.text.rstrip("\r\n")) :] if self.text.endswith("\n") else ""


def lines_of(text: str) -> tuple[Line, ...]:
    """Return the lines of a file; their texts together are the whole text."""
    return tuple(_line(part) for part in re.findall(r"[^\n]*\n|[^\n]+", text))


def settings(text: str) -> dict[str, str]:
    """Return name and value of each setting; of several lines the last wins. Includes are not followed."""
    return {line.name: line.value for line in lines_of(text) if line.name and line.name not in INCLUDES}


def line_end(lines: tuple[Line, ...]) -> str:
    """Return the line end that new lines of this file should have."""
    return "\r\n" if lines and lines[0].ending.endswith("\r\n") else "\n"


def quoted(value: str) -> str:
    """Return a value in quotes as the scanner reads it back."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def number(value: str, unit: str = "") -> float | None:
    """Return a numeric value in `unit` ("" for settings without one), None where the server takes none.

    A bare number is in `unit` already; `0x10` is hexadecimal and `010` octal.
    """
    match = _NUMBER.fullmatch(value)
    amount = _amount(match["digits"]) if match else None
    if match is None or amount is None:
        return None
    factor = _factor(match["unit"], unit) if match["unit"] else 1.0
    return None if factor is None else amount * factor * (-1 if match["sign"] == "-" else 1)


def current_name(name: str) -> str:
    """Return how the server calls a setting today, in lower case."""
    folded = re.sub(r"[A-Z]", lambda letter: letter[0].lower(), name)  # ASCII alone, as guc_name_compare
    return FORMER_NAMES.get(folded, folded)


def _line(text: str) -> Line:
    body = text[:-1] if text.endswith("\n") else text
    match = _SETTING.fullmatch(body)
    if match is not None:
        return Line(text, current_name(match["name"]), _plain(match["value"]))
    commented = _COMMENTED.match(body)
    name = current_name(commented["name"]) if commented else ""
    return Line(text, commented=name, broken=_NOTHING.fullmatch(body) is None)


def _plain(value: str) -> str:
    return _ESCAPE.sub(_unescaped, value[1:-1]) if value.startswith("'") else value


def _unescaped(match: re.Match[str]) -> str:
    escaped = match[1]
    if escaped is None:
        return "'"
    if escaped[0] in "01234567":
        return bytes([int(escaped, 8) & 0xFF]).decode("utf-8", "surrogateescape")
    return _CONTROLS.get(escaped, escaped)


def _amount(digits: str) -> float | None:
    if digits[:2] in ("0x", "0X"):
        return float(int(digits, 16))
    if _OCTAL.fullmatch(digits):
        return float(int(digits, 8)) if not set(digits) & set("89") else None
    return float(digits)


def _factor(given: str, wanted: str) -> float | None:
    for units in (_MEMORY, _TIME):
        if given in units and wanted in units:
            return units[given] / units[wanted]
    return None
