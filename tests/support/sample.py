"""A tiny sample engine that is only read, and one backup of it, for all tests of a worker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.sample import engine
from engine_backup.sample.compare import (
    BACKUP_EVENTS,
    DatabaseFingerprint,
    FileFingerprint,
    fingerprint_databases,
    fingerprint_tree,
)
from engine_backup.sample.engine import SampleEngine
from engine_backup.sample.size import TINY
from tests.support.machine import Machine


@dataclass(frozen=True)
class Original:
    """The engine as it was before its backup; `machine.archive` is the backup."""

    machine: Machine
    sample: SampleEngine
    server: ScratchServer
    databases: dict[str, DatabaseFingerprint]
    files: dict[str, FileFingerprint]


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    """Tests may back it up again, but not change it."""
    machine = Machine(tmp_path_factory.mktemp("original"))
    with ScratchServer.start() as server:
        sample = engine.build(machine.root, server, TINY)
        databases = fingerprint_databases(sample.credentials, BACKUP_EVENTS)
        files = fingerprint_tree(machine.root)
        machine.engine_backup("backup").check()
        yield Original(machine, sample, server, databases, files)


def clean_machine(original: Original, directory: Path) -> Machine:
    """Return a machine with the engine's packages and the archive, and nothing else."""
    from engine_backup.sample import tree

    machine = Machine(directory)
    tree.install_packages(machine.root)
    shutil.copy2(original.machine.archive, machine.archive)
    return machine
