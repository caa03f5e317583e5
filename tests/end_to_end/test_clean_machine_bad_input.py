"""A restore on a machine whose PostgreSQL is not as it should be: it works all the same, or it refuses.

Whoever is refused is told what is wrong and what to do, and finds nothing touched.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2
import pytest

from engine_backup.drivers import config_files, postgres_programs
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.scratch_cluster import UUID_FUNCTIONS
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.sample import engine
from engine_backup.sample.size import TINY
from tests.support import golden, real_process, small_disk
from tests.support.clean_machine import clean_machine
from tests.support.machine import Machine, Result, change_options
from tests.support.machine_state import query, state_of

ALL = ("--provision-all-databases", "--restore-permissions")
ENGINE = BY_NAME["engine"]
LOCAL_PEER = "local all all peer\n"
OVER_TCP = "host all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n"
EMBEDDED = [p for p in postgres_programs.with_server() if postgres_programs.embedded(p)]
NEEDS_EMBEDDED = pytest.mark.skipif(not EMBEDDED, reason="needs the embedded programs of PostgreSQL 18")
OTHERS = [p for p in postgres_programs.with_server() if p.major < 17]
NEEDS_OTHERS = pytest.mark.skipif(not OTHERS, reason="needs the programs of PostgreSQL 16 or older")
ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user owns all these files")


@dataclass(frozen=True)
class Gone:
    """A backup of an engine that is no more; its conf files name a port that is free now."""

    archive: Path
    logins: dict[str, Credentials]
    port: int


@pytest.fixture(scope="module")
def gone(tmp_path_factory: pytest.TempPathFactory) -> Gone:
    machine = Machine(tmp_path_factory.mktemp("gone"))
    with ScratchServer.start() as server:
        sample = engine.build(machine.root, server, TINY)
        machine.engine_backup("backup").check()
        return Gone(machine.archive, dict(sample.credentials), server.port)


@pytest.fixture
def machine(gone: Gone) -> Iterator[Machine]:
    with clean_machine(gone.port) as found:
        shutil.copy2(gone.archive, found.archive)
        yield found


@pytest.fixture
def cluster(machine: Machine) -> LocalCluster:
    """A cluster that is initialised and does not run."""
    made = LocalCluster(machine.root)
    made.initialise()
    return made


@pytest.fixture
def server(cluster: LocalCluster) -> LocalCluster:
    """A cluster that runs."""
    cluster.start()
    return cluster


@pytest.fixture
def prepared(server: LocalCluster, machine: Machine, gone: Gone) -> LocalCluster:
    """A server with the roles and the empty databases of the archive, as somebody made them by hand."""
    for role in ("cfme_reader", "ovirt_engine_history_grafana"):
        query(machine, f"CREATE ROLE {role}")
    for login in gone.logins.values():
        password = login.password.reveal().replace("'", "''")
        query(machine, f"CREATE ROLE {login.user} LOGIN PASSWORD '{password}'")
        query(machine, f"CREATE DATABASE {login.database} OWNER {login.user} TEMPLATE template0")
    return server


def refused(machine: Machine, *words: str) -> Result:
    """Restore; it must refuse by a plan with problems, each with a hint, and touch nothing."""
    before = state_of(machine)
    result = machine.engine_backup("restore", *words)
    assert result.status == 3, (result.stdout, result.stderr)
    lines = result.stderr.splitlines()
    hinted = [line for line, hint in zip(lines, lines[1:]) if hint.startswith("  hint: ")]
    assert result.fatal
    assert set(result.fatal) <= set(hinted)
    assert state_of(machine) == before
    assert machine.leftovers() == []
    return result


def restored(machine: Machine, gone: Gone, *words: str) -> Result:
    """Restore; every database must be there, and let its role in over TCP."""
    result = machine.engine_backup("restore", *words).check()
    for login in gone.logins.values():
        assert count_tables(login) > 0
    return result


def count_tables(login: Credentials) -> int:
    connection = psycopg2.connect(
        host=login.host, port=login.port, dbname=login.database, user=login.user,
        password=login.password.reveal(),
    )  # fmt: skip
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner = %s", (login.user,)
        )
        return cursor.fetchone()[0]


class TestServer:
    def test_down_and_not_to_be_started_by_us(self, cluster, machine: Machine, gone: Gone):
        words = change_options(gone.logins, machine.directory)
        result = refused(machine, "--restore-permissions", *words)
        assert len([line for line in result.fatal if "Can't connect to database" in line]) == len(gone.logins)

    def test_down_and_does_not_start(self, cluster, machine: Machine):
        with (cluster.data / "postgresql.conf").open("a") as file:
            file.write("there is no such line\n")
        before = state_of(machine)
        result = machine.engine_backup("restore", *ALL)
        assert result.status == 1
        assert "cannot start PostgreSQL" in result.fatal[0]
        assert f"the logs in {cluster.data}" in result.stderr
        assert state_of(machine) == before

    @pytest.mark.parametrize("words", [ALL, ("--restore-permissions",)], ids=["asked for", "on its own"])
    def test_on_another_port(self, words, cluster, machine: Machine, gone: Gone):
        with (cluster.data / "postgresql.conf").open("a") as file:
            file.write(f"port = {_free_port()}\n")
        cluster.start()
        result = refused(machine, *words)
        assert f"not on {gone.port}" in result.fatal[0]

    def test_on_another_machine(self, machine: Machine, gone: Gone):
        login = replace(gone.logins["engine"], host="192.0.2.1")
        words = change_options({"engine": login}, machine.directory)
        result = refused(machine, "--scope=db", "--provision-db", "--no-restore-permissions", *words)
        assert "Can provision database only in localhost" in result.fatal[0]
        assert "--provision-admin-user" in result.stderr


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TestRoles:
    def test_none_in_place(self, prepared, machine: Machine):
        query(machine, "ALTER ROLE engine RENAME TO somebody")
        result = refused(machine, "--restore-permissions")
        assert "there is no role 'engine'" in result.fatal[0]
        assert 'CREATE ROLE "engine" LOGIN' in result.stderr

    def test_without_login_in_place(self, prepared, machine: Machine):
        query(machine, "ALTER ROLE engine NOLOGIN")
        result = refused(machine, "--restore-permissions")
        assert "role 'engine' may not log in" in result.fatal[0]
        assert 'ALTER ROLE "engine" LOGIN' in result.stderr

    def test_without_login_provisioned(self, prepared, machine: Machine, gone: Gone):
        query(machine, "ALTER ROLE engine NOLOGIN")
        restored(machine, gone, *ALL)

    def test_no_database_in_place(self, prepared, machine: Machine, gone: Gone):
        query(machine, "DROP DATABASE engine")
        words = change_options(gone.logins, machine.directory)
        result = refused(machine, "--restore-permissions", *words)
        assert "there is no database 'engine'" in result.fatal[0]
        assert "--provision-db" in result.stderr

    def test_a_database_of_somebody_else_in_place(self, prepared, machine: Machine):
        query(machine, "CREATE ROLE somebody")
        query(machine, "ALTER DATABASE engine OWNER TO somebody")
        result = refused(machine, "--restore-permissions")
        assert "role 'engine' may not create objects in database 'engine'" in result.fatal[0]
        assert 'ALTER DATABASE "engine" OWNER TO "engine"' in result.stderr

    def test_a_database_of_somebody_else_provisioned(self, prepared, machine: Machine, gone: Gone):
        query(machine, "CREATE ROLE somebody")
        query(machine, "ALTER DATABASE engine OWNER TO somebody")
        restored(machine, gone, *ALL)
        owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = 'engine'"
        assert query(machine, owner) == [("engine",)]

    def test_a_database_in_use_is_told(self, prepared, machine: Machine, gone: Gone):
        login = gone.logins["engine"]
        connection = psycopg2.connect(
            host=login.host, port=login.port, dbname="engine", user="engine",
            password=login.password.reveal(),
        )  # fmt: skip
        with closing(connection):
            for words in (("--restore-permissions",), ALL):
                result = machine.engine_backup("restore", "--dry-run", *words).check()
                assert "database 'engine' is in use: other sessions in it: 1" in result.stderr
        result = machine.engine_backup("restore", "--dry-run", "--restore-permissions").check()
        assert "is in use" not in result.stderr


class TestEncodingAndLocale:
    def test_template1_in_another_encoding(self, server, machine: Machine, gone: Gone):
        query(machine, "ALTER DATABASE template1 WITH IS_TEMPLATE false")
        query(machine, "DROP DATABASE template1")
        query(
            machine,
            "CREATE DATABASE template1 TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
            " IS_TEMPLATE true",
        )
        restored(machine, gone, *ALL)
        names = {login.database for login in gone.logins.values()}
        found = query(machine, "SELECT datname, pg_encoding_to_char(encoding) FROM pg_database")
        assert {encoding for name, encoding in found if name in names} == {"UTF8"}

    def test_a_database_in_another_encoding(self, server, machine: Machine):
        query(
            machine,
            "CREATE DATABASE engine TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
        )
        result = refused(machine, *ALL)
        assert "Database 'engine' is in SQL_ASCII, not in UTF8" in result.fatal[0]

    def test_a_locale_that_is_missing_is_told(self, server, machine: Machine, gone: Gone):
        """The machine's own list of locales says so; where it has the locale, a stand-in says otherwise."""
        program = machine.root / "usr/bin/locale"
        program.write_text("#!/bin/sh\nprintf 'C\\nC.utf8\\nPOSIX\\n'\n")
        program.chmod(0o755)
        result = restored(machine, gone, *ALL)
        assert "this machine has no locale en_US.UTF-8" in result.stderr
        assert "glibc-langpack-en" in result.stderr


