"""Fixtures that many tests share; those of one subject live in tests/support."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine_backup.drivers.scratch_server import ScratchServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[ScratchServer]:
    """A real PostgreSQL server, one for each test worker; tests bring their own databases."""
    with ScratchServer.start() as server:
        yield server
