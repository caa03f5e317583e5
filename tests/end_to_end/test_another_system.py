"""A restore on another operating system than the backup's: Apache is left to engine-setup (reference 9.5)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import golden
from tests.support.machine import OS_RELEASE, Machine

NAME = "4.5.7-default"
ANSWERS = "etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf"
ANSWER = "OVESETUP_APACHE/configured=bool:True"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.install()
    shutil.copy2(golden.archive(NAME), machine.archive)
    return machine


def _restore(machine: Machine, *more: str):
    return machine.engine_backup("restore", "--scope=files", "--product-version=4.5.7", *more)


def _apache() -> list[str]:
    return [e["path"] for e in golden.facts(NAME)["files"] if e["path"].startswith(golden.APACHE)]


def test_nothing_of_apache_is_restored_and_the_note_names_each_file(machine: Machine):
    machine.install(OS_RELEASE.replace("almalinux", "rocky"))
    result = _restore(machine).check()
    assert len(_apache()) > 2
    framed = [line.strip("# ") for line in result.stdout.splitlines() if line.startswith("# ")]
    for path in _apache():
        assert not (machine.root / path).exists()
        assert f"/{path}" in framed
    assert "The operating system is rocky9; the backup was made on almalinux9." in framed
    assert "Apache httpd configuration will not be restored." in framed
    for line in framed:
        assert line in machine.log.read_text()
    assert ANSWER not in (machine.root / ANSWERS).read_text()
    assert (machine.root / ANSWERS).stat().st_mtime == next(
        e["mtime"] for e in golden.facts(NAME)["files"] if e["path"] == ANSWERS
    )


def test_on_the_same_system_all_is_restored_and_nothing_is_noted(machine: Machine):
    result = _restore(machine).check()
    assert "Apache httpd configuration" not in result.stdout
    for path in _apache():
        assert (machine.root / path).is_file()
    assert ANSWER in (machine.root / ANSWERS).read_text()


def test_an_archive_that_does_not_tell_its_system_is_one_of_another(tmp_path: Path):
    machine = Machine(tmp_path)
    machine.install()
    shutil.copy2(golden.archive("3.6.3.4-default"), machine.archive)
    result = machine.engine_backup("restore", "--scope=files", "--product-version=3.6.3").check()
    assert "Apache httpd configuration will not be restored." in result.stdout
    assert not list((machine.root / "etc/httpd/conf.d").glob("*"))
