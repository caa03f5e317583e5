"""Which archived files somebody means, and how they are put down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.archive import DumpMember, EntryType, FileEntry
from engine_backup.model.extraction import Chosen, ChosenDump, ChosenText
from engine_backup.plan import extraction

ENTRY = FileEntry(b"x", EntryType.FILE, 0o644, 108, 108, "ovirt", "ovirt", 1_700_000_000)
TREE = tuple(
    replace(ENTRY, path=path, type=kind)
    for path, kind in (
        (b"etc/a", EntryType.DIRECTORY),
        (b"etc/a/one.conf", EntryType.FILE),
        (b"etc/a/two.conf", EntryType.HARDLINK),
        (b"etc/a/link", EntryType.SYMLINK),
        (b"etc/a/[x]", EntryType.FILE),
        (b"etc/a/x", EntryType.FILE),
        (b"etc/ab", EntryType.FILE),
        (b"etc/pki/ovirt-engine/ca.pem", EntryType.FILE),
        (b"caf\xe9", EntryType.FILE),
    )
)


def names(path: str) -> list[bytes]:
    return [entry.path for entry in extraction.matching(path, TREE)]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/etc/ab", [b"etc/ab"]),
        ("etc/ab", [b"etc/ab"]),
        ("//etc/./ab/", [b"etc/ab"]),
        (
            "/etc/a",
            [entry.path for entry in TREE if entry.path.startswith(b"etc/a") and entry.path != b"etc/ab"],
        ),
        ("/etc/a/*.conf", [b"etc/a/one.conf", b"etc/a/two.conf"]),
        ("/etc/a/[x]", [b"etc/a/[x]"]),
        ("/etc/a/[xy]", [b"etc/a/x"]),
        ("/etc/*/ca.pem", []),
        ("/etc/a/../ab", []),
        ("/etc/nothing", []),
        ("caf\udce9", [b"caf\xe9"]),
    ],
)
def test_what_a_path_means(path: str, meant: list[bytes]):
    assert names(path) == meant


def test_a_slash_means_all():
    assert extraction.matching("/", TREE) == TREE


def test_pki():
    assert [entry.path for entry in extraction.pki_entries(TREE)] == [b"etc/pki/ovirt-engine/ca.pem"]


def test_the_order_is_that_of_the_archive_and_nothing_comes_twice():
    chosen = (TREE[6], TREE[0], TREE[6])
    assert extraction.in_order(chosen, TREE) == (TREE[0], TREE[6])


def test_a_path_that_may_have_been_meant():
    assert extraction.not_there("/pki/ca.pem", TREE).hint == "did you mean /etc/pki/ovirt-engine/ca.pem?"
    assert "as on the engine" in extraction.not_there("/pki/other.pem", TREE).hint


@given(st.integers(0, 0o7777), st.sampled_from(list(EntryType)))
def test_nothing_is_wider_than_private_or_than_archived(mode: int, kind: EntryType):
    found = extraction.owned_by(replace(ENTRY, mode=mode, type=kind), 1, 2)
    assert found.mode & ~0o700 == 0
    assert found.mode & ~mode == 0
    assert found.mode == mode & 0o700
    assert (found.uid, found.gid, found.uname, found.gname) == (1, 2, "", "")


def test_directories_above_are_made_private():
    found = extraction.with_directories_above((TREE[1], TREE[6]), 1, 2)
    added = [entry for entry in found if entry not in TREE]
    assert [(entry.path, entry.type, entry.mode, entry.uid) for entry in added] == [
        (b"etc", EntryType.DIRECTORY, 0o700, 1),
        (b"etc/a", EntryType.DIRECTORY, 0o700, 1),
    ]
    assert extraction.with_directories_above(TREE[:2], 1, 2)[1:] == TREE[:2]


def dump(component: str, dump_format: str, as_sql: bool = False) -> ChosenDump:
    name = extraction.dump_file_name(component, dump_format, as_sql)
    return ChosenDump(DumpMember(component, "db/x", dump_format, "", 1, 1), name, as_sql)


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        (dump("engine", "custom"), "engine.dump"),
        (dump("dwh", "custom", as_sql=True), "dwh.sql"),
        (dump("keycloak", "plain"), "keycloak.sql"),
        (dump("grafana", "sqlite"), "grafana.db"),
    ],
)
def test_names_of_dumps(chosen: ChosenDump, name: str):
    assert chosen.file_name == name


TEXT = ChosenText("credentials.conf", b"password")


@pytest.mark.parametrize(
    ("chosen", "terminal", "said"),
    [
        (Chosen(entries=(TREE[1],)), True, ""),
        (Chosen(entries=(TREE[2],)), True, ""),
        (Chosen(entries=(TREE[0],)), False, "/etc/a is a directory"),
        (Chosen(entries=(TREE[3],)), False, "/etc/a/link is a symbolic link"),
        (Chosen(entries=TREE), False, "9 files and directories are meant"),
        (Chosen(entries=(TREE[1],), texts=(TEXT,)), False, "2 files and directories are meant"),
        (Chosen(texts=(TEXT,)), True, ""),
        (Chosen(dumps=(dump("engine", "custom"),)), False, ""),
        (Chosen(dumps=(dump("engine", "custom"),)), True, "engine.dump is no text"),
        (Chosen(dumps=(dump("engine", "custom", as_sql=True),)), True, ""),
        (Chosen(dumps=(dump("engine", "plain"),)), True, ""),
        (Chosen(dumps=(dump("grafana", "sqlite"),)), True, "grafana.db is no text"),
    ],
)
def test_what_fits_on_standard_output(chosen: Chosen, terminal: bool, said: str):
    problems = extraction.output_problems(chosen, terminal)
    assert [problem.message[: len(said)] for problem in problems] == ([said] if said else [])


def test_a_text_does_not_show_itself():
    assert "password" not in repr(Chosen(texts=(TEXT,)))
