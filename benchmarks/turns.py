"""Who has a turn at a job, and how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.ground import Ground
from benchmarks.meter import Invocation, Measurement, measure, wait_for_quiet
from benchmarks.ours import OURS
from benchmarks.rounds import Turn

Job = Callable[[Ground], Invocation]


@dataclass(frozen=True)
class Choices:
    """How often each contender has its turn, and which of them take part."""

    rounds: int
    unpaired: bool = False
    floors: bool = False
    compare: bool = False
    backup_options: tuple[str, ...] = ()
    restore_options: tuple[str, ...] = ()
    patience: float = 0


def say(text: str) -> None:
    """Tell how far the benchmark is."""
    print(text, flush=True)


def measure_once(ground: Ground, job: Job, name: str) -> Measurement:
    """Let a contender do a job, on a ground that is ready for it."""
    ground.prepare(name)
    return measure(job(ground))


def turns_of(
    ground: Ground,
    choices: Choices,
    contenders: Mapping[str, Job],
    floors: Mapping[str, Job] | None = None,
    before: Callable[[], None] = lambda: None,
    after: Callable[[str], None] = lambda name: None,
) -> dict[str, Turn]:
    """Return a turn for each contender that takes part.

    `before` prepares each one, `after` looks at what the contender that it
    gets has done; neither is measured.
    """
    chosen = {**contenders, **((floors or {}) if choices.floors else {})}
    if choices.unpaired:
        chosen = {name: job for name, job in chosen.items() if name.startswith(OURS)}

    def turn(name: str, job: Job) -> Turn:
        def take() -> Measurement:
            before()
            wait_for_quiet(choices.patience)
            taken = measure_once(ground, job, name)
            after(name)
            return taken

        return take

    return {name: turn(name, job) for name, job in chosen.items()}
