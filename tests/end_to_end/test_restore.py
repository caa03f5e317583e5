"""Restores of the sample engine into real databases and a real directory."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine_backup.drivers import config_files
from engine_backup.drivers.engine_fixes import CHANGED_TABLES
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME, DATABASES
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.sample.compare import BACKUP_EVENTS, fingerprint_databases, fingerprint_tree
from tests.support import golden
from tests.support.lasting import identity
from tests.support.machine import Machine, Result, change_options, login
from tests.support.sample import Original, clean_machine

READERS = ("cfme_reader", "ovirt_engine_history_grafana")
LEFT_ALONE = ("etc/os-release", "usr", "tmp", "var/tmp", "var/log", "var/lib/ovirt-engine-backup")


@dataclass
class Target:
    """A clean machine, and empty databases on a server that other tests use too."""

    machine: Machine
    server: ScratchServer
    logins: dict[str, Credentials]
    original: Original

    def restore(self, *words: str) -> Result:
        changes = change_options(self.logins, self.machine.directory)
        return self.machine.engine_backup("restore", *changes, *words)

    def databases(self):
        return fingerprint_databases(self.logins, BACKUP_EVENTS)

    def execute(self, component: str, statement: str, administrator: bool = False):
        credentials = self.logins[component]
        user = "" if administrator else credentials.user
        password = None if administrator else credentials.password
        with closing(self.server.connect(credentials.database, user, password)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def is_empty(self) -> bool:
        query = (
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
        )
        functions = (
            "SELECT count(*) FROM pg_proc p WHERE pronamespace = 'public'::regnamespace"
            " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND deptype = 'e')"
        )
        return all(
            self.execute(name, query) == [(0,)] and self.execute(name, functions) == [(0,)]
            for name in self.logins
        )


@pytest.fixture(scope="module")
def readers(postgres_server: ScratchServer) -> None:
    with closing(postgres_server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        present = {name for (name,) in cursor.fetchall()}
    for role in READERS:
        if role not in present:
            postgres_server.create_role(role, Secret("reader"))


@pytest.fixture
def target(
    original: Original, postgres_server: ScratchServer, readers: None, tmp_path: Path
) -> Iterator[Target]:
    machine = clean_machine(original, tmp_path)
    mark = f"r{abs(hash(str(tmp_path))) % 10**9}"
    logins = {
        name: login(postgres_server, f"{mark}_{name}", f"{mark}_{name}")
        for name in original.sample.credentials
    }
    yield Target(machine, postgres_server, logins, original)


class TestComplete:
    def test_everything_is_back(self, target: Target):
        result = target.restore("--restore-permissions").check()
        _check_tables(target, cleaned=CHANGED_TABLES)
        _check_files(target)
        lines = result.stdout.splitlines()
        assert lines[-2:] == ["You should now run engine-setup.", "Done."]
        assert any("The engine database was backed up at" in line for line in lines)
        assert "The engine database was backed up at" in target.machine.log.read_text()
        assert target.machine.leftovers() == []

    def test_grants_come_back_with_permissions_only(self, target: Target):
        target.restore("--restore-permissions").check()
        readable = "SELECT has_table_privilege('cfme_reader', 'vm_static', 'SELECT')"
        assert target.execute("engine", readable) == [(True,)]

    def test_no_grants_without_permissions(self, target: Target):
        target.restore("--no-restore-permissions").check()
        readable = "SELECT has_table_privilege('cfme_reader', 'vm_static', 'SELECT')"
        assert target.execute("engine", readable) == [(False,)]
        _check_tables(target, cleaned=CHANGED_TABLES)

    def test_one_job_is_streamed(self, target: Target):
        words = [f"--{BY_NAME[name].option_prefix}db-restore-jobs=1" for name in target.logins]
        target.restore("--restore-permissions", *words).check()
        assert "(streamed" in target.machine.log.read_text()
        _check_tables(target, cleaned=CHANGED_TABLES)

    @pytest.mark.parametrize(
        "options",
        [["--classic", "--archive-compressor=gzip"], ["--small-size"], ["--fast-backup"], ["--fast-restore"]],
        ids=lambda words: words[0],
    )
    def test_every_preset_comes_back(self, options, target: Target):
        source = target.original.machine
        source.command(
            "backup",
            f"--root={source.root}",
            f"--file={target.machine.archive}",
            f"--log={target.machine.directory}/backup-log",
            *options,
        ).check()
        plain = options == ["--small-size"]
        target.restore(*([] if plain else ["--restore-permissions"])).check()
        _check_tables(target, cleaned=CHANGED_TABLES)
        _check_files(target)


def _check_tables(target: Target, cleaned: frozenset[str] = frozenset()) -> None:
    restored = target.databases()
    for name, before in target.original.databases.items():
        expected = {table: rows for table, rows in before.tables.items() if table not in cleaned}
        found = {table: rows for table, rows in restored[name].tables.items() if table not in cleaned}
        assert found == expected, name
        assert restored[name].definitions == before.definitions
        assert set(restored[name].owners.values()) <= {target.logins[name].user}


def _check_files(target: Target) -> None:
    """All that was saved is as it was, but conf files with the new credentials; nothing else is there."""
    before, now = target.original.files, fingerprint_tree(target.machine.root)
    with tarfile.open(target.original.machine.archive) as outer:
        with tarfile.open(fileobj=outer.extractfile("./files")) as inner:
            saved = set(inner.getnames())
    conf = {path.lstrip("/") for name in target.logins for path in BY_NAME[name].rewritten_files}
    changed = conf | {path.rpartition("/")[0] for path in conf}
    for name in saved & before.keys() - changed - _left_out(saved):
        assert name in now, name
        assert replace(now[name], mtime_ns=0) == replace(before[name], mtime_ns=0), name
        assert now[name].mtime_ns // 10**9 == before[name].mtime_ns // 10**9, name
    extra = {name for name in now.keys() - before.keys() if not name.startswith(LEFT_ALONE)}
    assert {re.sub(r"\.\d{14}$", "", name) for name in extra} <= conf


def _left_out(saved: set[str]) -> set[str]:
    left_out = ("packaging", "cacert.template.in", "cert.template.in", "openssl.conf", "engine-config")
    return {name for name in saved if any(word in name for word in left_out)}


class TestAfterLoad:
    def test_temporary_data_is_cleaned(self, target: Target):
        result = target.restore("--restore-permissions").check()
        for table in ("async_tasks", "command_entities", "job", "step", "job_subject_entity"):
            assert target.execute("engine", f"SELECT count(*) FROM {table}") == [(0,)], table
        flag = "SELECT var_value FROM dwh_history_timekeeping WHERE var_name = 'DwhCurrentlyRunning'"
        assert target.execute("engine", flag) == [("0",)]
        mark = "SELECT option_value, version FROM vdc_options WHERE option_name = 'DbJustRestored'"
        assert target.execute("engine", mark) == [("1", "general")]
        states = (
            "SELECT DISTINCT d.status, d.exit_status, d.exit_reason, d.run_on_vds, d.migrating_to_vds"
            " FROM vm_dynamic d JOIN vm_static s USING (vm_guid) WHERE auto_startup AND lease_sd_id IS NULL"
        )
        assert target.execute("engine", states) == [(0, 2, -1, None, None)]
        others = "SELECT count(*) FROM vm_dynamic WHERE run_on_vds IS NOT NULL"
        assert target.execute("engine", others)[0][0] > 0
        assert "  - Resetting HA VM status" in result.stdout.splitlines()

    def test_temporary_data_can_be_kept(self, target: Target):
        target.restore("--restore-permissions", "--keep-temporary-data").check()
        _check_tables(target)

    def test_an_old_database_without_those_tables(self, target: Target):
        """What is not there is skipped with a line, and the rest is done."""
        from engine_backup.drivers import engine_fixes
        from engine_backup.model.components import AfterLoad

        target.execute("engine", "CREATE TABLE job (job_id integer); INSERT INTO job VALUES (1)")
        said: list[str] = []
        engine_fixes.apply(AfterLoad.ENGINE, target.logins["engine"], "engine", said.append)
        assert target.execute("engine", "SELECT count(*) FROM job") == [(0,)]
        assert len([line for line in said if "Skipped" in line]) == 3


class TestCredentials:
    def test_conf_files_hold_the_new_ones_and_everything_else(self, target: Target):
        result = target.restore("--restore-permissions").check()
        configuration = config_files.load(target.machine.root)
        for name, expected in target.logins.items():
            found = config_files.credentials(configuration, BY_NAME[name])
            assert found is not None
            assert (found.host, found.port, found.user, found.database, found.password) == (
                expected.host,
                expected.port,
                expected.user,
                expected.database,
                expected.password,
            )
        keycloak = target.machine.root / "etc/ovirt-engine/engine.conf.d/12-setup-keycloak.conf"
        assert "EXTERNAL_OIDC_CLIENT_SECRET" in keycloak.read_text()
        for conf in (keycloak, target.machine.root / BY_NAME["engine"].conf_file.lstrip("/")):
            copies = [path for path in conf.parent.iterdir() if path.name.startswith(f"{conf.name}.")]
            assert len(copies) == 1
            assert f"Rewriting /{conf.relative_to(target.machine.root)}" in result.stdout.replace(
                str(target.machine.root), ""
            )

    def test_without_changes_the_archived_ones_are_used(self, target: Target):
        """The archive names the server of the original, where the databases are not empty."""
        result = target.machine.engine_backup("restore", "--restore-permissions")
        assert result.status == 3
        assert [line for line in result.fatal if "is not empty" in line]
        assert len(result.fatal) == len(target.logins)

    def test_only_files_of_changed_components_are_touched(self, target: Target):
        change = change_options({"engine": target.logins["engine"]}, target.machine.directory)
        target.machine.engine_backup(
            "restore", "--scope=files", "--scope=db", "--restore-permissions", *change
        ).check()
        directory = target.machine.root / "etc/ovirt-engine/engine.conf.d"
        copies = {path.name[:-15] for path in directory.iterdir() if re.search(r"\.\d{14}$", path.name)}
        assert copies == {"10-setup-database.conf"}


class TestRefused:
    def test_a_database_that_is_not_empty(self, target: Target):
        target.execute("dwh", "CREATE VIEW mine AS SELECT 1 AS one")
        result = target.restore("--restore-permissions")
        assert result.status == 3
        assert len(result.fatal) == 1
        assert f"Database '{target.logins['dwh'].database}' is not empty" in result.fatal[0]
        assert not (target.machine.root / "etc/ovirt-engine").exists()
        assert target.machine.leftovers() == []

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
            "CREATE TYPE colour AS ENUM ('red')",
            "CREATE SCHEMA other",
            "CREATE SEQUENCE s",
        ],
    )
    def test_any_object_counts(self, statement, target: Target):
        target.execute("engine", statement)
        result = target.restore("--restore-permissions")
        assert [line for line in result.fatal if "is not empty" in line]

    def test_what_engine_cleanup_leaves_counts_as_empty(self, target: Target):
        """Schema public's owner and rights, default privileges, and the extension stay behind."""
        user = target.logins["dwh"].user
        target.execute("dwh", f"ALTER SCHEMA public OWNER TO {user}", administrator=True)
        target.execute(
            "dwh", "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC", True
        )
        target.restore("--restore-permissions").check()

    def test_the_question_about_permissions(self, target: Target):
        result = target.restore()
        assert result.status == 3
        assert result.fatal == [
            "FATAL: Please pass one of --restore-permissions or --no-restore-permissions"
            " when restoring a backup with a custom dump format"
        ]

    def test_roles_that_do_not_exist(self, target: Target, postgres_server):
        for name, sql in (("cfme_reader", 'ALTER ROLE cfme_reader RENAME TO "Cfme Reader"'),):
            target.execute("engine", sql, administrator=True)
            try:
                result = target.restore("--restore-permissions")
            finally:
                target.execute("engine", f'ALTER ROLE "Cfme Reader" RENAME TO {name}', administrator=True)
        assert result.status == 3
        assert result.fatal == [
            "FATAL: the Engine database grants to roles that do not exist here: cfme_reader"
        ]
        assert 'CREATE ROLE "cfme_reader" LOGIN;' in result.stderr

    def test_a_superuser(self, target: Target):
        user = target.logins["engine"].user
        target.execute("engine", f"ALTER ROLE {user} SUPERUSER", administrator=True)
        result = target.restore("--restore-permissions")
        assert [line for line in result.fatal if "is a superuser" in line]

    def test_a_role_that_may_not_create(self, target: Target):
        target.execute("engine", f"ALTER DATABASE {target.logins['engine'].database} OWNER TO postgres", True)
        result = target.restore("--restore-permissions")
        assert [line for line in result.fatal if "may not create objects" in line]

    def test_another_version(self, target: Target):
        result = target.restore("--restore-permissions", "--product-version=4.3.10.4")
        assert result.status == 7
        assert "Backup was created by version '4.5.7'" in result.fatal[0]

    def test_an_unknown_version(self, target: Target):
        shutil.rmtree(target.machine.root / "usr")
        result = target.restore("--restore-permissions")
        assert [line for line in result.fatal if "product version is unknown" in line]
        target.restore("--restore-permissions", "--product-version=4.5.7").check()

    def test_nothing_of_that_scope(self, target: Target):
        result = target.machine.engine_backup("restore", "--scope=cinderlibdb")
        assert result.status == 3
        assert "nothing to restore" in result.fatal[0]

    def test_a_running_engine(self, target: Target):
        import subprocess
        import sys

        script = target.machine.directory / "ovirt-engine.py"
        script.write_text("import time\ntime.sleep(60)\n")
        with subprocess.Popen([sys.executable, str(script)]) as engine:
            mark = target.machine.root / "var/lib/ovirt-engine/engine.up"
            mark.parent.mkdir(parents=True)
            mark.write_text(f"{engine.pid}\n")
            result = target.restore("--restore-permissions")
            engine.kill()
        assert "FATAL: Engine service is active - can not restore backup" in result.fatal

    def test_a_directory_where_a_file_belongs(self, target: Target):
        place = target.machine.root / "etc/ovirt-engine/engine.conf.d/10-setup-database.conf"
        place.mkdir(parents=True)
        result = target.restore("--restore-permissions")
        assert result.status == 3
        assert "is a directory here" in result.fatal[0]
        assert target.is_empty()

    def test_a_remote_host_that_only_the_archive_names(self, target: Target):
        _forge_host(target, "203.0.113.9")
        result = target.machine.engine_backup(
            "restore", "--scope=files", "--scope=db", "--no-restore-permissions"
        )
        assert result.status == 3
        assert "names the remote database 203.0.113.9:" in result.fatal[0]

    def test_all_problems_at_once(self, target: Target):
        target.execute("dwh", "CREATE TABLE mine ()")
        shutil.rmtree(target.machine.root / "usr")
        (target.machine.root / "etc/exports.d").write_text("a file")
        result = target.restore()
        assert result.status == 3
        assert len(result.fatal) >= 4

    def test_a_dry_run_changes_nothing(self, target: Target):
        before = fingerprint_tree(target.machine.root)
        result = target.restore("--restore-permissions", "--dry-run").check()
        assert "load the Engine database" in result.stdout
        assert f"connects to {target.logins['engine'].address}" in result.stdout
        assert target.is_empty()
        assert fingerprint_tree(target.machine.root) == before

    def test_a_dry_run_says_by_its_status_whether_it_would_run(self, target: Target):
        assert target.restore("--dry-run").status == 3


