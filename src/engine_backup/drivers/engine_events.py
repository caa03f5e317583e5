"""Telling the engine about backups, in its own database (reference 8)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

TIMEOUT_MILLISECONDS = 5000

_TIMEOUTS = (
    "SELECT set_config(name, %s, true) FROM unnest(ARRAY['statement_timeout', 'lock_timeout']) AS name"
)
_EVENT = "SELECT LogEngineBackupEvent(%s::varchar(64), now(), %s::int, %s::text, %s::varchar(255), %s::text)"


def notify(connection: Connection, scope: str, status: int, message: str, fqdn: str, log_path: str) -> str:
    """Record one event in a transaction of its own; return a warning, or an empty text when it is recorded.

    `status`: 0 started, 1 done, -1 failed. Never waits longer than some
    seconds and never raises for anything that the database says: a backup does
    not fail because of its notification (contract K5).
    """
    values = (scope, status, message, fqdn, log_path)
    try:
        with _own_transaction(connection), connection, connection.cursor() as cursor:
            cursor.execute(_TIMEOUTS, (str(TIMEOUT_MILLISECONDS),))
            cursor.execute(_EVENT, tuple(_storable(value) for value in values))
    except psycopg2.Error as error:
        return str(error).strip() or type(error).__name__
    return ""


@contextmanager
def _own_transaction(connection: Connection) -> Iterator[None]:
    """Leave autocommit mode, so that the timeouts are this transaction's only."""
    before = connection.autocommit
    connection.autocommit = False
    try:
        yield
    finally:
        if not connection.closed:
            connection.autocommit = before


def _storable(value: object) -> object:
    """Return a text without what PostgreSQL cannot store: NUL, and bytes that are not UTF-8."""
    if not isinstance(value, str):
        return value
    return value.replace("\0", "").encode("utf-8", "replace").decode()
