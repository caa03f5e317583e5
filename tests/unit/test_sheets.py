"""Tables: columns are as wide as what stands in them, colours go where they are wanted."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.cli.environment import Environment
from engine_backup.cli.sheets import render, width
from engine_backup.model.printable import printable
from engine_backup.model.sheet import Cell, Section, Style


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_columns_are_aligned_and_numbers_stand_right():
    rows = (
        ("Files", Cell("1.0 KiB", right=True), "x"),
        ("Managed Block", Cell("12.5 MiB", right=True), "yy"),
    )
    assert render((Section("Parts", rows, ("name", "size", "")),), coloured=False).splitlines() == [
        "Parts",
        "  name               size",
        "  Files           1.0 KiB  x",
        "  Managed Block  12.5 MiB  yy",
    ]


def test_wide_letters_count_twice():
    rows = (("日本", "x"), ("abcd", "y"), ("e\u0301abc", "z"))
    lines = render((Section("", rows),), coloured=False).splitlines()
    assert [width(line) for line in lines] == [9, 9, 9]


def test_the_last_text_of_a_row_widens_no_column():
    rows = (("a" * 50,), ("b", "c"))
    assert render((Section("", rows),), coloured=False).splitlines()[1] == "  b  c"


def test_colours_do_not_move_columns():
    rows = ((Cell("no", Style.BAD), "x"), (Cell("unknown", Style.DOUBTFUL), "y"))
    coloured = render((Section("Title", rows),), coloured=True)
    assert "\x1b[31mno\x1b[0m" in coloured
    for code in ("\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == render((Section("Title", rows),), coloured=False)


@pytest.mark.parametrize(
    ("stdout", "variables", "coloured"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_when_there_are_colours(stdout, variables, coloured):
    assert Environment(variables=variables, stdout=stdout).coloured is coloured


@given(st.text())
def test_whatever_is_printed_is_printable(text):
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable() or len(text) > 500
