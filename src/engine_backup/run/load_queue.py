"""Loads of several databases, and of their parts, taken up by workers: the largest first that may begin."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from engine_backup.drivers.interruption import Interruption

# A worker that waits for others sees by then that all are to end.
LONGEST_WAIT_SECONDS = 0.2


@dataclass(frozen=True)
class Task:
    """Something to do; `size` is compared with that of others."""

    size: int
    do: Callable[[Interruption], None]


class Chain:
    """The stages of one database's load, one after the other; `limit` tasks of a stage at the same time."""

    def __init__(self, stages: Iterable[Sequence[Task]], limit: int = 1) -> None:
        self._stages = deque(deque(sorted(stage, key=lambda task: -task.size)) for stage in stages if stage)
        self._limit = limit
        self._going = 0

    @property
    def ended(self) -> bool:
        """Whether nothing is going on or left."""
        return not self._stages and not self._going

    @property
    def next_size(self) -> int:
        """The size of the task that may begin; -1 when none may."""
        may_begin = self._stages and self._stages[0] and self._going < self._limit
        return self._stages[0][0].size if may_begin else -1

    def begin(self) -> Task:
        """Return the task that is to be done now."""
        self._going += 1
        return self._stages[0].popleft()

    def end(self) -> None:
        """Note that a task was done."""
        self._going -= 1
        if not self._going and not self._stages[0]:
            self._stages.popleft()


class LoadQueue:
    """Chains that several threads work at."""

    def __init__(self, chains: Sequence[Chain]) -> None:
        self._chains = chains
        self._changed = threading.Condition()

    def work(self, interruption: Interruption) -> None:
        """Do tasks until all chains have ended; raises what a task raises, and `StoppedError`."""
        while (begun := self._begin(interruption)) is not None:
            chain, task = begun
            task.do(interruption)
            with self._changed:
                chain.end()
                self._changed.notify_all()

    def _begin(self, interruption: Interruption) -> tuple[Chain, Task] | None:
        """Return the largest task that may begin, as soon as there is one; None when all have ended."""
        with self._changed:
            while True:
                interruption.check()
                chain = max(self._chains, key=lambda chain: chain.next_size)
                if chain.next_size >= 0:
                    return chain, chain.begin()
                if all(chain.ended for chain in self._chains):
                    return None
                self._changed.wait(LONGEST_WAIT_SECONDS)