def _forge_host(target: Target, host: str) -> None:
    """Back up an engine whose conf names another host; only files and the dump of a reachable one matter."""
    from engine_backup.drivers.credentials_rewriting import rewritten

    root = target.machine.directory / "forged"
    shutil.copytree(target.original.machine.root, root, symlinks=True)
    engine = BY_NAME["engine"]
    conf = root / engine.conf_file.lstrip("/")
    login = target.original.sample.credentials["engine"]
    command = target.machine.command
    words = [f"--root={root}", f"--log={target.machine.directory}/l", "--scope=files", "--scope=db"]
    forged = replace(login, host=host)
    original_connect = conf.read_text()
    conf.write_text(rewritten(original_connect, engine, login))
    command("backup", f"--file={target.machine.archive}", *words).check()
    _replace_in_archive(target.machine.archive, conf, rewritten(original_connect, engine, forged), root)


def _replace_in_archive(archive: Path, conf: Path, text: str, root: Path) -> None:
    """Write the archive again with another conf file in it, hashes right."""
    import io

    from engine_backup.drivers.archive_writer import ArchiveWriter

    with tarfile.open(archive) as opened:
        found = {m.name[2:]: opened.extractfile(m).read() for m in opened if m.isfile()}
    name = str(conf.relative_to(root))
    packed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(found["files"])) as inner:
        with tarfile.open(fileobj=packed, mode="w:xz", format=tarfile.GNU_FORMAT) as forged:
            for member in inner:
                content = inner.extractfile(member).read() if member.isreg() else b""
                if member.name == name:
                    content = text.encode()
                member.size = len(content)
                member.type = tarfile.REGTYPE if member.isreg() else member.type
                forged.addfile(member, io.BytesIO(content))
    found["files"] = packed.getvalue()
    with archive.open("wb") as target:
        writer = ArchiveWriter(target, "", archive.parent, 0)
        writer.add_directory("db")
        for member, content in found.items():
            if member != "sha256sum":
                writer.add_bytes(member, content)
        writer.finish()


