"""Checks of databases that were loaded: a sound one passes, and every planted fault is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine_backup.model.checks import Outcome
from tests.support import loaded
from tests.support.sample_machines import SampleMachine, SampleTemplate

VM = "(SELECT vm_guid FROM vm_static WHERE vm_name = 'vm-003')"


@pytest.fixture(scope="module")
def machine(sample_template: SampleTemplate, tmp_path_factory) -> Iterator[SampleMachine]:
    with sample_template.machine(tmp_path_factory.mktemp("loaded") / "root") as made:
        yield made


def test_a_sound_engine_passes(machine):
    logins = machine.sample.credentials
    said = {name: {"row_counts": dict(rows)} for name, rows in _rows(machine).items()}
    found = loaded.checks(loaded.drilled(machine.server, logins, said=said))
    assert {one.outcome for one in found.values()} == {Outcome.PASS}
    assert {name for _, name in found} >= {
        "tables", "row counts", "constraints", "indexes", "sequences", "owner", "references",
        "schema version",
    }  # fmt: skip


def _rows(machine: SampleMachine) -> dict[str, dict[str, int]]:
    found = loaded.drilled(machine.server, machine.sample.credentials)
    return {name: dict(database.rows) for name, database in found.databases.items()}
