"""Work in several threads at the same time; the first that fails, or a signal, ends the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from engine_backup.drivers.interruption import Interruption
from engine_backup.run import stopping

# A signal that another thread got is seen by then.
LONGEST_WAIT_SECONDS = 1.0


def perform(works: Sequence[Callable[[Interruption], None]], at_once: int, name: str) -> None:
    """Do all works, `at_once` of them at the same time, begun in this order; `name` is that of the threads.

    Raises what the first that failed has raised. When this returns or raises, no work is going on any
    more: what undoes it can begin. Works must end soon after their interruption is triggered.
    """
    interruption = Interruption()
    with ThreadPoolExecutor(at_once, name) as pool, _ended_on_failure(pool, interruption):
        _await([pool.submit(work, interruption) for work in works])


def _await(works: Sequence[Future[None]]) -> None:
    """Wait for all, and raise what the first that failed has raised.

    What others raise after that comes from being ended.
    """
    waiting = True
    while waiting:
        done, going = wait(works, LONGEST_WAIT_SECONDS, FIRST_EXCEPTION)
        for work in works:
            if work in done:
                work.result()
        waiting = bool(going)


@contextmanager
def _ended_on_failure(pool: ThreadPoolExecutor, interruption: Interruption) -> Iterator[None]:
    """End what is going on in a pool when the block fails, by a signal too, and wait for that end.

    A signal that comes meanwhile asks for the same.
    """
    try:
        yield
    except BaseException:
        with stopping.clearing_up():
            pool.shutdown(wait=False, cancel_futures=True)
            interruption.trigger()
            pool.shutdown(wait=True)
        raise
