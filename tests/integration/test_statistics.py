"""Statistics of loaded tables: gathered for what can be analyzed, and no reason to fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from engine_backup.drivers import postgres, statistics
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.drivers.statistics import StoredTable
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret

PASSWORD = Secret("statistics")
TABLES = """
CREATE TABLE "Odd ""name" AS SELECT generate_series(1, 10000) AS number;
CREATE MATERIALIZED VIEW view_of_it AS SELECT count(*) FROM "Odd ""name";
CREATE TABLE parted (number int) PARTITION BY RANGE (number);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (10);
INSERT INTO parted SELECT generate_series(0, 9);
CREATE FUNCTION refuse(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_setting('application_name') = 'engine-backup' THEN RAISE EXCEPTION 'not for you'; END IF;
    RETURN $1;
END$$;
CREATE TABLE refusing AS SELECT generate_series(1, 10) AS number;
SET application_name = 'somebody else';
CREATE INDEX ON refusing (refuse(number));
"""


def execute(server: ScratchServer, statement: str, database: str = "postgres") -> None:
    with closing(server.connect(database)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)


@pytest.fixture
def login(postgres_server: ScratchServer) -> Iterator[Credentials]:
    server = postgres_server
    server.create_role("statistics", PASSWORD)
    server.create_database("statistics", "statistics")
    yield Credentials(server.host, server.port, "statistics", PASSWORD, "statistics")
    execute(server, "DROP DATABASE statistics WITH (FORCE)")
    execute(server, "DROP ROLE statistics")


def test_each_table_of_ours_is_analyzed_and_one_that_cannot_be_says_why(
    postgres_server: ScratchServer, login: Credentials
):
    execute(postgres_server, "CREATE TABLE public.of_others (number int)", "statistics")
    with postgres.session(login) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
    with postgres.session(login) as connection:
        found = statistics.tables(connection)
        reasons = {table.name: statistics.analyze(connection, table) for table in found}
        known = postgres.rows(connection, "SELECT tablename FROM pg_stats WHERE schemaname = 'public'")
    assert reasons == {'Odd "name': "", "view_of_it": "", "parted": "", "refusing": "not for you"}
    assert max(found, key=lambda table: table.size).name == 'Odd "name'
    assert {name for (name,) in known} == {'Odd "name', "view_of_it", "parted", "part"}


def test_a_lost_connection_is_a_failure(postgres_server: ScratchServer, login: Credentials):
    with postgres.session(login) as connection:
        execute(postgres_server, f"SELECT pg_terminate_backend({connection.info.backend_pid})")
        with pytest.raises(EngineBackupError, match="went away"):
            statistics.analyze(connection, StoredTable("public", "any", 0))
