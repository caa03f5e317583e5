"""What somebody else makes while a restore goes on is not taken back with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest

from engine_backup.drivers import postgres, provisioning
from engine_backup.drivers.kept_files import KeptFiles
from engine_backup.drivers.run_log import open_log
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.provisioning_steps import (
    CreateExtraRoles,
    ExtraRole,
    ProvisionDatabase,
    ProvisionRole,
)
from engine_backup.model.secret import Secret
from engine_backup.model.steps import LoadDump, LoadDumps
from engine_backup.model.ways_back import DropDatabase, EmptyDatabase, PutNamesBack
from engine_backup.run import provisioning_handlers
from engine_backup.run.changing import new_head
from engine_backup.run.journals import begin
from engine_backup.run.loading import load_dumps
from engine_backup.run.reporting import Reporter
from engine_backup.run.servers import Server
from engine_backup.run.taking_back import Place
from engine_backup.run.undo import Undo

ENGINE = BY_NAME["engine"]
THEIRS, OURS = Secret("theirs"), Secret("ours")


@pytest.fixture(scope="module")
def server() -> Iterator[ScratchServer]:
    with ScratchServer.start() as found:
        yield found


@pytest.fixture
def run(server: ScratchServer, tmp_path: Path) -> Any:
    superuser = Credentials(
        server.host, server.port, server.superuser, server.superuser_password, "postgres", source="test"
    )
    reporter = Reporter(
        SimpleNamespace(say=print, warn=print, settle=lambda: None), open_log(tmp_path / "log")
    )
    journal = begin(tmp_path, new_head(tmp_path / "archive", ("engine",), tmp_path))
    return SimpleNamespace(
        servers={ENGINE.name: Server(superuser, None)},
        undo=Undo(journal, Place(tmp_path, KeptFiles(tmp_path, tmp_path / "kept"), print), reporter),
        reporter=reporter,
        request=SimpleNamespace(surroundings=SimpleNamespace(log=tmp_path / "log")),
        facts=SimpleNamespace(
            targets=(SimpleNamespace(component=ENGINE, credentials=None),),
            servers={ENGINE.name: SimpleNamespace(state=None)},
        ),
        started=datetime.now(),
        created_roles=set(),
    )


def test_a_role_that_another_made_meanwhile_stays(server: ScratchServer, run: Any):
    server.create_role("quicker", THEIRS)
    with pytest.raises(EngineBackupError, match="cannot create role 'quicker'"):
        provisioning_handlers.provision_role(ProvisionRole(ENGINE, "quicker", OURS, exists=False), run)
    assert run.undo.unwind() == []
    server.connect("postgres", "quicker", THEIRS).close()


def test_a_database_that_another_made_meanwhile_stays(server: ScratchServer, run: Any):
    server.create_role("slower", OURS)
    server.create_database("taken", "slower")
    with pytest.raises(EngineBackupError, match="cannot create database 'taken'"):
        provisioning_handlers.provision_database(
            ProvisionDatabase(ENGINE, "taken", "slower", (), exists=False), run
        )
    assert run.undo.unwind() == []
    with closing(server.connect("taken")) as connection:
        assert postgres.value(connection, "SELECT current_database()") == "taken"


def test_what_another_loaded_meanwhile_stays(server: ScratchServer, run: Any):
    server.create_role("owner", OURS)
    with closing(server.connect("postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("CREATE DATABASE filled OWNER owner")
    login = Credentials(server.host, server.port, "owner", OURS, "filled")
    with closing(server.connect("filled", "owner", OURS)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("CREATE SCHEMA theirs")
        cursor.execute("CREATE TABLE theirs.rows AS SELECT 1 AS id")
    with pytest.raises(EngineBackupError, match="'filled' is not empty any more: it has"):
        load_dumps(LoadDumps((LoadDump(ENGINE, login, permissions=False, jobs=1, unpacked=False),)), run)
    assert run.undo.unwind() == []
    with postgres.session(login) as connection:
        assert postgres.rows(connection, "SELECT id FROM theirs.rows") == [(1,)]


def test_passwords_that_another_run_noted_in_the_same_second_stay(run: Any, tmp_path: Path):
    theirs = tmp_path / f"engine-backup-roles-{run.started:%Y%m%d%H%M%S}.passwords"
    theirs.write_text("their only copy")
    step = CreateExtraRoles((ExtraRole(ENGINE, "reader", "engine"),))
    provisioning_handlers.create_extra_roles(step, run)
    assert len(list(tmp_path.glob("*.passwords"))) == 2
    assert run.undo.unwind() == []
    assert theirs.read_text() == "their only copy"
    assert list(tmp_path.glob("*.passwords")) == [theirs]


def execute(server: ScratchServer, database: str, *statements: str) -> None:
    with closing(server.connect(database)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in statements:
            cursor.execute(statement)


def test_a_database_that_cannot_be_emptied_keeps_its_login_until_it_can(server: ScratchServer, run: Any):
    server.create_role("former_owner", THEIRS)
    execute(server, "postgres", "CREATE DATABASE stubborn OWNER former_owner")
    change = ProvisionRole(ENGINE, "former_owner", OURS, exists=True)
    provisioning_handlers.provision_role(change, run)
    login = Credentials(server.host, server.port, "former_owner", OURS, "stubborn")
    run.undo.add(EmptyDatabase(login, "Engine"))
    execute(server, "stubborn", "CREATE SCHEMA theirs", "CREATE TABLE theirs.rows (id int)")
    failed = run.undo.unwind()
    assert len(failed) == 2
    assert "it is still needed, see: emptying the Engine database 'stubborn'" in failed[1]
    execute(server, "stubborn", "DROP SCHEMA theirs CASCADE")
    assert run.undo.unwind() == []
    server.connect("stubborn", "former_owner", THEIRS).close()


def test_a_database_whose_name_cannot_be_put_back_is_dropped_later(server: ScratchServer, run: Any):
    access = run.servers[ENGINE.name].access
    pairs = (("renamed", "renamed_before"), ("renamed_restoring", "renamed"))
    run.undo.add(DropDatabase(access, "renamed_restoring"))
    run.undo.add(PutNamesBack(access, pairs))
    execute(server, "postgres", "CREATE DATABASE renamed", "CREATE DATABASE hidden")
    assert len(run.undo.unwind()) == 2
    execute(server, "postgres", "ALTER DATABASE hidden RENAME TO renamed_before")
    assert run.undo.unwind() == []
    with closing(server.connect("postgres")) as connection:
        found = postgres.rows(connection, "SELECT datname FROM pg_database WHERE datname LIKE 'renamed%'")
    assert found == [("renamed",)]


def test_a_database_that_is_still_being_created_is_dropped(server: ScratchServer):
    """Its client was killed; the server goes on with CREATE DATABASE until it has to answer."""
    server.create_role("slow_owner", OURS)
    creating, dropping, other = (server.connect("postgres") for _ in range(3))
    for connection in (creating, dropping):
        connection.autocommit = True
    with closing(creating), closing(dropping), closing(other), other.cursor() as cursor:
        cursor.execute("COMMENT ON DATABASE template0 IS 'locked'")
        with ThreadPoolExecutor(1) as pool:
            creation = pool.submit(provisioning.create_database, creating, "slow", "slow_owner")
            waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'slow_owner'"
            while not postgres.rows(dropping, waiting):
                time.sleep(0.02)
            provisioning.drop_database(dropping, "slow")
            other.rollback()
            with pytest.raises((EngineBackupError, psycopg2.Error)):
                creation.result()
        assert postgres.rows(dropping, "SELECT FROM pg_database WHERE datname = 'slow'") == []
