"""Privileges on a database, settings and memberships: from one real database to another, and hostile ones."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2 import sql

from engine_backup.drivers import cluster_privileges, postgres_programs, privileges_restoring
from engine_backup.drivers.postgres import value
from engine_backup.drivers.privileges_document import from_json, to_json
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import HostileArchiveError
from engine_backup.model.secret import Secret
from engine_backup.model.server import ClusterPrivileges, DatabaseGrant, Membership, StoredSetting

PASSWORD = Secret("p")


@dataclass(frozen=True)
class Pair:
    """Two databases of one owner, and roles that are nobody's yet."""

    server: ScratchServer
    owner: str
    source: str
    target: str
    reader: str
    group: str

    def run(self, statement: str, *names: str) -> None:
        with closing(self.server.connect()) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def read(self, database: str) -> ClusterPrivileges:
        """Read as the owner, who is nobody special, in the way that a backup does."""
        with closing(self.server.connect(database, self.owner, PASSWORD)) as connection:
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
            return cluster_privileges.read(connection)

    def apply(self, privileges: ClusterPrivileges, *created: str) -> tuple[str, ...]:
        with closing(self.server.connect(self.target)) as connection:
            connection.autocommit = True
            return privileges_restoring.apply(connection, privileges, self.owner, created)

    def shown(self, role: str, setting: str) -> Any:
        with closing(self.server.connect(self.target, role, PASSWORD)) as connection:
            return value(connection, f"SHOW {setting}")


@pytest.fixture(
    scope="module", params=postgres_programs.with_server(), ids=lambda programs: str(programs.major)
)
def server(request: pytest.FixtureRequest) -> Iterator[ScratchServer]:
    with ScratchServer.start(programs=request.param) as found:
        yield found


@pytest.fixture
def pair(server: ScratchServer) -> Pair:
    mark = secrets.token_hex(4)
    found = Pair(
        server, f'Own "{mark}', f"From {mark}", f'To "{mark}', f"reader;{mark}", f"Group {{}} %s {mark}"
    )
    for role in (found.owner, found.reader, found.group):
        server.create_role(role, PASSWORD)
    for database in (found.source, found.target):
        server.create_database(database, found.owner)
    return found


def test_nothing_special_changes_nothing(pair):
    found = pair.read(pair.source)
    assert found == ClusterPrivileges(pair.owner)
    assert pair.apply(found) == ()
    assert pair.read(pair.target) == found


def test_everything_comes_back(pair):
    pair.run("REVOKE ALL ON DATABASE {} FROM PUBLIC", pair.source)
    pair.run("GRANT TEMPORARY ON DATABASE {} TO PUBLIC", pair.source)
    pair.run("GRANT CONNECT ON DATABASE {} TO {}", pair.source, pair.reader)
    pair.run("GRANT CREATE ON DATABASE {} TO {} WITH GRANT OPTION", pair.source, pair.reader)
    pair.run("""ALTER DATABASE {} SET search_path = "$user", public, 'a "b'""", pair.source)
    pair.run("ALTER DATABASE {} SET \"DateStyle\" = 'SQL, DMY'", pair.source)
    pair.run("ALTER ROLE {} IN DATABASE {} SET work_mem = '5MB'", pair.reader, pair.source)
    pair.run("ALTER ROLE {} SET statement_timeout = '7s'", pair.reader)
    pair.run("ALTER ROLE {} SET application_name = 'it''s \\ odd'", pair.owner)
    pair.run("GRANT {} TO {} WITH ADMIN OPTION", pair.group, pair.reader)
    found = pair.read(pair.source)
    assert found.grants == (
        DatabaseGrant(None, ("TEMPORARY",)),
        DatabaseGrant(pair.owner, ("CONNECT", "CREATE", "TEMPORARY")),
        DatabaseGrant(pair.reader, ("CONNECT", "CREATE"), ("CREATE",)),
    )
    assert len(found.settings) == 5
    assert found.memberships == (Membership(pair.group, pair.reader, admin=True),)
    document = json.loads(json.dumps(to_json(found)))
    assert from_json(document) == found

    pair.run("REVOKE {} FROM {}", pair.group, pair.reader)
    pair.run("ALTER ROLE {} RESET ALL", pair.reader)
    assert pair.apply(from_json(document), pair.owner, pair.reader, pair.group) == ()
    assert pair.read(pair.target) == found
    assert pair.shown(pair.owner, "search_path") == '"$user", public, "a ""b"'
    assert pair.shown(pair.owner, "application_name") == "it's \\ odd"
    assert pair.shown(pair.reader, "work_mem") == "5MB"
    assert pair.shown(pair.reader, "statement_timeout") == "7s"
    assert pair.apply(found, pair.owner, pair.reader, pair.group) == ()


