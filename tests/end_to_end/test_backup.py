"""Backups of the sample engine, read back by readers that share nothing with our own."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from engine_backup.drivers import compression
from engine_backup.model.components import COMPONENTS, DATABASES, GRAFANA
from engine_backup.model.options import option_name
from engine_backup.model.paths import LEFT_OUT_OF_BACKUP, SAVED_PATHS
from engine_backup.sample import tree
from tests.support.machine import Machine
from tests.support.sample import Original

WRITTEN = ("engine", "dwh", "managedblock", "keycloak")
HEADS = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd"}
PG_RESTORE = "pg_restore"


@pytest.fixture
def again(original: Original, tmp_path: Path) -> Machine:
    """The same engine, backed up to another place."""
    machine = Machine(tmp_path)
    machine.root.rmdir()
    machine.root.symlink_to(original.machine.root)
    return machine


def members(archive: Path) -> dict[str, bytes]:
    """Read an archive with nothing but Python's tarfile."""
    with tarfile.open(archive) as opened:
        return {m.name: opened.extractfile(m).read() for m in opened if m.isfile()}


def test_an_independent_reader_finds_everything(original: Original):
    found = members(original.machine.archive)
    lines = found["./sha256sum"].decode().splitlines()
    listed = {line[66:]: line[:64] for line in lines}
    assert listed.keys() == {name[2:] for name in found} - {"sha256sum"}
    for name, digest in listed.items():
        assert hashlib.sha256(found[f"./{name}"]).hexdigest() == digest
    assert found["./version"] == b"4.5.7\n"
    assert found["./os_version"] == b"almalinux9\n"
    assert b"DB_DUMP_COMPRESSOR=zstd\n" in found["./config"]
    assert b"DWH_DB_DUMP_FORMAT=custom\n" in found["./config"]


def test_hosted_engine_finds_the_name_of_the_engine(original: Original):
    """What `hosted-engine --deploy --restore-from-file` does itself (reference 11)."""
    names = []
    outer = tarfile.open(original.machine.archive, "r")
    with outer, tarfile.open(fileobj=outer.extractfile("./files"), mode="r") as inner:
        confs = [m for m in inner if re.match(r"^etc/ovirt-engine/engine.conf.d/.*conf$", m.name)]
        for member in sorted(confs, key=lambda m: m.name):
            text = inner.extractfile(member).read().decode()
            names += re.findall(r"^ENGINE_FQDN=(\S+)$", text, re.MULTILINE)
    assert names[-1] == original.sample.fqdn


@pytest.mark.parametrize("component", WRITTEN)
def test_pg_restore_reads_each_dump(component: str, original: Original):
    by_name = {c.name: c for c in DATABASES}
    packed = members(original.machine.archive)[f"./{by_name[component].member}"]
    with compression.open_reader(io.BytesIO(packed), "zstd", "dump") as stream:
        dump = stream.read()
    assert dump.startswith(b"PGDMP")
    text = subprocess.run([PG_RESTORE, "--file=-"], input=dump, capture_output=True, check=True).stdout
    for table, (rows, _) in original.databases[component].tables.items():
        if table not in ("public.audit_log", "public.engine_backup_log"):
            name = re.escape(table.partition(".")[2]).encode()
            block = re.search(rb"^COPY public\.\"?" + name + rb"\"? .*?\n(.*?)^\\\.$", text, re.M | re.S)
            assert (block[1].count(b"\n") if block else 0) == rows, table


def test_every_archived_file_is_as_it_was(original: Original):
    files = members(original.machine.archive)["./files"]
    with tarfile.open(fileobj=io.BytesIO(files)) as inner:
        found = {os.fsencode(m.name): m for m in inner}
    covered = {
        os.fsencode(name): fingerprint
        for name, fingerprint in original.files.items()
        if _is_saved(os.fsencode(name))
    }
    assert found.keys() == covered.keys()
    for name, fingerprint in covered.items():
        member = found[name]
        assert member.mode == fingerprint.mode or member.issym()
        assert (member.uid, member.gid) == (fingerprint.uid, fingerprint.gid)
        assert member.mtime == fingerprint.mtime_ns // 1_000_000_000
    links = [m for m in found.values() if m.islnk()]
    assert links
    assert any(m.issparse() for m in found.values())


