"""Restores on a machine where nothing is prepared."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine_backup.drivers import administrator, postgres_programs
from engine_backup.drivers.engine_fixes import CHANGED_TABLES
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.scratch_cluster import server_account
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
from engine_backup.plan.access_rules import MARK
from engine_backup.sample import engine
from engine_backup.sample.compare import BACKUP_EVENTS, fingerprint_databases, fingerprint_tree
from engine_backup.sample.engine import SampleEngine
from engine_backup.sample.size import TINY
from tests.support import real_process
from tests.support.clean_machine import clean_machine
from tests.support.machine import Machine, change_options

HOSTED_ENGINE_CALL = ("--provision-all-databases", "--restore-permissions")


@dataclass(frozen=True)
class Gone:
    """An engine that is no more: what it was, and its backup, which names a port that is free now."""

    sample: SampleEngine
    archive: Path
    databases: dict
    port: int


@pytest.fixture(scope="module")
def gone(tmp_path_factory: pytest.TempPathFactory) -> Gone:
    machine = Machine(tmp_path_factory.mktemp("gone"))
    with ScratchServer.start() as server:
        sample = engine.build(machine.root, server, TINY)
        databases = fingerprint_databases(sample.credentials, BACKUP_EVENTS)
        machine.engine_backup("backup").check()
        return Gone(sample, machine.archive, databases, server.port)


@pytest.fixture
def machine(gone: Gone) -> Iterator[Machine]:
    with clean_machine(gone.port) as found:
        shutil.copy2(gone.archive, found.archive)
        yield found


def query(machine: Machine, statement: str, database: str = "postgres") -> list:
    facts = LocalCluster(machine.root).observe()
    with closing(administrator.connect(facts, database)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def databases_of(machine: Machine) -> set[str]:
    return {name for (name,) in query(machine, "SELECT datname FROM pg_database WHERE NOT datistemplate")}


def check_restored(gone: Gone) -> None:
    restored = fingerprint_databases(gone.sample.credentials, BACKUP_EVENTS)
    for name, before in gone.databases.items():
        expected = {table: rows for table, rows in before.tables.items() if table not in CHANGED_TABLES}
        found = {t: rows for t, rows in restored[name].tables.items() if t not in CHANGED_TABLES}
        assert found == expected, name
        assert restored[name].owners == before.owners
        assert restored[name].privileges == before.privileges


@pytest.mark.parametrize("words", [HOSTED_ENGINE_CALL, ()], ids=["the hosted-engine call", "a plain restore"])
def test_a_clean_machine(words, machine: Machine, gone: Gone):
    result = machine.engine_backup("restore", *words).check()
    check_restored(gone)
    facts = LocalCluster(machine.root).observe()
    assert facts.running
    settings = dict(query(machine, "SELECT name, setting FROM pg_settings"))
    assert settings["max_connections"] == "150"
    assert settings["maintenance_work_mem"] == "65536"
    assert "Provisioning PostgreSQL users/databases:" in result.stdout
    assert "You should now run engine-setup." in result.stdout
    assert not any("_restoring_" in name for name in databases_of(machine))
    assert "_restoring_" not in (facts.data / "pg_hba.conf").read_text()
    assert machine.leftovers() == []


def test_passwords_of_extra_roles_are_told_in_a_private_file(machine: Machine, gone: Gone):
    result = machine.engine_backup("restore", *HOSTED_ENGINE_CALL).check()
    place = Path(re.search(r"passwords of new roles are in (\S+)", result.stdout)[1])
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    lines = [line.split("\t") for line in place.read_text().splitlines() if not line.startswith("#")]
    assert [line[0] for line in lines] == ["cfme_reader"]
    assert lines[0][2] not in result.stdout + result.stderr + machine.log.read_text()


def test_passwords_are_not_kept_beside_a_device(machine: Machine):
    words = machine.words("restore", *HOSTED_ENGINE_CALL, "--log=/dev/null")
    result = machine.command(*words).check()
    place = Path(re.search(r"passwords of new roles are in (\S+)", result.stdout)[1])
    assert place.parent == machine.root / "var/lib/ovirt-engine-backup"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


@pytest.mark.parametrize("exists", [False, True], ids=["a new role", "a role that was there"])
def test_grafanas_role_reads_with_its_own_password(exists, machine: Machine, gone: Gone):
    import psycopg2

    if exists:
        cluster = LocalCluster(machine.root)
        cluster.initialise()
        cluster.start()
        query(machine, "CREATE ROLE ovirt_engine_history_grafana PASSWORD 'another'")
    machine.engine_backup("restore", *HOSTED_ENGINE_CALL).check()
    password = gone.sample.roles["ovirt_engine_history_grafana"].reveal()
    login = gone.sample.credentials["dwh"]
    connection = psycopg2.connect(
        host=login.host, port=login.port, dbname=login.database,
        user="ovirt_engine_history_grafana", password=password,
    )  # fmt: skip
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM vm_samples_history")
        assert cursor.fetchone()[0] > 0


class TestWhatIsThere:
    @pytest.fixture
    def restored(self, machine: Machine) -> Machine:
        machine.engine_backup("restore", *HOSTED_ENGINE_CALL).check()
        return machine

    def test_after_engine_cleanup(self, restored: Machine, gone: Gone):
        """Roles and empty databases exist, with uuid-ossp."""
        for login in gone.sample.credentials.values():
            query(restored, f"DROP DATABASE {login.database}")
            query(restored, f"CREATE DATABASE {login.database} OWNER {login.user} TEMPLATE template0")
            query(restored, 'CREATE EXTENSION "uuid-ossp" SCHEMA public', login.database)
            query(restored, f"ALTER ROLE {login.user} PASSWORD 'another'")
        restored.engine_backup("restore", *HOSTED_ENGINE_CALL).check()
        check_restored(gone)

    def test_only_the_role_exists(self, restored: Machine, gone: Gone):
        for login in gone.sample.credentials.values():
            query(restored, f"DROP DATABASE {login.database}")
        restored.engine_backup("restore", *HOSTED_ENGINE_CALL).check()
        check_restored(gone)

    def test_in_use_a_new_one_is_made_and_the_restore_ends(self, restored: Machine):
        before = databases_of(restored)
        result = restored.engine_backup("restore", *HOSTED_ENGINE_CALL)
        assert result.status == 1
        assert "temporary ones created - Please clean up everything and try again" in result.fatal[0]
        added = databases_of(restored) - before
        assert {re.sub(r"_\d{14}$", "", name) for name in added} == before - {"postgres"}

    def test_in_use_by_another_role(self, restored: Machine):
        query(restored, "ALTER ROLE engine RENAME TO of_somebody_else")
        before = databases_of(restored)
        result = restored.engine_backup("restore", *HOSTED_ENGINE_CALL)
        assert "temporary ones created - Please clean up everything and try again" in result.fatal[0]
        assert len(databases_of(restored) - before) == len(before - {"postgres"})

    def test_only_some_databases_are_missing(self, restored: Machine, gone: Gone):
        """Making one implies permissions for all, so all that they need must be there."""
        names = [login.database for login in gone.sample.credentials.values()]
        for name in names:
            query(restored, f"DROP DATABASE {name}")
        query(restored, "CREATE DATABASE engine OWNER engine TEMPLATE template0")
        query(restored, "DROP ROLE cfme_reader")
        result = restored.engine_backup("restore")
        assert result.status == 3, result.stderr
        assert [line for line in result.fatal if "roles that do not exist here: cfme_reader" in line]

    def test_in_use_a_dry_run_says_that_it_would_end(self, restored: Machine):
        before = databases_of(restored)
        result = restored.engine_backup("restore", *HOSTED_ENGINE_CALL, "--dry-run")
        assert result.status == 3
        assert "a restore would make engine_" in result.fatal[0]
        assert "put" not in result.stdout
        assert databases_of(restored) == before

    def test_in_use_and_refused(self, restored: Machine):
        before = databases_of(restored)
        result = restored.engine_backup("restore", *HOSTED_ENGINE_CALL, "--on-existing=refuse")
        assert result.status == 3
        assert databases_of(restored) == before

    def test_in_use_and_replaced(self, restored: Machine, gone: Gone):
        before = databases_of(restored)
        words = (*HOSTED_ENGINE_CALL, "--on-existing=replace")
        assert restored.engine_backup("restore", *words).status == 1
        assert databases_of(restored) == before
        restored.engine_backup("restore", *words, "--yes").check()
        check_restored(gone)
        kept = databases_of(restored) - before
        assert {re.sub(r"_before_restore_\d{14}$", "", name) for name in kept} == before - {"postgres"}

    def test_in_use_on_a_server_that_has_to_be_started_first(self, restored: Machine):
        """Nobody could be asked before, so somebody is asked then."""
        before = databases_of(restored)
        cluster = LocalCluster(restored.root)
        cluster.stop()
        result = restored.engine_backup("restore", *HOSTED_ENGINE_CALL, "--on-existing=replace")
        assert result.fatal == ["FATAL: databases are only replaced when somebody agrees"]
        assert not cluster.observe().running
        cluster.start()
        assert databases_of(restored) == before

    def test_a_wrong_password_is_not_an_absent_database(self, restored: Machine, gone: Gone):
        login = gone.sample.credentials["engine"]
        query(restored, f"ALTER ROLE {login.user} PASSWORD 'another'")
        result = restored.engine_backup("restore", "--restore-permissions")
        assert result.status == 3
        assert [line for line in result.fatal if "Can't connect to database 'engine'" in line]


def test_what_dumps_do_not_hold_comes_back_by_the_manifest(gone: Gone, tmp_path: Path):
    """Privileges on databases, settings of databases and of roles in them, grants by non-owners (13.4)."""
    source = Machine(tmp_path / "source")
    with ScratchServer.start() as server:
        sample = engine.build(source.root, server, TINY)
        login = sample.credentials["engine"]
        with closing(server.connect(login.database)) as connection, connection.cursor() as cursor:
            cursor.execute("REVOKE CONNECT ON DATABASE engine FROM PUBLIC")
            cursor.execute("GRANT CONNECT, TEMPORARY ON DATABASE engine TO cfme_reader")
            cursor.execute("ALTER DATABASE engine SET work_mem = '12MB'")
            cursor.execute("ALTER ROLE cfme_reader IN DATABASE engine SET statement_timeout = '9s'")
            cursor.execute(
                'CREATE ROLE "Deputy Admin" LOGIN; GRANT ALL ON job TO "Deputy Admin" WITH GRANT OPTION'
            )
            cursor.execute('SET SESSION AUTHORIZATION "Deputy Admin"; GRANT SELECT ON job TO cfme_reader')
            connection.commit()
        source.engine_backup("backup").check()
        port = server.port
    with clean_machine(port) as machine:
        shutil.copy2(source.archive, machine.archive)
        machine.engine_backup("restore", *HOSTED_ENGINE_CALL).check()
        grants = query(machine, "SELECT has_database_privilege('cfme_reader', 'engine', 'TEMPORARY')")
        assert grants == [(True,)]
        assert query(
            machine, "SELECT has_database_privilege('ovirt_engine_keycloak', 'engine', 'CONNECT')"
        ) == [(False,)]
        settings = {
            (database, role): sorted(values)
            for database, role, values in query(
                machine,
                "SELECT datname, rolname, setconfig FROM pg_db_role_setting s"
                " JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole",
            )
        }
        assert settings == {
            ("engine", None): ["work_mem=12MB"],
            ("engine", "cfme_reader"): ["statement_timeout=9s"],
        }
        granted = "SELECT grantor, grantee FROM information_schema.table_privileges WHERE table_name = 'job'"
        assert ("Deputy Admin", "cfme_reader") in query(machine, granted, "engine")


def test_a_dry_run_lists_all_that_is_wrong_at_once(machine: Machine, gone: Gone):
    cluster = LocalCluster(machine.root)
    cluster.initialise()
    cluster.start()
    with (cluster.data / "pg_hba.conf").open("a") as hba:
        hba.write("locl nonsense\n")
    query(machine, "CREATE ROLE engine LOGIN SUPERUSER")
    query(machine, "CREATE DATABASE ovirt_engine_history")
    query(machine, "CREATE TABLE public.mine ()", "ovirt_engine_history")
    shutil.rmtree(machine.root / "usr/share")
    (machine.root / "etc/exports.d").write_text("a file where a directory belongs")
    (machine.root / "etc/ovirt-engine").symlink_to(machine.directory)
    words = (*HOSTED_ENGINE_CALL, "--on-existing=refuse", "--dry-run")
    script = machine.directory / "ovirt-engine.py"
    script.write_text("import time\ntime.sleep(60)\n")
    with subprocess.Popen([sys.executable, str(script)]) as running:
        mark = machine.root / "var/lib/ovirt-engine/engine.up"
        mark.parent.mkdir(parents=True)
        mark.write_text(str(running.pid))
        result = machine.engine_backup("restore", *words)
        running.kill()
    assert result.status == 3
    for planted in (
        "product version is unknown",
        "role 'engine' is a superuser",
        "'ovirt_engine_history' is not empty",
        "pg_hba.conf has a line that PostgreSQL does not take",
        "/etc/exports.d",
        "etc/ovirt-engine",
        "service is active - can not restore backup",
    ):
        assert any(planted in line for line in result.fatal), (planted, result.fatal)


class TestUndone:
    def test_a_failure_leaves_the_machine_as_it_was(self, machine: Machine, gone: Gone):
        from tests.end_to_end.test_restore import _break_grafana

        before = fingerprint_tree(machine.root / "etc")
        holder = type("Holder", (), {"machine": machine})()
        _break_grafana(holder)
        result = machine.engine_backup("restore", *HOSTED_ENGINE_CALL)
        assert result.status == 5, result.stderr
        assert "All that was changed has been undone." in result.stdout
        facts = LocalCluster(machine.root).observe()
        assert not facts.running
        assert not facts.initialised
        assert fingerprint_tree(machine.root / "etc") == before
        assert machine.leftovers() == []

    def test_on_a_running_server_too(self, machine: Machine, gone: Gone):
        from tests.end_to_end.test_restore import _break_grafana

        cluster = LocalCluster(machine.root)
        cluster.initialise()
        cluster.start()
        files = {name: (cluster.data / name).read_text() for name in ("postgresql.conf", "pg_hba.conf")}
        _break_grafana(type("Holder", (), {"machine": machine})())
        result = machine.engine_backup("restore", *HOSTED_ENGINE_CALL)
        assert result.status == 5, result.stderr
        assert databases_of(machine) == {"postgres"}
        assert query(machine, "SELECT rolname FROM pg_roles WHERE rolcanlogin") == [
            (cluster.observe().owner,)
        ]
        assert {name: (cluster.data / name).read_text() for name in files} == files

    def test_databases_that_were_taken_over(self, machine: Machine, gone: Gone):
        """Their owner, privileges and settings come back, and roles that were made are dropped."""
        from tests.end_to_end.test_restore import _break_grafana

        cluster = LocalCluster(machine.root)
        cluster.initialise()
        cluster.start()
        query(machine, "CREATE ROLE somebody; CREATE ROLE ovirt_engine_history_grafana")
        for login in gone.sample.credentials.values():
            query(machine, f"CREATE DATABASE {login.database} OWNER somebody TEMPLATE template0")
        query(machine, "GRANT CREATE ON DATABASE engine TO ovirt_engine_history_grafana")
        query(machine, "ALTER DATABASE engine SET work_mem = '3MB'")
        query(machine, "ALTER DATABASE engine SET log_statement = 'none'")
        databases = (
            "SELECT datname, pg_get_userbyid(datdba), a.grantee, a.privilege_type"
            " FROM pg_database, LATERAL aclexplode(coalesce(datacl, acldefault('d', datdba))) a"
            " ORDER BY 1, 3, 4"
        )
        settings = "SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting ORDER BY 1, 2"
        roles = "SELECT rolname, rolcanlogin FROM pg_roles ORDER BY 1"
        before = [query(machine, statement) for statement in (databases, settings, roles)]
        _break_grafana(type("Holder", (), {"machine": machine})())
        result = machine.engine_backup("restore", *HOSTED_ENGINE_CALL)
        assert result.status == 5, result.stderr
        assert "All that was changed has been undone." in result.stdout
        assert [query(machine, statement) for statement in (databases, settings, roles)] == before

    def test_when_the_server_does_not_start(self, machine: Machine):
        cluster = LocalCluster(machine.root)
        cluster.initialise()
        with (cluster.data / "postgresql.conf").open("a") as configuration:
            configuration.write("no_such_setting = 1\n")
        result = machine.engine_backup("restore", *HOSTED_ENGINE_CALL)
        assert result.status == 1, result.stderr
        assert "cannot start PostgreSQL" in result.fatal[0]
        assert "All that was changed has been undone." in result.stdout

    def test_when_a_role_may_not_connect(self, machine: Machine, gone: Gone):
        """Its database is dropped as administrator; nobody has to empty it before."""
        cluster = LocalCluster(machine.root)
        cluster.initialise()
        cluster.start()
        query(machine, "CREATE ROLE engine LOGIN CONNECTION LIMIT 0")
        result = machine.engine_backup("restore", *HOSTED_ENGINE_CALL)
        assert result.status == 1, result.stderr
        assert "All that was changed has been undone." in result.stdout
        assert databases_of(machine) == {"postgres"}


def test_a_dry_run_tells_what_would_be_done_first(machine: Machine):
    result = machine.engine_backup("restore", *HOSTED_ENGINE_CALL, "--dry-run").check()
    assert "initialise PostgreSQL" in result.stdout
    assert not LocalCluster(machine.root).observe().initialised


def test_a_server_whose_administrator_needs_a_password(machine: Machine, gone: Gone):
    """`local` lines with scram: stock waits a minute and fails (quirk 47)."""
    cluster = LocalCluster(machine.root)
    cluster.initialise()
    hba = cluster.data / "pg_hba.conf"
    text = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
    hba.write_text(text)
    cluster.start()
    machine.engine_backup("restore", *HOSTED_ENGINE_CALL).check()
    check_restored(gone)
    now = hba.read_text()
    assert "peer" not in now
    assert text.splitlines()[0] in now


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (HOSTED_ENGINE_CALL, "is served by another server than that of"),
        (("--restore-permissions",), "Can't connect to database 'engine'"),
    ],
    ids=["asked for", "on its own"],
)
def test_another_server_than_the_machines_own_is_left_alone(words, message, machine: Machine, gone: Gone):
    with ScratchServer.start(Wanted(port=gone.port)):
        result = machine.engine_backup("restore", *words)
    assert result.status == 3, result.stderr
    assert [line for line in result.fatal if message in line]
    assert not LocalCluster(machine.root).observe().initialised


def test_a_signal_comes_too_late_when_all_is_restored(machine: Machine, gone: Gone):
    """The administrator's line goes last; whoever stops then leaves it there."""
    cluster = LocalCluster(machine.root)
    cluster.initialise()
    hba = cluster.data / "pg_hba.conf"
    hba.write_text("local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n")
    cluster.start()
    marked = f"grep -q '{MARK}' {hba}"
    user = server_account()
    drop = f"setpriv --reuid={user.uid} --regid={user.gid} --clear-groups" if user else ""
    pg_ctl = f"{drop} {postgres_programs.for_server().path('pg_ctl')} -s -D {cluster.data}"
    program = machine.root / "usr/bin/systemctl"
    program.write_text(
        f"""#!/bin/sh
case "$1" in
    reload) {pg_ctl} reload
            if {marked}; then touch {machine.directory}/marked
            elif [ -e {machine.directory}/marked ]; then kill -TERM $PPID; fi ;;
    restart) {pg_ctl} -l {cluster.data}/log restart ;;
    is-active) echo inactive ;;
esac
"""
    )
    program.chmod(0o755)
    result = real_process.run(machine.words("restore", *HOSTED_ENGINE_CALL)).check()
    assert result.stdout.splitlines()[-1] == "Done."
    assert MARK not in hba.read_text()
    assert machine.leftovers() == []
    check_restored(gone)


