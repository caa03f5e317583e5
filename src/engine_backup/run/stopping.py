"""The signals that ask a run to stop: the first in order, the second at once where that is prepared."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from engine_backup.drivers import forking
from engine_backup.model.errors import EngineBackupError, InterruptedByUserError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Given the signal's name, says what is left behind.
LastWords = Callable[[str], EngineBackupError]
Leave = Callable[[EngineBackupError], NoReturn]


@dataclass
class _Wishes:
    """The first signal that came, how to leave at once, and what is to be said then."""

    first: int = 0
    leave: Leave | None = None
    last_words: list[LastWords] = field(default_factory=list)


_wishes = _Wishes()


def obey(leave: Leave) -> None:
    """Let the first signal end the run by `InterruptedByUserError`, a second one by `leave`."""
    _wishes.leave = leave
    for number in STOPPING:
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Stop, once: what comes after is clearing up."""
    _note(number, frame)
    error = InterruptedByUserError(f"stopped by {signal.Signals(number).name}")
    if not forking.postponed(error):
        raise error


def _note(number: int, _frame: FrameType | None) -> None:
    """A run that is ending anyway takes no notice of the first signal but this."""
    _wishes.first = number
    for other in STOPPING:
        signal.signal(other, _again)


def _again(number: int, _frame: FrameType | None) -> None:
    """Leave at once. A lost terminal often tells twice, by shell and kernel: that is no impatience."""
    if _wishes.last_words and _wishes.leave and not number == _wishes.first == signal.SIGHUP:
        _wishes.leave(_wishes.last_words[-1](signal.Signals(number).name))


@contextmanager
def leaving(last_words: LastWords) -> Iterator[None]:
    """Within the block a second signal ends the process at once; without such a block it does nothing."""
    _wishes.last_words.append(last_words)
    try:
        yield
    finally:
        _wishes.last_words.remove(last_words)


def clearing_up() -> AbstractContextManager[None]:
    """Within the block, of a run that is ending, the first signal changes nothing."""
    return _handled_by(_note)


def ignored() -> AbstractContextManager[None]:
    """Within the block no signal changes anything: what is done must not be reported as stopped."""
    return _handled_by(signal.SIG_IGN)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    """Only the main thread can do that; in another one signals never arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    for number, former in before.items():
        if former is not _again or handler is signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, former in before.items():
            if signal.getsignal(number) is not _again:
                signal.signal(number, former)
