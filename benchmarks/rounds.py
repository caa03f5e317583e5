"""Contenders that take turns, and the medians of what they took."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict

from benchmarks.meter import Measurement

Turn = Callable[[], Measurement]


def alternate(
    turns: Mapping[str, Turn], rounds: int, tell: Callable[[str], None]
) -> dict[str, list[Measurement]]:
    """Let all take a turn in each round, every other round in the reverse order."""
    taken: dict[str, list[Measurement]] = {name: [] for name in turns}
    for number in range(rounds):
        order = list(turns) if number % 2 == 0 else list(turns)[::-1]
        for name in order:
            measurement = turns[name]()
            taken[name].append(measurement)
            tell(
                f"  round {number + 1}: {name}: {measurement.wall:.2f} s"
                f" (others computed {measurement.others / measurement.wall:.1f} s each second)"
            )
    return taken


def median(measurements: list[Measurement]) -> Measurement:
    """Return the median of each quantity by itself; of memory and temporary files the highest."""
    rows = [asdict(measurement) for measurement in measurements]
    found = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    for peak in ("own_memory", "all_memory", "temporary"):
        found[peak] = max(row[peak] for row in rows)
    return Measurement(**found)
