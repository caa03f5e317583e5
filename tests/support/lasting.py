"""What was brought to the disk (`fsync`) while a test ran, by the real calls."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> set[tuple[int, int]]:
    """Return where device and inode of all stand that was brought to the disk."""
    lasting: set[tuple[int, int]] = set()
    real = os.fsync

    def noted(descriptor: int) -> None:
        real(descriptor)
        status = os.fstat(descriptor)
        lasting.add((status.st_dev, status.st_ino))

    monkeypatch.setattr(os, "fsync", noted)
    return lasting


def identity(path: Path) -> tuple[int, int]:
    """Return device and inode."""
    status = path.stat()
    return status.st_dev, status.st_ino
