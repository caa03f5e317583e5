"""Archives of the stock tool: verified, and restored into a real server."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME, Kind
from engine_backup.model.secret import Secret
from engine_backup.sample.compare import fingerprint_database
from tests.support import golden
from tests.support.machine import Machine, change_options, login

ANSWERS = "etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf"
RESTORED = ["4.4.10.7-default", "4.5.7-default", "4.5.7-small-size", "4.5.7-uncompressed"]


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


@pytest.mark.parametrize("name", RESTORED)
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

    machine.engine_backup(
        "restore",
        "--product-version=4.5.7",
        "--restore-permissions",
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
    assert restored.tables == golden.tables_after_restore(found, component)
    for sequence, last in facts["sequences"].items():
        stock_adds_a_row = sequence == "vdc_options_option_id_seq"
        assert restored.sequences[f"public.{sequence}"][0] == last + stock_adds_a_row
    grantees = {row[2] for row in restored.privileges} if restored.privileges else set()
    for role in facts["granted_roles"]:
        assert any(role in privilege for row in restored.privileges for privilege in row), (role, grantees)


def _check_files(found, root: Path) -> None:
    left_out = set(found["after_stock_restore"]["files_not_restored"])
    conf = {path.lstrip("/") for c in found["databases"] for path in BY_NAME[c].rewritten_files}
    for entry in found["files"]:
        path = os.fsencode(root) + b"/" + _name(entry)
        if entry["path"] in left_out or _is_engine_up(entry):
            assert not os.path.lexists(path), entry["path"]
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
        if (
            entry["path"] in found["after_stock_restore"]["files_changed"]
            and "setup-ovirt-post" in entry["path"]
        ):
            continue
        if entry["type"] == "file" and os.access(path, os.R_OK):
            assert _sha256(path) == entry["sha256"], entry["path"]


def _check_apache(found, root: Path) -> None:
    """On another system than the archive's, engine-setup has to ask about Apache again, as with stock."""
    asks = ANSWERS in found["after_stock_restore"]["files_changed"]
    answers = (root / ANSWERS).read_text()
    assert ("OVESETUP_APACHE/configured=bool:True" in answers) is not asks
    assert "OVESETUP_APACHE/configureRootRedirection=bool:True" in answers


def _is_engine_up(entry) -> bool:
    return entry["path"] == "var/lib/ovirt-engine/engine.up"


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
