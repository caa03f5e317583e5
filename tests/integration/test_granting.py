"""Privileges within databases: the reader of the dashboards, and what dumps grant, hostile ones included."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from engine_backup.drivers import dumps, granting, postgres, postgres_programs
from engine_backup.drivers.command import Command
from engine_backup.drivers.load_sessions import LoadSession
from engine_backup.drivers.plain_dump import Statement, split
from engine_backup.drivers.postgres import rows
from engine_backup.drivers.process import run
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.model.server import PrivilegeStatement
from engine_backup.plan import load_rules
from engine_backup.plan.grants import grantees, has_foreign_grants, privilege_statements

PASSWORD = Secret("p")
SCHEMA = """
    CREATE SCHEMA "Odd {} %s";
    CREATE TABLE public.t (x integer, "To" text);
    CREATE TABLE "Odd {} %s"."on" (x integer);
    CREATE SEQUENCE public.s;
    CREATE FUNCTION public.f(a integer, VARIADIC b timestamp without time zone[]) RETURNS integer
        LANGUAGE sql AS 'SELECT 1';
    CREATE TYPE public.e AS ENUM ('a');
"""
# Within one database; roles by name, so that two databases of one server can be compared.
PRIVILEGES = """
    SELECT o.what, o.name, o.sub, r.rolname, g.rolname, a.privilege_type, a.is_grantable
      FROM (SELECT 'class' AS what, oid::regclass::text AS name, '' AS sub, relacl AS acl FROM pg_class
             WHERE relnamespace::regnamespace::text IN ('public', '"Odd {} %s"')
            UNION ALL SELECT 'column', attrelid::regclass::text, attname, attacl FROM pg_attribute
             WHERE attacl IS NOT NULL AND attrelid > 16384
            UNION ALL SELECT 'function', oid::regprocedure::text, '', proacl FROM pg_proc WHERE oid > 16384
            UNION ALL SELECT 'schema', nspname, '', nspacl FROM pg_namespace WHERE nspname !~ '^pg_'
            UNION ALL SELECT 'type', oid::regtype::text, '', typacl FROM pg_type WHERE oid > 16384
            UNION ALL SELECT 'default', defaclrole::regrole::text, defaclobjtype::text, defaclacl
              FROM pg_default_acl
           ) o, LATERAL aclexplode(o.acl) a
      LEFT JOIN pg_roles r ON r.oid = a.grantee LEFT JOIN pg_roles g ON g.oid = a.grantor
     ORDER BY 1, 2, 3, 4, 5, 6
"""


@dataclass(frozen=True)
class Site:
    """A server with an owner's database, and roles that are given something."""

    server: ScratchServer
    owner: str
    database: str
    reader: str
    boss: str

    def run(self, statement: str, *names: str, database: str = "", user: str = "") -> None:
        with closing(self.connect(database, user)) as connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)) if names else statement)

    def connect(self, database: str = "", user: str = "") -> Connection:
        connection = self.server.connect(database or self.database, user, PASSWORD if user else None)
        connection.autocommit = True
        return connection

    def privileges(self, database: str = "") -> list[tuple[Any, ...]]:
        with closing(self.connect(database)) as connection:
            return rows(connection, PRIVILEGES)

    def may(self, role: str, query: str, database: str = "") -> bool:
        with closing(self.connect(database, role)) as connection:
            try:
                rows(connection, query)
            except psycopg2.errors.InsufficientPrivilege:
                return False
        return True


@pytest.fixture(
    scope="module", params=postgres_programs.with_server(), ids=lambda programs: str(programs.major)
)
def server(request: pytest.FixtureRequest) -> Iterator[ScratchServer]:
    with ScratchServer.start(programs=request.param) as found:
        yield found


@pytest.fixture
def site(server: ScratchServer) -> Site:
    mark = secrets.token_hex(4)
    found = Site(server, f'Own "{mark}', f"db {mark}", f"Reader; {{}} {mark}", f"boss {mark}")
    for role in (found.owner, found.reader, found.boss):
        server.create_role(role, PASSWORD)
    server.create_database(found.database, found.owner)
    found.run(SCHEMA, user=found.owner)
    return found


