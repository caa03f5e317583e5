"""What a benchmark says: a table for people, and the same in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.bars import MEGABYTE, Medians, Verdict
from benchmarks.meter import Measurement

COLUMNS = (
    "job",
    "contender",
    "wall s",
    "cpu s",
    "server s",
    "others s",
    "size MB",
    "own MB",
    "all MB",
    "temp. MB",
    "/ stock",
)
ALIGN = "{:<14}{:<20}" + "{:>10}" * (len(COLUMNS) - 2)


def lines(medians: Medians, verdicts: Sequence[Verdict]) -> list[str]:
    """Return the table of medians, and a line for each bar."""
    shown = [ALIGN.format(*COLUMNS)]
    for job, contenders in medians.items():
        stock = contenders.get("stock")
        shown += [_row(job, name, taken, stock) for name, taken in contenders.items()]
    shown.append("")
    for verdict in verdicts:
        number = "" if verdict.measured is None else f"{verdict.measured:.3f}"
        shown.append(f"{verdict.bar.name:<36}{verdict.bar.limit:>8g}{number:>10}  {verdict.word}")
    return shown


def write(
    path: Path,
    facts: Mapping[str, Any],
    taken: Mapping[str, Mapping[str, list[Measurement]]],
    verdicts: Sequence[Verdict],
) -> None:
    """Write all that was measured, in seconds and bytes."""
    document = {
        **facts,
        "jobs": {
            job: {name: [asdict(one) for one in measured] for name, measured in contenders.items()}
            for job, contenders in taken.items()
        },
        "bars": [
            {"name": v.bar.name, "limit": v.bar.limit, "measured": v.measured, "verdict": v.word}
            for v in verdicts
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def _row(job: str, name: str, taken: Measurement, stock: Measurement | None) -> str:
    sizes = (taken.size, taken.own_memory, taken.all_memory, taken.temporary)
    ratio = f"{taken.wall / stock.wall:.3f}" if stock else ""
    return ALIGN.format(
        job,
        name,
        f"{taken.wall:.2f}",
        f"{taken.cpu:.2f}",
        f"{taken.server_cpu:.2f}",
        f"{taken.others:.2f}",
        *(f"{size / MEGABYTE:.1f}" for size in sizes),
        ratio,
    )
