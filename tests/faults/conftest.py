"""Fixtures of the fault table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults import results
from tests.faults.ground import Ground, made_ground


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    """The machines that restores fail on, for one test worker."""
    with made_ground() as made:
        yield made


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Callable[[Callable[[], str]], None]:
    """Play a case and record how it ended, for the summary."""

    def run(case: Callable[[], str]) -> None:
        began, end, reason = time.monotonic(), "broken", ""
        try:
            end = case()
        except pytest.skip.Exception:
            end = "skipped"
            raise
        except Exception as error:
            reason = str(error)
            raise
        finally:
            results.record(end, time.monotonic() - began, request.node.name, reason)

    return run
