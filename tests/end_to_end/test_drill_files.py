"""`drill` and the files of an archive: each planted fault turns it red, with a line that names the file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.machine import Machine
from tests.support.planted_files import CONF, FAULTS, NAME, PKI, Change, apart, edit, linked
from tests.support.rebuilt_archives import Parts

RED = 10
# One of each kind; the others are tried without a server.
TRIED = (
    "a wrong key",
    "an expired certificate",
    "a certificate of another authority",
    "no certificate of the engine",
    "a store with another password",
    "a store with another certificate",
    "a certificate for another name",
)


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine in a directory that all accounts may reach: root drills as another."""
    with tempfile.TemporaryDirectory(prefix="engine-backup-drill-") as directory:
        path = Path(directory)
        path.chmod(0o755)
        machine = Machine(path)
        machine.install()
        yield machine


def _files_only(parts: Parts) -> Parts:
    return parts.but({name: None for name in parts.members if name.startswith("db/")})


def _drilled(machine: Machine, *changes: Change) -> tuple[int, dict[str, Any]]:
    parts = replace(apart(NAME), files_form="")
    for change in changes:
        parts = change(parts)
    machine.archive.write_bytes(parts.content())
    result = machine.engine_backup("drill", "--json")
    assert machine.leftovers() == []
    return result.status, json.loads(result.stdout)


def _findings(document: dict[str, Any], which: str) -> list[str]:
    checks = [c for c in document["checks"] if f"{c['subject']} {c['name']}" == which]
    return [finding for check in checks if check["outcome"] == "fail" for finding in check["findings"]]


def test_files_alone_pass(machine: Machine):
    status, document = _drilled(machine, _files_only)
    assert status == 0, document
    assert {c["outcome"] for c in document["checks"]} == {"pass", "not in this archive"}


@pytest.mark.parametrize("fault", TRIED)
def test_a_fault_of_keys_and_certificates_is_named(fault: str, machine: Machine):
    change, which, finding = FAULTS[fault]
    status, document = _drilled(machine, _files_only, change)
    assert (status, document["outcome"]) == (RED, "failed")
    assert any(finding in text for text in _findings(document, which)), document
    assert "mypass" not in json.dumps(document)


def test_a_conf_file_with_the_wrong_owner_is_named(machine: Machine):
    wrong = edit(CONF + "10-setup-database.conf", b'DB_USER="engine"', b'DB_USER="someone"')
    status, document = _drilled(machine, wrong)
    assert status == RED
    (finding,) = _findings(document, "engine log-in")
    assert finding == (
        "/etc/ovirt-engine/engine.conf.d/10-setup-database.conf names the user someone,"
        " but the tables of the Engine dump belong to engine"
    )


def test_a_conf_file_that_cannot_be_understood_is_named(machine: Machine):
    status, document = _drilled(machine, _files_only, edit(CONF + "99-lab.conf", b"LAB_NOTE=two", b"two"))
    assert status == RED
    (finding,) = _findings(document, "archive reading")
    assert "/etc/ovirt-engine/engine.conf.d/99-lab.conf:4: neither NAME=value nor a comment" in finding


def test_a_damaged_database_of_dashboards_is_named(machine: Machine):
    def damage(parts: Parts) -> Parts:
        content = parts.members["db/grafana.db"]
        return _files_only(parts).but({"db/grafana.db": content[:4096] + bytes(len(content) - 4096)})

    status, document = _drilled(machine, damage)
    assert status == RED
    for which in ("grafana restore", "grafana integrity"):
        assert any("grafana.db" in finding for finding in _findings(document, which)), document


def test_links_out_of_the_archive_lead_nowhere(machine: Machine):
    outside = machine.directory / "outside.conf"
    outside.write_text("ENGINE_FQDN=stolen.example\n")
    before = outside.stat()
    links = [linked(f"{PKI}certs/apache.cer", str(outside)), linked(CONF + "88-link.conf", str(outside))]
    status, document = _drilled(machine, _files_only, *links)
    assert status == RED
    assert any(f"a link to {outside}" in text for text in _findings(document, "files certificates"))
    assert "stolen" not in json.dumps(document)
    assert outside.stat() == before
