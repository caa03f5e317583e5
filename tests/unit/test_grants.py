from __future__ import annotations

import pytest

from engine_backup.plan.grants import grantees, has_foreign_grants


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
        ("GRANT SELECT ON TABLE t TO reader GRANTED BY boss;", ("reader",)),
        ("grant select on table t to lower_case;", ("lower_case",)),
        ('GRANT USAGE ON SCHEMA "x TO y" TO z;', ("z",)),
        ('GRANT SELECT ON TABLE t TO "public";', ("public",)),
        ("GRANT SELECT ON TABLE t TO reader -- TO nobody\n;", ("reader",)),
        ("REVOKE ALL ON TABLE t FROM somebody;", ()),
        ("CREATE FUNCTION f() AS 'GRANT SELECT ON t TO nobody;';", ()),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT SELECT ON TABLES TO reader;", ()),
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