class TestFiles:
    def test_existing_files_are_replaced_and_others_stay(self, target: Target):
        place = target.machine.root / "etc/ovirt-engine"
        (place / "engine.conf.d").mkdir(parents=True)
        (place / "mine.txt").write_text("stays")
        (place / "engine.conf.d/10-setup-java.conf").write_text("not what a conf file looks like")
        result = target.machine.engine_backup("restore", "--scope=files").check()
        assert "this machine's configuration is not looked at" in result.stderr
        assert (place / "mine.txt").read_text() == "stays"
        assert "JAVA_HOME" in (place / "engine.conf.d/10-setup-java.conf").read_text()

    def test_paths_outside_of_the_table_are_listed_not_written(self, target: Target, tmp_path):
        source = target.original.machine
        extra = ["--include-path=/etc/sysconfig/network", "--include-path=/usr/share/ovirt-engine"]
        source.command(
            "backup",
            f"--root={source.root}",
            f"--file={target.machine.archive}",
            f"--log={tmp_path}/b",
            "--scope=files",
            *extra,
        ).check()
        shutil.rmtree(target.machine.root / "usr")
        words = ["--scope=files", "--product-version=4.5.7"]
        result = target.machine.engine_backup("restore", *words).check()
        assert "--include-path=/etc/sysconfig/network" in result.stderr
        assert "--allow-path=/usr/share/ovirt-engine" in result.stderr
        assert not (target.machine.root / "etc/sysconfig/network").exists()
        assert not (target.machine.root / "usr").exists()
        allowed = ["--include-path=/etc/sysconfig/network", "--allow-path=/usr/share/ovirt-engine"]
        target.machine.engine_backup("restore", *words, *allowed).check()
        assert (target.machine.root / "etc/sysconfig/network").exists()
        assert (target.machine.root / "usr/share/ovirt-engine").exists()

    def test_nothing_is_written_through_a_planted_link(self, target: Target, tmp_path):
        outside = tmp_path / "outside"
        outside.mkdir()
        (target.machine.root / "etc/ovirt-engine").symlink_to(outside)
        result = target.machine.engine_backup("restore", "--scope=files")
        assert result.status == 3
        assert list(outside.iterdir()) == []

    def test_grafana_comes_back_without_the_old_ones_companions(self, target: Target):
        directory = target.machine.root / "var/lib/grafana"
        directory.mkdir(parents=True)
        for suffix in ("", "-wal", "-shm", "-journal"):
            (directory / f"grafana.db{suffix}").write_text("old")
        target.machine.engine_backup("restore", "--scope=grafanadb").check()
        assert [path.name for path in directory.iterdir()] == ["grafana.db"]
        assert (directory / "grafana.db").read_bytes().startswith(b"SQLite format 3\0")

    def test_grafanas_directory_is_made_closed(self, target: Target):
        target.machine.engine_backup("restore", "--scope=grafanadb").check()
        assert stat.S_IMODE((target.machine.root / "var/lib/grafana").stat().st_mode) == 0o750


