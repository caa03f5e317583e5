"""From a sheet to lines: columns as wide as what stands in them, colours where they are wanted."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace

from engine_backup.model.printable import printable
from engine_backup.model.sheet import Cell, CellOrText, Section, Sheet, Style

INDENT = "  "
GAP = "  "
RESET = "\x1b[0m"
BOLD = "\x1b[1m"
COLOURS = {
    Style.PLAIN: "",
    Style.FAINT: "\x1b[2m",
    Style.GOOD: "\x1b[32m",
    Style.DOUBTFUL: "\x1b[33m",
    Style.BAD: "\x1b[31m",
}


def render(sheet: Sheet, coloured: bool) -> str:
    """Return the text of a sheet, without a line end behind it."""
    return "\n\n".join("\n".join(_lines(section, coloured)) for section in sheet)


def _lines(section: Section, coloured: bool) -> Iterator[str]:
    if section.title:
        yield _coloured(section.title, BOLD, coloured)
    rows = [[_cell(cell) for cell in row] for row in section.rows]
    if section.head and rows:
        rows.insert(0, _head(section.head, rows))
    widths = _widths(rows)
    for row in rows:
        cells = (_padded(cell, wanted, coloured) for cell, wanted in zip(row, widths))
        yield (INDENT + GAP.join(cells)).rstrip()


def _head(names: Sequence[str], rows: list[list[Cell]]) -> list[Cell]:
    """A head stands on the side that its column stands on."""
    right = [any(len(row) > number and row[number].right for row in rows) for number in range(len(names))]
    return [Cell(name, Style.FAINT, side) for name, side in zip(names, right)]


def _widths(rows: Sequence[Sequence[Cell]]) -> list[int]:
    """The last cell of a row takes what it needs, and widens no column."""
    widths = [0] * max((len(row) for row in rows), default=0)
    for row in rows:
        for number, cell in enumerate(row):
            if cell.right or number < len(row) - 1:
                widths[number] = max(widths[number], width(cell.text))
    return widths


def _padded(cell: Cell, wanted: int, coloured: bool) -> str:
    blanks = " " * (wanted - width(cell.text))
    text = _coloured(cell.text, COLOURS[cell.style], coloured)
    return blanks + text if cell.right else text + blanks


def _coloured(text: str, colour: str, coloured: bool) -> str:
    return f"{colour}{text}{RESET}" if coloured and colour and text else text


def _cell(cell: CellOrText) -> Cell:
    """Return a cell with what a terminal can show, and nothing that it obeys."""
    found = Cell(cell) if isinstance(cell, str) else cell
    return replace(found, text=printable(found.text))


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
