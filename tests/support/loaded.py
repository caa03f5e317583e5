"""Databases as a drill has loaded them, and what its checks say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from engine_backup.drivers import row_counts
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.archive import DumpMember
from engine_backup.model.checks import Check
from engine_backup.model.components import BY_NAME
from engine_backup.model.facts import Credentials, DumpFacts
from engine_backup.model.manifest import FORMAT, FORMAT_VERSION
from engine_backup.run import drill_databases
from engine_backup.run.drilled import Drilled, DrilledDatabase


def execute(server: ScratchServer, database: str, statements: str) -> None:
    """Change a database as the superuser."""
    with closing(server.connect(database)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statements)


def drilled(
    server: ScratchServer,
    logins: Mapping[str, Credentials],
    version: str = "4.5.7",
    said: Mapping[str, Any] | None = None,
    tables: Mapping[str, Iterable[str]] | None = None,
) -> Drilled:
    """Return these databases as a drill hands them to its checks.

    `said` are fields of a dump's row in the manifest, by component; `tables` those that a dump makes.
    """
    rows = {name: row_counts.count_rows(login) for name, login in logins.items()}
    databases = {}
    for name, login in logins.items():
        component = BY_NAME[name]
        member = DumpMember(name, component.member, "custom", "", 1, 0)
        facts = DumpFacts(member, tables=tuple((tables or {}).get(name, rows[name])))
        databases[name] = DrilledDatabase(component, login, facts, rows[name])
    members = [{"name": BY_NAME[name].member, **fields} for name, fields in (said or {}).items()]
    manifest = {"format": FORMAT, "format_version": FORMAT_VERSION, "members": members}
    administrator = Credentials(
        server.host, server.port, server.superuser, server.superuser_password, "postgres"
    )
    nothing: Any = None
    return Drilled(
        archive=cast(Any, SimpleNamespace(manifest=manifest if said is not None else None)),
        facts=cast(Any, SimpleNamespace(version=version)),
        root=Path("/nonexistent"),
        placed=(),
        databases=databases,
        administrator=administrator,
        programs=nothing,
        workspace=Path("/nonexistent"),
    )


def checks(found: Drilled) -> dict[tuple[str, str], Check]:
    """Return the checks of the databases, by subject and name."""
    made = drill_databases.check(found)
    named = {(one.subject, one.name): one for one in made}
    assert len(named) == len(made)
    return named


def red(found: Drilled) -> dict[tuple[str, str], Check]:
    """Return the checks that make a drill red."""
    return {name: one for name, one in checks(found).items() if one.outcome.is_red}


def execute_alone(server: ScratchServer, statement: str) -> None:
    """Run one statement that is no part of a transaction, as the superuser."""
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)


def renamed(login: Credentials, database: str) -> Credentials:
    """Return the log-in to another database of the same server."""
    return replace(login, database=database)
