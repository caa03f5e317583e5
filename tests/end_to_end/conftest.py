"""Fixtures for tests of what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine_backup.model.facts import Credentials
from tests.support.failures import BackupSite, Engine, Target, backup_site, target_logins, target_machine
from tests.support.sample import Original


@pytest.fixture(scope="session")
def observed_engine(original: Original) -> Engine:
    """The shared engine as it is, and stays."""
    return Engine.observed(original.machine.root, original.sample.credentials)


@pytest.fixture
def site(observed_engine: Engine, tmp_path: Path) -> BackupSite:
    """A place for backups of the shared engine."""
    return backup_site(observed_engine, tmp_path / "site")


@pytest.fixture(scope="session")
def empty_databases(original: Original) -> Mapping[str, Credentials]:
    """Databases that every test must leave empty."""
    return target_logins(original.server, "target")


@pytest.fixture
def target(original: Original, empty_databases: Mapping[str, Credentials], tmp_path: Path) -> Target:
    """A machine to restore the shared engine's backup onto; the restore must fail, and leave no trace."""
    return target_machine(tmp_path / "target", empty_databases, original.machine.archive)
