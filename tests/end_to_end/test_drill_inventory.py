"""A drill compares what a backup said it held with what came back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine_backup.model.inventory import MOMENTS, OBJECT_KINDS
from tests.support import golden
from tests.support.machine import Machine
from tests.support.manifests import Change, with_changed_manifest
from tests.support.sample import Original

LABELS = {row.label for row in (*OBJECT_KINDS, *MOMENTS)}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def drilled(machine: Machine, archive: Path, *words: str) -> dict[str, Any]:
    """Return the document of a drill, red or not."""
    result = machine.command(
        "drill", str(archive), "--json", f"--root={machine.root}", "--tmpdir=/tmp", *words
    )
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["error"] is None
    assert (document["outcome"] == "passed") is (result.status == 0)
    return document


def outcomes(document: dict[str, Any]) -> dict[str, str]:
    """Return how the checks of inventories ended."""
    return {c["name"]: c["outcome"] for c in document["checks"] if c["name"] in {*LABELS, "inventory"}}


def test_a_backup_holds_what_it_says(original: Original, machine: Machine) -> None:
    shutil.copy2(original.machine.archive, machine.archive)
    found = drilled(machine, machine.archive)
    assert found["outcome"] == "passed"
    assert outcomes(found) == dict.fromkeys(LABELS, "pass")
    assert "not in this archive" not in {c["outcome"] for c in found["checks"] if c["name"] == "inventory"}


def lose_a_machine(manifest: dict[str, Any]) -> None:
    """Say of one machine more that it was saved."""
    vms = manifest["inventory"]["vms"]
    vms["count"] += 1
    vms["objects"].append({"id": "ffffffff-0000-0000-0000-000000000000", "name": "the-lost-one"})
    vms["digest"] = "0" * 64


def rename_a_host(manifest: dict[str, Any]) -> None:
    hosts = manifest["inventory"]["hosts"]
    hosts["objects"][0]["name"] = "another-name"
    hosts["digest"] = "0" * 64


def move_the_last_event(manifest: dict[str, Any]) -> None:
    manifest["inventory"]["last_event_at"] = "2030-01-01T00:00:00+00:00"


PLANTED = {
    "virtual machines": (lose_a_machine, "'the-lost-one' (ffffffff-0000-0000-0000-000000000000) is missing"),
    "hosts": (rename_a_host, "'another-name'"),
    "last event": (move_the_last_event, "2030-01-01"),
}


@pytest.mark.parametrize("label", PLANTED)
def test_what_is_missing_is_named(original: Original, machine: Machine, label: str) -> None:
    change: Change = PLANTED[label][0]
    found = drilled(machine, with_changed_manifest(original.machine.archive, machine.archive, change))
    assert found["outcome"] == "failed"
    failed = [check for check in found["checks"] if check["outcome"] == "fail" and check["name"] in LABELS]
    assert [check["name"] for check in failed] == [label]
    assert PLANTED[label][1] in failed[0]["findings"][0]


def test_archives_of_stock_have_no_inventory(machine: Machine) -> None:
    found = drilled(machine, shutil.copy2(golden.archive("4.5.7-default"), machine.archive))
    assert found["outcome"] == "passed"
    assert outcomes(found) == {"inventory": "not in this archive"}
