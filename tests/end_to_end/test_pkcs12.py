"""Restoring PKCS#12 files in old encryption (reference 9.5)."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12 as library

from engine_backup.drivers.file_placing import group_number, user_number
from engine_backup.drivers.pkcs12_outline import outline
from tests.support import golden
from tests.support.machine import Machine, Result
from tests.support.old_pkcs12 import KEYS, identity, old_pkcs12

NAME = "4.5.7-default"
SETTINGS = "etc/ovirt-engine/engine.conf.d/10-setup-pki.conf"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.install()
    return machine


@pytest.fixture
def stocks(machine: Machine) -> Machine:
    """A machine with an archive of stock's."""
    shutil.copy2(golden.archive(NAME), machine.archive)
    return machine


def _restore(machine: Machine, *more: str) -> Result:
    return machine.engine_backup("restore", "--scope=files", "--product-version=4.5.7", *more)


def _archived(name: str) -> dict:
    return next(e for e in golden.facts(NAME)["files"] if e["path"] == f"{KEYS}/{name}")


def _back_up(machine: Machine, files: dict[str, bytes], settings: str = "") -> None:
    """Make an archive of a machine that has these keys, and empty the machine."""
    shutil.copytree(machine.root / "etc", machine.directory / "system/etc")
    for name, content in {SETTINGS: settings.encode(), **files}.items():
        path = machine.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o640)
        os.utime(path, (1_500_000_000, 1_500_000_000))
    machine.engine_backup("backup", "--scope=files", "--product-version=4.5.7").check()
    shutil.rmtree(machine.root)
    shutil.copytree(machine.directory / "system", machine.root)


def _copies(machine: Machine) -> list[Path]:
    return sorted((machine.root / KEYS).glob("*.backup.*"))


def test_an_old_file_is_encrypted_anew_and_kept_beside(stocks: Machine):
    result = _restore(stocks).check()
    assert "- 1 PKCS#12 files encrypted anew; as *.backup.* they stay as they were" in result.stdout
    new, (kept,) = stocks.root / KEYS / "engine.p12", _copies(stocks)
    assert kept.name.startswith("engine.p12.backup.20")
    assert len(kept.name) == len("engine.p12.backup.20261122030000")
    before, after = (library.load_pkcs12(path.read_bytes(), b"mypass") for path in (kept, new))
    assert before.key.private_numbers() == after.key.private_numbers()
    assert (before.cert, before.additional_certs) == (after.cert, after.additional_certs)
    assert outline(kept.read_bytes()).old_schemes == ("3DES", "RC2-40")
    assert outline(new.read_bytes()).old_schemes == ()
    archived = _archived("engine.p12")
    for path in (new, kept):
        status = path.stat()
        assert (oct(status.st_mode & 0o7777)[2:].rjust(4, "0"), status.st_mtime) == (
            archived["mode"],
            archived["mtime"],
        )
        if os.getuid() == 0:
            owner = user_number(archived["uname"], archived["uid"])
            group = group_number(archived["gname"], archived["gid"])
            assert (status.st_uid, status.st_gid) == (owner, group)
    assert stocks.leftovers() == []


def test_a_file_with_another_password_is_named_and_restored_as_it_is(stocks: Machine):
    result = _restore(stocks).check()
    (warning,) = [line for line in result.stderr.splitlines() if "odd.p12" in line]
    assert warning.startswith(f"Warning: /{KEYS}/odd.p12 is restored in old encryption (3DES, RC2-40)")
    assert "another password" in warning
    assert outline((stocks.root / KEYS / "odd.p12").read_bytes()).old_schemes == ("3DES", "RC2-40")


def test_the_plan_tells_it_and_nothing_is_touched(stocks: Machine):
    shown = _restore(stocks, "--dry-run").check()
    assert "encrypt 1 PKCS#12 files anew" in shown.stdout
    assert "odd.p12" in shown.stderr
    assert not (stocks.root / "etc/pki").exists()
    document = json.loads(_restore(stocks, "--dry-run", "--json").check().stdout)
    assert "encrypt_pkcs12" in [step["kind"] for step in document["steps"]]
    assert "mypass" not in json.dumps(document)


