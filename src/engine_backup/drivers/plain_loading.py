r"""Loading a plain dump: statement by statement through our own connection, no psql.

psql reads commands of its own out of what it is fed (`\!`, `\o |…`, `\copy
… program`), which makes a dump a program that runs on this machine. A
connection has no such commands, so there is nothing to escape to; see
docs/decisions/0002-plain-dumps-without-psql.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, cast

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.load_sessions import LoadSession, cancelled_by
from engine_backup.drivers.plain_dump import CopyData, Statement, split
from engine_backup.drivers.postgres import session
from engine_backup.model.errors import EngineBackupError

COPY_BYTES = 1 << 18


def load(login: LoadSession, dump: BinaryIO, name: str, wanted: Callable[[str], bool]) -> None:
    """Run every statement that `wanted` says yes to; the first that fails ends it.

    Raises `EngineBackupError` with the line of the dump and the server's SQLSTATE; when it is
    interrupted, that or `StoppedError`.
    """
    database = login.credentials.database
    with (
        session(login.credentials, login.options) as connection,
        cancelled_by(login.interruption, connection, login.credentials),
    ):
        for item in split(dump, name):
            login.interruption.check()
            statement = _text(item)
            if isinstance(item, CopyData) or wanted(statement):
                _run(connection, item, statement, database)


def _text(item: Statement | CopyData) -> str:
    raw = item.statement if isinstance(item, CopyData) else item.text
    return raw.decode("utf-8", "surrogateescape")


def _run(connection: Connection, item: Statement | CopyData, statement: str, database: str) -> None:
    try:
        with connection.cursor() as cursor:
            if isinstance(item, CopyData):
                cursor.copy_expert(statement, cast(BinaryIO, item.stream), COPY_BYTES)
            else:
                cursor.execute(item.text)
    except psycopg2.Error as error:
        reason = (error.diag.message_primary or str(error)).strip()
        message = (
            f"Errors while restoring database {database}: line {item.line_number} of the dump:"
            f" {reason} (SQLSTATE {error.pgcode})"
        )
        raise EngineBackupError(message, "the dump does not fit this server; see the log") from error
