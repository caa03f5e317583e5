"""Drills that compare a backup with the databases that are live."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine_backup.drivers import postgres
from engine_backup.model.errors import ExitStatus
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.sample.compare import fingerprint_databases
from tests.support import golden
from tests.support.machine import Machine, Result, change_options
from tests.support.sample_machines import SampleMachine

NEW = "00000000-0000-4000-8000-00000000000a"
CHANGES = f"""
    INSERT INTO vm_static (vm_guid, vm_name, mem_size_mb, vmt_guid, entity_type)
        SELECT '{NEW}', E'new\\x1b[2J', 1, vmt_guid, 'VM' FROM vm_static LIMIT 1;
    DELETE FROM network WHERE name = 'vlan 42';
    UPDATE vds_static SET vds_name = 'renamed'
        WHERE vds_id = (SELECT vds_id FROM vds_static ORDER BY 1 LIMIT 1);
    INSERT INTO audit_log (log_time, log_type, severity, message) VALUES ('2031-02-03 04:05:06Z', 1, 0, 'x');
    CREATE TABLE added AS SELECT 1 AS one;
"""


@pytest.fixture
def machine(sample_machine: SampleMachine, tmp_path: Path) -> Machine:
    """A place for archives, and a backup of the running sample engine in it."""
    found = Machine(tmp_path / "machine")
    found.command("backup", f"--file={found.archive}", *places(sample_machine.root, found)).check()
    return found


def places(root: Path, machine: Machine) -> list[str]:
    return [f"--root={root}", f"--log={machine.log}"]


def drill(root: Path, machine: Machine, *words: str) -> Result:
    return machine.command("drill", str(machine.archive), *places(root, machine), "--tmpdir=/tmp", *words)


def against(root: Path, machine: Machine, *words: str) -> tuple[Result, dict[str, Any]]:
    result = drill(root, machine, "--json", "--against=live", *words)
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["error"] is None
    return result, document


def lives(document: dict[str, Any]) -> dict[str, str]:
    return {c["subject"]: c["outcome"] for c in document["checks"] if c["name"] == "live"}


def findings(document: dict[str, Any]) -> dict[str, str]:
    return {
        c["subject"]: c["findings"][0] for c in document["checks"] if c["name"] == "live" and c["findings"]
    }


def change(login: Credentials, statements: str) -> None:
    with closing(postgres.connect(login)) as connection, connection.cursor() as cursor:
        cursor.execute(statements)
        connection.commit()


def test_what_has_changed_is_named_and_is_no_fault(sample_machine: SampleMachine, machine: Machine) -> None:
    logins = sample_machine.sample.credentials
    change(logins["engine"], CHANGES)
    before = fingerprint_databases(logins)
    result, document = against(sample_machine.root, machine)
    assert fingerprint_databases(logins) == before
    assert result.status == ExitStatus.SUCCESS
    assert lives(document) == dict.fromkeys(logins, "pass")
    found = {row["component"]: row for row in document["live"]}
    assert found.keys() == logins.keys()
    assert all(row["seconds_behind"] > 0 for row in found.values())
    kinds = {row["name"]: row for row in found["engine"]["kinds"]}
    assert kinds["vms"]["live"] == kinds["vms"]["saved"] + 1
    assert kinds["vms"]["only_live"] == [{"id": NEW, "name": "new\\x1b[2J"}]
    assert [row["name"] for row in kinds["networks"]["only_saved"]] == ["vlan 42"]
    assert [row["name"] for row in kinds["hosts"]["renamed"]] == ["renamed"]
    assert (kinds["hosts"]["only_live"], kinds["hosts"]["only_saved"]) == ([], [])
    assert kinds["disks"]["saved"] == kinds["disks"]["live"] == sample_machine.sample.size.disks
    assert [row["live"] for row in found["engine"]["moments"]] == ["2031-02-03T04:05:06+00:00"]
    tables = {row["name"]: row for row in found["engine"]["tables"]}
    assert tables["public.vm_static"]["live"] == tables["public.vm_static"]["saved"] + 1
    assert tables["public.added"] == {"name": "public.added", "saved": None, "live": 1, "estimated": False}
    # What a restore empties is not taken for a difference.
    assert "public.job" not in tables
    assert found["dwh"]["tables"] == []
    record = json.loads(machine.archive.with_name("engine.backup.drill.json").read_text())
    assert record["live"] == document["live"]


def test_people_see_names_and_no_passwords(sample_machine: SampleMachine, machine: Machine) -> None:
    change(sample_machine.sample.credentials["engine"], CHANGES)
    result = drill(sample_machine.root, machine, "--against=live").check()
    lines = result.stdout.splitlines()
    assert any("only live: 'new\\x1b[2J'" in line for line in lines)
    assert any("only in the backup: 'vlan 42'" in line for line in lines)
    assert any("live" in line and "behind; " in line for line in lines)
    assert all(line.isprintable() for line in lines)
    for login in sample_machine.sample.credentials.values():
        assert login.password.reveal() not in result.stdout + result.stderr + machine.log.read_text()


def test_without_being_asked_nothing_is_compared(sample_machine: SampleMachine, machine: Machine) -> None:
    document = json.loads(drill(sample_machine.root, machine, "--json").check().stdout)
    assert (document["live"], lives(document)) == (None, {})


def test_servers_that_do_not_answer_could_not_be_compared(
    sample_machine: SampleMachine, machine: Machine
) -> None:
    record = machine.archive.with_name("engine.backup.drill.json")
    against(sample_machine.root, machine)[0].check()
    proven = record.read_bytes()
    sample_machine.server.stop()
    result, document = against(sample_machine.root, machine)
    assert record.read_bytes() == proven
    assert (document["asked"]["against"], document["other_causes"]) == ("live", ["--against=live"])
    logins = sample_machine.sample.credentials
    assert result.status == ExitStatus.DRILL_FAILED
    assert lives(document) == dict.fromkeys(logins, "could not run")
    assert {c["name"] for c in document["checks"] if c["outcome"] in ("fail", "could not run")} == {"live"}
    assert document["live"] == []
    for component, finding in findings(document).items():
        assert f"'{logins[component].database}'" in finding


def test_named_databases_take_the_place_of_those_in_conf_files(
    sample_machine: SampleMachine, machine: Machine, tmp_path: Path
) -> None:
    """The engine's with a wrong password, DWH's as it is; the root has no conf files."""
    logins = dict(sample_machine.sample.credentials)
    wrong = replace(logins["engine"], password=Secret("wrong-password"))
    words = [
        word
        for word in change_options({"engine": wrong, "dwh": logins["dwh"]}, tmp_path)
        if not word.startswith("--change")
    ]
    result, document = against(machine.root, machine, *words)
    assert result.status == ExitStatus.DRILL_FAILED
    assert lives(document) == {**dict.fromkeys(logins, "could not run"), "dwh": "pass"}
    assert "--against=live" in findings(document)["engine"]
    assert "--keycloak-db-host" in findings(document)["keycloak"]
    assert "wrong-password" not in result.stdout + result.stderr


def test_archives_of_stock_are_compared_too(
    sample_machine: SampleMachine, machine: Machine, tmp_path: Path
) -> None:
    """By what their dumps hold; they say nothing of it themselves."""
    shutil.copy2(golden.archive("4.5.7-default"), machine.archive)
    named = change_options({"managedblock": sample_machine.sample.credentials["managedblock"]}, tmp_path)
    _, document = against(sample_machine.root, machine, *(w for w in named if not w.startswith("--change")))
    assert lives(document)["managedblock"] == "not in this archive"
    (engine,) = [row for row in document["live"] if row["component"] == "engine"]
    kinds = {row["name"]: row for row in engine["kinds"]}
    assert kinds["vms"]["live"] == sample_machine.sample.size.vms
    assert kinds["vms"]["saved"] == len(kinds["vms"]["only_saved"]) > 0
    assert kinds["users"]["saved"] is None
    assert engine["seconds_behind"] > 0


@pytest.mark.parametrize(
    "words",
    [
        ["--against=dead"],
        ["--db-host=localhost"],
        ["--against=live", "--db-host=localhost"],
        ["--against=live", "--db-user=u", "--db-name=n", "--db-passfile=/etc/hostname"],
        ["--against=live", "--db-user=u", "--db-name=n", "--db-host=h"],
    ],
)
def test_command_lines_that_are_refused(tmp_path: Path, words: list[str]) -> None:
    machine = Machine(tmp_path)
    shutil.copy2(golden.archive("4.5.7-scope-files"), machine.archive)
    result = drill(machine.root, machine, *words)
    assert result.status == ExitStatus.FAILURE
    assert len(result.fatal) == 1