def test_another_owner(pair):
    pair.run("ALTER DATABASE {} SET work_mem = '5MB'", pair.source)
    pair.run("ALTER ROLE {} IN DATABASE {} SET work_mem = '6MB'", pair.owner, pair.source)
    pair.run("REVOKE ALL ON DATABASE {} FROM PUBLIC", pair.source)
    found = pair.read(pair.source)
    with closing(pair.server.connect(pair.target)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                    sql.Identifier(pair.target), sql.Identifier(pair.reader)
                )
            )
        assert privileges_restoring.apply(connection, found, pair.reader) == ()
    assert pair.shown(pair.reader, "work_mem") == "6MB"
    with pytest.raises(Exception, match="permission denied"):
        pair.server.connect(pair.target, pair.owner, PASSWORD)


def test_roles_that_are_not_here(pair):
    document = ClusterPrivileges(
        pair.owner,
        (DatabaseGrant("nobody here", ("CONNECT",)),),
        (StoredSetting("nobody here", "work_mem", "5MB"), StoredSetting("nobody here", "jit", "on", True)),
        (Membership("nobody here", pair.reader), Membership(pair.group, "nobody here")),
    )
    told = pair.apply(document, pair.group)
    assert len(told) == 5
    assert all("there is no role 'nobody here'" in line for line in told)
    assert told[0].startswith('GRANT CONNECT ON DATABASE "To ')


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("session_preload_libraries", "power over more"),
        ("local_preload_libraries", "power over more"),
        ("LOCAL_preload_libraries", "power over more"),
        ("shared_preload_libraries", "power over more"),
        ("dynamic_library_path", "power over more"),
        ("session_replication_role", "power over more"),
        ("log_statement", "power over more"),
        ("role", "power over more"),
        ("session_authorization", "power over more"),
        ("max_connections", "power over more"),
        ("plperl.on_plperl_init", "no such setting"),
        ("no_such_setting", "no such setting"),
    ],
)
def test_settings_that_no_archive_may_make(pair, setting, reason):
    for role, everywhere in ((None, False), (pair.reader, False), (pair.reader, True)):
        document = ClusterPrivileges(pair.owner, None, (StoredSetting(role, setting, "x", everywhere),))
        (line,) = pair.apply(document, pair.reader)
        assert reason in line
    pair.run("GRANT CONNECT ON DATABASE {} TO {}", pair.target, pair.reader)
    assert pair.read(pair.target).settings == ()


def test_a_value_that_the_server_does_not_take(pair):
    settings = (StoredSetting(None, "work_mem", "much'; DROP TABLE x"), StoredSetting(None, "jit", "on"))
    (line,) = pair.apply(ClusterPrivileges(pair.owner, None, settings))
    assert "much''; DROP TABLE x" in line
    assert pair.shown(pair.owner, "jit") == "on"


@pytest.mark.parametrize("powerful", ["postgres", "pg_execute_server_program", "pg_read_all_data"])
def test_nobody_becomes_powerful(pair, powerful):
    document = ClusterPrivileges(
        pair.owner,
        (DatabaseGrant(powerful, ("CREATE",)),),
        (StoredSetting(powerful, "work_mem", "5MB"), StoredSetting(powerful, "search_path", "x", True)),
        (Membership(powerful, pair.reader), Membership(pair.reader, powerful)),
    )
    told = pair.apply(document, powerful, pair.reader)
    assert len([line for line in told if "is an administrator or a part of PostgreSQL" in line]) == 5