class TestLabels:
    @pytest.fixture
    def labelled(self, target: Target) -> Target:
        programs = target.machine.root / "usr/sbin"
        programs.mkdir(parents=True)
        recorded = target.machine.directory / "labelled"
        for name, body in (("selinuxenabled", "exit 0"), ("restorecon", f'cat "$3" > {recorded}')):
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)
        return target

    def test_every_restored_path_is_labelled(self, labelled: Target):
        labelled.machine.engine_backup("restore", "--scope=files", "--scope=grafanadb").check()
        root = os.fsencode(labelled.machine.root) + b"/"
        names = (labelled.machine.directory / "labelled").read_bytes().split(b"\0")
        assert root + b"etc/ovirt-engine/engine.conf.d" in names
        assert root + b"var/lib/grafana/grafana.db" in names
        for name in filter(None, names):
            assert os.path.lexists(name)

    def test_directories_that_had_to_be_made_are_labelled(self, labelled: Target):
        labelled.machine.engine_backup("restore", "--scope=files").check()
        names = (labelled.machine.directory / "labelled").read_bytes().split(b"\0")
        made = labelled.machine.root / "etc/pki"
        assert os.fsencode(made) in names
        assert os.fsencode(labelled.machine.root / "etc") not in names
        assert len(names) == len(set(names))

    def test_a_missing_program_is_known_before(self, labelled: Target):
        (labelled.machine.root / "usr/sbin/restorecon").unlink()
        result = labelled.machine.engine_backup("restore", "--scope=files")
        assert result.status == 3
        assert result.fatal[0] == "FATAL: SELinux is on, but there is no restorecon"
        assert not (labelled.machine.root / "etc/ovirt-engine").exists()

    def test_nothing_is_done_where_selinux_is_off(self, labelled: Target):
        (labelled.machine.root / "usr/sbin/selinuxenabled").write_text("#!/bin/sh\nexit 1\n")
        labelled.machine.engine_backup("restore", "--scope=files").check()
        assert not (labelled.machine.directory / "labelled").exists()

    def test_a_failure_is_told_and_undone(self, labelled: Target):
        (labelled.machine.root / "usr/sbin/restorecon").write_text(
            "#!/bin/sh\necho no policy >&2\nexit 255\n"
        )
        result = labelled.machine.engine_backup("restore", "--scope=files")
        assert result.fatal == [
            "FATAL: Failed setting selinux contexts: restorecon failed with exit status 255: no policy"
        ]
        assert not (labelled.machine.root / "etc/ovirt-engine").exists()


