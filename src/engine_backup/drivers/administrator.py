"""The administrator's connection: as the OS account that owns the data directory, through its socket.

The server asks the kernel who connects (`peer`), so root only has to be that
account at the moment of connecting; the connection then stays what it is.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers.postgres import APPLICATION, CONNECT_TIMEOUT_SECONDS, LoginError
from engine_backup.drivers.postgres_probe import Reply, ask
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.server import ClusterFacts

DATABASE = "postgres"
POLL_SECONDS = 0.1
# Nobody's objects can stand in for the system's (PostgreSQL manual, 5.9.6); CREATE EXTENSION needs a SCHEMA.
OPTIONS = "-c DateStyle=ISO -c client_min_messages=warning -c search_path=pg_catalog"

# libpq complains aloud about a password file that is no plain file, but not about one that is not there.
NO_FILE = f"{os.devnull}/none"

_IDENTITY = threading.Lock()


class AdministratorRefusedError(LoginError):
    """The server runs, but its pg_hba.conf does not let the administrator in without a password."""


def connect(
    facts: ClusterFacts, database: str = DATABASE, role: str = "", patience_seconds: float = 0.0
) -> Connection:
    """Log in as the administrator, in autocommit mode; the caller closes the connection.

    `role` is the account's own name unless told otherwise. A server that refuses is asked again
    for `patience_seconds`: a reload takes effect a moment later. Raises `AdministratorRefusedError`
    when pg_hba.conf is in the way, otherwise `LoginError`.

    While it connects, root's *whole process* acts as that account: no other thread may open or
    create files meanwhile. Connections are opened one at a time.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            return _connect(facts, database, role or facts.owner)
        except AdministratorRefusedError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(POLL_SECONDS)


@contextmanager
def administrator_session(
    facts: ClusterFacts, database: str = DATABASE, role: str = "", patience_seconds: float = 0.0
) -> Iterator[Connection]:
    """Be logged in as the administrator while the block lasts; see `connect`."""
    with closing(connect(facts, database, role, patience_seconds)) as connection:
        yield connection


def asked(facts: ClusterFacts, database: str = DATABASE, role: str = "") -> Reply:
    """Return how the server would let the administrator in, without logging in."""
    if not facts.running or facts.socket_directory is None:
        return Reply(message="it is not running, or has no socket")
    with _acting_as(facts):
        return ask(f"{facts.socket_directory}/.s.PGSQL.{facts.port}", role or facts.owner, database)


def _connect(facts: ClusterFacts, database: str, role: str) -> Connection:
    if facts.socket_directory is None:
        raise LoginError(
            f"PostgreSQL in {facts.data} has no socket to log in through",
            "start it, and set unix_socket_directories in postgresql.conf",
        )
    try:
        with _acting_as(facts):
            connection: Connection = psycopg2.connect(
                host=str(facts.socket_directory),
                port=facts.port,
                dbname=database,
                user=role,
                passfile=NO_FILE,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                application_name=APPLICATION,
                options=OPTIONS,
            )
    except (psycopg2.Error, UnicodeError, ValueError) as error:
        raise _login_error(facts, asked(facts, database, role), role, error) from None
    connection.autocommit = True
    return connection


@contextmanager
def _acting_as(facts: ClusterFacts) -> Iterator[None]:
    """Be the owner of the data directory for a moment.

    The kernel notes the effective user of connect(2) (unix(7), SO_PEERCRED). The C
    library changes all threads (nptl(7)); the lock keeps them from taking another's for theirs.
    """
    with _IDENTITY:
        if os.geteuid() == facts.uid:
            yield
            return
        if os.geteuid() != 0:
            raise EngineBackupError(
                f"only root and {facts.owner} can administer PostgreSQL in {facts.data}",
                f"run this as root or as {facts.owner}",
            )
        with _group(facts.gid):
            os.seteuid(facts.uid)
            try:
                yield
            finally:
                os.seteuid(0)


@contextmanager
def _group(gid: int) -> Iterator[None]:
    former = os.getegid()
    os.setegid(gid)
    try:
        yield
    finally:
        os.setegid(former)


def _login_error(facts: ClusterFacts, reply: Reply, role: str, error: Exception) -> LoginError:
    if reply.refused:
        return AdministratorRefusedError(
            f"PostgreSQL in {facts.data} does not let '{role}' in through its socket",
            f"put 'local all {role} peer' first in its pg_hba.conf, and reload it",
        )
    reason = reply.message or (str(error).strip().splitlines() or [type(error).__name__])[0]
    return LoginError(
        f"cannot log in to PostgreSQL in {facts.data} as '{role}': {reason}", f"see the log in {facts.data}"
    )
