"""What of a dump is loaded."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import pytest

from engine_backup.drivers import postgres_programs, process
from engine_backup.drivers.command import Command
from engine_backup.model.errors import HostileArchiveError
from engine_backup.plan.load_rules import (
    Contents,
    TocEntry,
    decide,
    decide_statement,
    extensions_of,
    kept_list,
    left_out,
    needed_extensions,
    parse_toc,
)

GOLDEN = Path(__file__).parent.parent / "golden"

LISTING = """;
; Archive created at 2026-11-22 09:53:09 UTC
;     dbname: engine
;     TOC Entries: 191
;     Compression: -1
;     Dump Version: 1.14-0
;     Format: CUSTOM
;     Integer: 4 bytes
;     Offset: 8 bytes
;     Dumped from database version: 15.18 (Debian 15.18-0+deb12u1)
;     Dumped by pg_dump version: 15.18
;
;
; Selected TOC Entries:
;
2; 3079 224917 EXTENSION - uuid-ossp 
3721; 0 0 COMMENT - EXTENSION "uuid-ossp" 
6; 2615 2200 SCHEMA - public postgres
3416; 0 0 ACL - SCHEMA public pg_database_owner
256; 1259 225351 TABLE public Odd Names engine
3723; 0 0 SEQUENCE OWNED BY public audit_log_audit_log_id_seq engine
3700; 0 225351 TABLE DATA public Odd Names engine
284; 1255 225368 FUNCTION public logenginebackupevent(character varying, integer) engine
9; 1 1 TEXT SEARCH DICTIONARY public words engine
10; 1 1 FK CONSTRAINT public t key engine
"""  # noqa: W291 - entries without an owner end in a blank


def entry(description: str, name: str, owner: str = "engine", schema: str = "public") -> TocEntry:
    return TocEntry(1, description, schema, name, owner, "")


def test_the_table_of_contents_is_read() -> None:
    contents = parse_toc(LISTING)
    header = contents.header
    assert (header.dbname, header.entries, header.format, header.dump_version) == (
        "engine",
        191,
        "CUSTOM",
        "1.14-0",
    )
    assert header.server_version == "15.18 (Debian 15.18-0+deb12u1)"
    assert header.pg_dump_version == "15.18"
    found = [(e.dump_id, e.description, e.schema, e.name, e.owner) for e in contents.entries]
    assert found == [
        (2, "EXTENSION", "-", "uuid-ossp", ""),
        (3721, "COMMENT", "-", 'EXTENSION "uuid-ossp"', ""),
        (6, "SCHEMA", "-", "public", "postgres"),
        (3416, "ACL", "-", "SCHEMA public", "pg_database_owner"),
        (256, "TABLE", "public", "Odd Names", "engine"),
        (3723, "SEQUENCE OWNED BY", "public", "audit_log_audit_log_id_seq", "engine"),
        (3700, "TABLE DATA", "public", "Odd Names", "engine"),
        (284, "FUNCTION", "public", "logenginebackupevent(character varying, integer)", "engine"),
        (9, "TEXT SEARCH DICTIONARY", "public", "words", "engine"),
        (10, "FK CONSTRAINT", "public", "t key", "engine"),
    ]


def test_the_kept_list_has_pg_restores_own_lines() -> None:
    contents = parse_toc(LISTING)
    kept = kept_list(contents.entries).splitlines()
    assert [line.split(";")[0] for line in kept] == ["3416", "256", "3723", "3700", "284", "9", "10"]
    assert all(line in LISTING.splitlines() for line in kept)
    assert len(left_out(contents.entries)) == 3
    assert needed_extensions(contents.entries) == ("uuid-ossp",)


@pytest.mark.parametrize(
    "line", ["256; 1259 1 TABLE public forged engine", "256; 1259 1 forged kind", "0256; x"]
)
def test_a_forged_line_is_hostile(line: str) -> None:
    """pg_restore goes by the number alone, and would load both."""
    with pytest.raises(HostileArchiveError, match="twice"):
        parse_toc(f"{LISTING}{line}\n")


def test_an_empty_listing() -> None:
    assert parse_toc("") == Contents(parse_toc("").header, ())
    assert needed_extensions(()) == ()


@pytest.mark.parametrize(
    ("description", "name", "owner"),
    [
        ("EXTENSION", "plpgsql", ""),
        ("EXTENSION", "pgcrypto", ""),
        ("COMMENT", "EXTENSION plpgsql", ""),
        ("SCHEMA", "public", "postgres"),
        ("COMMENT", "SCHEMA public", "postgres"),
        ("PROCEDURAL LANGUAGE", "plpgsql", "engine"),
        ("COMMENT", "PROCEDURAL LANGUAGE plpgsql", "engine"),
        ("ACL", "LANGUAGE plpgsql", "postgres"),
        ("FUNCTION", "plpgsql_call_handler()", "postgres"),
        ("FUNCTION", "plpgsql_validator(oid)", "postgres"),
        ("DEFAULT ACL", "DEFAULT PRIVILEGES FOR TABLES", "postgres"),
        *(
            ("FUNCTION", f"uuid_{name}", "postgres")
            for name in (
                "generate_v1()", "generate_v1mc()", "generate_v3(uuid, text)", "generate_v4()",
                "generate_v5(uuid, text)", "nil()", "ns_dns()", "ns_oid()", "ns_url()", "ns_x500()",
            )
        ),
        ("COMMENT", "FUNCTION uuid_nil()", "postgres"),
        ("ACL", "FUNCTION uuid_nil()", "postgres"),
        ("ACL", "uuid_nil()", "postgres"),
    ],
)  # fmt: skip
def test_entries_that_could_only_fail_are_left_out(description: str, name: str, owner: str) -> None:
    decision = decide(entry(description, name, owner))
    assert not decision.load
    assert decision.reason


@pytest.mark.parametrize(
    ("description", "name", "owner"),
    [
        ("ACL", "SCHEMA public", "postgres"),
        ("SCHEMA", "publication", "engine"),
        ("SCHEMA", "other", "engine"),
        ("COMMENT", "SCHEMA other", "engine"),
        ("COMMENT", "TABLE extension", "engine"),
        ("PROCEDURAL LANGUAGE", "plperl", "engine"),
        ("DEFAULT ACL", "DEFAULT PRIVILEGES FOR TABLES", "engine"),
        ("FUNCTION", "uuid_generate_v1()", "engine"),
        ("FUNCTION", "uuid_nil_of_ours()", "postgres"),
        ("FUNCTION", "my_uuid_nil()", "postgres"),
        ("TABLE", "public", "engine"),
    ],
)
def test_everything_else_is_loaded(description: str, name: str, owner: str) -> None:
    assert decide(entry(description, name, owner)).load


def test_uuid_functions_of_old_dumps_need_the_extension() -> None:
    assert needed_extensions(
        [entry("FUNCTION", "uuid_nil()", "postgres"), entry("EXTENSION", "plpgsql", "")]
    ) == ("uuid-ossp",)


LEFT_OUT = [
    "CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;",
    'CREATE EXTENSION "uuid-ossp";',
    "COMMENT ON EXTENSION plpgsql IS 'x';",
    "CREATE SCHEMA public;",
    "COMMENT ON SCHEMA public IS 'standard public schema';",
    "ALTER SCHEMA public OWNER TO postgres;",
    "CREATE PROCEDURAL LANGUAGE plpgsql;",
    "CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;",
    "ALTER PROCEDURAL LANGUAGE plpgsql OWNER TO engine;",
    "CREATE LANGUAGE plpgsql;",
    "COMMENT ON LANGUAGE plpgsql IS 'x';",
    "CREATE FUNCTION public.plpgsql_call_handler() RETURNS handler LANGUAGE c AS '$libdir/plpgsql', 'x';",
    "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT SELECT ON TABLES TO x;",
    "CREATE FUNCTION uuid_generate_v1() RETURNS uuid\n    LANGUAGE c STRICT\n  AS '$libdir/uuid-ossp', 'x';",
    "CREATE FUNCTION public.uuid_ns_dns() RETURNS uuid\n    LANGUAGE c IMMUTABLE STRICT\n    AS 'x';",
    "ALTER FUNCTION public.uuid_nil() OWNER TO postgres;",
    "COMMENT ON FUNCTION public.uuid_nil() IS 'x';",
    "REVOKE ALL ON FUNCTION uuid_nil() FROM PUBLIC;",
    "SET default_with_oids = false;",
    "SET transaction_timeout = 0;",
    "-- a comment\n/* another */ create   extension\n\tpgcrypto;",
    "ALTER TABLE public.vm_static OWNER TO engine;",
    'ALTER FUNCTION public.gid(kind text, n integer) OWNER TO "odd ""role""";',
]