def test_roles_of_others_keep_what_they_are(pair):
    document = ClusterPrivileges(
        pair.owner,
        None,
        (StoredSetting(pair.group, "work_mem", "5MB", True),),
        (Membership(pair.group, pair.reader),),
    )
    told = pair.apply(document)
    assert len(told) == 2
    assert all("was here before this restore" in line for line in told)
    pair.run("GRANT {} TO {}", pair.group, pair.reader)
    assert len(pair.apply(document)) == 1


def test_members_without_set_role(pair):
    modern = pair.server.programs.major >= 16
    document = ClusterPrivileges(pair.owner, None, (), (Membership(pair.group, pair.reader, settable=False),))
    told = pair.apply(document, pair.group)
    assert bool(told) is not modern
    if modern:
        pair.run("GRANT CONNECT ON DATABASE {} TO {}", pair.target, pair.group)
        assert pair.read(pair.target).memberships == document.memberships


def test_an_administrator_who_is_no_superuser(pair):
    pair.run("ALTER ROLE {} CREATEDB CREATEROLE", pair.reader)
    document = ClusterPrivileges(
        pair.owner, (DatabaseGrant(pair.group, ("CONNECT",)),), (StoredSetting(None, "jit", "on"),)
    )
    if pair.server.programs.major >= 16:
        pair.run("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", pair.owner, pair.reader)
    with closing(pair.server.connect(pair.target, pair.reader, PASSWORD)) as connection:
        connection.autocommit = True
        assert privileges_restoring.apply(connection, document, pair.owner) == ()
    found = pair.read(pair.target)
    assert found.settings == document.settings
    assert set(found.grants or ()) == {
        DatabaseGrant(pair.owner, ("CONNECT", "CREATE", "TEMPORARY")),
        DatabaseGrant(pair.group, ("CONNECT",)),
    }


SOUND = to_json(
    ClusterPrivileges(
        "engine",
        (DatabaseGrant(None, ("CONNECT", "CREATE"), ("CREATE",)),),
        (StoredSetting("x", "search_path", "public"),),
        (Membership("a", "b"),),
    )
)


def changed(path: list[Any], content: object) -> Any:
    document = json.loads(json.dumps(SOUND))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = content
    return document


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (["owner"], None),
        (["owner"], ""),
        (["owner"], "a\nb"),
        (["owner"], "a\x1b[2J"),
        (["owner"], "\ud800"),
        (["owner"], "ä" * 32),
        (["owner"], 5),
        (["grants"], {}),
        (["grants"], "CONNECT"),
        (["grants"], [None]),
        (["grants", 0, "privileges"], []),
        (["grants", 0, "privileges"], ["CONNECT ON DATABASE x TO y; --"]),
        (["grants", 0, "privileges"], ["CREATE", "CREATE"]),
        (["grants", 0, "grantable"], ["TEMPORARY"]),
        (["grants", 0, "grantee"], ["x"]),
        (["grants", 0, "more"], 1),
        (["settings", 0, "name"], "a b"),
        (["settings", 0, "name"], 'x" = 1; --'),
        (["settings", 0, "name"], "a" * 64),
        (["settings", 0, "name"], "a..b"),
        (["settings", 0, "value"], "a\nb"),
        (["settings", 0, "value"], "x" * 8193),
        (["settings", 0, "value"], 1),
        (["settings", 0, "everywhere"], 1),
        (["settings", 0], {**SOUND["settings"][0], "role": None, "everywhere": True}),
        (["settings"], [SOUND["settings"][0]] * 1001),
        (["memberships", 0, "admin"], "yes"),
        (["memberships", 0, "role"], None),
        (["more"], []),
    ],
)
def test_hostile_manifests_are_refused(path, content):
    assert from_json(SOUND).owner == "engine"
    with pytest.raises(HostileArchiveError, match="manifest"):
        from_json(changed(path, content))


@pytest.mark.parametrize("document", [None, [], {}, "x", 1, {"owner": "engine"}])
def test_other_documents_are_refused(document):
    with pytest.raises(HostileArchiveError, match="manifest"):
        from_json(document)


json_values: Callable[..., Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["CONNECT", "owner"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["owner", "grants", "settings", "memberships"]), json_values)
def test_whatever_is_taken_is_itself(field, content):
    try:
        found = from_json({**SOUND, field: content})
    except HostileArchiveError:
        return
    assert from_json(json.loads(json.dumps(to_json(found)))) == replace(found)
