"""Databases, made and renamed with an administrator's connection (reference 1.4).

All of it in autocommit mode: CREATE DATABASE and DROP DATABASE take no transaction. Every
function raises `EngineBackupError` that names the database, with a hint.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers.administration import (
    belonging_to,
    checked_name,
    execute,
    explained,
    transaction,
)
from engine_backup.drivers.postgres import rows, value
from engine_backup.drivers.server_survey import LOCALES, has_locale
from engine_backup.model.errors import EngineBackupError

LAST_LOCALE = "C"  # of any encoding
LOCALE_PROVIDERS_SINCE = 150000
FORCE_SINCE = 130000
UUID_EXTENSION = "uuid-ossp"
CREATION_SECONDS = 30.0
RENAME_SECONDS = 20.0
RENAME_PAUSE_SECONDS = 0.1
SESSION_END_SECONDS = 3.0

_SESSIONS = (
    "SELECT a.pid, coalesce(a.usename::text, ''), coalesce(a.application_name, ''), a.datname"
    " FROM pg_catalog.pg_stat_activity a"
    " WHERE a.datname = ANY (%s) AND a.pid <> pg_catalog.pg_backend_pid() ORDER BY 1"
)
_END_CREATION = (
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
    " WHERE state = 'active' AND usename = current_user AND pid <> pg_catalog.pg_backend_pid()"
    " AND pg_catalog.strpos(query, %s) = 1"
)
_PREPARED = "SELECT gid, database FROM pg_catalog.pg_prepared_xacts WHERE database = ANY (%s)"
# What dumps of PostgreSQL 8.4 made themselves, and CREATE EXTENSION would stumble over.
_PLAIN_UUID_FUNCTIONS = """
    SELECT p.oid::regprocedure::text
      FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname = 'c'
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'public'
     WHERE p.proname ~ '^uuid_(generate_v(1|1mc|3|4|5)|nil|ns_(dns|url|oid|x500))$'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid
                          AND d.deptype = 'e')
"""
_OWN_SCHEMA = (
    "SELECT v.schema FROM pg_catalog.pg_available_extension_versions v"
    " JOIN pg_catalog.pg_available_extensions e ON e.name = v.name AND e.default_version = v.version"
    " WHERE v.name = %s"
)


def create_database(administrator: Connection, name: str, owner: str, locale: str | None = None) -> str:
    """Create an empty UTF-8 database from template0, and return the locale it got.

    That is `locale`, else en_US.UTF-8 as stock demands, else what the server has.
    """
    names = (checked_name(name), checked_name(owner))
    chosen = locale or best_locale(administrator)
    provider = " LOCALE_PROVIDER libc" if administrator.server_version >= LOCALE_PROVIDERS_SINCE else ""
    statement = "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE {} LC_CTYPE {}"
    with explained(f"create database '{name}' for role '{owner}'"), belonging_to(administrator, (owner,)):
        execute(administrator, statement + provider, *names, sql.Literal(chosen), sql.Literal(chosen))
    return chosen


def best_locale(administrator: Connection) -> str:
    """Return the first of the good locales that the server has, else its own if UTF-8, else C."""
    query = "SELECT datcollate FROM pg_catalog.pg_database WHERE datname = 'template0'"
    own = value(administrator, query)
    unicode = [own] if own.lower().replace("-", "").endswith("utf8") else []
    candidates = [*LOCALES[:2], *unicode, *LOCALES[2:]]
    return next((name for name in candidates if has_locale(administrator, name)), LAST_LOCALE)


def drop_database(administrator: Connection, name: str) -> None:
    """Drop a database if it is there, whoever is connected to it."""
    identifier = checked_name(name)
    force = " WITH (FORCE)" if administrator.server_version >= FORCE_SINCE else ""
    with explained(f"drop database '{name}'"):
        _end_creation(administrator, name)
    with explained(f"drop database '{name}'"), belonging_to(administrator, _owners(administrator, [name])):
        if not force:
            terminate_sessions(administrator, [name])
        _drop(administrator, sql.SQL("DROP DATABASE IF EXISTS {}" + force).format(identifier))


def _drop(administrator: Connection, statement: sql.Composable) -> None:
    """Drop a database; a superuser's session that has just ended may still be there for a moment."""
    deadline = time.monotonic() + SESSION_END_SECONDS
    while True:
        try:
            execute(administrator, statement)
        except psycopg2.errors.InsufficientPrivilege:
            if time.monotonic() > deadline:
                raise
            time.sleep(RENAME_PAUSE_SECONDS)
        else:
            return


def _end_creation(administrator: Connection, name: str) -> None:
    """End a CREATE DATABASE that goes on although its client was killed: it would succeed after the drop."""
    beginning = checked_name(name).as_string(administrator)
    deadline = time.monotonic() + CREATION_SECONDS
    while rows(administrator, _END_CREATION, f"CREATE DATABASE {beginning} "):
        if time.monotonic() > deadline:
            raise EngineBackupError(
                f"database '{name}' is still being created", "wait until that has ended, see pg_stat_activity"
            )
        time.sleep(RENAME_PAUSE_SECONDS)


