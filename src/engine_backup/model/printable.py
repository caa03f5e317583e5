"""Texts of strangers, made fit for a terminal."""

from __future__ import annotations

LONGEST = 500


def printable(text: str, longest: int = LONGEST) -> str:
    """Return a text without anything a terminal would obey, escaped as in Python, and cut to a length."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in cut)


def printable_name(name: bytes) -> str:
    """Return an archived name for messages; bytes that are no UTF-8 are escaped, too."""
    return printable(name.decode("utf-8", "backslashreplace"))


def _escaped(letter: str) -> str:
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
