"""Sessions that load: what the server says of its memory, and what was committed in a hurry."""

from __future__ import annotations

from contextlib import closing

import pytest

from engine_backup.drivers import postgres, postgres_programs
from engine_backup.drivers.load_sessions import LoadSession
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
from engine_backup.model.facts import Credentials
from engine_backup.model.server import MemorySettings
from tests.support.machine import login

MIB = 1 << 20


@pytest.fixture(
    scope="module", params=postgres_programs.with_server(), ids=lambda programs: str(programs.major)
)
def server(request: pytest.FixtureRequest):
    # A writer that does not come by itself: what is on the disk was put there by a commit.
    settings = {"shared_buffers": "24MB", "maintenance_work_mem": "32MB", "wal_writer_delay": "10s"}
    with ScratchServer.start(Wanted(settings=settings), programs=request.param) as running:
        yield running


@pytest.fixture(scope="module")
def credentials(server: ScratchServer) -> Credentials:
    return login(server, "loader", "loaded")


def test_memory_of_a_server(server: ScratchServer, credentials: Credentials):
    workers = None if server.programs.major < 11 else 2
    with postgres.session(credentials) as connection:
        assert postgres.memory_settings(connection) == MemorySettings(24 * MIB, 32 * MIB, workers)
        assert postgres.observe(connection).memory == MemorySettings(24 * MIB, 32 * MIB, workers)


def test_memory_that_a_role_was_given(server: ScratchServer, credentials: Credentials):
    with closing(server.connect()) as administrator:
        administrator.autocommit = True
        administrator.cursor().execute("ALTER ROLE loader SET maintenance_work_mem = '2GB'")
        try:
            with postgres.session(credentials) as connection:
                assert postgres.memory_settings(connection).maintenance_work_mem == 2048 * MIB
        finally:
            administrator.cursor().execute("ALTER ROLE loader RESET maintenance_work_mem")


def test_options_reach_the_session(credentials: Credentials):
    session = LoadSession(credentials, (("maintenance_work_mem", "65536kB"), ("synchronous_commit", "off")))
    with postgres.session(credentials, session.options) as connection:
        assert postgres.value(connection, "SHOW maintenance_work_mem") == "64MB"
        assert postgres.value(connection, "SHOW synchronous_commit") == "off"
        assert postgres.value(connection, "SHOW datestyle") == "ISO, MDY"


def test_what_was_committed_in_a_hurry_is_made_lasting(credentials: Credentials):
    """The end of the log lies behind what is on the disk, until a commit that waits."""
    with postgres.session(credentials, "-c synchronous_commit=off") as hurried, hurried.cursor() as cursor:
        cursor.execute("CREATE TABLE loaded (a integer); INSERT INTO loaded VALUES (1)")
        behind = "SELECT pg_current_wal_flush_lsn() < %s::pg_lsn"
        end = postgres.value(hurried, "SELECT pg_current_wal_insert_lsn()::text")
        assert postgres.value(hurried, behind, end) is True
        with postgres.session(credentials, "-c synchronous_commit=on") as connection:
            postgres.make_lasting(connection)
        assert postgres.value(hurried, behind, end) is False
        assert postgres.value(hurried, "SELECT count(*) FROM pg_largeobject_metadata") == 0
