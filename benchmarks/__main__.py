"""`python -m benchmarks`: build an engine, let the contenders do their jobs, and say which bars are held."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import bars, jobs, machine, plot, report, rounds
from benchmarks.ground import Ground
from benchmarks.meter import MeasuredProgramError
from benchmarks.turns import Choices
from benchmarks.workload import LARGEST_KEPT, bytes_on_disk, running_engine, size_of
from engine_backup.model.errors import EngineBackupError

DIRECTORY = Path(".environment/bench")


def main(words: Sequence[str]) -> int:
    """Run a benchmark; the status is 1 when a bar is not held, 2 when a program failed."""
    chosen = command_line().parse_args(words)
    try:
        return _run(chosen)
    except MeasuredProgramError as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
    except EngineBackupError as error:
        print(f"the benchmark failed: {error.message}: {error.hint}", file=sys.stderr)
    return 2


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    add = parser.add_argument
    add("--scale", type=float, default=1.0, help="size of the engine; 1 is about 750 MB on disk (default: 1)")
    add("--vms", type=int, default=0, help="machines of the engine, instead of those of the scale")
    add("--days", type=int, default=0, help="days of history of the engine (default: 40)")
    add("--rounds", type=int, default=3, help="how often each contender does each job (default: 3)")
    add("--jobs", default=",".join(jobs.JOBS), help=f"jobs to do: {', '.join(jobs.JOBS)} (default: all)")
    add("--unpaired", action="store_true", help="only ours: for engines on which the others take too long")
    add("--floors", action="store_true", help="measure what hand-made pipelines reach, too")
    add("--compare", action="store_true", help="compare all rows of both restores with the engine, once")
    add("--backup-options", default="", help="more options for our backups, such as --fast-backup")
    add("--restore-options", default="", help="more options for our restores")
    add("--patience", type=float, default=0, help="wait so many seconds for a quiet machine before each turn")
    add("--directory", type=Path, default=DIRECTORY, help=f"where everything happens (default: {DIRECTORY})")
    add("--results", type=Path, help="where to write JSON and plot (default: results.json in the directory)")
    add("--against", type=Path, help="results of another scale: compare our time for each GB with theirs")
    return parser


def _run(options: argparse.Namespace) -> int:
    directory = options.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    facts, taken = _measure(options, directory, _wanted(options.jobs))
    medians = {
        job: {name: rounds.median(measured) for name, measured in contenders.items()}
        for job, contenders in taken.items()
    }
    verdicts = bars.judge(medians)
    if options.against:
        gigabytes = sum(facts["engine"]["bytes"].values()) / bars.GIGABYTE
        verdicts += bars.growth(medians, gigabytes, json.loads(options.against.read_text()))
    print("\n".join(["", *report.lines(medians, verdicts)]))
    results = options.results or directory / "results.json"
    report.write(results, facts, taken, verdicts)
    plot.write(results.with_suffix(".svg"), medians)
    print(f"\n{results} and {results.with_suffix('.svg')} are written")
    return 1 if any(verdict.word == "not held" for verdict in verdicts) else 0


def _wanted(words: str) -> list[str]:
    wanted = words.split(",")
    unknown = [word for word in wanted if word not in jobs.JOBS]
    if unknown:
        raise EngineBackupError(f"unknown jobs: {', '.join(unknown)}", f"choose of {', '.join(jobs.JOBS)}")
    return wanted


def _measure(
    options: argparse.Namespace, directory: Path, wanted: Sequence[str]
) -> tuple[dict[str, Any], jobs.Taken]:
    """Return what was measured, and the facts that go with it."""
    size = size_of(options.scale, options.vms, options.days)
    print(f"Building or copying an engine of {size.vms} machines and {size.days} days", flush=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix="run-") as name:
        private = Path(name)
        private.chmod(0o755)
        with running_engine(directory, private, size, _is_kept(options)) as engine:
            facts = {
                "machine": machine.describe(directory, engine.server.programs),
                "engine": {"size": asdict(size), "bytes": bytes_on_disk(engine)},
                "rounds": options.rounds,
            }
            print(
                "  " + ", ".join(f"{name} {size // 10**6} MB" for name, size in bytes_on_disk(engine).items())
            )
            ground = Ground(private, engine, engine.server, engine.sample.root)
            return facts, jobs.do(wanted, ground, _choices(options))


def _is_kept(options: argparse.Namespace) -> bool:
    """Say whether an engine is worth its room on the disk until the next run: one of the usual sizes is."""
    return not options.vms and not options.days and options.scale <= LARGEST_KEPT


def _choices(options: argparse.Namespace) -> Choices:
    return Choices(
        rounds=options.rounds,
        unpaired=options.unpaired,
        floors=options.floors,
        compare=options.compare,
        backup_options=tuple(shlex.split(options.backup_options)),
        patience=options.patience,
        restore_options=tuple(shlex.split(options.restore_options)),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
