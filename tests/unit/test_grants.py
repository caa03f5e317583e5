from __future__ import annotations

import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine_backup.drivers.plain_dump import LAST_LINE, split
from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError
from engine_backup.model.server import PrivilegeStatement
from engine_backup.plan.grants import grantees, has_foreign_grants, privilege_statements


@pytest.mark.parametrize(
    ("statement", "roles"),
    [
        ("GRANT SELECT ON TABLE public.t TO reader;", ("reader",)),
        ("GRANT SELECT(a,b),UPDATE(a) ON TABLE public.t TO Reader;", ("reader",)),
        ('GRANT ALL ON TABLE public."to" TO "Mixed Case";', ("Mixed Case",)),
        ('GRANT ALL ON SCHEMA public TO "with ""quotes""" WITH GRANT OPTION;', ('with "quotes"',)),
        (
            'GRANT ALL ON FUNCTION public.f(a integer) TO one, two, "three, four";',
            ("one", "three, four", "two"),
        ),
        ("GRANT SELECT ON TABLE t TO PUBLIC;", ()),
        ("GRANT SELECT ON TABLE t TO CURRENT_USER;", ()),
        ("GRANT SELECT ON TABLE t TO GROUP old_style;", ("old_style",)),
        ("GRANT SELECT ON TABLE t TO reader GRANTED BY boss;", ("boss", "reader")),
        ("grant select on table t to lower_case;", ("lower_case",)),
        ('GRANT USAGE ON SCHEMA "x TO y" TO z;', ("z",)),
        ('GRANT SELECT ON TABLE t TO "public";', ()),
        ("GRANT SELECT ON TABLE t TO reader -- TO nobody\n;", ("reader",)),
        ("REVOKE ALL ON TABLE t FROM somebody;", ("somebody",)),
        ("CREATE FUNCTION f() AS 'GRANT SELECT ON t TO nobody;';", ()),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT SELECT ON TABLES TO reader;", ()),
        (
            'ALTER DEFAULT PRIVILEGES FOR ROLE "Maker" IN SCHEMA s REVOKE ALL ON TABLES FROM x;',
            ("Maker", "x"),
        ),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO x WITH GRANT OPTION;", ("x",)),
        ("REVOKE GRANT OPTION FOR ALL ON TABLE t FROM x, y CASCADE;", ("x", "y")),
        ("SET SESSION AUTHORIZATION Boss;", ("boss",)),
        ("SET SESSION AUTHORIZATION 'Boss';", ("Boss",)),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;", ()),
        ("GRANT SELECT ON TABLE t TO granted WITH GRANT OPTION;", ("granted",)),
        ("GRANT SELECT ON TABLE t TO ÄRGER;", ("Ärger",)),
        ("GRANT ALL ON LANGUAGE plpgsql TO x;", ()),
    ],
)
def test_roles_of_one_statement(statement: str, roles: tuple[str, ...]):
    assert grantees([statement]) == roles


def test_each_role_once_and_sorted():
    assert grantees(["GRANT SELECT ON a TO z, b;", "GRANT SELECT ON b TO b;"]) == ("b", "z")


@pytest.mark.parametrize(
    ("statement", "foreign"),
    [
        ("SET SESSION AUTHORIZATION other;", True),
        ('SET SESSION AUTHORIZATION "Other";', True),
        ("SET SESSION AUTHORIZATION DEFAULT;", False),
        ("RESET SESSION AUTHORIZATION;", False),
        ("GRANT SELECT ON t TO reader;", False),
    ],
)
def test_grants_made_by_others(statement: str, foreign: bool):
    assert has_foreign_grants([statement]) is foreign


def test_default_privileges_of_others_are_foreign():
    statement = "ALTER DEFAULT PRIVILEGES FOR ROLE maker GRANT SELECT ON TABLES TO x;"
    assert has_foreign_grants([statement], owner="engine")
    assert not has_foreign_grants([statement], owner="maker")
    assert not has_foreign_grants([statement])


def test_who_runs_what():
    found = privilege_statements(
        [
            "CREATE TABLE public.t (x integer);",
            "GRANT ALL ON SCHEMA public TO reader;",
            "REVOKE ALL ON TABLE public.t FROM engine;",
            "GRANT SELECT(x) ON TABLE public.t TO boss WITH GRANT OPTION;",
            "SET SESSION AUTHORIZATION boss;",
            "GRANT SELECT(x) ON TABLE public.t TO reader;",
            "RESET SESSION AUTHORIZATION;",
            "GRANT ALL ON FUNCTION public.f(a integer, timestamp without time zone[]) TO PUBLIC;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA s GRANT ALL ON SEQUENCES TO reader;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA s GRANT ALL ON TABLES TO reader;",
            "GRANT ALL ON LANGUAGE plpgsql TO reader;",
            "SELECT pg_catalog.setval('public.s', 1);",
        ],
        "engine",
    )
    assert [(statement.role, statement.text.split(" ON ")[1]) for statement in found] == [
        ("", "SCHEMA public TO reader;"),
        ("engine", "TABLE public.t FROM engine;"),
        ("engine", "TABLE public.t TO boss WITH GRANT OPTION;"),
        ("boss", "TABLE public.t TO reader;"),
        ("engine", "FUNCTION public.f(a integer, timestamp without time zone[]) TO PUBLIC;"),
        ("maker", "SEQUENCES TO reader;"),
    ]


