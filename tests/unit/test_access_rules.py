"""pg_hba.conf: how it is read, which rule meets a connection, and where lines of ours go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.errors import EngineBackupError
from engine_backup.plan.access_rules import (
    MARK,
    broken_lines,
    method_for,
    with_access,
    with_administrator_access,
    with_socket_access,
)
from engine_backup.plan.pg_hba import Rule, Token, entries_of, first_match

SCRAM = "scram-sha-256"
HEAD = "# PostgreSQL Client Authentication\n#\n\n"
USUAL = f"""{HEAD}# "local" is for sockets
local   all             all                                     peer
# IPv4 local connections:
host    all             all             127.0.0.1/32            ident
host    all             all             ::1/128                 ident
local   replication     all                                     peer
"""
IPV4 = f"host    engine          engine          0.0.0.0/0               {SCRAM}\n"
IPV6 = f"host    engine          engine          ::0/0                   {SCRAM}\n"
OURS = IPV4 + IPV6
ODD_NAMES = [
    "all", "replication", "sameuser", "samerole", "samegroup", "include", "Engine", "en gine", 'q"uo"te',
    "a,b", "#a", "+group", "@file", "/regex", "a/b", "a\\", "täst", "'", "-", "1", "a$b", " a ", '"', '""',
    "a#b", "@", "+",
]  # fmt: skip


def grant(text: str, database: str = "engine", user: str = "engine", method: str = SCRAM, **more: int) -> str:
    return with_access(text, database, user, method, **more)  # type: ignore[arg-type]


def test_on_the_socket():
    text = with_socket_access(USUAL, "engine", "engine", SCRAM)
    assert method_of(text, "", "local") == SCRAM
    assert method_of(text, "", "local", user="another") == "peer"
    assert method_of(text, "127.0.0.1") == "ident"
    assert with_socket_access(text, "engine", "engine", SCRAM) == text
    assert with_socket_access(text, "engine", "engine", "md5").count("local   engine") == 1
    assert len(text.splitlines()) == len(USUAL.splitlines()) + 1


def method_of(text: str, address: str, kind: str = "hostnossl", **names: str) -> str:
    rule = first_match(text, kind, names.get("database", "engine"), names.get("user", "engine"), address)
    return rule.method if rule else "none"


def rules_of(text: str) -> list[Rule]:
    return [entry.rule for entry in entries_of(text) if entry.rule]


@pytest.mark.parametrize(
    ("line", "databases", "users"),
    [
        ("local a b trust", ["a"], ["b"]),
        ("\tlocal\ta\tb\ttrust\r\n", ["a"], ["b"]),
        ("local a,b c, d trust # why", ["a", "b"], ["c", "d"]),
        ("local a,,b c trust", ["a", "b"], ["c"]),
        ('local "a ""b""" "c,#d"x trust', ['a "b"'], ["c,#dx"]),
        ('local "" b trust', [""], ["b"]),
        ("local a#b", None, None),
        ("loc\\\nal a \\\r\n b trust", ["a"], ["b"]),
        (",local ,a ,b ,trust", ["a"], ["b"]),
    ],
)
def test_lines_are_read_as_the_server_reads_them(line, databases, users):
    found = [([t.text for t in rule.databases], [t.text for t in rule.users]) for rule in rules_of(line)]
    assert found == ([(databases, users)] if databases else [])
    assert "".join(entry.text for entry in entries_of(line)) == line


def test_a_comment_goes_on_behind_a_backslash():
    text = "# comment \\\nlocal a b trust\n# comment \\\n\\\nlocal c d trust\nlocal \\\ne f trust\n"
    found = [(rule.line, rule.databases[0].text) for rule in rules_of(text)]
    assert found == [(6, "e")]
    assert [rule.line for rule in rules_of("# comment \\\n\nlocal c d trust\n")] == [3]


def test_addresses_masks_and_options():
    text = 'host a b 10.0.0.0 255.0.0.0 ldap ldapserver=x ldapprefix="cn, x"\nhostssl a b "all" cert map=m\n'
    first, second = rules_of(text)
    assert (first.address.text, first.mask, first.method) == ("10.0.0.0", "255.0.0.0", "ldap")
    assert first.options == ("ldapserver=x", "ldapprefix=cn, x")
    assert second.address == Token("all", quoted=True)


