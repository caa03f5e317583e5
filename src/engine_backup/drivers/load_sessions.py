"""How a load logs in: as whom, with which settings, and how it is ended before its time."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.postgres import session, value
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials

CANCEL_SECONDS = 0.2
# So many in vain, and the session is ended.
CANCELLATIONS = 10


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
def cancelled_by(
    interruption: Interruption, connection: Connection, credentials: Credentials
) -> Iterator[None]:
    """Let an interruption cancel what the server is doing, as often as it takes, and in the end its session.

    A cancellation that arrives between two statements cancels neither. Functions may catch it
    (`query_canceled`), but nothing catches the end of their session. `credentials` are the connection's.
    """
    ended = threading.Event()
    number = connection.info.backend_pid

    def cancel() -> None:
        for attempt in itertools.count():
            if ended.is_set():
                return
            with suppress(psycopg2.Error, EngineBackupError):
                if attempt < CANCELLATIONS:
                    connection.cancel()
                else:
                    end_session(number, credentials)
            ended.wait(CANCEL_SECONDS)

    with interruption.ending(cancel):
        try:
            yield
        finally:
            ended.set()


def end_session(number: int, credentials: Credentials) -> None:
    """End another session (its process id) of the same role; raises `EngineBackupError`."""
    with session(credentials) as other:
        value(other, "SELECT pg_catalog.pg_terminate_backend(%s)", number)
