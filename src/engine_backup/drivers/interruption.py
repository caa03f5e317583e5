"""Ending work in other threads before its time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StoppedError(Exception):
    """Work was ended because of something else, which is what people are told."""


class Interruption:
    """A wish to stop that threads share: it calls what ends their work, and lets them begin no more.

    Ways to end are called from threads of their own, and must not raise.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._triggered = False
        self._ways: dict[object, Callable[[], None]] = {}

    def check(self) -> None:
        """Raise `StoppedError` once work is to end."""
        if self._triggered:
            raise StoppedError

    @contextmanager
    def ending(self, way: Callable[[], None]) -> Iterator[None]:
        """Have `way` called when work is to end while the block lasts.

        Raises `StoppedError` before the block when it is to end already.
        """
        key = object()
        with self._lock:
            self.check()
            self._ways[key] = way
        try:
            yield
        finally:
            with self._lock:
                del self._ways[key]

    def trigger(self) -> None:
        """End all work that has begun, all of it at the same time, and return when each way came to its end.

        The threads themselves may need a moment more.
        """
        with self._lock:
            self._triggered = True
            threads = [threading.Thread(target=way) for way in self._ways.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
