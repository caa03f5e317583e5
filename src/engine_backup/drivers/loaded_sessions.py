"""Logging in to a database that was loaded from an archive, so that nothing in it can do harm.

What such a database holds was written by strangers: its functions, casts, operators and policies may be
anything. So it is read by the role that owns it, never by the superuser (a session of whom could take its
rights back, whatever role it had put on); names mean what PostgreSQL means by them; nothing is written, and
nothing runs for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.load_sessions import cancelled_by
from engine_backup.drivers.postgres import session
from engine_backup.model.facts import Credentials

LONGEST_STATEMENT_SECONDS = 600
# They count more than what the database says about its own sessions (manual, 20.1.3 and 34.1.2).
_OPTIONS = (
    "-c search_path=pg_catalog -c row_security=off -c default_transaction_read_only=on"
    f" -c statement_timeout={LONGEST_STATEMENT_SECONDS}s -c lock_timeout=60s"
)


@contextmanager
def reading(owner: Credentials, interruption: Interruption) -> Iterator[Connection]:
    """Log in as a loaded database's owner, to read; an interruption cancels what the server is doing.

    Raises `LoginError`, `EngineBackupError` for what the server complains about, `StoppedError`.
    """
    with session(owner, _OPTIONS) as connection, cancelled_by(interruption, connection):
        yield connection
