"""A text made of small tables, which the console aligns and colours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Union


class Style(Enum):
    """What a cell wants to say by its colour."""

    PLAIN = "plain"
    FAINT = "faint"
    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True)
class Cell:
    """A text without line breaks; numbers stand `right` in their column."""

    text: str
    style: Style = Style.PLAIN
    right: bool = False


CellOrText = Union[Cell, str]


@dataclass(frozen=True)
class Section:
    """A table with a title; `title` and `head` may be empty."""

    title: str
    rows: tuple[tuple[CellOrText, ...], ...]
    head: tuple[str, ...] = ()


Sheet = tuple[Section, ...]