@pytest.mark.parametrize("ordinary", [False, True], ids=["superuser", "ordinary"])
def test_a_reader_reads_what_is_there_and_what_comes(site, ordinary):
    site.run("REVOKE ALL ON DATABASE {} FROM PUBLIC", site.database)
    if ordinary:
        site.run("ALTER ROLE {} CREATEROLE", site.boss)
        site.run("GRANT CONNECT ON DATABASE {} TO {}", site.database, site.boss)
        admin = " WITH ADMIN OPTION" if site.server.programs.major >= 16 else ""
        site.run("GRANT {} TO {}" + admin, site.owner, site.boss)
    for _ in range(2):
        with closing(site.connect(user=site.boss if ordinary else "")) as administrator:
            granting.grant_reader(administrator, site.reader, site.database, site.owner)
    assert site.may(site.reader, "SELECT * FROM public.t")
    assert not site.may(site.reader, "SELECT nextval('public.s')")
    assert not site.may(site.reader, 'SELECT * FROM "Odd {} %s"."on"')
    site.run("CREATE TABLE public.later (x integer)", user=site.owner)
    assert site.may(site.reader, "SELECT * FROM public.later")
    if not ordinary:
        site.run("CREATE TABLE public.latest (x integer)")
        assert site.may(site.reader, "SELECT * FROM public.latest")


def test_a_reader_who_is_not_there(site):
    with closing(site.connect()) as administrator:
        with pytest.raises(EngineBackupError, match="let role 'nobody' read database") as caught:
            granting.grant_reader(administrator, "nobody", site.database, site.owner)
    assert "create the role" in caught.value.hint


def grant_everything(site: Site) -> None:
    for statement, name in (
        ('GRANT SELECT (x), UPDATE ("To") ON public.t TO {}', site.reader),
        ("GRANT SELECT ON public.t TO {} WITH GRANT OPTION", site.boss),
        ('GRANT ALL ON "Odd {{}} %s"."on" TO {}', site.reader),
        ('GRANT USAGE ON SCHEMA "Odd {{}} %s" TO {}, PUBLIC', site.reader),
        ("GRANT USAGE ON SEQUENCE public.s TO {}", site.reader),
        ("REVOKE ALL ON FUNCTION public.f FROM PUBLIC, {}", site.boss),
        ("GRANT EXECUTE ON FUNCTION public.f TO {}", site.reader),
        ("REVOKE USAGE ON TYPE public.e FROM PUBLIC, {}", site.boss),
        ("REVOKE UPDATE ON public.t FROM {}", site.owner),
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {}", site.reader),
        ("ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC, {}", site.boss),
    ):
        site.run(statement, name, user=site.owner)
    site.run("GRANT SELECT ON public.t TO {}", site.reader, user=site.boss)
    site.run("GRANT CREATE ON SCHEMA public TO {}", site.reader)
    site.run("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT UPDATE ON TABLES TO {}", site.boss, site.reader)


def statements_of(dump: Path, site: Site) -> list[str]:
    with dump.open("rb") as stream:
        text = dumps.schema(site.server.programs, stream)
    items = split(io.BytesIO(text), "dump")
    return [item.text.decode() for item in items if isinstance(item, Statement)]


def dumped(site: Site, directory: Path) -> Path:
    dump = directory / "dump"
    login = Credentials(site.server.host, site.server.port, site.owner, PASSWORD, site.database)
    with postgres.password_file(login, directory) as environment:
        words = (f"--dbname={postgres.conninfo(login)}", "--format=custom", f"--file={dump}")
        run(Command(site.server.programs.path("pg_dump"), words, environment))
    return dump


def load(site: Site, dump: Path, owner: str, directory: Path) -> str:
    """Load a dump as a restore does, without its privileges, into a new database."""
    target = site.database + " target"
    site.server.create_database(target, owner)
    login = Credentials(site.server.host, site.server.port, owner, PASSWORD, target)
    with dump.open("rb") as stream:
        text = dumps.contents(site.server.programs, stream).decode()
    (directory / "list").write_text(load_rules.kept_list(load_rules.parse_toc(text).entries))
    arguments = dumps.load_arguments(directory / "list", permissions=False)
    with dump.open("rb") as stream:
        dumps.load(site.server.programs, LoadSession(login), arguments, stream, directory)
    return target


