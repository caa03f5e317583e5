"""Tables in the statements of plain dumps, as all releases of pg_dump write them."""

from __future__ import annotations

import pytest

from engine_backup.plan.dump_tables import (
    created_table,
    filled_table,
    is_about_privileges,
    search_path,
    table_owner,
)


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE TABLE public.a (\n id int\n);", "public.a"),
        ("CREATE TABLE a (id int);", "x.a"),
        ("CREATE UNLOGGED TABLE public.a (id int);", "public.a"),
        ('CREATE TABLE public."Odd ""Names"" . b" (id int);', 'public.Odd "Names" . b'),
        ('CREATE TABLE "S"."T" PARTITION OF public.a FOR VALUES IN (1);', "S.T"),
        ("CREATE TABLESPACE x LOCATION '/tmp';", None),
        ("CREATE VIEW public.a AS SELECT 1;", None),
        ("ALTER TABLE public.a OWNER TO engine;", None),
    ],
)
def test_created_tables(statement, name):
    assert created_table(statement, "x") == name


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("COPY public.a (id) FROM stdin;", "public.a"),
        ("COPY a (id) FROM stdin;", "x.a"),
        ('COPY "S"."Odd Names" FROM stdin;', "S.Odd Names"),
        ("COMMENT ON TABLE a IS 'COPY';", None),
    ],
)
def test_filled_tables(statement, name):
    assert filled_table(statement, "x") == name


def test_owners_and_search_paths():
    assert table_owner('ALTER TABLE ONLY_ONE OWNER TO "Odd owner";') == "Odd owner"
    assert table_owner("ALTER TABLE public.a OWNER TO engine;") == "engine"
    assert table_owner("ALTER VIEW public.a OWNER TO engine;") is None
    assert search_path("SET search_path = history, pg_catalog;") == "history"
    assert search_path("SELECT pg_catalog.set_config('search_path', '', false);") is None


@pytest.mark.parametrize(
    ("statement", "about"),
    [
        ("GRANT SELECT ON TABLE a TO b;", True),
        ("REVOKE ALL ON TABLE a FROM b;", True),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b;", True),
        ("SET SESSION AUTHORIZATION a;", True),
        ("RESET SESSION AUTHORIZATION;", True),
        ("SET search_path = public;", False),
        ("CREATE TABLE grants (id int);", False),
    ],
)
def test_privileges(statement, about):
    assert is_about_privileges(statement) is about