@NEEDS_EMBEDDED
class TestEmbedded:
    """PostgreSQL 18 without postgresql-contrib's uuid-ossp."""

    @pytest.fixture
    def server(self, machine: Machine, gone: Gone) -> LocalCluster:
        copied = postgres_programs.copy_of(EMBEDDED[0], machine.directory)
        initdb, program = copied.path("initdb"), machine.root / "usr/bin/postgresql-setup"
        (machine.root / "usr/pgsql-18").symlink_to(copied.directory.parent)
        text = program.read_text()
        own = postgres_programs.for_server().path("initdb")
        assert own in text
        program.write_text(text.replace(own, initdb))
        made = LocalCluster(machine.root)
        made.initialise()
        made.start()
        return made

    def test_an_extension_is_missing(self, server, machine: Machine):
        result = refused(machine, *ALL)
        assert "needs the extension 'uuid-ossp', which cannot be made here" in result.fatal[0]
        assert "install postgresql-contrib" in result.stderr

    def test_includes_in_pg_hba(self, server, machine: Machine, gone: Gone):
        _give_stand_in_for_uuid(machine)
        included = server.data / "strict.conf"
        included.write_text("host all all all reject\n")
        _own(included, server)
        hba = server.data / "pg_hba.conf"
        hba.write_text(f"{LOCAL_PEER}include strict.conf\n")
        server.reload()
        restored(machine, gone, *ALL)
        assert included.read_text() == "host all all all reject\n"

    def test_the_administrators_line_is_included(self, server, machine: Machine, gone: Gone):
        _give_stand_in_for_uuid(machine)
        included = server.data / "strict.conf"
        included.write_text("local all all scram-sha-256\n")
        _own(included, server)
        (server.data / "pg_hba.conf").write_text("include_if_exists none.conf\ninclude strict.conf\n")
        server.reload()
        restored(machine, gone, *ALL)
        assert included.read_text() == "local all all scram-sha-256\n"

    @NEEDS_OTHERS
    def test_a_plain_dump_needs_no_programs_that_fit(self, server, machine: Machine, gone: Gone):
        _give_stand_in_for_uuid(machine)
        shutil.copy2(golden.archive("4.5.7-uncompressed"), machine.archive)
        words = ("--scope=db", *change_options({"engine": gone.logins["engine"]}, machine.directory))
        words += ("--provision-db", *ALL[1:], f"--pg-bindir={OTHERS[0].directory}")
        machine.engine_backup("restore", *words).check()
        assert count_tables(gone.logins["engine"]) > 0