@pytest.mark.parametrize(("version", "copies"), [("1.1.1k  FIPS 25 Mar 2021", 0), ("3.5.1 1 Jul 2025", 1)])
def test_where_openssl_reads_them_they_stay_as_they_are(stocks: Machine, version: str, copies: int):
    program = stocks.root / "usr/bin/openssl"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n[ $1 = version ] && echo OpenSSL {version}\n")
    program.chmod(0o755)
    result = _restore(stocks).check()
    assert len(_copies(stocks)) == copies
    assert ("odd.p12" in result.stderr) is bool(copies)


def test_the_password_of_the_archived_configuration_is_taken(machine: Machine):
    password = 'other "pass" $1'
    quoted = password.replace('"', '\\"').replace("$", "\\$")
    old = old_pkcs12(password=password)
    _back_up(machine, {f"{KEYS}/engine.p12": old}, f'ENGINE_PKI_ENGINE_STORE_PASSWORD="{quoted}"\n')
    result = _restore(machine).check()
    new = (machine.root / KEYS / "engine.p12").read_bytes()
    assert outline(new).old_schemes == ()
    key = library.load_pkcs12(new, password.encode()).key
    assert key.private_numbers() == identity("engine.lab.example")[0].private_numbers()
    for text in (result.stdout, result.stderr, machine.log.read_text()):
        assert password not in text


def test_files_that_cannot_be_read_are_restored_as_they_are_and_told(machine: Machine):
    odd = {"garbage": b"no key at all", "empty": b"", "large": b"\x30" * 100_000, "cut": old_pkcs12()[:999]}
    _back_up(machine, {f"{KEYS}/{name}.p12": content for name, content in odd.items()})
    result = _restore(machine).check()
    for name, content in odd.items():
        assert f"/{KEYS}/{name}.p12 is restored as it is: it " in result.stderr
        assert (machine.root / KEYS / f"{name}.p12").read_bytes() == content
    assert _copies(machine) == []


def test_an_archive_without_keys_is_restored(machine: Machine):
    _back_up(machine, {})
    result = _restore(machine).check()
    assert "PKCS#12" not in result.stdout + result.stderr
    assert "Warning: there are no files of /etc/pki/ovirt-engine/keys/ to restore" in result.stderr
    assert (machine.root / SETTINGS).exists()


def test_an_archive_with_keys_is_not_said_to_have_none(stocks: Machine):
    assert "there are no files of" not in _restore(stocks).check().stderr


def test_links_among_files_and_elsewhere(machine: Machine):
    """One file under two names is encrypted anew under both; a symbolic link stays one."""
    (machine.root / KEYS).mkdir(parents=True)
    (machine.root / KEYS / "a.p12").write_bytes(old_pkcs12())
    os.link(machine.root / KEYS / "a.p12", machine.root / KEYS / "b.p12")
    (machine.root / KEYS / "c.p12").symlink_to("a.p12")
    _back_up(machine, {})
    _restore(machine).check()
    for name in ("a", "b"):
        assert outline((machine.root / KEYS / f"{name}.p12").read_bytes()).old_schemes == ()
    assert os.readlink(machine.root / KEYS / "c.p12") == "a.p12"
    first, second = _copies(machine)
    assert first.read_bytes() == second.read_bytes()
    assert outline(first.read_bytes()).old_schemes == ("3DES",)


def test_undone_with_all_else(stocks: Machine):
    """A later failure takes the new file and the kept one away, and puts back what stood there."""
    keys = stocks.root / KEYS
    keys.mkdir(parents=True)
    (keys / "engine.p12").write_bytes(b"mine")
    programs = stocks.root / "usr/sbin"
    programs.mkdir(parents=True)
    for name, status in (("selinuxenabled", 0), ("restorecon", 255)):
        (programs / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (programs / name).chmod(0o755)
    assert _restore(stocks).status != 0
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == {"engine.p12": b"mine"}
