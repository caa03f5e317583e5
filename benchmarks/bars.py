"""The bars that a benchmark must clear, and what it measured for each."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.meter import Measurement

MEGABYTE, GIGABYTE = 1_000_000, 1_000_000_000
OURS, LOAD, BARE = "ours", "ours (loading)", "bare pg_restore"
GROWING = ("backup", "restore")
Medians = Mapping[str, Mapping[str, Measurement]]
"""Medians by job, then by contender."""


@dataclass(frozen=True)
class Bar:
    """A limit, and how what it limits is taken from the medians (KeyError: it was not measured)."""

    name: str
    limit: float
    measure: Callable[[Medians], float]


@dataclass(frozen=True)
class Verdict:
    """How a bar was met; `measured` is None when the run did not measure it."""

    bar: Bar
    measured: float | None

    @property
    def word(self) -> str:
        """Return what to print."""
        if self.measured is None:
            return "not measured"
        return "held" if self.measured <= self.bar.limit else "not held"


def _wall(found: Medians, job: str, name: str) -> float:
    return found[job][name].wall


def _own_memory(found: Medians) -> float:
    peaks = [contenders["ours"].own_memory for contenders in found.values() if "ours" in contenders]
    return max(peaks) / MEGABYTE if peaks else found["backup"]["ours"].own_memory


BARS = (
    Bar("backup: wall / stock", 0.25, lambda m: _wall(m, "backup", "ours") / _wall(m, "backup", "stock")),
    Bar("backup: size / stock", 0.50, lambda m: m["backup"]["ours"].size / m["backup"]["stock"].size),
    Bar(
        "verify (full): wall / own backup",
        0.5,
        lambda m: _wall(m, "verify", "ours") / _wall(m, "backup", "ours"),
    ),
    Bar("restore: wall / stock", 0.75, lambda m: _wall(m, "restore", "ours") / _wall(m, "restore", "stock")),
    Bar("drill: load / bare pg_restore", 1.2, lambda m: _wall(m, "drill", LOAD) / _wall(m, "drill", BARE)),
    Bar("drill: whole / bare pg_restore", 1.7, lambda m: _wall(m, "drill", OURS) / _wall(m, "drill", BARE)),
    Bar(
        "inventory: wall / own backup", 0.03, lambda m: _wall(m, "inventory", OURS) / _wall(m, "backup", OURS)
    ),
    Bar("own process: peak memory in MB", 150, _own_memory),
    Bar("--help: seconds", 0.1, lambda m: _wall(m, "help", "ours")),
    Bar("inspect: seconds", 0.2, lambda m: _wall(m, "inspect", "ours")),
)


def judge(found: Medians) -> list[Verdict]:
    """Return the verdict for each bar."""
    return [Verdict(bar, _measured(bar, found)) for bar in BARS]


def growth(found: Medians, gigabytes: float, earlier: Mapping[str, Any]) -> list[Verdict]:
    """Return how our time for each gigabyte has grown since `earlier` results of another scale."""
    before = sum(earlier["engine"]["bytes"].values()) / GIGABYTE
    verdicts = []
    for job in GROWING:
        rows = earlier["jobs"].get(job, {}).get(OURS)
        if rows and OURS in found.get(job, {}):
            seconds = statistics.median(row["wall"] for row in rows)
            bar = Bar(f"{job}: wall per GB / {before:.1f} GB", 1.1, lambda _: 0.0)
            verdicts.append(Verdict(bar, found[job][OURS].wall / gigabytes / (seconds / before)))
    return verdicts


def _measured(bar: Bar, found: Medians) -> float | None:
    try:
        return bar.measure(found)
    except KeyError:
        return None
