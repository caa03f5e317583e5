"""Plain golden dumps, loaded without psql by a database's owner who is no superuser."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import psycopg2
import pytest

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.plain_dump import CopyData, Statement, split
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.secret import Secret
from engine_backup.plan.load_rules import decide_statement, extensions_of
from tests.support.golden_plain_dumps import GOLDEN, GOLDEN_DUMPS, NAMES

TRAILER = b"\n-- PostgreSQL database dump complete\n"
ROWS = "string_agg(md5(x::text), '' order by md5(x::text) collate \"C\")"
DIGEST = f"select count(*), md5(coalesce({ROWS}, '')) from {{}} x"
PASSWORD = Secret("p")


def roles() -> set[str]:
    """Return the owners of all plain golden databases, and the roles that are granted something in them."""
    found: set[str] = set()
    for archive, name, _ in GOLDEN_DUMPS:
        golden = json.loads((GOLDEN / f"{archive}.json").read_text())
        found |= {golden["credentials"][name]["user"], *golden["databases"][name]["granted_roles"]}
    return found - {"postgres", "PUBLIC"}


@pytest.fixture(
    scope="module", params=postgres_programs.with_server(), ids=lambda programs: str(programs.major)
)
def server(request: pytest.FixtureRequest) -> Iterator[ScratchServer]:
    with ScratchServer.start(programs=request.param) as running:
        for role in roles():
            running.create_role(role, PASSWORD)
        yield running


def load(connection: psycopg2.extensions.connection, text: bytes, permissions: bool) -> list[str]:
    """Load a dump the way the product does; return the extensions that were needed."""
    needed: list[str] = []
    with connection.cursor() as cursor:
        for item in split(io.BytesIO(text), "dump"):
            if isinstance(item, CopyData):
                cursor.copy_expert(item.statement.decode(), item.stream)
            else:
                statement = item.text.decode()
                needed += extensions_of(statement)
                if decide_statement(statement, permissions).load:
                    cursor.execute(item.text)
    return needed


@pytest.mark.parametrize("permissions", [False, True])
@pytest.mark.parametrize(("archive", "name", "text"), GOLDEN_DUMPS, ids=NAMES)
def test_a_golden_dump_loads_without_an_error(
    server: ScratchServer, archive: str, name: str, text: bytes, permissions: bool
) -> None:
    golden = json.loads((GOLDEN / f"{archive}.json").read_text())
    role = golden["credentials"][name]["user"]
    database = f"{archive}_{name}_{permissions}"
    server.create_database(database, role)
    connection = server.connect(database=database, user=role, password=PASSWORD)
    connection.autocommit = True
    assert load(connection, text, permissions) == ["uuid-ossp"]
    with connection.cursor() as cursor:
        cursor.execute("RESET ALL; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET search_path = public")
        for table, facts in golden["databases"][name]["tables"].items():
            cursor.execute(DIGEST.format(table))
            assert cursor.fetchone() == (facts["rows"], facts["digest"]), table
    connection.close()


@pytest.mark.parametrize("text", ["a'b", 'a"b', "a\\b", "$$a", "a;b", "a\nb", "\\! id", "--", "/*", "é"])
def test_our_lexer_and_the_servers_agree(server: ScratchServer, text: str) -> None:
    connection = server.connect(database="postgres", user="engine", password=PASSWORD)
    with connection.cursor() as cursor:
        for setting in ("on", "off"):
            quoted = (
                text.replace("'", "''") if setting == "on" else text.replace("\\", "\\\\").replace("'", "''")
            )
            script = (
                f"SET escape_string_warning = off; SET standard_conforming_strings = {setting};"
                f"SELECT '{quoted}', $q${text}$q$;"
            )
            parts = list(split(io.BytesIO(script.encode() + TRAILER), "dump"))
            assert [isinstance(part, Statement) for part in parts] == [True] * 3
            for part in parts:
                assert isinstance(part, Statement)
                cursor.execute(part.text)
            assert cursor.fetchone() == (text, text)
    connection.close()
