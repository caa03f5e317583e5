"""Splitting plain dumps."""

from __future__ import annotations

import contextlib
import io
import json
import time
from typing import BinaryIO, Union, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.drivers import dump_window
from engine_backup.drivers.plain_dump import Statement, split
from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError
from tests.support.golden_plain_dumps import GOLDEN, GOLDEN_DUMPS, NAMES

TRAILER = b"\n--\n-- PostgreSQL database dump complete\n--\n\n"

Seen = Union[tuple[int, bytes], tuple[int, bytes, bytes]]


class Trickle(io.RawIOBase):
    """A stream whose reads give at most `size` bytes."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content = io.BytesIO(content)
        self._size = size

    def read(self, size: int = -1) -> bytes:
        return self._content.read(min(self._size, size) if size >= 0 else self._size)


def items(text: bytes, reads: int = 1 << 20, copy_reads: int = 1 << 20) -> list[Seen]:
    found: list[Seen] = []
    for item in split(cast(BinaryIO, Trickle(text, reads)), "dump"):
        if isinstance(item, Statement):
            found.append((item.line_number, item.text))
        else:
            data = b"".join(iter(lambda stream=item.stream: stream.read(copy_reads), b""))  # type: ignore[misc]
            found.append((item.line_number, item.statement, data))
    return found


def statements(text: bytes) -> list[bytes]:
    return [item[1] for item in items(text + TRAILER)]


@pytest.mark.parametrize(
    "statement",
    [
        b"SELECT 1;",
        b"SELECT ';';",
        b"SELECT 'it''s;';",
        b"SELECT 'back\\';",
        b"SELECT E'quote\\';';",
        b"SELECT e'\\\\';",
        b"SELECT E'one'\n  'two\\';';",
        b"SELECT typee'back\\';",
        b'SELECT ";";',
        b'SELECT "a"";";',
        b"SELECT $$;'\"\\$$;",
        b"SELECT $tag$;$$;$tagg$ $tag$;",
        b"SELECT $\xc3\xa9$;$\xc3\xa9$;",
        b"SELECT a$b, c$b;",
        b"SELECT $1;",
        b"SELECT /* ; /* ; */ ' */ 1;",
        b"SELECT 1 -- ; ' \\!\n;",
        b"SELECT 1 -- ; '\r;",
        b"SELECT a - - b / * c;",
        b"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);",
        b"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN a THEN 1 END; END;",
        b"create or replace procedure p()\nbegin atomic\n select beginning; end;",
        b"CREATE FUNCTION f(x text DEFAULT 'begin') RETURNS int LANGUAGE sql AS 'begin; end';",
        b'CREATE TABLE begin_log ("end" int);',
        b"SELECT CASE WHEN x THEN 1 END;",
        b"SELECT )1;",
        b"COPY t TO stdout;",
        b'COPY "t from stdin" TO stdout;',
    ],
)
@pytest.mark.parametrize("reads", [1, 2, 7, 1 << 20])
def test_one_statement_is_one_statement(statement: bytes, reads: int) -> None:
    text = b"-- first ; '\n" + statement + b"\nSELECT 'last';" + TRAILER
    expected = [(2, statement), (3 + statement.count(b"\n"), b"SELECT 'last';")]
    assert items(text, reads) == expected


def test_nothing_but_comments_and_empty_statements() -> None:
    assert items(b"/* ; \\! */ ;\n;;\n" + TRAILER) == []


def test_strings_follow_the_setting_of_the_dump() -> None:
    text = b"SET standard_conforming_strings = off;SELECT 'a\\';';SET standard_conforming_strings = on;"
    assert statements(text + b"SELECT '\\';") == [
        b"SET standard_conforming_strings = off;",
        b"SELECT 'a\\';';",
        b"SET standard_conforming_strings = on;",
        b"SELECT '\\';",
    ]


def copy(data: bytes, end: bytes = b"\\.\n") -> bytes:
    return b"SELECT 1;\nCOPY public.t (a, b) FROM stdin;\n" + data + end


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"1\t2\n",
        b"1\\.\n",
        b"\\.x\n",
        b"\\..\n\\\\.\n",
        b"\\!rm\n\\restrict x\n",
        b"';\"$$/*\n",
        b"a\r\nb\r\n",
        b"\\.\r\r\n",
        b"\x00\xff\n",
    ],
)
@pytest.mark.parametrize("end", [b"\\.\n", b"\\.\r\n"])
@pytest.mark.parametrize(
    ("reads", "copy_reads"), [(1, 1), (2, 3), (3, 1), (5, 100), (1 << 20, 1), (1 << 20, 1 << 20)]
)
def test_copy_data_comes_back_as_it_is(data: bytes, end: bytes, reads: int, copy_reads: int) -> None:
    found = items(copy(data, end) + b"SELECT 2;" + TRAILER, reads, copy_reads)
    line = 3 + (data + end).count(b"\n")
    assert found == [(1, b"SELECT 1;"), (2, b"COPY public.t (a, b) FROM stdin;", data), (line, b"SELECT 2;")]


def test_data_that_is_not_read_is_skipped() -> None:
    text = copy(b"1\n" * 100_000) + copy(b"2\n") + TRAILER
    seen = []
    for item in split(io.BytesIO(text), "dump"):
        seen.append(item.line_number)
        if not isinstance(item, Statement):
            assert item.stream.read(1) in b"12"
            assert item.stream.read(0) == b""
    assert seen == [1, 2, 100_004, 100_005]


def test_read_without_a_size_gives_everything() -> None:
    for item in split(io.BytesIO(copy(b"1\n2\n") + TRAILER), "dump"):
        if not isinstance(item, Statement):
            assert item.stream.read() == b"1\n2\n"
            assert item.stream.read() == b""


def test_windows_line_ends() -> None:
    text = copy(b"1\n").replace(b"\n", b"\r\n") + TRAILER.replace(b"\n", b"\r\n")
    assert items(text) == [(1, b"SELECT 1;"), (2, b"COPY public.t (a, b) FROM stdin;", b"1\r\n")]


def test_the_lines_of_pg_dump_itself_are_dropped() -> None:
    text = b"-- x\n\n\\restrict AbC123\n\nSELECT 1;\n" + TRAILER + b"\\unrestrict AbC123\n\n"
    assert items(text) == [(5, b"SELECT 1;")]


@pytest.mark.parametrize(
    ("text", "line", "shown"),
    [
        (b"SELECT 1;\n\\! rm -rf /\n", 2, "\\! rm -rf /"),
        (b"\\o | sh\n", 1, "\\o | sh"),
        (b"\\copy t from program 'id'\n", 1, "\\copy t from program 'id'"),
        (b"\\connect other\n", 1, "\\connect other"),
        (b"\\restrict AbC123 \\! id\n", 1, "\\restrict AbC123"),
        (b"\\restrict \n", 1, "\\restrict"),
        (b"\n\nSELECT 1\n\\g | sh\n;", 4, "\\g | sh"),
        (b"SELECT 'a' \\gexec\n", 1, "\\gexec"),
        (b"SELECT 1; \\! id", 1, "\\! id"),
        (copy(b"1\n") + b"\\! id\n", 5, "\\! id"),
        (b"\\\x1b[2J\xff\n", 1, "\\?[2J"),
        (b"/* \\! */ \\x", 1, "\\x"),
    ],
)
@pytest.mark.parametrize("reads", [1, 1 << 20])
def test_a_command_of_psql_is_refused(text: bytes, line: int, shown: str, reads: int) -> None:
    with pytest.raises(HostileArchiveError) as caught:
        items(text + TRAILER, reads)
    assert caught.value.message.startswith(f"dump: line {line}: ")
    assert shown in caught.value.message
    assert caught.value.message.isprintable()


def test_text_after_copy_is_refused() -> None:
    with pytest.raises(HostileArchiveError, match="line 1: text after COPY"):
        items(b"COPY t FROM stdin; SELECT 1;\n\\.\n" + TRAILER)


def test_a_null_byte_is_refused() -> None:
    with pytest.raises(HostileArchiveError, match=r"line 1: .*NUL"):
        items(b"SELECT '\0';" + TRAILER)


def test_an_endless_statement_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump_window, "WINDOW_LIMIT", 1 << 20)
    with pytest.raises(HostileArchiveError, match="line 2: a statement or comment of more than 1 MiB"):
        items(b"SELECT 1;\nSELECT '" + b"x" * (4 << 20) + b"';" + TRAILER)
    assert len(items(copy(b"x" * 99 + b"\n") * 5 + copy((b"x" * 99 + b"\n") * 50_000) + TRAILER)) == 12


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"SELECT 1",
        b"SELECT '",
        b'SELECT "',
        b"SELECT $$ ;",
        b"SELECT /* ;",
        b"/* ",
        b"SELECT 1 -- ;",
        b"SELECT (;",
        b"COPY t FROM stdin;",
        b"COPY t FROM stdin;\n",
        b"COPY t FROM stdin;\n1\t2\n",
        b"COPY t FROM stdin;\n1\t2\n\\",
        b"COPY t FROM stdin;\n1\t2\n\\.\r",
        b"COPY t FROM stdin;\n1\t2\n\\.",
        b"SELECT 1;\n",
        b"SELECT 1;\n--\n-- PostgreSQL database dump comp",
    ],
)
@pytest.mark.parametrize("reads", [1, 1 << 20])
def test_a_truncated_dump_is_damaged(text: bytes, reads: int) -> None:
    with pytest.raises(DamagedArchiveError, match=r"^dump"):
        items(text, reads)


def test_there_are_golden_dumps() -> None:
    assert len(GOLDEN_DUMPS) == 7


@pytest.mark.parametrize(("archive", "name", "text"), GOLDEN_DUMPS, ids=NAMES)
def test_golden_dumps_hold_the_rows_that_they_should(archive: str, name: str, text: bytes) -> None:
    golden = json.loads((GOLDEN / f"{archive}.json").read_text())["databases"][name]
    found = items(text)
    rows = sorted(item[2].count(b"\n") for item in found if len(item) == 3)
    expected = sorted(table["rows"] for table in golden["tables"].values())
    assert rows == expected
    assert all(item[1].endswith(b";") and not item[1].startswith(b"-") for item in found)
    for item in found:
        first_line = item[1].split(b"\n")[0]
        assert text.split(b"\n")[item[0] - 1].startswith(first_line)


@pytest.mark.parametrize(("archive", "name", "text"), GOLDEN_DUMPS, ids=NAMES)
def test_golden_dumps_are_split_alike_however_they_are_read(archive: str, name: str, text: bytes) -> None:
    expected = items(text)
    for reads in (61, 4099):
        assert items(text, reads, 1021) == expected


@pytest.mark.parametrize(("archive", "name", "text"), GOLDEN_DUMPS, ids=NAMES)
def test_no_truncation_goes_unnoticed(archive: str, name: str, text: bytes) -> None:
    end = text.index(b"database dump complete") + len(b"database dump complete")
    for size in range(0, end, 20_011):
        with pytest.raises(DamagedArchiveError):
            items(text[:size])


SIGNS = [
    b"'",
    b"''",
    b"\\",
    b'"',
    b"$",
    b"$a$",
    b";",
    b"\n",
    b"\r\n",
    b"--",
    b"/*",
    b"*/",
    b"(",
    b")",
    b"\\.",
]
WORDS = [
    b"E'",
    b"a",
    b" ",
    b"COPY t FROM stdin;\n",
    b"\n\\.\n",
    b"begin",
    b"end",
    b"CREATE FUNCTION f() ",
    b"\xc3",
    b"\0",
]
PIECES = st.sampled_from(SIGNS + WORDS)


@given(st.lists(PIECES, max_size=30), st.integers(1, 9), st.integers(1, 9))
def test_the_size_of_reads_never_matters(pieces: list[bytes], reads: int, copy_reads: int) -> None:
    text = b"".join(pieces) + TRAILER

    def outcome(*sizes: int) -> object:
        try:
            return items(text, *sizes)
        except (DamagedArchiveError, HostileArchiveError) as error:
            return type(error), error.message

    assert outcome(reads, copy_reads) == outcome()


@given(st.lists(st.text("ab;'\"\\$\n\r.-/*\0", max_size=20).map(str.encode), max_size=6))
def test_any_quoted_text_stays_inside_its_statement(texts: list[bytes]) -> None:
    wanted = [b"SELECT '" + text.replace(b"\0", b"").replace(b"'", b"''") + b"';" for text in texts]
    assert statements(b"\n".join(wanted)) == wanted


@pytest.mark.parametrize(
    "filling", [b"(", b"'a'", b"$$$$", b"--\n", b"\n", b"E'a'\n", b"/*", b"from ", b"\\.\n", b"e$"]
)
@pytest.mark.parametrize(
    "start", [b"SELECT ", b"CREATE FUNCTION f() ", b"COPY t (", b"COPY t FROM stdin;\n", b""]
)
def test_a_dump_cannot_be_made_to_take_long(start: bytes, filling: bytes) -> None:
    begun = time.monotonic()
    with contextlib.suppress(DamagedArchiveError, HostileArchiveError):
        items(start + filling * (400_000 // len(filling)) + TRAILER)
    assert time.monotonic() - begun < 10
