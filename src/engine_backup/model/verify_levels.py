"""How deep a verify looks, and what each level proves."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Level(IntEnum):
    """Each level does what the ones before it do, and more."""

    HASH = 1
    STRUCTURE = 2
    FULL = 3

    @property
    def word(self) -> str:
        """Return the word of `--level=`."""
        return self.name.lower()


# The page docs/exit-codes.md and README.md say the same at length.
PROVES: Mapping[Level, str] = {
    Level.HASH: "every byte of the file is as it was written",
    Level.STRUCTURE: "and every member is what it has to be, up to the tables of contents of the dumps",
    Level.FULL: "and every dump can be decoded, and every file read, to the end",
}
BY_WORD: Mapping[str, Level] = {level.word: level for level in Level}


def help_text() -> str:
    """Return what `--help` says of the levels."""
    levels = "; ".join(f"{level.word}: {proves}" for level, proves in PROVES.items())
    return f"how deep to verify. {levels} (default: {Level.FULL.word})"
