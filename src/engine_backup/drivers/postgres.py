"""Connections to PostgreSQL: logging in, looking, and handing credentials to its programs.

SQL is fixed text with parameters; names go through `psycopg2.sql`. Errors are
told apart by exception class and SQLSTATE, never by their words, so no
server language matters.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name
from psycopg2.extensions import make_dsn

from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials, DatabaseState
from engine_backup.model.server import MemorySettings

CONNECT_TIMEOUT_SECONDS = 15
APPLICATION = "engine-backup"

# Objects that a person or a program made: no system schema, nothing that belongs to an
# extension, not the schema public itself. Shared with `emptying`.
OWN_OBJECTS = """
    SELECT o.classid, o.objid
      FROM (SELECT 'pg_class'::regclass::oid AS classid, oid AS objid, relnamespace AS namespace
              FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            UNION ALL SELECT 'pg_proc'::regclass::oid, oid, pronamespace FROM pg_catalog.pg_proc
            UNION ALL SELECT 'pg_type'::regclass::oid, t.oid, typnamespace FROM pg_catalog.pg_type t
              WHERE typtype IN ('d', 'e', 'r')
                 OR (typtype = 'c' AND EXISTS (SELECT FROM pg_catalog.pg_class c
                                                WHERE c.oid = typrelid AND c.relkind = 'c'))
            UNION ALL SELECT 'pg_operator'::regclass::oid, oid, oprnamespace FROM pg_catalog.pg_operator
            UNION ALL SELECT 'pg_collation'::regclass::oid, oid, collnamespace FROM pg_catalog.pg_collation
            UNION ALL SELECT 'pg_ts_config'::regclass::oid, oid, cfgnamespace FROM pg_catalog.pg_ts_config
            UNION ALL SELECT 'pg_ts_dict'::regclass::oid, oid, dictnamespace FROM pg_catalog.pg_ts_dict
            UNION ALL SELECT 'pg_namespace'::regclass::oid, oid, oid FROM pg_catalog.pg_namespace
              WHERE nspname <> 'public'
           ) o
      JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace
     WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('e', 'i'))
"""


class LoginError(EngineBackupError):
    """A database could not be reached, or does not let us in."""


def conninfo(credentials: Credentials) -> str:
    """Return a quoted libpq connection string without the password.

    Names that hold `=`, quotes or `postgresql://` stay names (PostgreSQL manual, 34.1.1).
    """
    return str(make_dsn(**_parameters(credentials)))


def connect(credentials: Credentials, options: str = "") -> Connection:
    """Log in; raises `LoginError`, which names server and database and never holds the password.

    `options` are settings of the session, as `-c name=value`.
    """
    try:
        connection: Connection = psycopg2.connect(
            **_parameters(credentials),
            password=credentials.password.reveal(),
            passfile=os.devnull,
            options=f"-c DateStyle=ISO -c client_min_messages=warning {options}",
        )
    except (psycopg2.Error, UnicodeError, ValueError) as error:
        raise _login_error(credentials, error) from None
    return connection


def _parameters(credentials: Credentials) -> dict[str, Any]:
    return {
        "host": credentials.host,
        "port": credentials.port,
        "user": credentials.user,
        "dbname": credentials.database,
        "sslmode": "require" if credentials.secured else "prefer",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": APPLICATION,
    }


def _login_error(credentials: Credentials, error: Exception) -> LoginError:
    """Keep libpq's last line, which says why, and add what to look at."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0].rsplit("FATAL:", 1)[-1].strip() if lines else type(error).__name__
    message = f"Can't connect to database '{credentials.database}' at {credentials.address}: {reason}"
    hint = f"check user, password and server; they come from {credentials.source or 'the options'}"
    return LoginError(message, hint)


@contextmanager
def session(credentials: Credentials, options: str = "") -> Iterator[Connection]:
    """Log in for the length of a block, in autocommit mode; `options` as for `connect`.

    Raises `LoginError`, and `EngineBackupError` for what the server complains about within the block.
    """
    with closing(connect(credentials, options)) as connection, naming(credentials):
        connection.autocommit = True
        yield connection


@contextmanager
def naming(credentials: Credentials) -> Iterator[None]:
    """Turn what the server complains about within the block into an error that names the database."""
    try:
        yield
    except psycopg2.Error as error:
        lines = (error.diag.message_primary or str(error)).split("\n")
        message = f"database '{credentials.database}' at {credentials.address}: {lines[0].strip()}"
        raise EngineBackupError(message, "look into the database server's log") from error


