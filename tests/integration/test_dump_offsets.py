"""Where the rows of each table lie in dumps that went through a pipe: entered there, or a frame for each."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine_backup.drivers import (
    compression,
    custom_dump_entries,
    dump_offsets,
    postgres,
    postgres_programs,
    zstd_frames,
)
from engine_backup.drivers.dump_frames import FramedWriter
from engine_backup.drivers.postgres import conninfo
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import DamagedArchiveError
from engine_backup.model.facts import Credentials
from tests.support.divided_archives import frames_of
from tests.support.machine import login

PROGRAMS = postgres_programs.installed()
MAJORS = [programs.major for programs in PROGRAMS]
# Of every length, so that pieces of a dump have all kinds of heads; 256 is `00 01 00 00`.
TABLES = """
    CREATE TABLE lengths AS SELECT repeat('x', number) AS filling FROM generate_series(1, 1000) AS number;
    CREATE TABLE first_256 (filling text PRIMARY KEY);
    INSERT INTO first_256 VALUES (repeat('x', 255)), ('z');
    CREATE TABLE empty_one (id int, name text);
    CREATE INDEX partial ON empty_one (id, name) WHERE id > 3;
    CREATE TABLE "Odd Names" (id bytea UNIQUE);
    INSERT INTO "Odd Names" VALUES ('\\x0000000000010000'), ('\\x00');
    CREATE SEQUENCE counter;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM lengths;
"""
DATE_LENGTH = 7 * 5


@pytest.fixture(scope="module")
def database() -> Iterator[Credentials]:
    with ScratchServer.start(programs=postgres_programs.with_server(PROGRAMS)[-1]) as server:
        credentials = login(server, "offsets", "offsets")
        with closing(postgres.connect(credentials)) as connection, connection.cursor() as cursor:
            cursor.execute(TABLES)
            connection.commit()
        yield credentials


def dump(database: Credentials, programs: Programs, *words: str) -> bytes:
    command = [programs.path("pg_dump"), f"--dbname={conninfo(database)}", "-Fc", *words]
    environment = {"PGPASSWORD": database.password.reveal()}
    return subprocess.run(command, env=environment, check=True, capture_output=True).stdout


def without_date(content: bytes, programs: Programs) -> bytes:
    """Take the moment out of a dump's head."""
    start = 12 if programs.major >= 16 else 16
    return content[:start] + content[start + DATE_LENGTH :]


@pytest.mark.parametrize("programs", PROGRAMS, ids=MAJORS)
def test_a_dump_from_a_pipe_becomes_the_one_that_pg_dump_writes_into_a_file(
    programs, database, tmp_path: Path
):
    dump(database, programs, "-Z0", f"--file={tmp_path / 'file'}")
    piped = dump(database, programs, "-Z0")
    dump_offsets.unpack(io.BytesIO(piped), tmp_path / "unpacked")
    unpacked, written = ((tmp_path / name).read_bytes() for name in ("unpacked", "file"))
    assert unpacked != piped
    assert without_date(unpacked, programs) == without_date(written, programs)


@pytest.mark.parametrize("programs", PROGRAMS, ids=MAJORS)
@pytest.mark.parametrize("words", [("-Z5",), ("-Z0", "--schema-only"), ("-Z0", "--blobs")])
def test_what_cannot_be_told_for_sure_stays_as_it_is(programs, words, database, tmp_path: Path):
    with postgres.session(database) as connection:
        large = postgres.value(connection, "SELECT lo_from_bytea(0, '\\x00000000000100')")
        content = dump(database, programs, *words)
        postgres.value(connection, "SELECT lo_unlink(%s)", large)
    dump_offsets.unpack(io.BytesIO(content), tmp_path / "unpacked")
    assert (tmp_path / "unpacked").read_bytes() == content


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_left_to_pg_restore(data, database, tmp_path_factory):
    """Whatever a dump is, its copy is as long, and only places in the table of contents differ."""
    content = bytearray(dump(database, PROGRAMS[0], "-Z0"))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(content)))
    damaged = bytes(content[:cut])
    target = tmp_path_factory.mktemp("damaged") / "unpacked"
    dump_offsets.unpack(io.BytesIO(damaged), target)
    assert len(target.read_bytes()) == len(damaged)


