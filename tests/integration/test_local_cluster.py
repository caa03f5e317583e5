"""The machine's own cluster: observed, initialised, controlled, and its administrator's connection."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psycopg2
import pytest

from engine_backup.drivers import postgres_programs, server_files
from engine_backup.drivers.administrator import AdministratorRefusedError, administrator_session, connect
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.postgres import LoginError, rows, value
from engine_backup.drivers.scratch_cluster import private_directory, server_account, short_directory
from engine_backup.drivers.scratch_postmaster import free_port
from engine_backup.drivers.server_observation import (
    broken_configuration,
    configuration_files,
    pending_restart,
    settings_elsewhere,
)
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.ways_back import ReplacedFile
from engine_backup.plan.access_rules import with_access, with_administrator_access
from engine_backup.plan.server_settings import Conditions, edited

WHEN = datetime(2026, 8, 19, 1, 2, 3)
USER = server_account()
SCRAM_ONLY = "local all all scram-sha-256\nhost all all all scram-sha-256\n"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def root() -> Iterator[Path]:
    """A root that the server's account reaches, with an empty data directory of that account."""
    with private_directory(None, USER) as home:
        data = home / "var/lib/pgsql/data"
        data.mkdir(parents=True)
        for directory in (data, *data.parents):
            if directory != home and home in directory.parents:
                give(directory)
        data.chmod(0o700)
        yield home


@pytest.fixture
def cluster(root: Path) -> Iterator[LocalCluster]:
    """An initialised cluster that listens on a private socket and a free port."""
    found = LocalCluster(root)
    found.initialise()
    with short_directory(root, USER) as sockets:
        with (found.data / "postgresql.conf").open("a") as file:
            file.write(f"unix_socket_directories = '{sockets}'\nport = {free_port()}\nfsync = off\n")
        yield found
        if found.observe().running:
            found.stop()


@pytest.fixture
def running(cluster: LocalCluster) -> LocalCluster:
    cluster.start()
    return cluster


def give(path: Path) -> None:
    if USER is not None:
        os.chown(path, USER.uid, USER.gid)


def program(root: Path, name: str, text: str) -> None:
    """Put a stand-in program where the machine has the real one."""
    path = root / "usr/bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def rewrite(cluster: LocalCluster, name: str, text: str) -> ReplacedFile:
    replaced = server_files.prepare(cluster.data / name, text, WHEN)
    assert replaced is not None
    server_files.replace(replaced, text)
    return replaced


def test_before_there_is_anything(root):
    facts = LocalCluster(root).observe()
    assert (facts.initialised, facts.running, facts.ready) == (False, False, False)
    if USER is not None:
        assert (facts.owner, facts.uid, facts.gid) == (USER.name, USER.uid, USER.gid)
    with pytest.raises(LoginError, match="has no socket"):
        connect(facts)


def test_from_nothing_to_a_running_server_and_back(cluster):
    facts = cluster.observe()
    assert facts.major == postgres_programs.for_server().major
    assert not facts.running
    facts = cluster.start()
    assert facts.running
    assert facts.ready
    assert facts.socket_directory is not None
    first = facts.pid
    with administrator_session(facts) as connection:
        assert value(connection, "SELECT session_user") == facts.owner
        assert value(connection, "SHOW server_encoding") == "UTF8"
        assert value(connection, "SHOW is_superuser") == "on"
        assert value(connection, "SHOW port") == str(facts.port)
    assert cluster.restart().pid != first
    cluster.stop()
    assert not cluster.observe().running
    assert not cluster.enabled()
    cluster.enable()


def test_a_server_that_died_is_not_running(running):
    facts = running.observe()
    pid_file = (running.data / "postmaster.pid").read_text()
    running.stop()
    (running.data / "postmaster.pid").write_text(pid_file)
    assert not running.observe().running
    (running.data / "postmaster.pid").write_text(pid_file.replace(str(facts.pid), str(os.getpid()), 1))
    assert not running.observe().running
    (running.data / "postmaster.pid").unlink()


def test_a_server_that_cannot_start_tells_where_to_look(cluster):
    rewrite(cluster, "postgresql.conf", "nonsense\n")
    with pytest.raises(ProgramError, match="cannot start PostgreSQL") as caught:
        cluster.start()
    assert "logs in" in caught.value.hint


def test_a_new_cluster_can_be_removed_and_no_other(root):
    found = LocalCluster(root)
    empty = found.observe()
    made = found.missing_directories()
    found.initialise()
    with pytest.raises(EngineBackupError, match="there is a cluster in"):
        found.missing_directories()
    found.remove(made)
    assert list(found.data.iterdir()) == []
    assert found.observe() == empty


