"""Heads of custom dumps that every installed pg_dump writes, and of those that are cut off."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.drivers import (
    custom_dump_header,
    dumps,
    postgres,
    postgres_programs,
    snapshots,
    table_sizes,
)
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import DamagedArchiveError
from engine_backup.model.facts import Credentials
from engine_backup.model.presets import CUSTOM, PLAIN, Encoding, Packing
from tests.support.machine import login

PROGRAMS = postgres_programs.installed()
TABLES = """
    CREATE TABLE large AS SELECT number, repeat('x', 500) AS filling FROM generate_series(1, 1000) AS number;
    CREATE TABLE "Odd Names" (id int);
    CREATE TABLE parts (id int) PARTITION BY LIST (id);
    CREATE TABLE part PARTITION OF parts FOR VALUES IN (1);
    CREATE TEMPORARY TABLE passing (id int);
    CREATE VIEW shown AS SELECT 1;
"""


@pytest.fixture(scope="module")
def database() -> Iterator[Credentials]:
    """A database on the oldest server, which every installed pg_dump can dump."""
    with ScratchServer.start(programs=postgres_programs.with_server(PROGRAMS)[-1]) as server:
        credentials = login(server, "head", "head")
        with closing(postgres.connect(credentials)) as connection, connection.cursor() as cursor:
            cursor.execute(TABLES)
            connection.commit()
        yield credentials


def dump(database: Credentials, programs: Programs, encoding: Encoding, workspace: Path) -> bytes:
    with (
        snapshots.snapshot(database) as (_, facts),
        dumps.dumping(
            programs, database, dumps.dump_arguments(encoding, facts.name), workspace, Interruption()
        ) as running,
    ):
        return running.stdout.read()


@pytest.mark.parametrize("programs", PROGRAMS, ids=lambda programs: str(programs.major))
@pytest.mark.parametrize("level", [0, 1, 6])
def test_the_head_of_each_pg_dump_is_read(database, programs, level, tmp_path):
    content = dump(database, programs, Encoding(CUSTOM, Packing(""), own_level=level), tmp_path)
    found = custom_dump_header.read(io.BytesIO(content), "dump")
    assert found is not None
    assert found.packed is (level > 0)
    assert found.database == "head"
    assert found.pg_dump_version.split()[0] == ".".join(map(str, programs.version))
    assert found.server_version.split(".")[0] == str(PROGRAMS[-1].major)
    whole = content[:400]
    for length in range(0, whole.index(found.pg_dump_version.encode(), 90) + 3):
        with pytest.raises(DamagedArchiveError):
            custom_dump_header.read(io.BytesIO(whole[:length]), "dump")


def test_a_version_from_the_future_is_no_damage():
    assert custom_dump_header.read(io.BytesIO(b"PGDMP\x02\x00\x00\x04\x08\x01"), "dump") is None
    assert custom_dump_header.read(io.BytesIO(b"PGDMP\x01\x0e\x00\x63\x08\x01"), "dump") is None
    assert custom_dump_header.read(io.BytesIO(b"PGDMP\x01\x02\x00\x04\x08\x01"), "dump") is None


@given(st.binary(max_size=300), st.integers(10, 20), st.integers(1, 8))
def test_no_head_makes_it_fail_otherwise(rest, minor, number_size):
    head = bytes([*b"PGDMP", 1, minor, 0, number_size, 8, 1])
    try:
        found = custom_dump_header.read(io.BytesIO(head + rest), "dump")
    except DamagedArchiveError as error:
        assert "dump" in error.message
    else:
        assert found is not None
        assert found.archive_version == (1, minor)


def test_tables_are_counted_and_measured_as_they_are_dumped(database, tmp_path):
    with closing(postgres.connect(database)) as connection:
        found = table_sizes.read(connection)
    names = [row["name"] for row in found["largest_tables"]]
    assert names[0] == "public.large"
    assert sorted(names) == ["public.Odd Names", "public.large", "public.part", "public.parts"]
    assert found["largest_tables"][0]["size"] > 500_000
    plain = dump(database, PROGRAMS[0], Encoding(PLAIN, Packing("")), tmp_path)
    assert found["tables"] == 4 == plain.count(b"CREATE TABLE ")


def test_a_database_without_tables(postgres_server):
    with closing(postgres.connect(login(postgres_server, "nothing", "nothing"))) as connection:
        assert table_sizes.read(connection) == {"tables": 0, "largest_tables": []}