class TestUndone:
    """What fails late takes back what was done early."""

    def test_a_failing_placement_empties_the_databases_and_puts_files_back(self, target: Target):
        root = target.machine.root
        kept = root / "etc/ovirt-engine/engine.conf.d/10-setup-java.conf"
        kept.parent.mkdir(parents=True)
        kept.write_text("OLD=1")
        os.utime(kept, (1, 1))
        before = _engine_files(root)
        # The copy of the archived grafana.db is checked last of all: a broken one fails after the files.
        _break_grafana(target)
        result = target.restore("--restore-permissions")
        assert result.status == 5
        assert "grafana.db is not a sound SQLite database" in result.fatal[0]
        assert "All that was changed has been undone." in result.stdout
        assert target.is_empty()
        assert _engine_files(root) == before
        assert target.machine.leftovers() == []

    def test_after_an_undo_the_same_command_succeeds(self, target: Target):
        whole = target.machine.archive.read_bytes()
        _break_grafana(target)
        assert target.restore("--restore-permissions").status == 5
        target.machine.archive.write_bytes(whole)
        target.restore("--restore-permissions").check()
        _check_tables(target, cleaned=CHANGED_TABLES)


def _engine_files(root: Path):
    """All files with their times; our own directory is where the run itself works."""
    own = ("var/lib/ovirt-engine-backup", "var/log/ovirt-engine-backup")
    return {name: found for name, found in fingerprint_tree(root).items() if not name.startswith(own)}