@pytest.mark.parametrize(
    "line", ["local a b", "host a b trust", "remote a b trust", "local", "local,host a b trust"]
)
def test_broken_lines_are_told(line):
    assert broken_lines(f"{USUAL}{line}\n") == (line,)


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        ("local all all trust", False),
        ("host all all all trust", True),
        ("host engine all 10.1.2.3/32 trust", True),
        ("host engine all 10.1.2.3 255.255.255.255 trust", True),
        ("host engine all 10.9.9.9/8 trust", True),
        ("host engine all 0.0.0.3 0.0.0.255 trust", True),
        ("host engine all 10.1.2.4/32 trust", False),
        ("host engine all ::/0 trust", False),
        ("host sameuser all 0.0.0.0/0 trust", False),
        ("host samerole all 0.0.0.0/0 trust", True),
        ("host replication all 0.0.0.0/0 trust", False),
        ('host "all" all 0.0.0.0/0 trust', False),
        ("host dwh,engine +admins 0.0.0.0/0 trust", True),
        ("host @list u 0.0.0.0/0 trust", True),
        ("host /^eng u 0.0.0.0/0 trust", True),
        ("host Engine u 0.0.0.0/0 trust", False),
        ("host engine u samenet trust", True),
        ("host engine u .example.com trust", True),
        ("hostssl engine u all trust", False),
        ("hostnossl engine u all trust", True),
        ("hostgssenc engine u all trust", False),
        ("hostnogssenc engine u all trust", True),
    ],
)
def test_which_rule_meets_a_connection(rule, met):
    found = first_match(f"{rule}\n", "hostnossl", "engine", "u", "10.1.2.3")
    assert (found is not None) is met


def test_lines_come_before_the_first_rule_that_decides_otherwise():
    assert grant(USUAL) == USUAL.replace("host    all ", OURS + "host    all ", 1)


@pytest.mark.parametrize(
    "text", ["", HEAD, HEAD.rstrip("\n"), "local all all peer\n", "host dwh dwh all md5"]
)
def test_without_such_a_rule_they_come_last(text):
    before = text + "\n" if text and not text.endswith("\n") else text
    assert grant(text) == before + OURS


@pytest.mark.parametrize(
    "rule",
    [
        "host all all 0.0.0.0/0 md5",
        "hostssl all all all scram-sha-256 clientcert=verify-full",
        "host all all samenet trust",
        "host all +g all reject",
        "host @files all all md5",
        "include other.conf",
        "include_dir 'd'",
        "this is broken",
    ],
)
def test_what_could_decide_otherwise(rule):
    text = f"{HEAD}host dwh all all md5\n{rule}\nhost all all all trust\n"
    assert grant(text) == text.replace(rule, OURS + rule)


def test_rules_with_the_same_method_are_passed_over():
    text = f"host all all all {SCRAM}\nhost all all all trust\n"
    assert grant(text) == text.replace("host all all all trust", f"{OURS}host all all all trust")


def test_lines_that_stand_there_already_are_not_repeated():
    theirs = f'host "engine" engine 0.0.0.0 0.0.0.0 {SCRAM}\nhost engine engine ::/0 {SCRAM} # ours\n'
    assert grant(theirs + USUAL) == theirs + USUAL
    assert grant(IPV4 + USUAL) == IPV4 + USUAL.replace("host    all ", IPV6 + "host    all ", 1)


def test_lines_that_stand_too_late_move():
    assert grant(USUAL + OURS) == grant(USUAL)


def test_older_lines_with_another_method_go():
    older = OURS.replace(SCRAM, "md5")
    assert grant(USUAL + older) == grant(older + USUAL) == grant(grant(USUAL, method="md5")) == grant(USUAL)
    assert grant(older + OURS + USUAL) == OURS + USUAL


def test_lines_of_others_stay():
    theirs = (
        "host engine,dwh engine 0.0.0.0/0 md5\nhost engine engine 10.0.0.0/8 md5\n"
        "host engine engine 0.0.0.0/0 reject\nhostssl engine engine 0.0.0.0/0 md5\n"
    )
    assert grant(theirs) == OURS + theirs