def test_roles_with_another_name_here():
    found = privilege_statements(
        [
            "SET SESSION AUTHORIZATION 'old';",
            'GRANT SELECT(old) ON TABLE old.old TO "old", older, old WITH GRANT OPTION;',
            "ALTER DEFAULT PRIVILEGES FOR ROLE old GRANT SELECT ON TABLES TO old;",
        ],
        'new "1"',
        {"old": 'new "1"'},
    )
    quoted = '"new ""1"""'
    assert found == (
        PrivilegeStatement(
            f"GRANT SELECT(old) ON TABLE old.old TO {quoted}, older, {quoted} WITH GRANT OPTION;", 'new "1"'
        ),
        PrivilegeStatement(
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted} GRANT SELECT ON TABLES TO {quoted};", 'new "1"'
        ),
    )


@pytest.mark.parametrize(
    "statement",
    [
        "GRANT postgres TO engine;",
        "GRANT pg_execute_server_program TO engine WITH ADMIN OPTION;",
        "REVOKE engine FROM x;",
        "GRANT ALL ON DATABASE other TO x;",
        "GRANT CREATE ON TABLESPACE pg_default TO x;",
        "GRANT SET ON PARAMETER log_statement TO x;",
        "GRANT SELECT ON t TO x;",
        "GRANT SELECT ON TABLE t TO x; DROP TABLE t;",
        "GRANT SELECT ON TABLE t TO x;;",
        "GRANT SELECT ON TABLE t TO x GRANTED BY postgres;",
        "GRANT SELECT ON TABLE t TO x /* */;",
        "GRANT SELECT ON TABLE t TO x -- y",
        'GRANT SELECT ON TABLE t TO U&"x";',
        "GRANT SELECT ON TABLE t TO 'x';",
        "GRANT SELECT ON TABLE t TO $$x$$;",
        "GRANT SELECT ON TABLE t TO x \\! id",
        "GRANT SELECT ON TABLE t TO x\udcff;",
        "GRANT SELECT ON TABLE t TO x y;",
        "GRANT SELECT ON TABLE t TO;",
        "GRANT SELECT ON TABLE t",
        "ALTER DEFAULT PRIVILEGES FOR ROLE a, b GRANT SELECT ON TABLES TO x;",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON DATABASES TO x;",
        "SET SESSION AUTHORIZATION a b;",
        "SET SESSION AUTHORIZATION E'x\\'';",
        "SET SESSION AUTHORIZATION 'a''b';",
        "RESET SESSION AUTHORIZATION; DROP TABLE t;",
        "RESET SESSION AUTHORIZATION x;",
    ],
)
def test_statements_that_no_dump_holds(statement: str):
    with pytest.raises(HostileArchiveError, match="privileges that no dump holds"):
        privilege_statements([statement], "engine")


WORDS = st.sampled_from(
    ["GRANT", "REVOKE", "ALTER DEFAULT PRIVILEGES", "SELECT", "ON", "TABLE", "SCHEMA", "t", '"a b"', '"',
     "'x'", "TO", "FROM", "x", ",", ";", "(", ")", " ", "\n", "--", "/*", "*/", "$$", "$a$", "\\", "U&", "'",
     "public", "ä", "WITH GRANT OPTION", "\x0b", "\xa0", "SET SESSION AUTHORIZATION", ".", "FOR ROLE"]
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@example("GRANT SELECT ON TABLE t TO ", "( TO GRANT")
@example("GRANT SELECT ON FUNCTION f", ") TO a (")
@given(
    st.sampled_from(["", "GRANT SELECT ON TABLE t TO ", "SET SESSION AUTHORIZATION "]),
    st.lists(WORDS, max_size=12).map(" ".join) | st.lists(WORDS, max_size=12).map("".join),
)
def test_what_is_taken_is_one_statement(beginning: str, text: str):
    try:
        found = privilege_statements([beginning + text], "engine")
    except HostileArchiveError:
        return
    for statement in found:
        dump = io.BytesIO(statement.text.rstrip(";").encode() + b";\nSELECT 1;\n\n" + LAST_LINE + b"\n\n")
        try:
            assert len(list(split(dump, "dump"))) == 2
        except DamagedArchiveError:
            pytest.fail("it goes on behind its end")