def test_pieces_of_any_size_looked_through_in_either_way_give_the_same(
    database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    content = dump(database, PROGRAMS[0], "-Z0")
    results = set()
    for few, size in product((0, dump_offsets.FEW), (1, 7, 4096, 1 << 20)):
        monkeypatch.setattr(dump_offsets, "FEW", few)
        monkeypatch.setattr(dump_offsets, "CHUNK", size)
        target = tmp_path / f"unpacked-{few}-{size}"
        dump_offsets.unpack(io.BytesIO(content), target)
        results.add(target.read_bytes())
    assert len(results) == 1
    assert content not in results


def framed(content: bytes, least: int, piece: int = 1 << 20) -> list[bytes]:
    """Pack a dump in frames, given in pieces, and return what is in each frame."""
    sink = io.BytesIO()
    with frames_of(least), compression.open_writer(sink, "zstd") as writer:
        target = FramedWriter(writer)
        for start in range(0, len(content), piece):
            target.write(content[start : start + piece])
    packed = sink.getvalue()
    places = zstd_frames.find(io.BytesIO(packed), len(packed))
    slices = (packed[start:end] for start, end in zip(places, places[1:]))
    return [compression.open_reader(io.BytesIO(frame), "zstd", "frame").read() for frame in slices]


@pytest.mark.parametrize("programs", PROGRAMS, ids=MAJORS)
def test_each_table_has_a_frame(programs, database):
    content = dump(database, programs, "-Z0")
    frames = framed(content, least=1)
    contents = custom_dump_entries.read(io.BytesIO(content), "dump")
    begun = [custom_dump_entries.first_number(io.BytesIO(frame)) for frame in frames[1:]]
    with_rows = [entry.number for entry in contents.entries if entry.has_rows]
    assert len(with_rows) == 4
    assert contents.first == with_rows[0]
    assert begun == (with_rows if len(frames[0]) == contents.size else with_rows[1:])
    assert frames[0].startswith(b"PGDMP")
    assert b"".join(frames) == content


@pytest.mark.parametrize("programs", PROGRAMS, ids=MAJORS)
def test_what_needs_what_is_read(programs, database):
    contents = custom_dump_entries.read(io.BytesIO(dump(database, programs, "-Z0")), "dump")
    by_number = {entry.number: entry for entry in contents.entries}
    kinds = {
        (
            entry.description,
            tuple(by_number[number].description for number in entry.needs if number in by_number),
        )
        for entry in contents.entries
    }
    one = [("TABLE DATA", ("TABLE",)), ("CONSTRAINT", ("TABLE",)), ("INDEX", ("TABLE",))]
    assert {*one, ("SEQUENCE SET", ("SEQUENCE",))} <= kinds


def test_small_tables_share_a_frame(database):
    content = dump(database, PROGRAMS[0], "-Z0")
    assert framed(content, least=1 << 30) == [content]
    sizes = [len(frame) for frame in framed(content, least=2000)]
    assert 1 < len(sizes) < 4
    assert all(size >= 2000 for size in sizes[:-1])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(piece=st.integers(1, 5000))
def test_pieces_of_any_size_give_the_same_dump(piece, database):
    content = dump(database, PROGRAMS[0], "-Z0")
    frames = framed(content, 1, piece)
    assert b"".join(frames) == content
    assert all(custom_dump_entries.first_number(io.BytesIO(frame)) for frame in frames[1:])


def test_what_later_versions_may_write_is_no_table_of_contents(database):
    content = bytearray(dump(database, PROGRAMS[0], "-Z0"))
    assert custom_dump_entries.read(io.BytesIO(content), "dump") is not None
    content[len(b"PGDMP") + 1] = 17
    assert custom_dump_entries.read(io.BytesIO(content), "dump") is None


@pytest.mark.parametrize("text", [b"9" * 5000, b"", b"-3", b"3_0", "\u0663".encode()])
def test_what_is_no_number_is_nothing_that_is_needed(text: bytes, database):
    content = dump(database, PROGRAMS[0], "-Z0")
    entries = custom_dump_entries.read(io.BytesIO(content), "dump").entries
    (number,) = next(entry.needs for entry in entries if entry.has_rows)
    old, new = (bytes([0]) + len(t).to_bytes(4, "little") + t for t in (b"%d" % number, text))
    assert old in content
    with pytest.raises(DamagedArchiveError, match="an entry that needs what is no entry"):
        custom_dump_entries.read(io.BytesIO(content.replace(old, new)), "dump")
