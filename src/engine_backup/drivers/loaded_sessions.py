"""Logging in to a database that was loaded from an archive, so that nothing in it can do harm.

What such a database holds was written by strangers: its functions, casts, operators and policies may be
anything. So it is read by the role that owns it, never by the superuser (a session of whom could take its
rights back, whatever role it had put on); names mean what PostgreSQL means by them; nothing is written, and
nothing runs for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.load_sessions import cancelled_by, end_session
from engine_backup.drivers.postgres import session
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials

LONGEST_STATEMENT_SECONDS = 600
# A function may catch that its statement was cancelled, and go on; the end of its session it cannot catch.
LONGEST_SESSION_SECONDS = 3600
# They count more than what the database says about its own sessions (manual, 20.1.3 and 34.1.2).
_OPTIONS = (
    "-c search_path=pg_catalog -c row_security=off -c default_transaction_read_only=on"
    f" -c statement_timeout={LONGEST_STATEMENT_SECONDS}s -c lock_timeout=60s"
)


@contextmanager
def reading(
    owner: Credentials, interruption: Interruption, longest: float = LONGEST_SESSION_SECONDS
) -> Iterator[Connection]:
    """Log in as a loaded database's owner, to read; an interruption cancels what the server is doing.

    After `longest` seconds the session is ended. Raises `LoginError`, `EngineBackupError` for what the
    server complains about, `StoppedError`.
    """
    with (
        session(owner, _OPTIONS) as connection,
        cancelled_by(interruption, connection, owner),
        _limited(connection, owner, longest),
    ):
        yield connection


@contextmanager
def _limited(connection: Connection, owner: Credentials, seconds: float) -> Iterator[None]:
    """End the session when the block takes longer."""

    def end() -> None:
        with suppress(EngineBackupError):
            end_session(number, owner)

    number = connection.info.backend_pid
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
