"""The signals that ask a run to stop: obeyed once, and not at all while it clears up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from engine_backup.model.errors import InterruptedByUserError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def obey() -> None:
    """Let each of the signals end the run by `InterruptedByUserError`."""
    for number in STOPPING:
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Stop, once: what comes after is clearing up, which impatience must not cut short."""
    for other in STOPPING:
        signal.signal(other, signal.SIG_IGN)
    raise InterruptedByUserError(f"stopped by {signal.Signals(number).name}")


@contextmanager
def ignored() -> Iterator[None]:
    """Ignore the signals while a failed run clears up: it is ending anyway.

    Only the main thread can do that; in another one they never arrive.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in STOPPING]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