def _own(path: Path, cluster: LocalCluster) -> None:
    facts = cluster.observe()
    if os.geteuid() == 0:
        os.chown(path, facts.uid, facts.gid)


@NEEDS_EMBEDDED
@NEEDS_OTHERS
def test_programs_that_do_not_fit_the_server(server, machine: Machine, gone: Gone):
    words = ("--scope=db", *change_options({"engine": gone.logins["engine"]}, machine.directory))
    result = refused(machine, *words, "--provision-db", *ALL[1:], f"--pg-bindir={EMBEDDED[0].directory}")
    assert any("cannot load into a server of version" in line for line in result.fatal)


class TestDataDirectory:
    @ONLY_ROOT
    def test_that_the_servers_account_may_not_write(self, machine: Machine):
        data = LocalCluster(machine.root).data
        for directory in (data, data.parent):
            os.chown(directory, 0, 0)
            directory.chmod(0o555)
        before = state_of(machine)
        result = machine.engine_backup("restore", *ALL)
        assert result.status != 0
        assert result.fatal
        assert "hint: " in result.stderr
        assert state_of(machine) == before
        assert machine.leftovers() == []

    @pytest.mark.parametrize("words", [ALL, ("--restore-permissions",)], ids=["asked for", "on its own"])
    def test_that_holds_something_else(self, words, machine: Machine):
        """A cluster that has lost its PG_VERSION, say; undoing must not take it for ours."""
        (LocalCluster(machine.root).data / "base").mkdir()
        result = refused(machine, *words)
        assert "holds no PostgreSQL cluster, but is not empty" in result.fatal[0]

    @pytest.mark.skipif(not small_disk.available(), reason="needs a mount namespace")
    def test_on_a_file_system_that_is_read_only(self, machine: Machine):
        before = state_of(machine)
        report = machine.directory / "report"
        mount = small_disk.on_read_only_disk(LocalCluster(machine.root).data, report)
        result = real_process.run(machine.words("restore", *ALL), before=mount)
        assert result.status == 3, result.stderr
        assert "is on a file system that is read-only" in result.fatal[0]
        assert state_of(machine) == before


