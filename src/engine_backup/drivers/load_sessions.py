"""How a load logs in: as whom, with which settings, and how it is ended before its time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.interruption import Interruption
from engine_backup.model.facts import Credentials

CANCEL_SECONDS = 0.2


@dataclass(frozen=True)
class LoadSession:
    """`settings` are names and values that count in this session only; they are ours, never the archive's."""

    credentials: Credentials
    settings: tuple[tuple[str, str], ...] = ()
    interruption: Interruption = field(default_factory=Interruption)

    @property
    def options(self) -> str:
        """The settings as libpq passes them to the server (PostgreSQL manual, 34.1.2, `options`)."""
        return " ".join(f"-c {name}={value}" for name, value in self.settings)


@contextmanager
def cancelled_by(interruption: Interruption, connection: Connection) -> Iterator[None]:
    """Let an interruption cancel what the server is doing, as often as it takes.

    A cancellation that arrives between two statements cancels neither.
    """
    ended = threading.Event()

    def cancel() -> None:
        while not ended.is_set():
            with suppress(psycopg2.Error):
                connection.cancel()
            ended.wait(CANCEL_SECONDS)

    with interruption.ending(cancel):
        try:
            yield
        finally:
            ended.set()
