"""Archives of the stock tool: verified, and restored into a real server."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from engine_backup.drivers import java_properties
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME, Kind
from engine_backup.model.secret import Secret
from engine_backup.sample.compare import fingerprint_database
from tests.support import golden
from tests.support.machine import Machine, change_options, login

ANSWERS = "etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf"
# Every row, file and grant is compared; Reports is asked for by name, because the product has it no more.
SCOPES = ("--scope=all", "--scope=reportsdb")


@pytest.mark.parametrize("name", golden.NAMES)
def test_verifies_and_is_left_as_it_was(name: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    shutil.copy2(golden.archive(name), machine.archive)
    before = machine.archive.stat()
    version = golden.facts(name)["version"].strip()
    result = machine.engine_backup("verify", f"--product-version={version}").check()
    after = machine.archive.stat()
    assert "Done." in result.stdout
    for component in golden.facts(name)["databases"]:
        assert f"- {BY_NAME[component].label} database" in result.stdout
    assert (before.st_mtime_ns, before.st_mode, before.st_size) == (
        after.st_mtime_ns,
        after.st_mode,
        after.st_size,
    )
    assert machine.leftovers() == []


@pytest.fixture(scope="module")
def readers(postgres_server: ScratchServer) -> None:
    for role in ("cfme_reader", "ovirt_engine_history_grafana"):
        postgres_server.create_role(role, Secret("reader"))


@pytest.mark.parametrize("name", golden.NAMES)
def test_restores_completely(
    name: str, tmp_path: Path, postgres_server: ScratchServer, readers: None
) -> None:
    found = golden.facts(name)
    machine = Machine(tmp_path)
    machine.install()
    shutil.copy2(golden.archive(name), machine.archive)
    databases = [c for c in found["databases"] if BY_NAME[c].kind is Kind.POSTGRES]
    prefix = "g" + name.replace(".", "").replace("-", "_")
    logins = {c: login(postgres_server, f"{prefix}_{c}", f"{prefix}_{c}") for c in databases}
    exact = () if golden.corrected_as_today(found) else ("--keep-temporary-data",)

    machine.engine_backup(
        "restore",
        f"--product-version={found['version'].strip()}",
        "--restore-permissions",
        *SCOPES,
        *exact,
        *change_options(logins, tmp_path),
    ).check()

    for component, credentials in logins.items():
        _check_database(found, component, fingerprint_database(credentials))
    _check_files(found, machine.root)
    _check_apache(found, machine.root)
    if "grafana" in found["databases"]:
        _check_grafana(found, machine.root)
    assert machine.leftovers() == []


def _check_database(found, component, restored) -> None:
    facts = found["databases"][component]
    corrected = golden.corrected_as_today(found)
    expected = golden.tables_after_restore if corrected else golden.tables_of_dump
    assert restored.tables == expected(found, component)
    for sequence, last in facts["sequences"].items():
        stock_adds_a_row = corrected and sequence == "vdc_options_option_id_seq"
        assert restored.sequences[f"public.{sequence}"][0] == last + stock_adds_a_row
    grantees = {row[2] for row in restored.privileges} if restored.privileges else set()
    for role in {*facts["granted_roles"]} - {"postgres"}:
        assert any(role in privilege for row in restored.privileges for privilege in row), (role, grantees)


def _check_files(found, root: Path) -> None:
    left_out = golden.left_out(found)
    conf = {path.lstrip("/") for c in found["databases"] for path in BY_NAME[c].credentials_files}
    for entry in found["files"]:
        path = os.fsencode(root) + b"/" + _name(entry)
        if entry["path"] in left_out:
            assert not os.path.lexists(path), entry["path"]
            continue
        if found["files_kind"] == "directory tree" and entry["path"] in golden.BY_PRODUCTS:
            assert os.lstat(path).st_mtime != entry["mtime"]
            continue
        status = os.lstat(path)
        if entry["path"] in conf:
            continue
        if entry["type"] == "symlink":
            assert os.readlink(path) == os.fsencode(entry["target"])
            continue
        assert oct(status.st_mode & 0o7777)[2:].rjust(4, "0") == entry["mode"], entry["path"]
        if entry["path"] not in {path.rpartition("/")[0] for path in conf}:
            assert int(status.st_mtime) == entry["mtime"], entry["path"]
        if os.getuid() == 0:
            assert (status.st_uid, status.st_gid) == _owner(entry)
        if entry["path"] == ANSWERS and golden.asks_about_apache(found):
            continue
        if entry["type"] == "file" and os.access(path, os.R_OK):
            assert _sha256(path) == entry["sha256"], entry["path"]


def _check_apache(found, root: Path) -> None:
    """On another system than the archive's, engine-setup has to ask about Apache again, as with stock."""
    answers = (root / ANSWERS).read_text()
    assert ("OVESETUP_APACHE/configured=bool:True" in answers) is not golden.asks_about_apache(found)
    assert "OVESETUP_APACHE/configureRootRedirection=bool:True" in answers


