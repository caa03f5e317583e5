"""The ends of all cases, in a file that workers append to, and the line that sums them up."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

FILE_VARIABLE = "FAULTS_RESULTS"
ENDS = ("complete", "undone", "incomplete", "broken", "skipped")


def record(end: str, seconds: float, name: str, reason: str = "") -> None:
    """Append a line, when there is a file for it; `reason` tells what is broken."""
    place = os.environ.get(FILE_VARIABLE)
    if place:
        with Path(place).open("a") as file:
            file.write(f"{end}\t{seconds:.1f}\t{name}\t{' / '.join(reason.splitlines()[:4])}\n")


def summary(lines: list[str]) -> tuple[str, bool]:
    """Return the line, and whether nothing is broken. Cases that could not run here are told apart."""
    ends = Counter(line.partition("\t")[0] for line in lines if line)
    ran = sum(ends[end] for end in ENDS[:-1])
    skipped = f", {ends['skipped']} skipped" if ends["skipped"] else ""
    text = (
        f"faults: {ran} cases, {ends['complete']} complete, {ends['undone']} undone,"
        f" {ends['incomplete']} incomplete, {ends['broken']} broken{skipped}"
    )
    return text, ran > 0 and not ends["broken"]


def main() -> int:
    """Print the slowest cases and the line; the status tells whether all is well."""
    lines = Path(sys.argv[1]).read_text().splitlines() if Path(sys.argv[1]).exists() else []
    cases = sorted((line.split("\t") for line in lines), key=lambda case: -float(case[1]))
    for end, seconds, name, _ in cases[:10]:
        print(f"{seconds:>6} s  {end:<10}  {name}")
    for _, _, name, reason in (case for case in cases if case[0] == "broken"):
        print(f"broken: {name}: {reason[:300]}")
    text, well = summary(lines)
    print(text)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