def test_databases_that_are_reached_through_the_socket(machine: Machine, gone: Gone):
    cluster = LocalCluster(machine.root)
    cluster.initialise()
    cluster.start()
    sockets = str(cluster.observe().socket_directory)
    logins = {name: replace(login, host=sockets) for name, login in gone.sample.credentials.items()}
    words = change_options(logins, machine.directory)
    machine.engine_backup("restore", *HOSTED_ENGINE_CALL, *words).check()
    check_restored(replace(gone, sample=replace(gone.sample, credentials=logins)))


def test_an_administrator_over_the_network(gone: Gone, tmp_path: Path):
    from engine_backup.sample import tree

    machine = Machine(tmp_path)
    tree.install_packages(machine.root)
    shutil.copy2(gone.archive, machine.archive)
    with ScratchServer.start(Wanted(port=gone.port)) as server:
        (tmp_path / "admin").write_text(server.superuser_password.reveal())
        machine.engine_backup(
            "restore",
            *HOSTED_ENGINE_CALL,
            "--provision-admin-user=postgres",
            f"--provision-admin-passfile={tmp_path}/admin",
        ).check()
        check_restored(gone)


def test_forged_privileges_in_the_manifest_are_refused_before_anything_is_touched(
    machine: Machine, gone: Gone
):
    import json
    import tarfile

    from engine_backup.drivers.archive_writer import ArchiveWriter

    with tarfile.open(machine.archive) as opened:
        found = {m.name[2:]: opened.extractfile(m).read() for m in opened if m.isfile()}
    manifest = json.loads(found["manifest.json"])
    row = next(m for m in manifest["members"] if m["name"] == "db/engine_backup.db")
    row["privileges"]["settings"] = [{"name": "session_preload_libraries", "value": "/tmp/x.so"}]
    found["manifest.json"] = json.dumps(manifest).encode()
    with machine.archive.open("wb") as file:
        writer = ArchiveWriter(file, "", machine.directory, 0)
        writer.add_directory("db")
        for name, data in found.items():
            if name != "sha256sum":
                writer.add_bytes(name, data)
        writer.finish()
    before = fingerprint_tree(machine.root)
    result = machine.engine_backup("restore", *HOSTED_ENGINE_CALL)
    assert result.status == 6, result.stderr
    assert fingerprint_tree(machine.root) == before
