"""Workers that take up the loads of several databases."""

from __future__ import annotations

import threading

import pytest

from engine_backup.drivers.interruption import Interruption, StoppedError
from engine_backup.run import side_by_side
from engine_backup.run.load_queue import Chain, LoadQueue, Task


class Place:
    """Notes what was done, in its order, and how much of it at the same time."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.going: list[str] = []
        self.together: list[set[str]] = []
        self._lock = threading.Lock()

    def task(self, name: str, size: int = 1, meets: threading.Barrier | None = None) -> Task:
        def do(interruption: Interruption) -> None:
            with self._lock:
                self.going.append(name)
                self.together.append(set(self.going))
            if meets:
                meets.wait(60)
            with self._lock:
                self.going.remove(name)
                self.done.append(name)

        return Task(size, do)


def work(queue: LoadQueue, at_once: int) -> None:
    side_by_side.perform([queue.work] * at_once, at_once, "test")


@pytest.fixture
def place() -> Place:
    return Place()


def test_the_largest_that_may_begin_comes_first(place: Place):
    one = Chain([[place.task("a", 9)], [place.task("a1", 2), place.task("a2", 7)], [place.task("a3", 1)]])
    other = Chain([[place.task("b", 8)], [], [place.task("b1", 3)]])
    work(LoadQueue([one, other]), 1)
    assert place.done == ["a", "b", "a2", "b1", "a1", "a3"]
    assert one.ended
    assert other.ended


def test_a_stage_begins_when_all_before_it_have_ended(place: Place):
    """The two parts wait for each other: they are done at the same time, and the end comes behind both."""
    meets = threading.Barrier(2)
    parts = [place.task("one", 1, meets), place.task("other", 2, meets)]
    work(LoadQueue([Chain([[place.task("begin")], parts, [place.task("end")]], limit=2)]), 4)
    assert (place.done[0], place.done[3]) == ("begin", "end")
    assert {"one", "other"} in place.together
    assert all(not {"end", "begin"} & seen for seen in place.together if len(seen) > 1)


def test_no_more_of_a_database_at_the_same_time_than_it_may_have(place: Place):
    """The two that wait for each other come from both databases, although one has the larger tasks."""
    meets = threading.Barrier(2)
    small = [[place.task(f"small {n}", 1, meets)] for n in range(3)]
    large = [[place.task(f"large {n}", 9, meets) for n in range(3)]]
    work(LoadQueue([Chain(small), Chain(large)]), 8)
    assert len(place.done) == 6
    assert max(len(seen) for seen in place.together) == 2


def test_a_failure_ends_those_that_wait_too(place: Place):
    def fail(interruption: Interruption) -> None:
        raise ValueError("out of paper")

    queue = LoadQueue([Chain([[Task(1, fail)], [place.task("never")]])])
    with pytest.raises(ValueError, match="out of paper"):
        work(queue, 3)
    assert place.done == []


def test_nothing_begins_once_all_is_to_end(place: Place):
    interruption = Interruption()
    interruption.trigger()
    with pytest.raises(StoppedError):
        LoadQueue([Chain([[place.task("never")]])]).work(interruption)
    assert place.done == []