def _is_saved(name: bytes) -> bool:
    saved = any(row.covers(name) for row in SAVED_PATHS)
    return saved and not any(row.covers(name) for row in LEFT_OUT_OF_BACKUP)


@pytest.mark.parametrize("group", sorted({row.group for row in SAVED_PATHS}))
def test_each_group_of_paths_is_saved(group: str, tmp_path: Path):
    """Every row of the table on its own: what it names is saved, its neighbours are not."""
    machine = Machine(tmp_path)
    tree.install_packages(machine.root)
    expected = []
    for row in (row for row in SAVED_PATHS if row.group == group):
        name = row.path.replace("*", "-one").lstrip("/")
        place = machine.root / name
        is_file = "." in place.name or place.name in ("iptables", "ip6tables") or row.is_glob
        target = place if is_file else place / "inside"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("content of " + name)
        neighbour = machine.root / "etc/not-ours"
        neighbour.write_text("x")
        expected.append(str(target.relative_to(machine.root)))
    machine.engine_backup("backup").check()
    with tarfile.open(fileobj=io.BytesIO(members(machine.archive)["./files"])) as inner:
        names = inner.getnames()
    assert set(expected) <= set(names)
    assert "etc/not-ours" not in names


def test_what_is_promised_but_stock_forgot(original: Original):
    with tarfile.open(fileobj=io.BytesIO(members(original.machine.archive)["./files"])) as inner:
        names = inner.getnames()
    for beginning in (
        "etc/sysconfig/ovirt-engine",
        "etc/exports.d/",
        "etc/firewalld/zones/",
        "etc/firewalld/services/",
        "etc/firewalld/direct.xml",
        "etc/sysconfig/iptables",
        "etc/ovirt-imageio/",
        "etc/ovirt-engine-backup",
    ):
        assert any(name.startswith(beginning) for name in names), beginning


class TestPacking:
    @pytest.mark.parametrize("word", ["gzip", "bzip2", "xz", "None"])
    def test_the_whole_archive(self, word, again):
        again.engine_backup("backup", "--scope=files", f"--archive-compressor={word}").check()
        head = again.archive.read_bytes()[:6]
        assert head.startswith(HEADS.get(word, b"./"))
        assert "./files" in members(again.archive)
        again.engine_backup("verify").check()

    @pytest.mark.parametrize("word", ["gzip", "bzip2", "xz", "None"])
    def test_the_files(self, word, again):
        again.engine_backup("backup", "--scope=files", f"--files-compressor={word}").check()
        files = members(again.archive)["./files"]
        assert files.startswith(HEADS.get(word, b"etc/"))
        with tarfile.open(fileobj=io.BytesIO(files)) as inner:
            assert "etc/ovirt-engine" in inner.getnames()

    @pytest.mark.parametrize("dump_format", ["plain", "custom"])
    @pytest.mark.parametrize("word", ["gzip", "bzip2", "xz", "zstd", "None"])
    @pytest.mark.parametrize("component", [c for c in DATABASES if c.name in ("dwh", "keycloak")])
    def test_each_dump(self, component, word, dump_format, again):
        scope = f"--scope={component.scope}"
        options = {"compressor": word, "dump_format": dump_format}
        words = [f"{option_name(field, component)}={value}" for field, value in options.items()]
        result = again.engine_backup("backup", scope, *words).check()
        assert ("permissions are not backed up" in result.stdout) == (dump_format == "plain")
        found = members(again.archive)
        dump = found[f"./{component.member}"]
        own = b"PGDMP" if dump_format == "custom" else b"--\n"
        assert dump.startswith(HEADS.get(word, own))
        name = "" if word == "None" else word
        assert f"{component.dump_prefix}_DUMP_COMPRESSOR={name}\n".encode() in found["./config"]
        assert f"{component.dump_prefix}_DUMP_FORMAT={dump_format}\n".encode() in found["./config"]
        again.engine_backup("verify").check()

    @pytest.mark.parametrize(
        ("option", "files", "dump"),
        [
            ("--classic", "xz", b"PGDMP"),
            ("--fast-backup", "gzip", HEADS["zstd"]),
            ("--fast-restore", "gzip", b"PGDMP"),
            ("--small-size", "xz", HEADS["xz"]),
        ],
    )
    def test_presets_reach_every_component(self, option, files, dump, again):
        again.engine_backup("backup", option).check()
        found = members(again.archive)
        assert found["./files"].startswith(HEADS[files])
        for component in DATABASES:
            if component.name in WRITTEN:
                assert found[f"./{component.member}"].startswith(dump), component.name
        again.engine_backup("verify").check()


