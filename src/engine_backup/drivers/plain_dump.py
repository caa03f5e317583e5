r"""Splitting a plain dump into its SQL statements and the data of its COPY commands.

A plain dump is written for psql, which also obeys lines of its own (`\!`,
`\copy … program`). Here there is no psql: this module cuts the text where the
server's lexer ends a statement, whatever the size of the dump, and refuses
every backslash command but the `\restrict` pair that pg_dump itself writes.
Rules: PostgreSQL manual, "Lexical Structure" and COPY; psql's treatment of
parentheses and `BEGIN ATOMIC`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Union

from engine_backup.drivers.dump_window import DumpWindow
from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError

LAST_LINE = b"-- PostgreSQL database dump complete"

# As far as the lexer looks ahead for things that are short in every real dump.
LOOK_AHEAD = 256

_VISIBLE = re.compile(rb"\S")
_LINE_END = re.compile(rb"[\r\n]")
_COMMENT_EDGE = re.compile(rb"/\*|\*/")
_NAME_END = re.compile(rb'""|"')
_STRING_END = re.compile(rb"''|'")
_ESCAPED_STRING_END = re.compile(rb"\\.|''|'", re.DOTALL)
_CONTINUATION = re.compile(rb"\s*?\n\s*'")
_DOLLAR_TAG = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_WORD_BYTE = re.compile(rb"[A-Za-z0-9_$\x80-\xff]")

_SIGN = re.compile(rb"['\"\\;$()]|--|/\*")
# Bodies of SQL functions (PostgreSQL 14) hold semicolons between BEGIN and END.
_ROUTINE = re.compile(rb"create\s+(?:or\s+replace\s+)?(?:function|procedure)\s", re.IGNORECASE)
_SIGN_IN_ROUTINE = re.compile(
    rb"['\"\\;$()]|--|/\*|(?<![A-Za-z0-9_$\x80-\xff])(?:begin|case|end)(?![A-Za-z0-9_$\x80-\xff])",
    re.IGNORECASE,
)

_RESTRICT = re.compile(rb"\\(?:un)?restrict [A-Za-z0-9]+\s*")
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
_COPY = re.compile(rb"copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_STANDARD_STRINGS = re.compile(
    rb"set\s+(?:session\s+|local\s+)?standard_conforming_strings\s*(?:=|to)\s*'?(on|off|true|false|1|0)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Statement:
    """One SQL statement with its semicolon, without the comments before it, and the line where it begins."""

    text: bytes
    line_number: int


@dataclass(frozen=True)
class CopyData:
    r"""A `COPY … FROM stdin` and its data, up to (not including) the `\.` line.

    `stream.read(n)` gives the raw data. It is valid until the next item is
    asked for, which skips what was not read.
    """

    statement: bytes
    line_number: int
    stream: CopyStream


Item = Union[Statement, CopyData]


class CopyStream:
    """The data of one COPY command: something to `read` from."""

    def __init__(self, window: DumpWindow) -> None:
        # The window begins with the line end before the data, so that the
        # marker is found in the first line like in any other.
        self._window = window
        self._start = 1
        self._ready = 1
        self._marker = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes (all that remain when negative); empty at the end.

        Raises `DamagedArchiveError` when the dump ends within the data.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        if self._start >= self._ready and not self._marker and size:
            self._find_ready()
        return self._take(min(size, self._ready - self._start))

    def skip(self) -> None:
        """Pass over what was not read."""
        while self.read(1 << 20):
            pass
        self._window.drop(self._ready + self._marker)

    def _take(self, size: int) -> bytes:
        end = self._start + size
        with memoryview(self._window.data) as view:
            taken = bytes(view[self._start : end])
        if size:
            self._window.drop(end)
            self._ready -= end
            self._start = 0
        return taken

    def _find_ready(self) -> None:
        r"""Find out how much of the window is data: up to a `\.` line, or to where one could begin."""
        window = self._window
        scan = max(0, self._ready - 1)
        while True:
            at = window.data.find(b"\n\\.", scan)
            if at >= 0:
                self._marker = self._marker_size(at)
                if self._marker:
                    self._ready = at + 1
                    return
                scan = at + 3
                continue
            self._ready = max(self._start, len(window.data) - 2)
            if self._ready > self._start:
                return
            if not window.more():
                raise window.truncated("the data of a COPY command")
            scan = max(0, self._ready - 1)

    def _marker_size(self, at: int) -> int:
        r"""Return the size of the `\.` line that may begin after `at`, or 0 when it is data."""
        self._window.need(at + 5)
        after = bytes(self._window.data[at + 3 : at + 5])
        if after[:1] == b"\n":
            return 3
        if after == b"\r\n":
            return 4
        return 2 if after == b"" else 0


def split(stream: BinaryIO, name: str) -> Iterator[Item]:
    r"""Yield the items of a plain dump in order, with bounded memory.

    Raises `DamagedArchiveError` when the dump ends within an item or before
    pg_dump's last line, `HostileArchiveError` for a backslash command, NUL, or
    a statement beyond all measure; both name the dump (`name`) and the line.
    """
    window = DumpWindow(stream, name)
    lexer = _Lexer(window)
    while lexer.find_statement():
        line_number = window.line_number
        text = window.take(lexer.statement_end())
        if b"\0" in text:
            raise HostileArchiveError(f"{name}: line {line_number}: the statement holds a NUL byte")
        lexer.remember(text)
        if _is_copy(text):
            window.drop(lexer.line_end_after_copy())
            data = CopyStream(window)
            yield CopyData(text, line_number, data)
            data.skip()
        elif text != b";":
            yield Statement(text, line_number)
    if not lexer.complete:
        raise DamagedArchiveError(f"{name} is truncated: pg_dump's last line is missing")


class _Lexer:
    """Finds where statements begin and end in the window."""

    def __init__(self, window: DumpWindow) -> None:
        self.window = window
        self.complete = False
        self._standard_strings = True

    def remember(self, statement: bytes) -> None:
        """Keep in mind what a statement changes about the statements after it."""
        match = _STANDARD_STRINGS.match(statement)
        if match:
            self._standard_strings = match.group(1).lower() in {b"on", b"true", b"1"}

    def find_statement(self) -> bool:
        """Drop what stands before the next statement; False at the end of the dump."""
        window = self.window
        while True:
            window.skip_to(_VISIBLE)
            window.need(2)
            head = bytes(window.data[:2])
            if not head:
                return False
            if head == b"--":
                self.complete |= window.take(self._after_line(0)).rstrip() == LAST_LINE
            elif head == b"/*":
                window.drop(self._after_comment(2))
            elif head[:1] == b"\\":
                self._meta_line()
            else:
                return True

    def statement_end(self) -> int:
        """Return the position after the semicolon that ends the statement at the window's start."""
        window = self.window
        window.need(LOOK_AHEAD)
        signs = _SIGN_IN_ROUTINE if _ROUTINE.match(window.data) else _SIGN
        parentheses = blocks = position = 0
        while True:
            at, sign = window.search(signs, position, "a statement")
            position = at + len(sign)
            if sign == b";" and not parentheses and not blocks:
                return position
            if sign == b"(":
                parentheses += 1
            elif sign == b")":
                parentheses = max(0, parentheses - 1)
            elif sign.isalpha():
                blocks = blocks if parentheses else _blocks_after(sign.lower(), blocks)
            elif sign != b";":
                position = self._after_sign(at, sign)

    def line_end_after_copy(self) -> int:
        """Return the position of the line end after a COPY command, where its data begins."""
        at, sign = self.window.search(re.compile(rb"[^ \t\r\f\v]"), 0, "the data of a COPY command")
        if sign != b"\n":
            raise HostileArchiveError(f"{self.window.place(at)}: text after COPY on the same line")
        return at

    def _after_sign(self, at: int, sign: bytes) -> int:
        if sign == b"'":
            return self._after_string(at)
        if sign == b'"':
            return self._after_quotes(_NAME_END, at + 1)
        if sign == b"$":
            return self._after_dollar(at)
        if sign == b"--":
            return self._after_line(at)
        if sign == b"/*":
            return self._after_comment(at + 2)
        raise self._refused(at)

    def _after_string(self, at: int) -> int:
        """Return the position after a string; with E before it, or by setting, backslashes escape in it."""
        data = self.window.data
        marked = at > 0 and data[at - 1] in b"eE" and not _WORD_BYTE.match(data[max(0, at - 2) : at - 1])
        if not marked and self._standard_strings:
            return self._after_quotes(_STRING_END, at + 1)
        while True:
            position = self._after_quotes(_ESCAPED_STRING_END, at + 1)
            self.window.need(position + LOOK_AHEAD)
            match = _CONTINUATION.match(self.window.data, position, position + LOOK_AHEAD)
            if match is None:
                return position
            at = match.end() - 1

    def _after_quotes(self, end: re.Pattern[bytes], position: int) -> int:
        while True:
            at, sign = self.window.search(end, position, "a quoted text")
            position = at + len(sign)
            if len(sign) == 1:
                return position

    def _after_dollar(self, at: int) -> int:
        self.window.need(at + LOOK_AHEAD)
        data = self.window.data
        match = _DOLLAR_TAG.match(data, at)
        if match is None or (at > 0 and _WORD_BYTE.match(data[at - 1 : at])):
            return at + 1
        return self.window.find(match.group(), match.end(), "a dollar-quoted text")

    def _after_line(self, position: int) -> int:
        found = self.window.search_or_end(_LINE_END, position)
        return len(self.window.data) if found is None else found[0] + 1

    def _after_comment(self, position: int) -> int:
        depth = 1
        while depth:
            at, sign = self.window.search(_COMMENT_EDGE, position, "a comment")
            depth += 1 if sign == b"/*" else -1
            position = at + 2
        return position

    def _meta_line(self) -> None:
        end = self._after_line(0)
        if not _RESTRICT.fullmatch(self.window.data, 0, end):
            raise self._refused(0)
        self.window.drop(end)

    def _refused(self, at: int) -> HostileArchiveError:
        self.window.need(at + LOOK_AHEAD)
        line = re.split(rb"[\r\n]", bytes(self.window.data[at : at + LOOK_AHEAD]))[0][:60]
        command = line.decode("utf-8", "replace").encode("ascii", "backslashreplace").decode()
        message = f"{self.window.place(at)}: a command of psql, which no dump of pg_dump holds: {command}"
        return HostileArchiveError("".join(c if c.isprintable() else "?" for c in message))


def _blocks_after(word: bytes, blocks: int) -> int:
    """Count open BEGIN and CASE of an SQL function's body, as psql does."""
    if word == b"begin":
        return blocks + 1
    if word == b"case":
        return blocks + 1 if blocks else 0
    return max(0, blocks - 1)


def _is_copy(statement: bytes) -> bool:
    if statement[:4].lower() != b"copy":
        return False
    return _COPY.match(_QUOTED.sub(b"x", statement)) is not None
