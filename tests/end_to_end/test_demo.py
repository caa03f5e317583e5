"""The demo is the main job on an embedded default; it must end with everything back."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from engine_backup.cli.environment import Environment
from engine_backup.cli.main import run
from engine_backup.drivers import postgres_programs
from tests.support.machine import Machine


class Person(io.StringIO):
    """Presses Enter, but first does what the demo proposes."""

    def __init__(self, machine: Machine, shown: io.StringIO) -> None:
        super().__init__()
        self.machine = machine
        self.shown = shown
        self.result = None

    def readline(self, size: int = -1, /) -> str:
        words = re.search(r"^  engine-backup (backup --root=.*)$", self.shown.getvalue(), re.MULTILINE)[1]
        self.result = self.machine.command(*words.split())
        return "\n"


def demo(*words: str) -> tuple[int, str]:
    shown = io.StringIO()
    status = run(["demo", *words], Environment({}, io.StringIO(), shown, shown))
    return status, shown.getvalue()


@pytest.mark.parametrize(
    "programs",
    [
        pytest.param(found, id=f"PostgreSQL {found.major}", marks=[pytest.mark.thorough] * (number > 0))
        for number, found in enumerate(postgres_programs.with_server())
    ],
)
def test_everything_is_back_on_every_installed_postgresql(programs):
    status, shown = demo("--vms=8", "--days=1", f"--pg-bindir={programs.directory}")
    assert status == 0, shown
    assert "Everything is back." in shown
    assert "The archive is proven" in shown
    for member in ("files", "db/engine_backup.db", "db/grafana.db", "sha256sum"):
        assert re.search(rf"^   {member} +[\d,]+ +[\d,]+$", shown, re.MULTILINE), member
    for line in re.findall(r"^   (?:engine|dwh|keycloak|managedblock) database: .*$", shown, re.MULTILINE):
        assert line.split()[-1] == "0"


def test_the_engine_can_be_kept_and_played_with(tmp_path: Path):
    shown = io.StringIO()
    person = Person(Machine(tmp_path / "machine"), shown)
    keep = tmp_path / "kept"
    status = run(["demo", "--vms=8", "--days=1", f"--keep={keep}"], Environment({}, person, shown, shown))
    assert status == 0, shown.getvalue()
    assert person.result is not None
    person.result.check()
    assert (keep / "engine.backup").exists()
    assert (keep / "mine.backup").exists()
    assert (keep / "engine/etc/ovirt-engine").is_dir()


def test_a_directory_in_use_is_not_touched(tmp_path: Path):
    (tmp_path / "mine").write_text("mine")
    status, shown = demo("--vms=8", "--days=1", f"--keep={tmp_path}")
    assert status == 1
    assert "is not empty" in shown
    status, shown = demo("--vms=8", "--days=1", f"--keep={tmp_path / 'mine'}")
    assert status == 1
    assert f"cannot use directory {tmp_path / 'mine'}: File exists" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
