"""What all work with an administrator's connection shares: transactions, names, errors, acting as a role.

The connection is in autocommit mode; it is a superuser's, or one of a role with CREATEDB and
CREATEROLE on a server of somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import psycopg2
from psycopg2 import errorcodes, sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers.postgres import value
from engine_backup.model.errors import EngineBackupError

LONGEST_NAME = 63  # bytes; the server cuts longer ones without an error (PostgreSQL manual, 4.1.1)
SINCE_16 = 160000

_IN_USE = "stop what uses it, see pg_stat_activity"
# By SQLSTATE (PostgreSQL manual, appendix A), never by the words.
HINTS = {
    errorcodes.READ_ONLY_SQL_TRANSACTION: "the server takes no changes, as a standby does: name the primary",
    errorcodes.INSUFFICIENT_PRIVILEGE: (
        "log in as a superuser, or as a role with CREATEDB and CREATEROLE"
        " that has the ADMIN option on the role concerned"
    ),
    errorcodes.DUPLICATE_DATABASE: "choose another name, or remove what has it",
    errorcodes.DUPLICATE_OBJECT: "choose another name, or remove what has it",
    errorcodes.INVALID_CATALOG_NAME: "create the database, or name another",
    errorcodes.UNDEFINED_OBJECT: "create the role or extension that is missing",
    errorcodes.OBJECT_IN_USE: _IN_USE,
    errorcodes.DEPENDENT_OBJECTS_STILL_EXIST: "give what it owns to another role first (REASSIGN OWNED)",
    errorcodes.RESERVED_NAME: "choose another name",
    errorcodes.INVALID_NAME: "choose another name",
    errorcodes.WRONG_OBJECT_TYPE: "install the locale on the server, then restart PostgreSQL",
    errorcodes.INVALID_PARAMETER_VALUE: "install a UTF-8 locale on the server, then restart PostgreSQL",
    errorcodes.FEATURE_NOT_SUPPORTED: "install postgresql-contrib of the server's version",
    errorcodes.UNDEFINED_FILE: "install postgresql-contrib of the server's version",
    errorcodes.DISK_FULL: "make room on the server's disk",
    errorcodes.TOO_MANY_CONNECTIONS: "end sessions, or raise max_connections",
    errorcodes.LOCK_NOT_AVAILABLE: _IN_USE,
}
# The last one is told to the slower one of two sessions.
_NAME_IS_TAKEN = (errorcodes.DUPLICATE_DATABASE, errorcodes.DUPLICATE_OBJECT, errorcodes.UNIQUE_VIOLATION)
DEFAULT_HINT = "look into the database server's log"

# So that nothing of a statement reaches the server's log: as few as may see a verifier, the better.
_QUIET = (
    "SET LOCAL log_statement = 'none'",
    "SET LOCAL log_min_error_statement = 'panic'",
    "SET LOCAL log_min_duration_statement = -1",
)


def checked_name(name: str) -> sql.Identifier:
    """Return a name as an identifier; raises `EngineBackupError` for one that the server would not keep."""
    size = len(name.encode("utf-8", "surrogateescape"))
    if not 0 < size <= LONGEST_NAME or any(sign in name for sign in "\0\r\n"):
        message = f"{name!r} cannot be the name of a role or a database"
        raise EngineBackupError(message, f"choose one of at most {LONGEST_NAME} bytes, on a single line")
    return sql.Identifier(name)


class AlreadyThereError(EngineBackupError):
    """Something of that name is there: it is somebody else's, and nothing was made."""


@contextmanager
def explained(action: str) -> Iterator[None]:
    """Turn what the server complains about into `cannot ACTION: …` with a hint.

    Of a name that is taken it is an `AlreadyThereError`. The original error ends here: it would carry
    the statement along, and so maybe a verifier.
    """
    try:
        yield
    except psycopg2.Error as error:
        lines = (error.diag.message_primary or str(error) or type(error).__name__).strip().split("\n")
        hint = HINTS.get(error.pgcode or "", DEFAULT_HINT)
        kind = AlreadyThereError if error.pgcode in _NAME_IS_TAKEN else EngineBackupError
        raise kind(f"cannot {action}: {lines[0]}", hint) from None


@contextmanager
def transaction(administrator: Connection) -> Iterator[None]:
    """Make the statements within the block one transaction."""
    with administrator.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            yield
        except BaseException:
            if not administrator.closed:
                cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")


def execute(administrator: Connection, statement: str | sql.Composable, *arguments: sql.Composable) -> None:
    """Run one statement; text takes its identifiers and literals at `{}`."""
    composed = sql.SQL(statement).format(*arguments) if isinstance(statement, str) else statement
    with administrator.cursor() as cursor:
        cursor.execute(composed)


def is_superuser(administrator: Connection) -> bool:
    """Whether the connection acts as a superuser now."""
    return bool(value(administrator, "SHOW is_superuser") == "on")


def keep_out_of_log(administrator: Connection) -> None:
    """Let the server's log have nothing of the statements of this transaction, where we may say so."""
    if is_superuser(administrator):
        for statement in _QUIET:
            execute(administrator, statement)


@contextmanager
def belonging_to(administrator: Connection, roles: Iterable[str]) -> Iterator[None]:
    """Be a member of roles while the block lasts, as giving them something and acting as them needs.

    Nothing for a superuser. Since PostgreSQL 16 having created a role is not enough (CREATEROLE).
    """
    with ExitStack() as stack:
        if not is_superuser(administrator):
            for role in dict.fromkeys(roles):
                stack.enter_context(_member(administrator, role))
        yield


@contextmanager
def _member(administrator: Connection, role: str) -> Iterator[None]:
    if _acts_as(administrator, role):
        yield
        return
    modern = administrator.server_version >= SINCE_16
    options = " WITH INHERIT TRUE, SET TRUE" if modern else ""
    execute(administrator, "GRANT {} TO CURRENT_USER" + options, checked_name(role))
    try:
        yield
    finally:
        if not administrator.closed:
            grantor = " GRANTED BY CURRENT_USER" if modern else ""
            execute(administrator, "REVOKE {} FROM CURRENT_USER" + grantor, checked_name(role))


def _acts_as(administrator: Connection, role: str) -> bool:
    """Whether the administrator has the role's rights and may SET ROLE to it."""
    query = "SELECT pg_catalog.pg_has_role(oid, 'USAGE') AND pg_catalog.pg_has_role(oid, %s)"
    kind = "SET" if administrator.server_version >= SINCE_16 else "MEMBER"
    with administrator.cursor() as cursor:
        cursor.execute(query + " FROM pg_catalog.pg_roles WHERE rolname = %s", (kind, role))
        found = cursor.fetchone()
    return bool(found and found[0])