PERMISSIONS = [
    "SET SESSION AUTHORIZATION 'postgres';",
    "RESET SESSION AUTHORIZATION;",
    "GRANT ALL ON SCHEMA public TO postgres;",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC;",
    "ALTER DEFAULT PRIVILEGES FOR ROLE engine IN SCHEMA public GRANT SELECT ON TABLES TO x;",
]

LOADED = [
    "SET statement_timeout = 0;",
    "SET search_path = public, pg_catalog;",
    "SELECT pg_catalog.set_config('search_path', '', false);",
    "CREATE TABLE public.extension (a int);",
    "CREATE SCHEMA publication;",
    "CREATE SCHEMA aaa;",
    "COMMENT ON SCHEMA aaa IS 'x';",
    "CREATE FUNCTION uuid_generate_v1() RETURNS uuid LANGUAGE plpgsql AS 'begin end';",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'ALTER TABLE x OWNER TO y';",
    "ALTER TABLE ONLY public.t ADD CONSTRAINT pk PRIMARY KEY (id);",
    "COMMENT ON TABLE t IS 'ALTER TABLE x OWNER TO y;';",
    "ALTER TABLE t ALTER c SET DEFAULT 'x OWNER TO y;z';",
    "INSERT INTO t VALUES ('GRANT');",
    "",
]