def _break_grafana(target: Target) -> None:
    """Damage the database inside the archive, with right hashes."""
    from engine_backup.drivers.archive_writer import ArchiveWriter

    with tarfile.open(target.machine.archive) as opened:
        found = {m.name[2:]: opened.extractfile(m).read() for m in opened if m.isfile()}
    content = bytearray(found["db/grafana.db"])
    content[4096:8192] = b"\xff" * 4096
    found["db/grafana.db"] = bytes(content)
    with target.machine.archive.open("wb") as file:
        writer = ArchiveWriter(file, "", target.machine.directory, 0)
        writer.add_directory("db")
        for name, data in found.items():
            if name != "sha256sum":
                writer.add_bytes(name, data)
        writer.finish()


@pytest.mark.parametrize("component", [c for c in DATABASES if c.name in ("dwh", "keycloak", "managedblock")])
def test_one_scope_at_a_time(component, target: Target):
    credentials = {component.name: target.logins[component.name]}
    change = change_options(credentials, target.machine.directory)
    conf = target.machine.root / component.conf_file.lstrip("/")
    conf.parent.mkdir(parents=True)
    conf.write_text("# made by engine-setup\n")
    words = [f"--scope={component.scope}", "--no-restore-permissions", *change]
    target.machine.engine_backup("restore", *words).check()
    restored = fingerprint_databases(credentials)
    assert restored[component.name].tables == target.original.databases[component.name].tables
    assert not (target.machine.root / "etc/pki").exists()
    assert component.conf_prefix + "DB_PASSWORD" in conf.read_text()


def test_what_was_restored_is_on_the_disk_when_the_restore_has_ended(
    tmp_path: Path, lasting: set[tuple[int, int]]
) -> None:
    machine = Machine(tmp_path)
    machine.install()
    shutil.copy2(golden.archive("4.5.7-scope-files"), machine.archive)
    machine.engine_backup("restore", "--scope=files", "--product-version=4.5.7").check()
    restored = machine.root / "etc/pki/ovirt-engine"
    places = [restored, *(path for path in restored.rglob("*") if not path.is_symlink())]
    assert len(places) > 10
    assert [path for path in places if identity(path) not in lasting] == []