def owner_of(administrator: Connection, name: str) -> str:
    """Return whom a database belongs to."""
    with explained(f"look at database '{name}'"):
        found = _owners(administrator, [name])
    if not found:
        raise EngineBackupError(f"database '{name}' does not exist", "create it first")
    return found[0]


def set_owner(administrator: Connection, name: str, owner: str) -> None:
    """Give a database to another role."""
    names = checked_name(name), checked_name(owner)
    former = owner_of(administrator, name)
    with (
        explained(f"give database '{name}' to role '{owner}'"),
        belonging_to(administrator, (former, owner)),
    ):
        execute(administrator, "ALTER DATABASE {} OWNER TO {}", *names)


def rename_databases(administrator: Connection, pairs: Sequence[tuple[str, str]]) -> None:
    """Rename databases in this order: all of them, or none.

    Sessions in them are ended first. Who comes back all the time, or may not be ended, is named.
    """
    identifiers = [(checked_name(old), checked_name(new)) for old, new in pairs]
    names = [old for old, _ in pairs]
    action = "rename " + ", ".join(f"database '{old}' to '{new}'" for old, new in pairs)
    with explained(action), belonging_to(administrator, _owners(administrator, names)):
        deadline = time.monotonic() + RENAME_SECONDS
        while time.monotonic() < deadline:
            terminate_sessions(administrator, names)
            if _renamed(administrator, identifiers):
                return
            time.sleep(RENAME_PAUSE_SECONDS)
        raise _in_use(administrator, names)


def restore_names(administrator: Connection, pairs: Sequence[tuple[str, str]]) -> None:
    """Undo `rename_databases`; nothing happens when it did not come to pass."""
    present = rows(administrator, "SELECT FROM pg_catalog.pg_database WHERE datname = %s", pairs[-1][0])
    if not present:
        rename_databases(administrator, [(new, old) for old, new in reversed(pairs)])


def _renamed(administrator: Connection, pairs: Sequence[tuple[sql.Identifier, sql.Identifier]]) -> bool:
    """Try it; False when a database is in use. From the first statement on nobody new gets in."""
    try:
        with transaction(administrator):
            for old, new in pairs:
                execute(administrator, "ALTER DATABASE {} RENAME TO {}", old, new)
    except psycopg2.errors.ObjectInUse:
        return False
    return True


def terminate_sessions(administrator: Connection, names: Sequence[str]) -> None:
    """End all sessions in databases but our own, as far as we may."""
    for pid, *_ in rows(administrator, _SESSIONS, list(names)):
        try:
            value(administrator, "SELECT pg_catalog.pg_terminate_backend(%s)", pid)
        except psycopg2.errors.InsufficientPrivilege:
            continue


def _in_use(administrator: Connection, names: Sequence[str]) -> EngineBackupError:
    found = rows(administrator, _SESSIONS, list(names))
    holders = [f"'{d}' by role '{user}', program '{program}', pid {pid}" for pid, user, program, d in found]
    prepared = rows(administrator, _PREPARED, list(names))
    holders += [f"'{d}' by the prepared transaction '{gid}'" for gid, d in prepared]
    message = "a database is in use and cannot be renamed: " + ("; ".join(holders) or ", ".join(names))
    return EngineBackupError(message, "stop what uses it, then try again")


def _owners(administrator: Connection, names: Sequence[str]) -> list[str]:
    query = (
        "SELECT DISTINCT pg_catalog.pg_get_userbyid(datdba)::text"
        " FROM pg_catalog.pg_database WHERE datname = ANY (%s)"
    )
    return [owner for (owner,) in rows(administrator, query, list(names))]


def missing_extensions(administrator: Connection, names: Iterable[str]) -> tuple[str, ...]:
    """Return which of these extensions are not in the database of the connection."""
    there = {name for (name,) in rows(administrator, "SELECT extname FROM pg_catalog.pg_extension")}
    return tuple(name for name in names if name not in there)


def create_extensions(administrator: Connection, names: Iterable[str]) -> None:
    """Create extensions in the database of the connection, in schema public where they have no other.

    With `search_path` pg_catalog, so that nothing in the database can stand in for what the
    extension's script calls.
    """
    database = value(administrator, "SELECT pg_catalog.current_database()")
    owner = _owners(administrator, [database])
    with belonging_to(administrator, owner):
        for name in names:
            action = f"create extension '{name}' in database '{database}'"
            with explained(action), transaction(administrator):
                execute(administrator, "SET LOCAL search_path = pg_catalog")
                _create_extension(administrator, name)


def _create_extension(administrator: Connection, name: str) -> None:
    if rows(administrator, "SELECT FROM pg_catalog.pg_extension WHERE extname = %s", name):
        return
    if name == UUID_EXTENSION:
        for (function,) in rows(administrator, _PLAIN_UUID_FUNCTIONS):
            execute(administrator, sql.SQL("DROP FUNCTION " + function))
    found = rows(administrator, _OWN_SCHEMA, name)
    if not found:
        message = f"the server has no extension '{name}'"
        raise EngineBackupError(message, "install postgresql-contrib of the server's version")
    schema = sql.Identifier(found[0][0] or "public")
    execute(administrator, "CREATE EXTENSION {} SCHEMA {}", sql.Identifier(name), schema)
