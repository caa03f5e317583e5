"""Archives like those of large engines, of small ones: each table has a frame of its own, and is a part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine_backup.drivers import dump_frames
from tests.support.machine import Machine


@contextmanager
def frames_of(least: int) -> Iterator[None]:
    """Let dumps that this process packs have frames of so many bytes or more; with 1 each table has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dump_frames, "LEAST_FRAME", least)
        yield


def back_up_in_parts(machine: Machine, archive: Path) -> None:
    """Back up the engine of a machine to `archive`."""
    words = [f"--file={archive}" if word.startswith("--file=") else word for word in machine.words("backup")]
    with frames_of(1):
        machine.command(*words).check()