def test_what_was_there_before_is_not_removed(root):
    found = LocalCluster(root)
    (found.data / "base").mkdir()
    with pytest.raises(EngineBackupError, match="holds no PostgreSQL cluster, but is not empty"):
        found.missing_directories()
    assert (found.data / "base").is_dir()


@AS_ROOT
def test_directories_that_were_made_go_with_the_cluster(root, monkeypatch):
    assert USER is not None
    monkeypatch.setattr("engine_backup.drivers.data_directory.ACCOUNT", USER.name)
    (root / "var/lib/pgsql/data").rmdir()
    (root / "var/lib/pgsql").rmdir()
    found = LocalCluster(root)
    made = found.missing_directories()
    found.initialise()
    assert found.observe().initialised
    found.remove(made)
    assert list((root / "var/lib").iterdir()) == []


def test_a_running_server_is_not_removed(running):
    with pytest.raises(EngineBackupError, match="is in use and stays"):
        running.remove(())


@pytest.mark.parametrize("name", ["thesis.odt", ".git", "src", "base2"])
def test_a_directory_with_something_else_in_it_is_not_removed(cluster, name):
    (cluster.data / name).mkdir()
    before = sorted(cluster.data.iterdir())
    with pytest.raises(EngineBackupError, match=f"holds what no cluster has, and stays: {re.escape(name)}"):
        cluster.remove(())
    assert sorted(cluster.data.iterdir()) == before


def test_a_second_initialisation_is_refused(cluster):
    with pytest.raises(ProgramError, match="initdb"):
        cluster.initialise()


def test_programs_of_the_root_come_first(root):
    programs = postgres_programs.for_server()
    drop = f"{shutil.which('setpriv')} --reuid={USER.uid} --clear-groups" if USER else ""
    data = root / "var/lib/pgsql/data"
    program(
        root,
        "postgresql-setup",
        f'echo "$@ $PGSETUP_INITDB_OPTIONS" > {root}/setup\n'
        f"{drop} {programs.path('initdb')} -D {data} --auth=ident $PGSETUP_INITDB_OPTIONS\n"
        f"printf \"port = {free_port()}\\nunix_socket_directories = '{root}'\\n\" >> {data}/postgresql.conf",
    )
    program(
        root,
        "systemctl",
        f'echo "$@" >> {root}/asked\n'
        f'case "$1" in start|stop|restart|reload) {drop} {programs.path("pg_ctl")} -s -D {data}'
        f" -l {data}/log-of-service $1 ;; --quiet) exit 1;; esac",
    )
    found = LocalCluster(root)
    found.initialise()
    assert (root / "setup").read_text().startswith("--initdb --encoding=UTF8 --locale=")
    facts = found.start()
    with administrator_session(facts) as connection:
        assert value(connection, "SELECT 1") == 1
    assert not found.enabled()
    for act in (found.enable, found.restart, found.reload, found.stop, found.disable):
        act()
    assert (root / "asked").read_text().splitlines() == [
        "start postgresql", "--quiet is-enabled postgresql", "enable postgresql", "restart postgresql",
        "reload postgresql", "stop postgresql", "disable postgresql",
    ]  # fmt: skip
    assert not found.observe().running


@AS_ROOT
def test_root_is_itself_again_after_each_login(running):
    facts = running.observe()
    identity = (os.geteuid(), os.getegid())
    found: list[object] = []

    def log_in(database: str) -> None:
        try:
            with administrator_session(facts, database) as connection:
                found.append(value(connection, "SELECT pg_catalog.current_database()"))
        except LoginError:
            found.append("refused")

    threads = [threading.Thread(target=log_in, args=(name,)) for name in ("postgres", "none") * 6]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["postgres"] * 6 + ["refused"] * 6
    assert (os.geteuid(), os.getegid()) == identity


def test_a_missing_database_is_not_a_refusal(running):
    with pytest.raises(LoginError, match="none") as caught:
        connect(running.observe(), "none")
    assert not isinstance(caught.value, AdministratorRefusedError)


def test_where_the_socket_wants_a_password_a_first_line_helps_for_a_while(running):
    facts = running.observe()
    before = (running.data / "pg_hba.conf").stat()
    rewrite(running, "pg_hba.conf", SCRAM_ONLY)
    running.restart()
    facts = running.observe()
    with pytest.raises(AdministratorRefusedError) as caught:
        connect(facts)
    assert f"local all {facts.owner} peer" in caught.value.hint

    replaced = rewrite(running, "pg_hba.conf", with_administrator_access(SCRAM_ONLY, facts.owner))
    running.reload()
    with administrator_session(facts, patience_seconds=10) as connection:
        assert broken_configuration(connection) == ()
        server_files.restore(replaced)
        running.reload()
    assert (running.data / "pg_hba.conf").read_text() == SCRAM_ONLY
    assert (running.data / "pg_hba.conf").stat().st_uid == before.st_uid
    running.restart()
    with pytest.raises(AdministratorRefusedError):
        connect(running.observe())