class TestWhatCounts:
    @pytest.mark.parametrize("component", [c for c in COMPONENTS if c.name in (*WRITTEN, "files", "grafana")])
    def test_one_scope_saves_one_component(self, component, again):
        again.engine_backup("backup", f"--scope={component.scope}").check()
        names = set(members(again.archive))
        saved = {f"./{c.member}" for c in COMPONENTS} & names
        assert saved == {f"./{component.member}"}

    def test_nothing_in_scope_is_refused(self, again):
        result = again.engine_backup("backup", "--scope=cinderlibdb")
        assert result.status == 3
        assert result.fatal == ["FATAL: nothing to back up: no component of scope cinderlibdb is set up here"]
        assert not again.archive.exists()

    def test_an_engine_that_is_not_set_up_gives_files_with_a_warning(self, tmp_path):
        machine = Machine(tmp_path)
        tree.install_packages(machine.root)
        (machine.root / "etc/ovirt-engine").mkdir()
        result = machine.engine_backup("backup").check()
        assert "engine-setup has not configured anything here" in result.stderr
        assert set(members(machine.archive)) == {
            "./files",
            "./version",
            "./os_version",
            "./config",
            "./manifest.json",
            "./sha256sum",
        }

    def test_an_enabled_database_without_its_server_is_fatal(self, original, tmp_path):
        machine = _copy(original, tmp_path)
        _rewrite(machine, "etc/ovirt-engine/engine.conf.d/10-setup-database.conf", r"PORT=.*", 'PORT="1"')
        result = machine.engine_backup("backup")
        assert result.status == 3
        assert len(result.fatal) == 1
        assert "Can't connect to database 'engine'" in result.fatal[0]
        assert "leave" in result.stderr or "check" in result.stderr
        assert not machine.archive.exists()

    def test_files_alone_are_saved_while_the_server_is_down(self, original, tmp_path):
        machine = _copy(original, tmp_path)
        for name in (
            "etc/ovirt-engine/engine.conf.d/10-setup-database.conf",
            "etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf.d/10-setup-database.conf",
        ):
            _rewrite(machine, name, r"ENGINE_DB_PORT=.*", 'ENGINE_DB_PORT="1"')
        result = machine.engine_backup("backup", "--scope=files").check()
        assert "the engine was not notified" in result.stderr

    def test_configured_but_not_enabled_is_a_warning(self, original, tmp_path):
        machine = _copy(original, tmp_path)
        post = "etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf"
        _rewrite(machine, post, r"keycloakEnable=bool:True", "keycloakEnable=bool:False")
        result = machine.engine_backup("backup", "--scope=keycloakdb", "--scope=files").check()
        assert "the Keycloak database is configured" in result.stderr
        assert "./db/keycloak_backup.db" not in members(machine.archive)

    def test_an_enabled_database_without_credentials_is_fatal(self, original, tmp_path):
        machine = _copy(original, tmp_path)
        (machine.root / "etc/ovirt-engine/engine.conf.d/12-setup-keycloak.conf").unlink()
        result = machine.engine_backup("backup")
        assert result.status == 3
        assert result.fatal == ["FATAL: the Keycloak database is enabled but its credentials stand nowhere"]

    def test_grafana_enabled_without_its_file_is_fatal(self, original, tmp_path):
        machine = _copy(original, tmp_path)
        (machine.root / GRAFANA.path.lstrip("/")).unlink()
        result = machine.engine_backup("backup")
        assert result.status == 3
        assert "Grafana is enabled but its database" in result.fatal[0]

    def test_all_problems_are_told_at_once(self, original, tmp_path):
        machine = _copy(original, tmp_path)
        (machine.root / GRAFANA.path.lstrip("/")).unlink()
        (machine.root / "etc/ovirt-engine/engine.conf.d/12-setup-keycloak.conf").unlink()
        (machine.root / "usr/share/ovirt-engine/setup/ovirt_engine_setup/config.py").unlink()
        result = machine.engine_backup("backup", f"--file={tmp_path}/missing/a.backup")
        assert result.status == 3
        assert len(result.fatal) == 4

    def test_the_engines_own_file_wins_over_the_copy_of_the_data_warehouse(self, original, tmp_path):
        machine = _copy(original, tmp_path)
        stale = "etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf.d/10-setup-database.conf"
        _rewrite(machine, stale, r"ENGINE_DB_PASSWORD=.*", 'ENGINE_DB_PASSWORD="old"')
        machine.engine_backup("backup", "--scope=db").check()


