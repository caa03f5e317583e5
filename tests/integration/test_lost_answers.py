"""Changes of a server that are done although nobody hears of it: the connection dies within COMMIT."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine_backup.drivers.kept_files import KeptFiles
from engine_backup.drivers.postgres import rows
from engine_backup.drivers.run_log import open_log
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
from engine_backup.model.components import BY_NAME
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.provisioning_steps import ProvisionDatabase, ProvisionRole, RenameDatabases
from engine_backup.model.secret import Secret
from engine_backup.run import provisioning_handlers
from engine_backup.run.changing import new_head
from engine_backup.run.journals import begin
from engine_backup.run.reporting import Reporter
from engine_backup.run.servers import Server
from engine_backup.run.taking_back import Place
from engine_backup.run.undo import Undo

ENGINE = BY_NAME["engine"]
FORMER, NEW = Secret("former"), Secret("new")


@pytest.fixture(scope="module")
def server() -> Iterator[ScratchServer]:
    """A server whose commits wait for a standby that never comes, where a database is set so."""
    settings = {
        "synchronous_standby_names": "nobody",
        "synchronous_commit": "local",
        "max_wal_senders": "2",
        "wal_level": "replica",
    }
    with ScratchServer.start(Wanted(settings=settings)) as found:
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
    facts = SimpleNamespace(targets=(SimpleNamespace(component=ENGINE, credentials=None),))
    return SimpleNamespace(
        servers={ENGINE.name: Server(superuser, None)},
        undo=Undo(journal, Place(tmp_path, KeptFiles(tmp_path, tmp_path / "kept"), print), reporter),
        reporter=reporter,
        facts=facts,
        started=datetime.now(),
        created_roles=set(),
    )


def execute(server: ScratchServer, statement: str) -> list[Any]:
    with closing(server.connect("template1")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def answers_lost(server: ScratchServer) -> Iterator[None]:
    """Cut off whoever waits for its commit."""
    execute(server, "ALTER DATABASE postgres SET synchronous_commit = 'on'")
    stopped = threading.Event()
    cutting = threading.Thread(target=_cut, args=(server, stopped))
    cutting.start()
    try:
        yield
    finally:
        stopped.set()
        cutting.join()
        execute(server, "ALTER DATABASE postgres RESET synchronous_commit")


def _cut(server: ScratchServer, stopped: threading.Event) -> None:
    statement = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE wait_event = 'SyncRep' AND pid <> pg_backend_pid()"
    )
    with closing(server.connect("template1")) as connection:
        connection.autocommit = True
        while not stopped.is_set():
            rows(connection, statement)
            time.sleep(0.02)


def test_renamed_databases_get_their_names_back(server, run):
    for name in ("engine", "engine_restoring"):
        execute(server, f"CREATE DATABASE {name}")
    before = dict(execute(server, "SELECT datname, oid FROM pg_database"))
    step = RenameDatabases(ENGINE, (("engine", "engine_kept"), ("engine_restoring", "engine")))
    with answers_lost(server), pytest.raises(EngineBackupError, match="cannot rename"):
        provisioning_handlers.rename_databases(step, run)
    assert dict(execute(server, "SELECT datname, oid FROM pg_database")) != before
    assert run.undo.unwind() == []
    assert dict(execute(server, "SELECT datname, oid FROM pg_database")) == before


def test_a_role_gets_its_password_back(server, run):
    server.create_role("engine_role", FORMER)
    with answers_lost(server), pytest.raises(EngineBackupError, match="cannot change role"):
        provisioning_handlers.provision_role(ProvisionRole(ENGINE, "engine_role", NEW, exists=True), run)
    server.connect("postgres", "engine_role", NEW).close()
    assert run.undo.unwind() == []
    server.connect("postgres", "engine_role", FORMER).close()


def test_a_database_gets_its_owner_back(server, run):
    server.create_role("another", FORMER)
    execute(server, "CREATE DATABASE owned")
    step = ProvisionDatabase(ENGINE, "owned", "another", (), exists=True)
    with answers_lost(server), pytest.raises(EngineBackupError, match="cannot give database"):
        provisioning_handlers.provision_database(step, run)
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'owned'"
    assert execute(server, owner) == [("another",)]
    assert run.undo.unwind() == []
    assert execute(server, owner) == [("postgres",)]