@pytest.mark.parametrize("hba", ["host all all all trust\n", "local all all reject\n", "local all all md5\n"])
def test_every_kind_of_refusal_is_told(running, hba):
    rewrite(running, "pg_hba.conf", hba)
    with pytest.raises(AdministratorRefusedError):
        connect(running.restart())


def test_only_root_and_the_owner_may(running):
    facts = running.observe()
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.seteuid(1)
    try:
        with pytest.raises(EngineBackupError, match="only root and"):
            connect(facts)
    finally:
        os.seteuid(0)


def test_edited_settings_are_taken(running):
    with administrator_session(running.observe()) as connection:
        files = configuration_files(connection, running.root)
        assert files.configuration == running.data / "postgresql.conf"
        edit = edited(
            server_files.read(files.configuration),
            settings_elsewhere(connection),
            Conditions(running.observe().major, locales=running.locales()),
        )
        assert edit.restart
        assert edit.broken == ()
        replaced = rewrite(running, "postgresql.conf", edit.text)
        assert broken_configuration(connection) == ()
        running.reload()
    with administrator_session(running.restart()) as connection:
        shown = dict(rows(connection, "SELECT name, setting FROM pg_settings"))
        assert pending_restart(connection) == ()
        again = edited(server_files.read(files.configuration), settings_elsewhere(connection), Conditions(15))
    for change in edit.changes:
        assert shown[change.name] == change.new
    assert again.changes == ()
    server_files.restore(replaced)
    running.restart()


def test_what_stands_elsewhere_is_seen(running):
    included = running.data / "conf.d"
    included.mkdir()
    (included / "a.conf").write_text("work_mem = 5MB\nMax_Connections = 7\n")
    for path in (included, included / "a.conf"):
        give(path)
    configuration = running.data / "postgresql.conf"
    rewrite(running, "postgresql.conf", server_files.read(configuration) + "include_dir 'conf.d'\n")
    with administrator_session(running.restart()) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET maintenance_work_mem = '3MB'")
        elsewhere = settings_elsewhere(connection)
    assert {name: (found.value, found.final) for name, found in elsewhere.items()} == {
        "work_mem": ("5MB", False),
        "max_connections": ("7", False),
        "maintenance_work_mem": ("3MB", True),
    }
    assert elsewhere["max_connections"].place == f"{included}/a.conf line 2"

    edit = edited(server_files.read(configuration), elsewhere, Conditions(15))
    assert [found.name for found in edit.overridden] == ["maintenance_work_mem"]
    rewrite(running, "postgresql.conf", edit.text)
    with administrator_session(running.restart()) as connection:
        assert value(connection, "SHOW max_connections") == "150"
        assert value(connection, "SHOW work_mem") == "8MB"
        assert set(settings_elsewhere(connection)) == {"maintenance_work_mem"}


def test_broken_files_are_told_before_they_are_read(running):
    with administrator_session(running.observe()) as connection:
        rewrite(running, "pg_hba.conf", "local all all nonsense\n")
        rewrite(running, "postgresql.conf", "a b c\n")
        told = broken_configuration(connection)
    assert any("pg_hba.conf line 1" in text for text in told)
    assert any("postgresql.conf line 1" in text for text in told)


def test_given_access_lets_a_role_in_over_tcp(running):
    hba = running.data / "pg_hba.conf"
    rewrite(running, "pg_hba.conf", "local all all peer\nhost all all all ident\n")
    rewrite(running, "pg_hba.conf", with_access(server_files.read(hba), "engine", "engine", "scram-sha-256"))
    with administrator_session(running.restart()) as connection, connection.cursor() as cursor:
        facts = running.observe()
        cursor.execute("CREATE ROLE engine LOGIN PASSWORD 'right'")
        cursor.execute("CREATE DATABASE engine OWNER engine TEMPLATE template0")
        login = {"host": "127.0.0.1", "port": facts.port, "user": "engine", "sslmode": "disable"}
        psycopg2.connect(**login, dbname="engine", password="right").close()
        for other in ({"dbname": "engine", "password": "wrong"}, {"dbname": "postgres", "password": "right"}):
            with pytest.raises(psycopg2.OperationalError):
                psycopg2.connect(**login, **other)
