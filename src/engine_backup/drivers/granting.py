"""Privileges within a database, given with an administrator's connection to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers.administration import (
    belonging_to,
    checked_name,
    execute,
    explained,
    is_superuser,
    transaction,
)
from engine_backup.drivers.postgres import rows, value
from engine_backup.drivers.roles import POWERFUL
from engine_backup.model.server import PrivilegeStatement

_OWNER = (
    "SELECT pg_catalog.pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database"
    " WHERE datname = pg_catalog.current_database()"
)
_POWERFUL = f"SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.rolname = ANY (%s) AND {POWERFUL}"  # noqa: S608
_SHOWN = 100


def grant_reader(administrator: Connection, role: str, database: str, owner: str) -> None:
    """Let a role read all tables of schema public, also those that will come (reference 1.6).

    Those come from the owner, unlike in stock, and from the administrator. To be called when the
    database is loaded. Raises `EngineBackupError`.
    """
    reader = checked_name(role)
    tables = sql.SQL("IN SCHEMA public GRANT SELECT ON TABLES TO {}").format(reader)
    with (
        explained(f"let role '{role}' read database '{database}'"),
        belonging_to(administrator, (owner,)),
        transaction(administrator),
    ):
        execute(administrator, "GRANT CONNECT ON DATABASE {} TO {}", checked_name(database), reader)
        with _acting(administrator, "" if is_superuser(administrator) else owner):
            if not value(
                administrator, "SELECT pg_catalog.has_schema_privilege(%s, 'public', 'USAGE')", role
            ):
                execute(administrator, "GRANT USAGE ON SCHEMA public TO {}", reader)
            execute(administrator, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}", reader)
        execute(administrator, "ALTER DEFAULT PRIVILEGES FOR ROLE {} {}", checked_name(owner), tables)
        execute(administrator, "ALTER DEFAULT PRIVILEGES {}", tables)


def load_grants(administrator: Connection, statements: Sequence[PrivilegeStatement]) -> tuple[str, ...]:
    """Run the privileges of a dump, each as the role that it has to be run by: all of them, or none.

    `statements` come from `plan.grants`, which has checked them. None is run with the rights
    of a superuser, but for those on schema public. Returns what could not be given, for people.
    Raises `EngineBackupError` that shows the statement which fails.
    """
    refused = _powerful(administrator, {statement.role for statement in statements})
    wanted = [statement for statement in statements if statement.role not in refused]
    left_out = [f"{_shown(s)}: '{s.role}' is an administrator here" for s in statements if s.role in refused]
    stand_in = "" if is_superuser(administrator) else value(administrator, _OWNER)
    del administrator.notices[:]
    roles = [statement.role or stand_in for statement in wanted]
    with (
        explained("restore permissions"),
        belonging_to(administrator, [role for role in roles if role]),
        transaction(administrator),
    ):
        execute(administrator, "SET LOCAL search_path = pg_catalog")
        for role, statement in zip(roles, wanted):
            _run(administrator, statement, role)
    return (*left_out, *(notice.strip() for notice in administrator.notices))


def _run(administrator: Connection, statement: PrivilegeStatement, role: str) -> None:
    with explained(f"run {_shown(statement)}"), _acting(administrator, role):
        execute(administrator, sql.SQL(statement.text))


@contextmanager
def _acting(administrator: Connection, role: str) -> Iterator[None]:
    """Act as another role within a transaction, which forgets it when it fails."""
    if role:
        execute(administrator, "SET LOCAL ROLE {}", checked_name(role))
    yield
    if role:
        execute(administrator, "RESET ROLE")


def _powerful(administrator: Connection, roles: set[str]) -> set[str]:
    return {name for (name,) in rows(administrator, _POWERFUL, list(roles))}


def _shown(statement: PrivilegeStatement) -> str:
    text = statement.text if len(statement.text) <= _SHOWN else statement.text[:_SHOWN] + "…"
    return ascii(text) if not text.isprintable() else text
