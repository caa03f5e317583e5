"""Where passwords go: into private files and through connections, and nowhere else.

The programs that a run starts are recorded from within: their own arguments and
environment, those of all other children of the run, and the modes of private places.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from engine_backup.model.errors import ExitStatus
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.sample.engine import PASSWORDS
from tests.support import real_process
from tests.support.failures import (
    BackupSite,
    Target,
    assert_failed,
    assert_refused,
    target_logins,
    target_machine,
)
from tests.support.machine import Machine, Result
from tests.support.sample import Original
from tests.support.wrapped_programs import wrapped, write_program

PASSWORD = "Zq:7\\UNMISTAKABLE 'x'"
NUMBERS = count()
MARK = "UNMISTAKABLE"
# What of each password survives every way of escaping it.
SAMPLE_MARKS = {"engine": "3x7#k", "dwh": "=5kQ;&|", "managedblock": "Pw-2bb", "keycloak": "~8tt{}"}
LOOSE = ["sh", "-c", 'umask 000; exec "$@"', "loose"]

RECORD = """
import json


def text(path):
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def mode(path):
    return path.stat().st_mode & 0o7777


# The kernel lists children by the thread that started them.
children = [n for path in Path(f"/proc/{os.getppid()}/task").glob("*/children") for n in text(path).split()]
passfile = os.environ.get("PGPASSFILE")
found = {
    "program": Path(sys.argv[0]).name,
    "words": sys.argv[1:],
    "children": {n: [text(Path("/proc", n, what)) for what in ("cmdline", "environ")] for n in children},
    "passfile": passfile and [mode(Path(passfile)), mode(Path(passfile).parent), Path(passfile).read_text()],
    "directories": {str(p): mode(p) for top in PRIVATE for p in Path(top).glob("**/engine-backup.*")},
    "files": {str(p): mode(p) for top in OPEN for p in Path(top).iterdir() if p.is_file()},
}
(PLACE / f"record-{os.getpid()}").write_text(json.dumps(found))
become_real()
"""


@dataclass(frozen=True)
class Recorder:
    """Programs that record, in a directory of their own."""

    directory: Path

    def records(self, program: str) -> list[dict[str, Any]]:
        """Return what the runs of one program have recorded."""
        found = [json.loads(path.read_text()) for path in self.directory.glob("record-*")]
        return [record for record in found if record["program"] == program]


@pytest.fixture
def recorder(original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Recording programs of PostgreSQL and tar; tar is found by PATH."""
    directory = tmp_path / "programs"
    private = [
        str(tmp_path / name) for name in ("site/tmp", "target/tmp", "target/root/var/lib/ovirt-engine-backup")
    ]
    public = [str(tmp_path / name) for name in ("site", "target")]
    existing = f"PRIVATE = {private!r}\nOPEN = [name for name in {public!r} if Path(name).exists()]\n"
    body = existing + RECORD
    wrapped(directory, original.server.programs, pg_dump=body, pg_restore=body)
    write_program(directory / "tar", str(shutil.which("tar")), body)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return Recorder(directory)


def hold_secrets(text: str, marks: Mapping[str, str]) -> list[str]:
    """Name the components whose password stands in a text."""
    return [name for name, mark in marks.items() if mark in text]


def check_programs(recorder: Recorder, program: str, marks: Mapping[str, str]) -> list[dict[str, Any]]:
    """Hold every recorded run of a program to the rules; return those that got a password."""
    records = recorder.records(program)
    assert records
    for record in records:
        assert record["children"]
        for cmdline, environ in record["children"].values():
            if "engine_backup" in cmdline and "--mode=" in cmdline:
                continue  # forked a moment ago, and not its own program yet
            assert hold_secrets(cmdline + environ, marks) == []
            assert "OVIRT_" not in environ
            assert "PGPASSWORD" not in environ
        assert record["directories"]
        assert set(record["directories"].values()) == {0o700}
    return [record for record in records if record["passfile"]]


def check_passfiles(records: list[dict[str, Any]], marks: Mapping[str, str]) -> None:
    """Hold that each program got one password, in a private file that is gone."""
    found = []
    for record in records:
        mode, parent_mode, content = record["passfile"]
        assert (mode, parent_mode) == (0o600, 0o700)
        assert content.count("\n") == 1
        found += hold_secrets(content, marks)
    assert sorted(found) == sorted(marks)


def check_told(machine: Machine, result: Result, marks: Mapping[str, str]) -> None:
    """Hold that people and the log are told no password."""
    log = machine.log.read_text()
    assert len(log.splitlines()) > 10
    assert hold_secrets(log + result.stdout + result.stderr, marks) == []
    assert machine.log.stat().st_mode & 0o7777 == 0o600


def test_the_marks_are_parts_of_the_passwords():
    for name, mark in SAMPLE_MARKS.items():
        assert mark in PASSWORDS[name].reveal()
    assert MARK in PASSWORD


def test_a_backup_tells_nobody(site: BackupSite, recorder: Recorder):
    site.machine.archive.chmod(0o644)
    words = site.words(f"--pg-bindir={recorder.directory}")
    result = real_process.run(words, LOOSE).check()
    connected = check_programs(recorder, "pg_dump", SAMPLE_MARKS)
    check_passfiles(connected, SAMPLE_MARKS)
    assert check_programs(recorder, "tar", SAMPLE_MARKS) == []
    partial = f"{site.machine.archive}.partial"
    assert {record["files"][partial] for record in connected} == {0o600}
    check_told(site.machine, result, SAMPLE_MARKS)
    assert site.machine.archive.stat().st_mode & 0o7777 == 0o600
    assert site.machine.leftovers() == []
    with tarfile.open(site.machine.archive) as opened:
        names = ["./manifest.json", "./config", "./version", "./os_version", "./sha256sum"]
        texts = [opened.extractfile(name).read().decode() for name in names]
    assert all(texts)
    assert hold_secrets("".join(texts), SAMPLE_MARKS) == []


