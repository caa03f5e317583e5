"""The databases of the sample engine, filled on the server itself by SQL that lies beside this module."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import resources

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.facts import Credentials
from engine_backup.sample.engine import GRAFANA_ROLE, READER_ROLE, SampleEngine
from engine_backup.sample.size import Size

SETTINGS_SCRIPT = "settings.sql"
SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "engine": ("engine_schema.sql", "engine_data.sql"),
    "dwh": ("dwh_schema.sql", "dwh_data.sql"),
    "keycloak": ("keycloak.sql",),
    "managedblock": ("managedblock.sql",),
    "cinderlib": ("managedblock.sql",),
}
FULL_HISTORY_SCRIPTS: Mapping[str, tuple[str, ...]] = {"dwh": ("dwh_devices.sql",)}
GRANTS: Mapping[str, tuple[str, str]] = {
    "engine": ("engine_grants.sql", READER_ROLE),
    "dwh": ("dwh_grants.sql", GRAFANA_ROLE),
}


def create(server: ScratchServer, sample: SampleEngine) -> None:
    """Create the roles and the databases of the sample on `server`, and fill them."""
    prepare_empty(server, sample)
    fill(server, sample)


def prepare_empty(server: ScratchServer, sample: SampleEngine) -> None:
    """Create the same roles, with the same passwords, and empty databases: the target of a restore."""
    for name, password in sample.roles.items():
        server.create_role(name, password)
    for login in sample.credentials.values():
        server.create_database(login.database, login.user)


def fill(server: ScratchServer, sample: SampleEngine) -> None:
    """Fill the empty databases side by side.

    Each is filled by its own role, which owns all that is in it; grants to
    other roles come from the superuser.
    """
    with ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(_fill, server, name, login, sample.size) for name, login in sample.credentials.items()
        ]
        for job in jobs:
            job.result()


def script(name: str) -> str:
    """Return the text of one of the SQL files beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _fill(server: ScratchServer, name: str, login: Credentials, size: Size) -> None:
    with closing(server.connect(login.database, login.user, login.password)) as connection:
        _announce(connection, size)
        for file in (SETTINGS_SCRIPT, *_scripts(name, size)):
            _execute(connection, sql.SQL(script(file)))
        connection.commit()
    if name in GRANTS:
        _grant(server, login.database, *GRANTS[name])


def _scripts(name: str, size: Size) -> tuple[str, ...]:
    return SCRIPTS[name] + (FULL_HISTORY_SCRIPTS.get(name, ()) if size.full_history else ())


def _announce(connection: Connection, size: Size) -> None:
    with connection.cursor() as cursor:
        for name, number in size.numbers.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (f"sample.{name}", str(number)))


def _grant(server: ScratchServer, database: str, file: str, role: str) -> None:
    connect = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
    with closing(server.connect(database)) as connection:
        _execute(connection, connect.format(sql.Identifier(database), sql.Identifier(role)))
        _execute(connection, sql.SQL(script(file)))
        connection.commit()


def _execute(connection: Connection, statement: sql.Composable) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