def _name(entry) -> bytes:
    return bytes.fromhex(entry["path_hex"]) if "path_hex" in entry else os.fsencode(entry["path"])


def _owner(entry) -> tuple[int, int]:
    from engine_backup.drivers.file_placing import group_number, user_number

    return user_number(entry["uname"], entry["uid"]), group_number(entry["gname"], entry["gid"])


def _sha256(path: bytes) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _check_grafana(found, root: Path) -> None:
    database = sqlite3.connect(root / "var/lib/grafana/grafana.db")
    try:
        for table, rows in found["databases"]["grafana"]["tables"].items():
            assert database.execute(f'SELECT count(*) FROM "{table}"').fetchone() == (rows,)
    finally:
        database.close()


OLD_REPORTS = "3.4.4-default"
PROPERTIES = "var/lib/ovirt-engine-reports/build-conf/master.properties"


def test_changed_credentials_of_reports_stand_in_its_properties(
    tmp_path: Path, postgres_server: ScratchServer
) -> None:
    machine = Machine(tmp_path)
    machine.install()
    shutil.copy2(golden.archive(OLD_REPORTS), machine.archive)
    logins = {"reports": login(postgres_server, "other reports", "other reports", " b\\s=#!:€ ")}
    words = ("--product-version=3.4.4", "--scope=files", *change_options(logins, tmp_path))
    machine.engine_backup("restore", *words, "--scope=reportsdb", "--no-restore-permissions").check()
    _check_database(golden.facts(OLD_REPORTS), "reports", fingerprint_database(logins["reports"]))
    text = (machine.root / PROPERTIES).read_text()
    values = java_properties.parse(text, "")
    assert (values["dbUsername"], values["dbPassword"]) == ("other reports", " b\\s=#!:€ ")
    assert (values["js.dbName"], values["dbPort"]) == ("other reports", str(postgres_server.port))
    # The other lines stay, in their order.
    assert text.splitlines()[:3] == [
        "# connection of the reports server",
        "reportsHome=/var/lib/ovirt-engine-reports",
        "dbType=postgresql",
    ]
    copies = list((machine.root / PROPERTIES).parent.glob("master.properties.2*"))
    assert ["dbPassword=RepPw-9aZ" in copy.read_text() for copy in copies] == [True]


def test_changed_credentials_of_reports_where_it_is_not_set_up(
    tmp_path: Path, postgres_server: ScratchServer
) -> None:
    machine = Machine(tmp_path)
    machine.install()
    shutil.copy2(golden.archive(OLD_REPORTS), machine.archive)
    logins = {"reports": login(postgres_server, "reports_alone", "reports_alone")}
    words = ("--product-version=3.4.4", "--scope=reportsdb", *change_options(logins, tmp_path))
    result = machine.engine_backup("restore", *words).check()
    assert f"there is no /{PROPERTIES} here" in result.stderr
    assert "what the Reports database grants to postgres is not restored" in result.stderr
    assert not (machine.root / PROPERTIES).exists()
    _check_database(golden.facts(OLD_REPORTS), "reports", fingerprint_database(logins["reports"]))