@pytest.mark.parametrize("statement", LEFT_OUT)
@pytest.mark.parametrize("permissions", [False, True])
def test_statements_that_could_only_fail_are_left_out(statement: str, permissions: bool) -> None:
    assert not decide_statement(statement, permissions).load


@pytest.mark.parametrize("statement", PERMISSIONS)
def test_owners_and_grants_are_loaded_when_permissions_are(statement: str) -> None:
    assert decide_statement(statement, permissions=True).load
    assert not decide_statement(statement, permissions=False).load


@pytest.mark.parametrize("statement", LOADED)
@pytest.mark.parametrize("permissions", [False, True])
def test_other_statements_are_loaded(statement: str, permissions: bool) -> None:
    assert decide_statement(statement, permissions).load
    assert extensions_of(statement) == ()


def test_extensions_of_statements() -> None:
    assert extensions_of('CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;') == ("uuid-ossp",)
    assert extensions_of("CREATE EXTENSION PgCrypto;") == ("pgcrypto",)
    assert extensions_of("CREATE EXTENSION IF NOT EXISTS plpgsql;") == ()
    assert extensions_of("CREATE FUNCTION uuid_nil() RETURNS uuid LANGUAGE c AS 'x';") == ("uuid-ossp",)


@pytest.mark.parametrize("filling", [" ", " ON", "(", '"', "--", "/*", " OWNER TO"])
@pytest.mark.parametrize(
    "start", ["GRANT", "ALTER", "CREATE FUNCTION uuid_nil(", "ALTER FUNCTION uuid_nil(", "REVOKE", ""]
)
def test_a_statement_cannot_be_made_to_take_long(start: str, filling: str) -> None:
    begun = time.monotonic()
    decide_statement(start + filling * 1_000_000, permissions=False)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("archive", sorted(GOLDEN.glob("4.*-default.backup")), ids=lambda path: path.stem)
def test_every_entry_of_golden_custom_dumps_is_understood(archive: Path) -> None:
    programs = postgres_programs.installed()[0]
    with tarfile.open(archive) as outer:
        members = [member for member in outer if member.name.endswith("_backup.db")]
        for member in members:
            content = outer.extractfile(member)
            assert content is not None
            command = Command(programs.path("pg_restore"), ("--list",))
            text = process.converted(command, io.BytesIO(content.read())).decode()
            contents = parse_toc(text)
            listed = [line for line in text.splitlines() if line and not line.startswith(";")]
            assert [e.line for e in contents.entries] == listed
            assert needed_extensions(contents.entries) == ("uuid-ossp",)
            assert "EXTENSION" not in kept_list(contents.entries)
