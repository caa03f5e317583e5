"""Roles, databases and extensions, made by administrators of every kind on real servers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from engine_backup.drivers import postgres_programs, provisioning, roles
from engine_backup.drivers.postgres import rows, value
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
from engine_backup.drivers.server_survey import observe_server
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.secret import Secret
from engine_backup.model.server import RoleBefore

PASSWORD = Secret("n\\ew: $x \"y' z")
FORMER = Secret("former")
ODD_NAMES = [
    "plain",
    "Mixed Case",
    'quo"te',
    "ä=ö",
    "a'b",
    "postgresql://x",
    "-dash",
    "x;y",
    "%s",
    "{}",
    "all",
]


@dataclass(frozen=True)
class Site:
    """A server, and an administrator of it who is or is not a superuser."""

    server: ScratchServer
    administrator: Connection
    connect: Callable[[str], Connection]

    def run(self, statement: str, *names: str) -> None:
        """Run a statement as the superuser, each `{}` an identifier."""
        with closing(self.server.connect()) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def ask(self, query: str, *parameters: object, database: str = "postgres") -> Any:
        with closing(self.server.connect(database)) as connection:
            return value(connection, query, *parameters)

    def admits(self, role: str, password: Secret, database: str = "postgres") -> bool:
        try:
            self.server.connect(database, role, password).close()
        except psycopg2.OperationalError:
            return False
        return True


@pytest.fixture(
    scope="module", params=postgres_programs.with_server(), ids=lambda programs: str(programs.major)
)
def server(request: pytest.FixtureRequest) -> Iterator[ScratchServer]:
    settings = {"log_statement": "all", "max_prepared_transactions": "2"}
    with ScratchServer.start(Wanted(settings=settings), programs=request.param) as found:
        yield found


@pytest.fixture(params=["superuser", "ordinary"])
def site(request: pytest.FixtureRequest, server: ScratchServer) -> Iterator[Site]:
    user, password = server.superuser, server.superuser_password
    if request.param == "ordinary":
        user, password = f"admin_{secrets.token_hex(3)}", FORMER
        server.create_role(user, password)
        with closing(server.connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER ROLE {user} CREATEDB CREATEROLE")

    def connect(database: str) -> Connection:
        connection = server.connect(database, user, password)
        connection.autocommit = True
        return connection

    with closing(connect("postgres")) as administrator:
        yield Site(server, administrator, connect)


@pytest.fixture
def name() -> str:
    """A name that needs quotes."""
    return f'Mixed "{secrets.token_hex(4)}'


def observed(site: Site, *names: str) -> Any:
    return observe_server(site.administrator, names, site.connect)


@pytest.mark.parametrize("word", ODD_NAMES)
def test_a_role_and_its_database(site, word):
    name = f"{word} {secrets.token_hex(4)}"
    roles.create_role(site.administrator, name, PASSWORD)
    locale = provisioning.create_database(site.administrator, name, name)
    assert site.admits(name, PASSWORD, name)
    assert not site.admits(name, FORMER, name)
    state = observed(site, name, "no such database")
    found = state.databases[name]
    assert list(state.databases) == [name]
    assert (found.owner, found.encoding, found.collation) == (name, "UTF8", locale)
    assert (found.objects, found.empty, found.sessions, found.problem) == (0, True, 0, "")
    assert (state.roles[name].can_login, state.roles[name].superuser) == (True, False)
    with closing(site.server.connect(name, name, PASSWORD)) as owner, owner.cursor() as cursor:
        cursor.execute("CREATE TABLE public.t (x int)")
    provisioning.drop_database(site.administrator, name)
    roles.drop_role(site.administrator, name)
    assert name not in observed(site, name).databases
    provisioning.drop_database(site.administrator, name)
    roles.drop_role(site.administrator, name)


def test_what_an_administrator_is(site):
    state = observed(site)
    assert state.may_create_database
    assert state.may_create_role
    assert state.is_superuser is (state.administrator == "postgres")
    assert state.version == site.server.version_number
    assert state.roles["postgres"].superuser
    assert not state.read_only
    assert state.password_encryption == "scram-sha-256"
    assert "plpgsql" in state.available_extensions
    assert "uuid-ossp" in state.trusted_extensions
    assert (
        not any(name.startswith("en_US") for name in state.locales)
        or {
            "en_US.UTF-8",
            "en_US.utf8",
        }
        <= state.locales
    )


def test_no_membership_is_left_behind(site, name):
    before = site.ask("SELECT count(*) FROM pg_auth_members")
    roles.create_role(site.administrator, name, PASSWORD)
    mine = site.ask("SELECT count(*) FROM pg_auth_members")
    provisioning.create_database(site.administrator, name, name)
    with closing(site.connect(name)) as connection:
        provisioning.create_extensions(connection, ["uuid-ossp"])
    provisioning.rename_databases(site.administrator, [(name, name + "2")])
    provisioning.drop_database(site.administrator, name + "2")
    assert site.ask("SELECT count(*) FROM pg_auth_members") == mine
    roles.drop_role(site.administrator, name)
    assert site.ask("SELECT count(*) FROM pg_auth_members") == before


def test_a_changed_role_comes_back(site, name):
    roles.create_role(site.administrator, name, FORMER)
    site.run("ALTER ROLE {} NOLOGIN VALID UNTIL '2001-02-03 04:05:06+00'", name)
    row = "SELECT rolcanlogin, rolpassword, rolvaliduntil FROM pg_authid WHERE rolname = %s"
    with closing(site.server.connect()) as connection:
        before = rows(connection, row, name)
    changed = roles.change_role(site.administrator, name, PASSWORD)
    assert site.admits(name, PASSWORD)
    assert not site.admits(name, FORMER)
    assert not changed.can_login
    assert changed.expired
    superuser = observed(site).is_superuser
    assert roles.restore_role(site.administrator, changed) is superuser
    with closing(site.server.connect()) as connection:
        after = rows(connection, row, name)
    assert after == before if superuser else (after[0][0], after[0][2]) == (before[0][0], before[0][2])


def test_a_role_without_password_comes_back(site, name):
    site.run("CREATE ROLE {} LOGIN", name)
    superuser = observed(site).is_superuser
    if not superuser and site.server.programs.major >= 16:
        with pytest.raises(EngineBackupError, match="cannot change role") as caught:
            roles.change_role(site.administrator, name, PASSWORD)
        assert "ADMIN option" in caught.value.hint
        return
    changed = roles.change_role(site.administrator, name, PASSWORD)
    assert roles.restore_role(site.administrator, changed) is superuser
    kept = site.ask("SELECT rolpassword FROM pg_authid WHERE rolname = %s", name)
    assert (kept is None) is superuser


@pytest.mark.parametrize("encryption", ["scram-sha-256", "md5"])
def test_the_kind_of_password_can_be_chosen(site, name, encryption):
    roles.create_role(site.administrator, name, PASSWORD, encryption)
    kept = site.ask("SELECT rolpassword FROM pg_authid WHERE rolname = %s", name)
    assert kept.lower().startswith(encryption)
    assert site.admits(name, PASSWORD) is (encryption != "md5")  # a scram rule takes no md5 password


def test_passwords_reach_neither_the_log_nor_an_error(site, name):
    roles.create_role(site.administrator, name, PASSWORD)
    roles.change_role(site.administrator, name, Secret("Another-Password"))
    with pytest.raises(EngineBackupError) as caught:
        roles.create_role(site.administrator, name, Secret("Another-Password"))
    assert "already exists" in caught.value.message
    assert caught.value.__cause__ is None
    log = site.server.log()
    assert "Another-Password" not in log
    assert "n\\ew" not in log
    if observed(site).is_superuser:
        kept = site.ask("SELECT rolpassword FROM pg_authid WHERE rolname = %s", name)
        assert kept not in site.server.log()


def test_administrators_keep_their_passwords(site, name):
    site.run("CREATE ROLE {} LOGIN", name)
    site.run("GRANT pg_execute_server_program TO {}", name)
    ours = observed(site)
    assert ours.roles[name].superuser
    for role in ("postgres", ours.administrator, name):
        with pytest.raises(EngineBackupError, match="is an administrator of the server"):
            roles.change_role(site.administrator, role, PASSWORD)
    site.run("DROP ROLE {}", name)
    with pytest.raises(EngineBackupError, match="does not exist"):
        roles.change_role(site.administrator, name, PASSWORD)
    with pytest.raises(EngineBackupError, match="has no password"):
        roles.create_role(site.administrator, name, Secret(""))


@pytest.mark.parametrize("bad", ["", "a\nb", "a\rb", "a\0b", "ä" * 32, "x" * 64])
def test_names_that_cannot_be(site, bad):
    with pytest.raises(EngineBackupError, match="cannot be the name"):
        roles.create_role(site.administrator, bad, PASSWORD)
    with pytest.raises(EngineBackupError, match="cannot be the name"):
        provisioning.drop_database(site.administrator, bad)


def test_errors_name_the_thing_and_what_to_do(site, name):
    cases: list[tuple[Callable[[], object], str, str]] = [
        (lambda: provisioning.create_database(site.administrator, name, name), f"database '{name}'", "role"),
        (lambda: provisioning.set_owner(site.administrator, name, "postgres"), "does not exist", "create"),
        (lambda: roles.create_role(site.administrator, "pg_x", PASSWORD), "role 'pg_x'", "another"),
        (lambda: provisioning.rename_databases(site.administrator, [(name, "x")]), name, "database"),
    ]
    for action, message, hint in cases:
        with pytest.raises(EngineBackupError) as caught:
            action()
        assert message in caught.value.message
        assert hint in caught.value.hint
    roles.create_role(site.administrator, name, PASSWORD)
    with pytest.raises(EngineBackupError) as caught:
        provisioning.create_database(site.administrator, name, name, "xx_XX.UTF-8")
    assert "xx_XX" in caught.value.message
    assert "locale" in caught.value.hint
    provisioning.create_database(site.administrator, name, name)
    with pytest.raises(EngineBackupError, match="already exists"):
        provisioning.create_database(site.administrator, name, name)
    with pytest.raises(EngineBackupError) as caught:
        roles.drop_role(site.administrator, name)
    assert "REASSIGN" in caught.value.hint


def test_a_server_that_only_reads(site, name):
    with site.administrator.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    assert observed(site).read_only
    with pytest.raises(EngineBackupError) as caught:
        roles.create_role(site.administrator, name, PASSWORD)
    assert "primary" in caught.value.hint


def test_a_database_of_another_is_taken_over(site, name):
    other = name + " other"
    for role in (name, other):
        roles.create_role(site.administrator, role, PASSWORD)
    provisioning.create_database(site.administrator, name, other)
    assert provisioning.owner_of(site.administrator, name) == other
    provisioning.set_owner(site.administrator, name, name)
    assert observed(site, name).databases[name].owner == name


def test_databases_change_places_at_once(site, name):
    roles.create_role(site.administrator, name, PASSWORD)
    old, new, kept = name, name + " new", name + " kept"
    for database in (old, new):
        provisioning.create_database(site.administrator, database, name)
    oids = {d: site.ask("SELECT oid FROM pg_database WHERE datname = %s", d) for d in (old, new)}
    sessions = [site.server.connect(database, name, PASSWORD) for database in (old, new)]
    provisioning.rename_databases(site.administrator, [(old, kept), (new, old)])
    assert site.ask("SELECT oid FROM pg_database WHERE datname = %s", old) == oids[new]
    assert site.ask("SELECT oid FROM pg_database WHERE datname = %s", kept) == oids[old]
    for session in sessions:
        with pytest.raises(psycopg2.Error):
            rows(session, "SELECT 1")
        session.close()


def test_none_is_renamed_when_one_cannot_be(site, name):
    roles.create_role(site.administrator, name, PASSWORD)
    for database in (name, name + " 2"):
        provisioning.create_database(site.administrator, database, name)
    with pytest.raises(EngineBackupError, match="postgres"):
        provisioning.rename_databases(site.administrator, [(name, name + " 3"), (name + " 2", "postgres")])
    assert set(observed(site, name, name + " 2", name + " 3").databases) == {name, name + " 2"}


# PostgreSQL itself waits five seconds for others to leave a database.
@pytest.mark.parametrize(
    "site", ["ordinary", pytest.param("superuser", marks=pytest.mark.thorough)], indirect=True
)
def test_who_holds_a_database_is_named(site, name, monkeypatch):
    monkeypatch.setattr(provisioning, "RENAME_SECONDS", 0.1)
    roles.create_role(site.administrator, name, PASSWORD)
    provisioning.create_database(site.administrator, name, name)
    with closing(site.server.connect(name, name, PASSWORD)) as holder:
        holder.tpc_begin("held")
        rows(holder, "SELECT pg_catalog.pg_advisory_xact_lock_shared(1)")
        with holder.cursor() as cursor:
            cursor.execute("CREATE TABLE t (x int)")
            cursor.execute("PREPARE TRANSACTION 'held'")
    with pytest.raises(EngineBackupError, match="prepared transaction 'held'"):
        provisioning.rename_databases(site.administrator, [(name, name + " 2")])
    with closing(site.server.connect(name, name, PASSWORD)) as holder:
        holder.autocommit = True
        rows_of(holder, "ROLLBACK PREPARED 'held'")
    if not observed(site).is_superuser:
        with closing(site.server.connect(name)):
            with pytest.raises(EngineBackupError, match="by role 'postgres', program ''"):
                provisioning.rename_databases(site.administrator, [(name, name + " 2")])
    provisioning.drop_database(site.administrator, name)


def rows_of(connection: Connection, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_extension_that_the_product_needs(site, name):
    roles.create_role(site.administrator, name, PASSWORD)
    provisioning.create_database(site.administrator, name, name)
    with closing(site.connect(name)) as connection:
        provisioning.create_extensions(connection, ["uuid-ossp"])
        provisioning.create_extensions(connection, ["uuid-ossp", "plpgsql"])
        query = "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace"
        assert value(connection, query + " WHERE extname = 'uuid-ossp'") == "public"
        with pytest.raises(EngineBackupError) as caught:
            provisioning.create_extensions(connection, ['no"such'])
    assert "extension 'no\"such'" in caught.value.message
    assert "contrib" in caught.value.hint
    assert observed(site, name).databases[name].objects == 0
    with closing(site.server.connect(name, name, PASSWORD)) as owner:
        assert value(owner, "SELECT length(uuid_generate_v1()::text)") == 36


def test_plain_functions_of_old_dumps_make_room(server, name):
    server.create_role(name, PASSWORD)
    with closing(server.connect()) as administrator:
        administrator.autocommit = True
        provisioning.create_database(administrator, name, name)
    with closing(server.connect(name)) as connection:
        connection.autocommit = True
        library = "$libdir/uuid-ossp" if server.programs.major < 18 else "$libdir/plpgsql"
        symbol = "uuid_generate_v1" if server.programs.major < 18 else "plpgsql_call_handler"
        rows_of(
            connection,
            f"CREATE FUNCTION public.uuid_generate_v1() RETURNS uuid LANGUAGE c AS '{library}', '{symbol}'",
        )
        rows_of(connection, "CREATE FUNCTION public.other() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        provisioning.create_extensions(connection, ["uuid-ossp"])
        assert value(connection, "SELECT public.other()") == 1
        assert value(connection, "SELECT public.uuid_generate_v1() IS NOT NULL")


def test_a_database_that_nobody_can_look_into(site, name):
    roles.create_role(site.administrator, name, PASSWORD)
    provisioning.create_database(site.administrator, name, name)
    site.run("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", name)
    found = observed(site, name).databases[name]
    assert (found.objects, found.empty) == (None, False)
    assert found.problem == "it lets nobody connect"
    site.run("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", name)
    site.run("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", name)
    found = observed(site, name).databases[name]
    assert (found.problem == "") is observed(site).is_superuser


def test_what_is_in_a_database_is_counted(site, name):
    roles.create_role(site.administrator, name, PASSWORD)
    provisioning.create_database(site.administrator, name, name)
    with closing(site.server.connect(name, name, PASSWORD)) as owner, owner, owner.cursor() as cursor:
        cursor.execute("CREATE SCHEMA s; CREATE VIEW s.v AS SELECT 1")
        found = observed(site, name).databases[name]
        assert (found.objects, found.sessions) == (0, 1)
        owner.commit()
        assert observed(site, name).databases[name].objects == 2


def test_a_role_before_shows_no_verifier():
    before = RoleBefore("x", can_login=True, verifier_known=True, verifier=Secret("SCRAM-SHA-256$4096:x"))
    assert "4096" not in repr(before)
