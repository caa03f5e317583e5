"""Our reading of postgresql.conf and pg_hba.conf against that of every installed PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.postgres import rows, value
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.drivers.server_observation import broken_configuration, settings_elsewhere
from engine_backup.model.secret import Secret
from engine_backup.plan.access_rules import with_access
from engine_backup.plan.pg_hba import Rule, entries_of, first_match
from engine_backup.plan.postgresql_conf import lines_of, number
from engine_backup.plan.server_settings import Conditions, edited

SCRAM = "scram-sha-256"
RIGHT, WRONG = Secret("right"), Secret("wrong")
US = f"host all postgres all {SCRAM}\nlocal all postgres {SCRAM}\n"
ODD_NAMES = [
    "engine", "Engine", "all", "replication", "sameuser", "samerole", "en gine", 'q"uo"te', "a,b", "#a",
    "+pg_monitor", "@file", "/^.*$", "a\\", "täst", "'", '"', "include",
]  # fmt: skip
FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Server:
    """A server whose files are rewritten at will; its views read them, and it itself only when told."""

    server: ScratchServer
    connection: psycopg2.extensions.connection

    @property
    def data(self) -> Path:
        return self.server.data_directory

    def ask(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        return rows(self.connection, query, *parameters)

    def create(self, name: str) -> None:
        """Create a role and a database of this name, unless they are there."""
        if not value(self.connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", name):
            with self.connection.cursor() as cursor:
                for kind in ("CREATE ROLE {} LOGIN PASSWORD 'right'", "CREATE DATABASE {}"):
                    cursor.execute(sql.SQL(kind).format(sql.Identifier(name)))

    def admits(self, name: str, password: Secret, database: str = "") -> bool:
        try:
            self.server.connect(database or name, name, password).close()
        except psycopg2.OperationalError:
            return False
        return True


@pytest.fixture(
    scope="module", params=postgres_programs.with_server(), ids=lambda programs: str(programs.major)
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with ScratchServer.start(programs=request.param) as found:
        connection = found.connect()
        connection.autocommit = True
        former = {
            name: (found.data_directory / name).read_bytes() for name in ("postgresql.conf", "pg_hba.conf")
        }
        yield Server(found, connection)
        connection.close()
        for name, content in former.items():
            (found.data_directory / name).write_bytes(content)


def write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


words = st.sampled_from(
    ["work_mem", "MAX_connections", "a.b", "x", "=", " ", "\t", "'", "''", "\\", "\\'", "'%m '", "64MB",
     "0x1F", "1.5", "1e3", "-", "+", ".", "#", "*", "/", ":", "_", "é", "on", "8", "\\101", "\r", "\x0b", ","]
)  # fmt: skip
free_lines = st.lists(words, max_size=8).map("".join)
likely_lines = st.builds(
    "{}{}{}{}".format, st.sampled_from(["work_mem", " a.b"]), words, words, st.one_of(words, free_lines)
)


@FUZZ
@given(line=free_lines | likely_lines)
def test_lines_of_postgresql_conf_mean_the_same(server, line):
    write(server.data / "postgresql.conf", line + "\n")
    told = server.ask("SELECT lower(name), setting, error LIKE 'syntax error%%' FROM pg_file_settings")
    ours = lines_of(line + "\n")
    assert [(found.name, found.value) for found in ours if found.name] == [row[:2] for row in told if row[0]]
    assert any(found.broken for found in ours) == any(row[2] and not row[0] for row in told)


@pytest.mark.parametrize(
    "text",
    ["64MB", " 64 MB ", "65536", "64mb", "0x10000", "0200000", "1e5", "'", "-1", "1GB", "100000000B", "1TB",
     "0.5GB", "64 k B", "64MBx", "08", "1.5MB", "70000.4", "+70000", "0x1e5", "64MB 1"],
)  # fmt: skip
def test_numbers_mean_the_same(server, text):
    with server.connection.cursor() as cursor:
        try:
            cursor.execute("SELECT set_config('maintenance_work_mem', %s, false)", [text])
        except psycopg2.DataError:
            ours = number(text, "kB")
            assert ours is None or not 1024 <= ours <= 2**31 - 1
            return
    (told,) = server.ask("SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem'")[0]
    assert round(number(text, "kB") or 0) == told


hba_words = st.sampled_from(
    ["local", "host", "hostssl", "all", "engine", '"', '""', '"a b"', ",", " ", "  ", "\t", "#", "\\", "\\\n",
     "\\\r\n", "\n", "\r\n", "trust", "md5", "10.0.0.1", "10.0.0.0/8", "255.0.0.0", "::/0", "+g", "sameuser",
     "a", "é", "samenet"]
)  # fmt: skip
names = st.sampled_from(
    ["all", "engine", '"a b"', "a,b", 'a , "c"', "+g", '"x""y"', "sameuser", "#", "replication"]
)
places = st.sampled_from(
    ["10.0.0.0/8", "10.1.2.3 255.0.0.0", "::1/128", "all", "samenet", ".a.b", "fe80:: ffff::", ""]
)
blanks = st.sampled_from([" ", "\t", "  ", " \\\n", "\\\r\n"])
kinds = st.sampled_from(["local", "host", "hostnossl", "# host"])
methods = st.sampled_from(["trust", SCRAM, "md5", '"reject"', "trust trust", ""])
ends = st.sampled_from(["", " # c", " \\", "\r"])
likely_rules = st.builds(
    "{1}{0}{2}{0}{3}{0}{4}{0}{5}{6}\n".format, blanks, kinds, names, names, places, methods, ends
)


def told_rules(server: Server) -> list[tuple[object, ...]]:
    return server.ask(
        "SELECT line_number, type, database, user_name, coalesce(address, ''), auth_method, error IS NOT NULL"
        " FROM pg_hba_file_rules ORDER BY line_number"
    )


def as_told(rule: Rule) -> tuple[object, ...]:
    databases, users = ([token.text for token in field] for field in (rule.databases, rule.users))
    return (rule.line, rule.kind, databases, users, rule.address.text.partition("/")[0], rule.method, False)


@FUZZ
@given(text=st.lists(hba_words, max_size=12).map("".join) | st.lists(likely_rules, max_size=4).map("".join))
def test_lines_of_pg_hba_mean_the_same(server, text):
    write(server.data / "pg_hba.conf", text)
    told = told_rules(server)
    entries = entries_of(text)
    sound = [row for row in told if not row[-1]]
    ours = [as_told(entry.rule) for entry in entries if entry.rule]
    # The server finds more wrong (methods, addresses, masks) than the shape; never less.
    assert [row for row in ours if row[0] in {line for line, *_ in sound}] == sound
    assert sum(entry.broken or entry.rule is not None for entry in entries) == len(told)


def test_what_an_edit_writes_is_taken(server):
    own = (server.data / "postgresql.auto.conf").read_text()
    write(server.data / "pg_hba.conf", US)
    for text in ("", "max_connections = 1\r\n", own, "# max_connections = 7\nwork_mem '1MB' # why"):
        edit = edited(text, {}, Conditions(server.server.programs.major, locales=["en_US.utf8"]))
        write(server.data / "postgresql.conf", edit.text)
        told = server.ask("SELECT name, setting FROM pg_file_settings WHERE name IS NOT NULL")
        taken = {change.name: change.new for change in edit.changes}
        assert taken == dict(told)
        lines = {text.partition(": ")[0] for text in broken_configuration(server.connection)}
        locale = 1 + edit.text[: edit.text.index("lc_messages")].count("\n")
        assert lines <= {f"{server.data}/postgresql.conf line {locale}"}  # which this machine may lack


def test_what_the_command_line_says_is_final(server):
    elsewhere = settings_elsewhere(server.connection)
    assert elsewhere["log_line_prefix"].final
    assert elsewhere["log_line_prefix"].place == "the command line of the server"
    conditions = Conditions(server.server.programs.major)
    assert "log_line_prefix" in {found.name for found in edited("", elsewhere, conditions).overridden}


@pytest.mark.parametrize(
    "rules",
    [
        "host all all all trust",
        "host all all 127.0.0.1/32 reject",
        "",
        "local all all peer\r\nhost all all samehost reject",
    ],
    ids=["trust", "reject", "none", "samehost"],
)
def test_odd_names_get_their_access_and_nobody_else(server, rules):
    text = rules
    for name in ODD_NAMES:
        text = with_access(text, name, name, SCRAM, major=server.server.programs.major)
        server.create(name)
    write(server.data / "pg_hba.conf", US + text)
    assert not [told for told in broken_configuration(server.connection) if "pg_hba" in told]
    reload(server)
    for name in ODD_NAMES:
        assert server.admits(name, RIGHT), name
        assert not server.admits(name, WRONG), name
        assert server.admits(name, WRONG, "postgres") is ("trust" in rules), name


def reload(server: Server) -> None:
    """Have the files read, and wait until they are."""
    before = value(server.connection, "SELECT pg_conf_load_time()")
    value(server.connection, "SELECT pg_reload_conf()")
    while value(server.connection, "SELECT pg_conf_load_time()") == before:
        pass


@pytest.mark.parametrize(
    "rules",
    [
        f"host sameuser all 127.0.0.0/8 {SCRAM}\nhost all all all trust",
        f"host all,x alice 127.0.0.1 255.255.255.255 {SCRAM}\nhost postgres bob 0.0.0.0/0 trust",
        f'host "all" alice all trust\nhostssl all all all trust\nhost all bob all {SCRAM}',
        f"hostnossl all alice all reject\nhost alice,\\\nbob all all {SCRAM}#why\nhost all all ::/0 trust",
        f"host replication all all trust\nhost all all 0.0.0.1 0.0.0.255 {SCRAM}\nhost all all all reject",
    ],
)
def test_the_first_match_is_what_the_server_does(server, rules):
    for name in ("alice", "bob"):
        server.create(name)
    write(server.data / "pg_hba.conf", US + rules + "\n")
    reload(server)
    for user in ("alice", "bob"):
        for database in ("alice", "bob", "postgres"):
            rule = first_match(rules, "hostnossl", database, user, "127.0.0.1")
            method = rule.method if rule else "reject"
            found = server.admits(user, RIGHT, database), server.admits(user, WRONG, database)
            assert found == {"trust": (True, True), SCRAM: (True, False), "reject": (False, False)}[method]
