"""Work in other threads that is ended."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine_backup.drivers import process
from engine_backup.drivers.command import Command
from engine_backup.drivers.interruption import Interruption, StoppedError
from engine_backup.model.errors import ProgramError

PATIENCE_SECONDS = 60


def test_work_that_was_not_interrupted_goes_on():
    Interruption().check()


def test_nothing_begins_after_it():
    interruption = Interruption()
    interruption.trigger()
    with pytest.raises(StoppedError):
        interruption.check()
    with pytest.raises(StoppedError), interruption.ending(lambda: None):
        pytest.fail("the block was entered")


def test_all_work_is_ended_at_the_same_time():
    """Each way waits for the other: one after the other would never end."""
    interruption, together = Interruption(), threading.Barrier(2)
    called = []

    def way() -> None:
        together.wait(PATIENCE_SECONDS)
        called.append(1)

    with interruption.ending(way), interruption.ending(way):
        interruption.trigger()
    assert called == [1, 1]


def test_work_that_has_ended_is_left_alone():
    interruption, called = Interruption(), []
    with interruption.ending(lambda: called.append(1)):
        pass
    interruption.trigger()
    assert called == []


def test_a_program_that_another_thread_waits_for():
    interruption, begun = Interruption(), threading.Event()

    def begin() -> None:
        with process.feeding(
            Command("sh", ("-c", "echo >&2; sleep 600")), interruption=interruption
        ) as running:
            while not running.error_output():
                pass
            begun.set()

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(begin)
        assert begun.wait(PATIENCE_SECONDS)
        interruption.trigger()
        with pytest.raises(ProgramError, match="was ended by signal"):
            work.result()


def test_a_program_that_is_started_too_late():
    interruption = Interruption()
    interruption.trigger()
    with pytest.raises(StoppedError):
        process.run(Command("sleep", ("600",)), interruption=interruption)