class TestServersFiles:
    def test_pg_hba_without_a_line_for_sockets(self, cluster, machine: Machine, gone: Gone):
        hba = cluster.data / "pg_hba.conf"
        hba.write_text(OVER_TCP)
        cluster.start()
        restored(machine, gone, *ALL)
        assert "local" not in hba.read_text()
        assert hba.read_text().startswith(OVER_TCP)

    def test_pg_hba_that_lets_nobody_in(self, cluster, machine: Machine, gone: Gone):
        hba = cluster.data / "pg_hba.conf"
        hba.write_text("host all all all reject\nlocal all all reject\n")
        cluster.start()
        restored(machine, gone, *ALL)

    def test_pg_hba_with_line_ends_of_windows(self, cluster, machine: Machine, gone: Gone):
        hba = cluster.data / "pg_hba.conf"
        hba.write_bytes((LOCAL_PEER + OVER_TCP).replace("\n", "\r\n").encode())
        cluster.start()
        restored(machine, gone, *ALL)
        lines = hba.read_bytes().split(b"\n")
        assert all(line.endswith(b"\r") for line in lines[:-1])
        assert any(b" engine " in line for line in lines)

    def test_postgresql_conf_with_includes_and_duplicates(self, cluster, machine: Machine, gone: Gone):
        included = cluster.data / "more.conf"
        included.write_text("max_connections = 30\nwork_mem = 1MB\n")
        _own(included, cluster)
        conf = cluster.data / "postgresql.conf"
        with conf.open("a") as file:
            file.write(
                "max_connections = 200\nmax_connections = 40\nmaintenance_work_mem 64MB\n"
                "include 'more.conf'\ninclude_if_exists = 'none.conf'\n"
            )
        cluster.start()
        restored(machine, gone, *ALL)
        settings = dict(query(machine, "SELECT name, setting FROM pg_settings"))
        assert settings["max_connections"] == "150"
        assert settings["work_mem"] == "8192"
        assert "\nmaintenance_work_mem 64MB\n" in conf.read_text()
        assert included.read_text() == "max_connections = 30\nwork_mem = 1MB\n"

    def test_settings_of_alter_system_are_told(self, server, machine: Machine, gone: Gone):
        query(machine, "ALTER SYSTEM SET max_connections = 60")
        query(machine, "ALTER SYSTEM SET work_mem = '32MB'")
        server.restart()
        result = restored(machine, gone, *ALL)
        assert "setting max_connections is 60 by" in result.stderr
        assert "postgresql.auto.conf" in result.stderr
        assert "work_mem is" not in result.stderr.replace("maintenance_work_mem", "")
        assert query(machine, "SHOW max_connections") == [("60",)]


