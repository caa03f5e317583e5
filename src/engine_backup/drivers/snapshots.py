"""Holding one consistent view of a database, for programs that read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timezone

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers import postgres
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials


@dataclass(frozen=True)
class SnapshotFacts:
    """A moment of a database: exported name, time (UTC, ISO 8601), and position in the server's log."""

    name: str
    taken_at: str
    position: str
    server_version: int


@contextmanager
def snapshot(
    credentials: Credentials, agree: Callable[[], object] = lambda: None
) -> Iterator[tuple[Connection, SnapshotFacts]]:
    """Hold one consistent view of a database while the block lasts, exported for pg_dump.

    The transaction is READ ONLY and REPEATABLE READ and never times out while idle (PostgreSQL
    manual, 9.28.5). `agree` is called when all is ready for the view, which is that of the moment when it
    returns. Raises `LoginError`, and `EngineBackupError` when the view was lost before the end.
    """
    with closing(postgres.connect(credentials)) as connection:
        with postgres.naming(credentials):
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            with connection.cursor() as cursor:
                cursor.execute("SET idle_in_transaction_session_timeout = 0")
            agree()
            facts = _snapshot_facts(connection)
        yield connection, facts
        try:
            postgres.value(connection, "SELECT 1")
        except psycopg2.Error as error:
            message = f"the snapshot of database '{credentials.database}' was lost while it was being saved"
            raise EngineBackupError(message, "look into the database server's log") from error


# One statement, so that nothing comes between the view and its time. On a standby the first function for the
# log may not be called.
_EXPORT = """
    SELECT pg_catalog.pg_export_snapshot(), pg_catalog.clock_timestamp(),
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                ELSE pg_catalog.pg_current_wal_lsn() END::text
"""


def _snapshot_facts(connection: Connection) -> SnapshotFacts:
    (name, taken_at, position) = postgres.rows(connection, _EXPORT)[0]
    return SnapshotFacts(
        name, taken_at.astimezone(timezone.utc).isoformat(), position, connection.server_version
    )
