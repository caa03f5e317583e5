"""Events recorded in a real database."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg2
import pytest

from engine_backup.drivers import engine_events, postgres_programs
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.secret import Secret

FUNCTION = """
CREATE TABLE engine_backup_log (scope varchar(64), done_at timestamptz, status int, message text,
    fqdn varchar(255), log_path text, transaction bigint DEFAULT txid_current());
CREATE FUNCTION LogEngineBackupEvent(a varchar, b timestamptz, c int, d text, e varchar, f text) RETURNS void
    AS
    'INSERT INTO engine_backup_log VALUES (a, b, c, d, e, f)' LANGUAGE sql;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ScratchServer]:
    with ScratchServer.start(programs=postgres_programs.with_server()[-1]) as running:
        running.create_role("engine", Secret("p"))
        yield running


@pytest.fixture(params=[True, False], ids=["autocommit", "transactions"])
def connection(
    server: ScratchServer, request: pytest.FixtureRequest
) -> Iterator[psycopg2.extensions.connection]:
    name = f"engine_{request.param}_{time.monotonic_ns()}"
    server.create_database(name, "engine")
    opened = server.connect(database=name, user="engine", password=Secret("p"))
    opened.autocommit = request.param
    yield opened
    opened.close()


def rows(connection: psycopg2.extensions.connection, query: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall() if cursor.description else []


def prepare(connection: psycopg2.extensions.connection) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(FUNCTION)


def test_each_event_is_its_own_transaction(connection: psycopg2.extensions.connection) -> None:
    prepare(connection)
    autocommit = connection.autocommit
    for status in (0, 1, -1):
        assert (
            engine_events.notify(connection, "db", status, "it's \0done\udcff", "e.example", "/var/log/x")
            == ""
        )
    found = rows(
        connection, "SELECT scope, status, message, fqdn, log_path FROM engine_backup_log ORDER BY 2"
    )
    assert found == [("db", status, "it's done?", "e.example", "/var/log/x") for status in (-1, 0, 1)]
    assert rows(connection, "SELECT count(DISTINCT transaction) FROM engine_backup_log") == [(3,)]
    assert rows(connection, "SHOW statement_timeout") == [("0",)]
    assert connection.autocommit is autocommit


def test_a_missing_function_is_a_warning(connection: psycopg2.extensions.connection) -> None:
    warning = engine_events.notify(connection, "db", 0, "m", "f", "l")
    assert "does not exist" in warning
    assert rows(connection, "SELECT 1") == [(1,)]


def test_a_lock_is_not_waited_for_long(
    connection: psycopg2.extensions.connection, server: ScratchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(connection)
    monkeypatch.setattr(engine_events, "TIMEOUT_MILLISECONDS", 200)
    name = connection.get_dsn_parameters()["dbname"]
    other = server.connect(database=name, user="engine", password=Secret("p"))
    rows(other, "LOCK TABLE engine_backup_log")
    assert "timeout" in engine_events.notify(connection, "db", 0, "m", "f", "l")
    other.close()
    assert engine_events.notify(connection, "db", 0, "m", "f", "l") == ""


def test_a_lost_connection_is_a_warning(connection: psycopg2.extensions.connection) -> None:
    connection.close()
    assert "closed" in engine_events.notify(connection, "db", 0, "m", "f", "l")


def test_an_open_transaction_is_left_alone(connection: psycopg2.extensions.connection) -> None:
    prepare(connection)
    connection.autocommit = False
    rows(connection, "SELECT 1")
    assert engine_events.notify(connection, "db", 0, "m", "f", "l") != ""
    assert rows(connection, "SELECT 1") == [(1,)]
