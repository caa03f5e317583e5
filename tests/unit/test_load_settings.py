"""Which settings a load gets for its sessions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.server import MemorySettings
from engine_backup.plan.load_settings import load_settings, server_memory

MIB, GIB = 1 << 20, 1 << 30
DEFAULTS = MemorySettings(128 * MIB, 64 * MIB, 2)


def sorting_memory(server: MemorySettings, memory: int, jobs: int) -> int:
    """Return maintenance_work_mem in bytes."""
    text = dict(load_settings(server, memory, jobs, 4))["maintenance_work_mem"]
    assert text.endswith("kB")
    return int(text[:-2]) * 1024


@given(
    st.integers(1, 1 << 31).map(lambda kilobytes: kilobytes * 1024),
    st.integers(0, 1 << 45),
    st.integers(0, 200),
)
def test_memory_is_never_less_than_the_server_has(current, memory, jobs):
    chosen = sorting_memory(MemorySettings(0, current, 2), memory, jobs)
    assert chosen >= max(current, 64 * MIB)
    assert chosen <= max(current, GIB)


@given(st.integers(0, 1 << 45), st.integers(1, 200))
def test_all_loads_together_leave_memory_to_others(memory, jobs):
    chosen = sorting_memory(DEFAULTS, memory, jobs)
    assert chosen == 64 * MIB or chosen * jobs <= memory / 8


@pytest.mark.parametrize(
    ("memory", "jobs", "expected"),
    [
        (16 * GIB, 2, GIB),
        (16 * GIB, 4, GIB // 2),
        (16 * GIB, 1, GIB),
        (4 * GIB, 8, 64 * MIB),
        (0, 1, 64 * MIB),
    ],
)
def test_memory_is_divided_among_the_processes(memory, jobs, expected):
    assert sorting_memory(DEFAULTS, memory, jobs) == expected


def test_a_server_that_nobody_looked_at_keeps_its_memory():
    assert load_settings(MemorySettings(), 64 * GIB, 2, 8) == (("synchronous_commit", "off"),)


@pytest.mark.parametrize(
    ("current", "jobs", "cores", "expected"),
    [
        (None, 1, 16, None),
        (2, 1, 0, None),
        (2, 1, 1, "0"),
        (2, 1, 2, "1"),
        (2, 3, 2, "0"),
        (2, 4, 4, "1"),
        (0, 2, 6, "2"),
        (7, 16, 64, "4"),
    ],
    ids=["none before 11", "unknown machine", "one", "idle", "busy", "the last index", "few loads", "many"],
)
def test_workers(current, jobs, cores, expected):
    found = dict(load_settings(MemorySettings(0, MIB, current), GIB, jobs, cores))
    assert found.get("max_parallel_maintenance_workers") == expected


def test_memory_of_a_server_elsewhere_is_guessed_from_its_cache():
    assert server_memory(DEFAULTS, True, 24 * GIB) == 24 * GIB
    assert server_memory(DEFAULTS, False, 24 * GIB) == 512 * MIB
