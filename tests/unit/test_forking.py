"""A signal that comes in the middle of a fork is neither lost nor does it end the run within it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine_backup.drivers import forking
from engine_backup.model.errors import InterruptedByUserError
from tests.support.real_process import environment

# The signal comes in a hook of the fork, where Python drops exceptions.
SCRIPT = """
import os, signal
from engine_backup.drivers.command import Command
from engine_backup.drivers.process import run
from engine_backup.model.errors import InterruptedByUserError
from engine_backup.run import stopping

stopping.obey(lambda error: os._exit(9))
os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGTERM))
try:
    run(Command("sleep", ("60",)))
except InterruptedByUserError as error:
    print(error.message)
"""


def test_the_run_ends_once_the_fork_is_over():
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("stopped by SIGTERM\n", "")


def test_what_comes_in_a_fork_is_raised_after_it():
    error = InterruptedByUserError("x")
    assert not forking.postponed(error)
    with forking.undisturbed():
        assert forking.postponed(error)
    with pytest.raises(InterruptedByUserError):
        forking.catch_up()
    forking.catch_up()