def test_all_privileges_of_a_dump_come_back(site, tmp_path):
    grant_everything(site)
    dump = dumped(site, tmp_path)
    statements = statements_of(dump, site)
    assert set(grantees(statements)) - {"pg_database_owner", "postgres"} == {
        site.reader,
        site.boss,
        site.owner,
    }
    assert has_foreign_grants(statements)
    target = load(site, dump, site.owner, tmp_path)
    before = site.privileges(target)
    with closing(site.connect(target)) as administrator:
        assert granting.load_grants(administrator, privilege_statements(statements, site.owner)) == ()
    found = site.privileges(target)
    assert found == site.privileges()
    assert found != before
    assert (site.boss in {row[4] for row in found}) and (site.reader in {row[3] for row in found})


def test_privileges_for_an_owner_of_another_name(site, tmp_path):
    grant_everything(site)
    dump = dumped(site, tmp_path)
    owner = site.owner + " 2"
    site.server.create_role(owner, PASSWORD)
    target = load(site, dump, owner, tmp_path)
    wanted = privilege_statements(statements_of(dump, site), owner, {site.owner: owner})
    with closing(site.connect(target)) as administrator:
        assert granting.load_grants(administrator, wanted) == ()
    assert sorted(map(str, (row for row in site.privileges(target)))) == sorted(
        str(row).replace(site.owner, owner).replace(site.owner.replace('"', '""'), owner.replace('"', '""'))
        for row in site.privileges()
    )


def test_an_ordinary_administrator_can_do_it(site, tmp_path):
    grant_everything(site)
    dump = dumped(site, tmp_path)
    target = load(site, dump, site.owner, tmp_path)
    administrator_role = site.boss + " admin"
    site.server.create_role(administrator_role, PASSWORD)
    site.run("ALTER ROLE {} CREATEROLE", administrator_role)
    admin = " WITH ADMIN OPTION" if site.server.programs.major >= 16 else ""
    for role in (site.owner, site.boss):
        site.run("GRANT {} TO {}" + admin, role, administrator_role)
    wanted = privilege_statements(statements_of(dump, site), site.owner)
    with closing(site.connect(target, administrator_role)) as administrator:
        assert granting.load_grants(administrator, wanted) == ()
    assert site.privileges(target) == site.privileges()


def test_none_is_given_when_one_fails(site):
    before = site.privileges()
    statements = [
        PrivilegeStatement("GRANT ALL ON TABLE public.t TO PUBLIC;", site.owner),
        PrivilegeStatement("GRANT ALL ON TABLE public.missing TO PUBLIC;", site.owner),
    ]
    with closing(site.connect()) as administrator:
        with pytest.raises(EngineBackupError, match=r"run GRANT ALL ON TABLE public\.missing"):
            granting.load_grants(administrator, statements)
        assert rows(administrator, "SELECT current_user::text") == [("postgres",)]
    assert site.privileges() == before


HOSTILE = [
    "SET SESSION AUTHORIZATION postgres;\nGRANT SELECT ON TABLE pg_catalog.pg_authid TO {};",
    "SET SESSION AUTHORIZATION postgres;\nGRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO {};",
    "GRANT SELECT ON TABLE pg_catalog.pg_authid TO {};",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO {};",
    "GRANT ALL ON SCHEMA pg_catalog TO {};",
    "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT ALL ON TABLES TO {};",
    "ALTER DEFAULT PRIVILEGES FOR USER postgres GRANT ALL ON TABLES TO {};",
    "ALTER DEFAULT PRIVILEGES FOR ROLE current_user GRANT ALL ON TABLES TO {};",
    'SET SESSION AUTHORIZATION "pg_execute_server_program";\nGRANT SELECT ON TABLE public.t TO {};',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_dump_gets_nothing_that_its_owner_could_not_give(site, text):
    before = site.privileges()
    taken = (
        "SELECT relacl FROM pg_class WHERE oid = 'pg_authid'::regclass UNION ALL SELECT proacl FROM pg_proc"
    )
    taken += " WHERE proname = 'pg_read_file' UNION ALL"
    taken += " SELECT nspacl FROM pg_namespace WHERE nspname = 'pg_catalog'"
    with closing(site.connect()) as administrator:
        system = rows(administrator, taken)
        name = sql.Identifier(site.reader).as_string(administrator)
        statements = text.replace("{}", name).split("\n")
        try:
            told = granting.load_grants(administrator, privilege_statements(statements, site.owner))
        except EngineBackupError as error:
            told = (error.message,)
        assert told or "postgres" in text
        assert rows(administrator, taken) == system
    assert site.privileges() == before
