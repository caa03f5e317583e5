"""Fixtures that many tests share; those of one subject live in tests/support."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_backup.drivers.scratch_server import ScratchServer
from tests.support.sample_machines import SampleMachine, SampleTemplate, build_template


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[ScratchServer]:
    """A real PostgreSQL server, one for each test worker; tests bring their own databases."""
    with ScratchServer.start() as server:
        yield server


@pytest.fixture(scope="session")
def sample_template(tmp_path_factory: pytest.TempPathFactory) -> SampleTemplate:
    """What sample machines are copied from."""
    return build_template(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def sample_machine(sample_template: SampleTemplate, tmp_path: Path) -> Iterator[SampleMachine]:
    """A small hosted engine, running, that the test may do anything to."""
    with sample_template.machine(tmp_path / "engine") as machine:
        yield machine


@pytest.fixture
def restore_target(sample_template: SampleTemplate, tmp_path: Path) -> Iterator[SampleMachine]:
    """A clean machine with the same roles and passwords, and empty databases."""
    with sample_template.target(tmp_path / "target") as machine:
        yield machine


pytest_plugins = ["tests.support.lasting", "tests.support.sample"]