@contextmanager
def password_file(credentials: Credentials, directory: Path) -> Iterator[dict[str, str]]:
    """Return the environment that lets a PostgreSQL program log in, while the block lasts.

    A file 0600 in a private directory with one line that fits any server: the
    program gets its server from `conninfo` alone (PostgreSQL manual, 34.16).
    """
    password = credentials.password.reveal().replace("\\", "\\\\").replace(":", "\\:")
    descriptor, name = tempfile.mkstemp(prefix="pass-", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(f"*:*:*:*:{password}\n".encode("utf-8", "surrogateescape"))
        yield {"PGPASSFILE": name}
    finally:
        Path(name).unlink()


def rows(connection: Connection, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return all rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters or None)
        return list(cursor.fetchall())


def value(connection: Connection, query: str, *parameters: Any) -> Any:
    """Return the first column of the first row of a query."""
    return rows(connection, query, *parameters)[0][0]


def database_size(connection: Connection) -> int:
    """Return the size of the database on the server's disk, in bytes."""
    size = value(connection, "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())")
    return int(size)


def has_hosted_engine(connection: Connection) -> bool:
    """Whether an engine's database knows the engine's own machine: one of origin 6 (reference 11)."""
    if value(connection, "SELECT pg_catalog.to_regclass('public.vm_static')") is None:
        return False
    return bool(value(connection, "SELECT EXISTS (SELECT FROM public.vm_static WHERE origin = 6)"))


def count_objects(connection: Connection) -> int:
    """Return how many objects of users are in the database of a connection."""
    counted: int = value(connection, f"SELECT pg_catalog.count(*) FROM ({OWN_OBJECTS}) AS own")  # noqa: S608
    return counted


def observe(connection: Connection) -> DatabaseState:
    """Return what is in a database and what its role may do there."""
    return DatabaseState(
        server_version=connection.server_version,
        size=database_size(connection),
        objects=count_objects(connection),
        encoding=value(connection, "SHOW server_encoding"),
        superuser=value(connection, "SHOW is_superuser") == "on",
        may_create=value(
            connection,
            "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')"
            " AND pg_catalog.has_schema_privilege('public', 'CREATE')",
        ),
        extensions=frozenset(
            name for (name,) in rows(connection, "SELECT extname FROM pg_catalog.pg_extension")
        ),
        creatable_extensions=_creatable_extensions(connection),
        roles=frozenset(name for (name,) in rows(connection, "SELECT rolname FROM pg_catalog.pg_roles")),
        functions=frozenset(
            name
            for (name,) in rows(
                connection,
                "SELECT p.proname FROM pg_catalog.pg_proc p"
                " JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public'",
            )
        ),
        sessions=value(
            connection,
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity"
            " WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()"
            " AND usesysid IS NOT NULL",
        ),
        memory=memory_settings(connection),
    )


# Units are "kB", or "8kB" for what is counted in blocks.
_MEMORY = """
    SELECT name, setting::bigint * coalesce(substring(unit from '^[0-9]+')::bigint, 1)
           * CASE WHEN unit ~ 'kB$' THEN 1024 ELSE 1 END
      FROM pg_catalog.pg_settings
     WHERE name IN ('shared_buffers', 'maintenance_work_mem', 'max_parallel_maintenance_workers')
"""


def memory_settings(connection: Connection) -> MemorySettings:
    """Return what a session of this role uses of the server's memory."""
    found: dict[str, int] = dict(rows(connection, _MEMORY))
    return MemorySettings(
        shared_buffers=found["shared_buffers"],
        maintenance_work_mem=found["maintenance_work_mem"],
        parallel_maintenance_workers=found.get("max_parallel_maintenance_workers"),
    )


def _creatable_extensions(connection: Connection) -> frozenset[str]:
    """Name the extensions that this role may create: trusted ones (since PostgreSQL 13)."""
    if connection.server_version < 130000:
        return frozenset()
    query = "SELECT DISTINCT name FROM pg_catalog.pg_available_extension_versions WHERE trusted"
    return frozenset(name for (name,) in rows(connection, query))


def extensions(connection: Connection) -> list[str]:
    """Return the names of the extensions in a database."""
    return [name for (name,) in rows(connection, "SELECT extname FROM pg_catalog.pg_extension ORDER BY 1")]


def granted_roles(connection: Connection) -> list[str]:
    """Return the roles that something in a database, or the database, is granted to."""
    return [name for (name,) in rows(connection, GRANTED_ROLES)]


# Roles that some privilege in this database, or on it, was given to (PostgreSQL manual, 53.46 pg_shdepend).
GRANTED_ROLES = """
    SELECT DISTINCT r.rolname
      FROM pg_catalog.pg_shdepend d
      JOIN pg_catalog.pg_roles r ON r.oid = d.refobjid
      JOIN pg_catalog.pg_database b ON b.datname = pg_catalog.current_database()
     WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.deptype = 'a'
       AND (d.dbid = b.oid OR (d.classid = 'pg_catalog.pg_database'::regclass AND d.objid = b.oid))
     ORDER BY 1
"""


def make_lasting(connection: Connection) -> None:
    """Have the server write to its disk what sessions with `synchronous_commit=off` have committed before.

    A commit that has written something waits for all of the log before it (PostgreSQL manual, Asynchronous
    Commit). What every role may write is a large object that is gone again.
    """
    value(connection, "SELECT pg_catalog.lo_unlink(pg_catalog.lo_create(0))")


def create_extensions(connection: Connection, names: tuple[str, ...]) -> None:
    """Create extensions that the role may create."""
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name)))


def drop_extensions(connection: Connection, names: tuple[str, ...]) -> None:
    """Drop extensions that `create_extensions` made."""
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(sql.SQL("DROP EXTENSION IF EXISTS {}").format(sql.Identifier(name)))
