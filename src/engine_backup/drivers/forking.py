"""Keeping the exceptions of signals out of forks.

Python runs code of other modules around a fork (`os.register_at_fork`) and drops what that raises: a signal
whose handler raises there would be lost, and locks would stay locked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class _State:
    """Of the main thread: only there do handlers run."""

    forking: bool = False
    waiting: BaseException | None = None


_state = _State()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within the block, handlers leave what they would raise to `catch_up`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.forking = True
    try:
        yield
    finally:
        _state.forking = False


def postponed(error: BaseException) -> bool:
    """Take an exception for later, and return True; False where it can be raised at once."""
    if _state.forking:
        _state.waiting = error
    return _state.forking


def catch_up() -> None:
    """Raise in the main thread what came meanwhile."""
    if threading.current_thread() is threading.main_thread() and _state.waiting is not None:
        waiting, _state.waiting = _state.waiting, None
        raise waiting
