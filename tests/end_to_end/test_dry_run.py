"""`--dry-run`, for people and for programs: it tells everything and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.backup_steps import Describe
from engine_backup.model.components import GRAFANA
from engine_backup.model.errors import ExitStatus
from engine_backup.model.facts import Credentials
from engine_backup.model.requests import Surroundings
from engine_backup.model.steps import PlaceSqlite, Plan
from engine_backup.run import plan_document
from engine_backup.sample.compare import fingerprint_tree
from tests.support.machine import Machine, Result, change_options, login
from tests.support.sample import Original, clean_machine

FIELDS = {
    "format", "format_version", "root", "scopes", "log", "would_run", "status", "status_name", "steps",
    "afterwards", "connections", "notes", "warnings", "problems",
}  # fmt: skip


def document(result: Result) -> dict:
    """Return what stands on standard output, which must be one JSON object and nothing else."""
    found = json.loads(result.stdout)
    assert set(found) == FIELDS
    assert (found["format"], found["format_version"]) == ("engine-backup plan", 1)
    assert found["status"] == result.status == ExitStatus[found["status_name"]]
    assert found["would_run"] is (result.status == 0)
    fatal = [f"FATAL: {problem['message']}" for problem in found["problems"]]
    assert [" ".join(line.split()) for line in fatal] == result.fatal
    assert result.stdout.isascii()
    return found


def kinds(found: dict, component: str | None = None) -> list[str]:
    return [step["kind"] for step in found["steps"] if component is None or step["component"] == component]


@pytest.fixture
def machine(original: Original, tmp_path: Path) -> Machine:
    return clean_machine(original, tmp_path)


@pytest.fixture
def empty(machine: Machine, postgres_server: ScratchServer) -> dict[str, Credentials]:
    mark = f"dry{abs(hash(str(machine.directory))) % 10**9}"
    return {"engine": login(postgres_server, mark, mark)}


class TestBackup:
    def test_for_people(self, original: Original, tmp_path: Path):
        machine = Machine(tmp_path)
        words = [f"--root={original.machine.root}", f"--file={machine.archive}", f"--log={machine.log}"]
        result = machine.command("backup", *words, "--dry-run").check()
        assert result.stdout.splitlines()[-1] == "Dry run: nothing was changed."
        for credentials in original.sample.credentials.values():
            assert credentials.address in result.stdout
        assert not machine.archive.exists()

    def test_for_programs(self, original: Original, tmp_path: Path):
        machine = Machine(tmp_path)
        words = [f"--root={original.machine.root}", f"--file={machine.archive}", f"--log={machine.log}"]
        result = machine.command("backup", *words, "--dry-run", "--json").check()
        found = document(result)
        assert kinds(found)[:2] == ["announce_start", "take_snapshots"]
        assert kinds(found, "engine") == ["dump_database"]
        assert kinds(found, "grafana") == ["copy_sqlite"]
        assert {
            (c["component"], c["host"], c["port"], c["user"], c["database"]) for c in found["connections"]
        } == {(name, c.host, c.port, c.user, c.database) for name, c in original.sample.credentials.items()}
        assert not machine.archive.exists()
        assert machine.leftovers() == []


class TestRestore:
    def words(self, machine: Machine, empty: dict[str, Credentials]) -> list[str]:
        changes = change_options(empty, machine.directory)
        return ["--scope=files", "--scope=db", "--no-restore-permissions", "--dry-run", "--json", *changes]

    def test_one_that_would_run(self, machine: Machine, empty):
        before = fingerprint_tree(machine.root)
        found = document(machine.engine_backup("restore", *self.words(machine, empty)).check())
        assert kinds(found, "engine") == ["load_dump", "apply_fixes", "rewrite_credentials"]
        assert [kind for kind in kinds(found) if kind.endswith("_files")] == [
            "stage_files",
            "place_files",
            "relabel_files",
        ]
        target = empty["engine"]
        assert found["connections"] == [
            {
                "component": "engine",
                "host": target.host,
                "port": target.port,
                "user": target.user,
                "database": target.database,
            }
        ]
        assert found["scopes"] == ["files", "db"]
        assert any(f"connects to {target.address}" in note for note in found["notes"])
        dumps = {note.split(" dump: not loaded")[0] for note in found["notes"] if " dump: not loaded" in note}
        assert dumps == {"Engine"}
        assert fingerprint_tree(machine.root) == before
        assert machine.leftovers() == []

    def test_nothing_secret_is_in_it(self, machine: Machine, empty):
        result = machine.engine_backup("restore", *self.words(machine, empty)).check()
        assert json.dumps(empty["engine"].password.reveal())[1:-1] not in result.stdout

    def test_people_find_the_same_in_the_log(self, machine: Machine, empty):
        found = document(machine.engine_backup("restore", *self.words(machine, empty)).check())
        log = machine.log.read_text()
        assert "Start of engine-backup with mode 'restore'" in log
        assert "Dry run: nothing was changed." in log
        assert all(step["text"] in log for step in found["steps"])
        assert "format_version" not in log

    def test_one_that_would_be_refused(self, machine: Machine):
        words = ["--scope=files", "--scope=db", "--product-version=4.3.10.4", "--dry-run", "--json"]
        result = machine.engine_backup("restore", *words)
        found = document(result)
        assert result.status == ExitStatus.INCOMPATIBLE_ARCHIVE
        assert {problem["status"] for problem in found["problems"]} == {3, 7}
        assert all(problem["hint"] for problem in found["problems"])

    def test_the_same_status_without_json(self, machine: Machine, empty):
        words = [word for word in self.words(machine, empty) if not word.startswith("--no-restore")]
        with_json = machine.engine_backup("restore", *words)
        people = machine.engine_backup("restore", *(word for word in words if word != "--json"))
        assert with_json.status == people.status == ExitStatus.REFUSED
        assert with_json.stderr == people.stderr
        assert people.stdout.startswith("Start of engine-backup with mode 'restore'\n")

    def test_no_plan_at_all(self, machine: Machine, empty):
        content = bytearray(machine.archive.read_bytes())
        content[len(content) // 2] ^= 1
        machine.archive.write_bytes(content)
        result = machine.engine_backup("restore", *self.words(machine, empty))
        found = document(result)
        assert result.status == ExitStatus.DAMAGED_ARCHIVE
        assert (found["steps"], found["connections"]) == ([], [])
        assert len(found["problems"]) == 1


def test_only_a_plan_is_for_programs(machine: Machine):
    for mode in ("backup", "restore"):
        result = machine.engine_backup(mode, "--json")
        assert (result.status, result.stdout) == (1, "")
        assert result.fatal == ["FATAL: --json needs --dry-run"]


def test_steps_that_come_before_a_second_look():
    plan = Plan(steps=(Describe(),), gate=(PlaceSqlite(GRAFANA),))
    surroundings = Surroundings(Path("/"), Path("/l"), Path("/tmp"))
    steps = plan_document.document(plan, surroundings)["steps"]
    assert [(step["kind"], step["component"], step["first"]) for step in steps] == [
        ("place_sqlite", "grafana", True),
        ("describe", None, False),
    ]


def test_verify_has_no_plan(machine: Machine):
    result = machine.engine_backup("verify", "--json").check()
    assert result.stdout.splitlines()[-1] == "Done."