def test_line_ends_are_kept():
    text = USUAL.replace("\n", "\r\n")
    assert grant(text) == grant(USUAL).replace("\n", "\r\n")
    assert with_administrator_access(text, "postgres").count("\r\n") == text.count("\r\n") + 2


def test_a_last_line_that_would_go_on_is_ended():
    for text in ("# to be continued \\", "# to be continued \\\n", "# to be continued \\\r\n"):
        assert method_of(grant(text), "10.0.0.1") == SCRAM
        assert grant(grant(text)) == grant(text)


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("text", [USUAL, "host all all all trust\n", "include x\n"])
def test_odd_names_mean_just_themselves(name, text):
    found = grant(text, name, name, major=15)
    rules = [rule for rule in rules_of(found) if rule.method == SCRAM]
    assert [(len(rule.databases), rule.databases[0].text) for rule in rules] == [(1, name)] * 2
    assert method_of(found, "10.0.0.1", database=name, user=name) == SCRAM
    assert method_of(found, "10.0.0.1", database="other", user="other") != SCRAM or name == "/regex"
    assert grant(found, name, name, major=15) == found


def test_a_name_with_a_slash_is_a_regular_expression_since_16():
    assert '"/^\\/a\\.b$"' in grant("", "/a.b", major=16)
    assert '"/a.b"' in grant("", "/a.b", major=15)


@pytest.mark.parametrize("name", ["", "a\nb", "a\rb", "a\0b"])
def test_names_that_no_file_can_hold_are_refused(name):
    with pytest.raises(EngineBackupError, match="cannot hold the name"):
        grant(USUAL, name)


@pytest.mark.parametrize(
    ("setting", "method"), [("scram-sha-256", SCRAM), ("md5", "md5"), ("on", "md5"), ("SCRAM-SHA-256", SCRAM)]
)
def test_the_method_follows_the_server(setting, method):
    assert method_for(setting) == method


def test_administrator_access_comes_first():
    text = USUAL.replace("peer", SCRAM)
    found = with_administrator_access(text, "postgres")
    assert found == f"{MARK}\nlocal   all             postgres        peer\n{text}"
    assert with_administrator_access(found, "postgres") == found
    assert method_of(found, "", kind="local", database="template1", user="postgres") == "peer"
    assert method_of(found, "", kind="local", database="template1", user="other") == SCRAM


words = st.sampled_from(["all", "engine", "dwh", '"all"', "+g", "sameuser", "@f", "a,engine", "/e"])
addresses = st.sampled_from(
    ["all", "samenet", "0.0.0.0/0", "::/0", "127.0.0.1/32", "10.0.0.0 255.0.0.0", "h"]
)
methods = st.sampled_from([SCRAM, "md5", "trust", "reject", "cert map=x"])
local_lines = st.builds("local {} {} {}".format, words, words, methods)
host_kinds = st.sampled_from(["host", "hostssl", "hostnossl"])
host_lines = st.builds("{} {} {} {} {}".format, host_kinds, words, words, addresses, methods)
ends = st.sampled_from(["\n", "\r\n", " # why\n", " \\\n", "\\\r\n"])
hba_lines = st.builds(
    "{}{}".format, local_lines | host_lines | st.sampled_from(["# c", "", "include x"]), ends
)


@given(st.lists(hba_lines, max_size=12).map("".join), st.sampled_from([SCRAM, "md5"]))
def test_access_is_given_once_and_first(text, method):
    found = grant(text, method=method)
    assert grant(found, method=method) == found
    for address in ("127.0.0.1", "10.0.0.1", "192.0.2.1", "::1", "2001:db8::1"):
        for kind in ("hostssl", "hostnossl"):
            assert method_of(found, address, kind) == method
    if "\\\n" not in text:  # what a replaced line goes on with goes with it
        kept = iter(found.splitlines())
        assert all(line in kept for line in text.splitlines() if " engine engine " not in line)


@given(st.text(st.sampled_from('"\\,# \t\r\nalhost0./+@') | st.characters(codec="utf-8"), max_size=80))
def test_every_text_comes_back_whole(text):
    assert "".join(entry.text for entry in entries_of(text)) == text
    assert grant(grant(text)) == grant(text)