def restore_words(target: Target, *more: str) -> list[str]:
    """Return a restore that learns the engine's password from the environment, others from files."""
    words = target.words(*more)
    return [word for word in words if not word.startswith("--db-passfile=")]


@pytest.fixture
def marked_target(original: Original, tmp_path: Path) -> Target:
    """A machine to restore onto, with one password for all databases."""
    logins = target_logins(original.server, f"secret{next(NUMBERS)}", PASSWORD)
    return target_machine(tmp_path / "target", logins, original.machine.archive)


def test_a_restore_tells_nobody(marked_target: Target, recorder: Recorder, monkeypatch: pytest.MonkeyPatch):
    marks = dict.fromkeys(marked_target.logins, MARK)
    monkeypatch.setenv("OVIRT_ENGINE_DATABASE_PASSWORD", PASSWORD)
    words = restore_words(marked_target, f"--pg-bindir={recorder.directory}")
    result = real_process.run(words, LOOSE).check()
    both = {**marks, **{f"sample {name}": mark for name, mark in SAMPLE_MARKS.items()}}
    connected = check_programs(recorder, "pg_restore", both)
    assert len(connected) == len(marked_target.logins)
    for record in connected:
        check_passfiles([record], {"any": MARK})
    assert any("--list" in record["words"] for record in recorder.records("pg_restore"))
    assert check_programs(recorder, "tar", both) == []
    check_told(marked_target.machine, result, both)
    assert marked_target.machine.leftovers() == []


def test_a_password_on_the_command_line_goes_no_further(marked_target: Target, recorder: Recorder):
    """Stock takes it, so we do; from there on it is kept like any other."""
    words = [*marked_target.words(f"--pg-bindir={recorder.directory}"), f"--dwh-db-password={PASSWORD}"]
    result = real_process.run(words, LOOSE).check()
    check_programs(recorder, "pg_restore", {"any": MARK})
    check_told(marked_target.machine, result, {"any": MARK})


def test_a_verification_tells_nobody(site: BackupSite, original: Original, recorder: Recorder):
    shutil.copyfile(original.machine.archive, site.machine.archive)
    words = site.machine.words("verify", f"--root={site.engine.root}", f"--pg-bindir={recorder.directory}")
    result = real_process.run(words, LOOSE).check()
    assert check_programs(recorder, "pg_restore", SAMPLE_MARKS) == []
    assert hold_secrets(site.machine.log.read_text() + result.stdout + result.stderr, SAMPLE_MARKS) == []


def test_a_plan_tells_nobody(site: BackupSite, target: Target):
    for machine, result in (
        (site.machine, site.back_up("--dry-run").check()),
        (target.machine, target.restore("--dry-run").check()),
    ):
        told = result.stdout + result.stderr + machine.log.read_text()
        assert "Plan:" in told
        assert hold_secrets(told, {**SAMPLE_MARKS, "target": "st\\Pw"}) == []


# Failures are where things slip out.


def with_password(logins: Mapping[str, Credentials], name: str, **other: Any) -> dict[str, Credentials]:
    return {**logins, name: replace(logins[name], password=Secret(PASSWORD), **other)}


@pytest.mark.parametrize(
    "other", [{}, {"database": "nowhere"}, {"port": 1}, {"host": "nul\0"}, {"secured": True}], ids=str
)
def test_a_refused_login_tells_nobody(other: dict[str, Any], target: Target):
    wrong = replace(target, logins=with_password(target.logins, "dwh", **other))
    words = wrong.words(*(["--dwh-db-secured"] if "secured" in other else []))
    result = target.machine.command(*words)
    assert_refused(result, "Can't connect to database", "check user")
    assert MARK not in result.stdout + result.stderr + target.machine.log.read_text()


@pytest.mark.parametrize("line", ['ENGINE_DB_PASSWORD="{}$"\n', "ENGINE_DB_PORT={}\n", "{} is no setting\n"])
def test_a_broken_conf_file_tells_nobody(line: str, tmp_path: Path):
    machine = Machine(tmp_path)
    machine.install()
    conf = machine.root / "etc/ovirt-engine/engine.conf.d/10-setup-database.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(line.format(PASSWORD))
    result = machine.engine_backup("backup", "--product-version=4.5.7")
    assert_failed(result, ExitStatus.FAILURE, "10-setup-database.conf", "correct that line")
    assert MARK not in result.stdout + result.stderr + machine.log.read_text()


def test_a_failing_program_tells_nobody(marked_target: Target, original: Original, tmp_path: Path):
    """Even one that shows everything it was given."""
    script = (
        "print(sys.argv, os.environ, file=sys.stderr)\nif names('dbname='):\n    sys.exit(1)\nbecome_real()\n"
    )
    bindir = wrapped(tmp_path / "bin", original.server.programs, pg_restore=script)
    result = marked_target.restore(f"--pg-bindir={bindir}")
    assert_failed(result, ExitStatus.FAILURE, "pg_restore failed with exit status 1", "log")
    assert "PGPASSFILE" in marked_target.machine.log.read_text()
    assert MARK not in result.stdout + result.stderr + marked_target.machine.log.read_text()
    marked_target.assert_untouched()
