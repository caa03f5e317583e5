"""Looking at a whole server with an administrator's connection, before it is provisioned."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers.administration import explained, is_superuser, transaction
from engine_backup.drivers.postgres import OWN_OBJECTS, memory_settings, rows, value
from engine_backup.drivers.roles import POWERFUL
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.server import DatabaseOnServer, RoleState, ServerState

# What stock creates databases with (reference 1.4), and what is there on systems without it.
LOCALES = ("en_US.UTF-8", "en_US.utf8", "C.UTF-8", "C.utf8")
TRUSTED_SINCE = 130000

_ROLES = f"SELECT r.rolname, r.rolcanlogin, {POWERFUL} FROM pg_catalog.pg_roles r"  # noqa: S608 - fixed texts
# Only those with CONNECT may ask for the size (PostgreSQL manual, 9.28.7).
# The server's own workers have no role.
_DATABASES = """
    SELECT d.datname, pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_encoding_to_char(d.encoding),
           CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT')
                THEN pg_catalog.pg_database_size(d.oid) ELSE 0 END,
           (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a
             WHERE a.datid = d.oid AND a.pid <> pg_catalog.pg_backend_pid() AND a.usesysid IS NOT NULL),
           d.datcollate, d.datallowconn
      FROM pg_catalog.pg_database d WHERE d.datname = ANY (%s)
"""
_EXTENSIONS = "SELECT name FROM pg_catalog.pg_available_extensions"
_TRUSTED = "SELECT DISTINCT name FROM pg_catalog.pg_available_extension_versions WHERE trusted"
_MAY_CREATE = (
    "SELECT rolsuper OR rolcreatedb, rolsuper OR rolcreaterole"
    " FROM pg_catalog.pg_roles WHERE rolname = current_user"
)


def observe_server(
    administrator: Connection, names: Iterable[str], connect: Callable[[str], Connection]
) -> ServerState:
    """Return what is on a server, and in the databases of these names that exist.

    `connect` logs in to a database; a database that lets nobody in is told in its `problem`.
    Raises `EngineBackupError` when the server itself complains.
    """
    with explained("look at the database server"):
        superuser = is_superuser(administrator)
        may_create_database, may_create_role = rows(administrator, _MAY_CREATE)[0]
        return ServerState(
            version=administrator.server_version,
            administrator=value(administrator, "SELECT current_user::text"),
            databases={d.name: d for d in _databases(administrator, names, connect)},
            roles={row[0]: RoleState(*row) for row in rows(administrator, _ROLES)},
            available_extensions=_names(administrator, _EXTENSIONS),
            trusted_extensions=_trusted_extensions(administrator),
            locales=frozenset(name for name in LOCALES if has_locale(administrator, name)),
            password_encryption=value(administrator, "SHOW password_encryption"),
            is_superuser=superuser,
            may_create_database=may_create_database,
            may_create_role=may_create_role,
            read_only=value(administrator, "SHOW transaction_read_only") == "on",
            memory=memory_settings(administrator),
        )


def has_locale(administrator: Connection, name: str) -> bool:
    """Whether the server's machine has a locale: lc_monetary takes no other, and anybody may set it."""
    try:
        with transaction(administrator):
            value(administrator, "SELECT pg_catalog.set_config('lc_monetary', %s, true)", name)
    except psycopg2.errors.InvalidParameterValue:
        return False
    return True


def _trusted_extensions(administrator: Connection) -> frozenset[str]:
    """Name those that a database's owner could create as well (since PostgreSQL 13)."""
    return _names(administrator, _TRUSTED) if administrator.server_version >= TRUSTED_SINCE else frozenset()


def _names(administrator: Connection, query: str) -> frozenset[str]:
    return frozenset(name for (name,) in rows(administrator, query))


def _databases(
    administrator: Connection, names: Iterable[str], connect: Callable[[str], Connection]
) -> list[DatabaseOnServer]:
    return [_database(row, connect) for row in rows(administrator, _DATABASES, list(names))]


def _database(row: tuple[Any, ...], connect: Callable[[str], Connection]) -> DatabaseOnServer:
    name, owner, encoding, size, sessions, collation, allows = row
    objects, problem = _objects(name, connect) if allows else (None, "it lets nobody connect")
    return DatabaseOnServer(name, owner, encoding, size, objects, sessions, collation, problem)


def _objects(name: str, connect: Callable[[str], Connection]) -> tuple[int | None, str]:
    """Count what people made in a database, or say why that cannot be done."""
    query = f"SELECT pg_catalog.count(*) FROM ({OWN_OBJECTS}) AS own"  # noqa: S608 - a fixed text
    try:
        with closing(connect(name)) as connection:
            return int(value(connection, query)), ""
    except EngineBackupError as error:
        return None, error.message
    except psycopg2.Error as error:
        return None, str(error).strip().split("\n")[0]