class TestOverwriting:
    def test_an_old_backup_is_replaced_once_the_new_one_is_whole(self, again):
        again.archive.write_text("old")
        result = again.engine_backup("backup", "--scope=files").check()
        assert "Replaced the file that was there" in result.stdout
        assert "./files" in members(again.archive)
        assert stat.S_IMODE(again.archive.stat().st_mode) == 0o600
        assert stat.S_IMODE(again.log.stat().st_mode) == 0o600

    def test_no_overwrite_refuses(self, again):
        again.archive.write_text("old")
        result = again.engine_backup("backup", "--scope=files", "--no-overwrite")
        assert result.status == 3
        assert again.archive.read_text() == "old"

    def test_a_pipe_is_never_replaced(self, again):
        os.mkfifo(again.archive)
        result = again.engine_backup("backup", "--scope=files")
        assert result.status == 3
        assert "is no regular file" in result.fatal[0]
        assert stat.S_ISFIFO(again.archive.stat().st_mode)

    def test_what_a_killed_backup_left_is_taken_over(self, again):
        partial = Path(f"{again.archive}.partial")
        partial.write_bytes(b"half an archive" * 10000)
        again.engine_backup("backup", "--scope=files").check()
        assert "./files" in members(again.archive)
        assert not partial.exists()

    def test_two_at_once_do_not_write_into_the_same_file(self, again):
        import fcntl

        with Path(f"{again.archive}.partial").open("wb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            result = again.engine_backup("backup", "--scope=files")
        assert result.status == 1
        assert "another backup is writing" in result.fatal[0]

    def test_the_default_place_is_made_when_it_is_missing(self, original, tmp_path):
        machine = Machine(tmp_path)
        tree.install_packages(machine.root)
        shutil.rmtree(machine.root / "var/lib/ovirt-engine-backup")
        shutil.rmtree(machine.root / "var/log/ovirt-engine-backup")
        (machine.root / "etc/ovirt-engine").mkdir()
        result = machine.command("backup", f"--root={machine.root}", f"--tmpdir={machine.temporary}")
        result.check()
        assert len(list((machine.root / "var/lib/ovirt-engine-backup").glob("*.backup"))) == 1
        assert len(list((machine.root / "var/log/ovirt-engine-backup").glob("*.log"))) == 1


def test_a_dry_run_prints_the_plan_and_changes_nothing(again):
    before = sorted(again.directory.iterdir())
    result = again.engine_backup("backup", "--dry-run").check()
    for label in ("Engine", "DWH", "Managed Block", "Keycloak"):
        assert f"dump the {label} database" in result.stdout
    assert "save the files" in result.stdout
    assert not again.archive.exists()
    assert [path for path in sorted(again.directory.iterdir()) if path != again.log] == before


def test_the_lines_that_callers_look_for(again):
    lines = again.engine_backup("backup").check().stdout.splitlines()
    assert lines[:4] == [
        "Start of engine-backup with mode 'backup'",
        "scope: all",
        f"archive file: {again.archive}",
        f"log file: {again.log}",
    ]
    assert lines[-1] == "Done."
    logged = again.log.read_text().splitlines()
    form = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \d+: ")
    assert all(form.match(line) for line in logged)
    for line in lines:
        assert any(entry.endswith(f"OUTPUT: {line}") for entry in logged), line


def test_an_extra_path(again, tmp_path):
    extra = "etc/sysconfig/network"
    again.engine_backup("backup", "--scope=files", f"--include-path=/{extra}").check()
    with tarfile.open(fileobj=io.BytesIO(members(again.archive)["./files"])) as inner:
        assert extra in inner.getnames()
    manifest = json.loads(members(again.archive)["./manifest.json"])
    files = next(m for m in manifest["members"] if m["name"] == "files")
    assert files["extra_paths"] == [f"/{extra}"]
    result = again.engine_backup("backup", "--scope=files", "--include-path=/no/such").check()
    assert "/no/such does not exist" in result.stderr


def test_the_manifest_describes_the_archive(original: Original):
    found = members(original.machine.archive)
    manifest = json.loads(found["./manifest.json"])
    assert manifest["format"] == "engine-backup manifest"
    assert manifest["fqdn"] == original.sample.fqdn
    assert manifest["components"] == ["files", *WRITTEN, "grafana"]
    listed = {m["name"]: m for m in manifest["members"]}
    for name, content in found.items():
        if name[2:] in listed:
            assert listed[name[2:]]["size"] == len(content)
            assert listed[name[2:]]["sha256"] == hashlib.sha256(content).hexdigest()
    engine = listed["db/engine_backup.db"]
    assert engine["snapshot_taken_at"].endswith("+00:00")
    assert re.fullmatch(r"[0-9A-F]+/[0-9A-F]+", engine["position"])
    assert "cfme_reader" in engine["granted_roles"]
    assert "uuid-ossp" in engine["extensions"]
    assert "ovirt_engine_history_grafana" in listed["db/dwh_backup.db"]["granted_roles"]


class TestEvents:
    def test_started_and_done_for_what_was_saved(self, original, again):
        before = _events(original)
        again.engine_backup("backup", "--scope=files", "--scope=dwhdb", "--scope=cinderlibdb").check()
        scopes = ["files", "dwhdb"]
        added = _events(original)[len(before) :]
        assert added == [
            *((9024, "ENGINE_BACKUP_STARTED", _message("Backup Started", s, again.log)) for s in scopes),
            *((9025, "ENGINE_BACKUP_COMPLETED", _message("Backup Finished", s, again.log)) for s in scopes),
        ]

    def test_the_log_of_backups(self, original, again):
        again.engine_backup("backup").check()
        with closing(_connect(original)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT scope, is_passed, fqdn FROM engine_backup_log WHERE log_path = %s", (str(again.log),)
            )
            rows = cursor.fetchall()
        names = ("files", "grafana", *WRITTEN)
        scopes = {c.event_scope for c in COMPONENTS if c.name in names}
        assert {row[0] for row in rows} == scopes
        assert {row[1:] for row in rows} == {(True, original.sample.fqdn)}

    def test_a_refused_backup_records_nothing(self, original, again):
        before = _events(original)
        again.archive.write_text("old")
        again.engine_backup("backup", "--no-overwrite")
        assert _events(original) == before


def _message(text: str, scope: str, log: Path) -> str:
    return f"engine-backup: {text}, scope={scope}, log={log}"


def _connect(original: Original):
    login = original.sample.credentials["engine"]
    return original.server.connect(login.database, login.user, login.password)


def _events(original: Original) -> list[tuple[int, str, str]]:
    with closing(_connect(original)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT log_type, log_type_name, message FROM audit_log"
            " WHERE log_type BETWEEN 9024 AND 9026 ORDER BY audit_log_id"
        )
        return cursor.fetchall()


def _copy(original: Original, directory: Path) -> Machine:
    machine = Machine(directory)
    shutil.rmtree(machine.root)
    subprocess.run(["cp", "-a", str(original.machine.root), str(machine.root)], check=True)
    return machine


def _rewrite(machine: Machine, name: str, pattern: str, replacement: str) -> None:
    path = machine.root / name
    text, count = re.subn(pattern, replacement, path.read_text())
    assert count, f"nothing to change in {name}"
    path.write_text(text)