class TestNames:
    @pytest.mark.parametrize(
        ("database", "user"),
        [
            ('we"ird db', "a role"),
            pytest.param("Mixed'Case", 'r"o\\le', marks=pytest.mark.thorough),
            pytest.param("all", "Replication", marks=pytest.mark.thorough),
            ("a=b", "postgresql://x"),
        ],
    )
    def test_that_need_quoting(self, database, user, server, machine: Machine, gone: Gone):
        login = replace(gone.logins["engine"], database=database, user=user, password=Secret("p'w \\:$`d"))
        words = change_options({"engine": login}, machine.directory)
        machine.engine_backup(
            "restore", "--scope=files", "--scope=db", "--provision-db", *ALL[1:], *words
        ).check()
        assert count_tables(login) > 0
        written = config_files.credentials(config_files.load(machine.root), ENGINE)
        assert written is not None
        assert (written.database, written.user, written.password) == (database, user, login.password)


class TestHosts:
    @pytest.fixture
    def restore(self, machine: Machine, gone: Gone):
        def run(host: str) -> None:
            login = replace(gone.logins["engine"], host=host)
            words = change_options({"engine": login}, machine.directory)
            machine.engine_backup("restore", "--scope=db", "--provision-db", *ALL[1:], *words).check()
            assert count_tables(login) > 0

        return run

    @pytest.mark.parametrize(
        "host",
        [
            "::1",
            "LOCALHOST",
            *(
                pytest.param(name, marks=pytest.mark.thorough)
                for name in ("127.0.0.1", "localhost", "127.1.2.3")
            ),
        ],
    )
    def test_numbers_and_names(self, host, server, restore):
        restore(host)

    def test_the_machines_own_name(self, server, restore):
        if not _resolves(socket.gethostname()):
            pytest.skip("this machine's name has no address")
        restore(socket.gethostname())

    def test_the_directory_of_the_socket(self, server, restore):
        restore(str(server.observe().socket_directory))


def _resolves(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False


def _give_stand_in_for_uuid(machine: Machine) -> None:
    """Put the extension where the server's programs look for it."""
    directory = machine.root / "usr/pgsql-18/share/extension"
    (directory / "uuid-ossp.control").write_text(
        "default_version = '1.1'\nrelocatable = true\ntrusted = true\n"
    )
    (directory / "uuid-ossp--1.1.sql").write_text(UUID_FUNCTIONS)
