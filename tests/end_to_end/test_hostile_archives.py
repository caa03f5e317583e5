"""Archives that nobody honest wrote: refused with the member's name, and nothing is left behind."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import ExitStatus
from engine_backup.sample.compare import FileFingerprint, fingerprint_database, fingerprint_tree
from tests.support import hostile_archives as hostile
from tests.support.hostile_archives import DIRECTORY, SYMLINK, Crafted
from tests.support.machine import Machine, Result, change_options, login
from tests.support.patched_dumps import patched_dump
from tests.support.rebuilt_archives import PACK

DAMAGED, HOSTILE = ExitStatus.DAMAGED_ARCHIVE, ExitStatus.HOSTILE_ARCHIVE
EVIL = "evil\x1b]0;owned\x07\nFATAL: \u202egnp"
SHOWN_EVIL = r"evil\x1b]0;owned\x07\x0aFATAL: \u202egnp"
ENGINE_DIRECTORY = "etc/ovirt-engine/"


@dataclass(frozen=True)
class Case:
    """An archive, what the refusal says, and its status."""

    content: Callable[[], bytes]
    message: str
    status: ExitStatus = HOSTILE


def outer(*pieces: bytes) -> Callable[[], bytes]:
    return lambda: hostile.raw_archive(*pieces)


def files(*members: Crafted) -> Callable[[], bytes]:
    return lambda: hostile.with_files(*members)


def raw_files(*pieces: bytes) -> Callable[[], bytes]:
    inner = b"".join(pieces) + hostile.END
    return lambda: hostile.archive_bytes(hostile.sound_members(files=inner))


def tree(*members: Crafted) -> Callable[[], bytes]:
    return lambda: hostile.tree_archive(*members)


def dump(statement: str) -> Callable[[], bytes]:
    return lambda: hostile.with_dump(hostile.plain_dump(statement))


def members(**contents: bytes) -> Callable[[], bytes]:
    return lambda: hostile.archive_bytes(hostile.sound_members(**contents))


def hashes(change: Callable[[bytes], bytes]) -> Callable[[], bytes]:
    return lambda: hostile.with_hash_file(change(hostile.hash_file(hostile.sound_members())))


X = Crafted("./x", b"content")
LONG = tarfile.GNUTYPE_LONGNAME
LINK = tarfile.GNUTYPE_LONGLINK
PAX = hostile.pax_record
BAD_SUM = hostile.member_bytes(X)[:148] + b"000000\0 " + hostile.member_bytes(X)[156:]
SPACED_SUM = re.sub(rb"(?s)^(.{148})0(.{5})\0 ", rb"\1 \2\0 ", hostile.member_bytes(X))
DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
ABSENT = b"0" * 64 + b"  db/absent\n"

CASES: dict[str, Case] = {
    **{
        f"outer: {name}": Case(outer(hostile.member_bytes(member)), message)
        for name, (member, message) in hostile.OUTER.items()
        if member.size is None
    },
    **{f"files: {name}": Case(files(*found), message) for name, (found, message) in hostile.INNER.items()},
    # Sizes, numbers and checksums of headers.
    "files: link named as a directory": Case(
        files(Crafted("etc/ovirt-engine/link/", type=SYMLINK, link="/etc")),
        "is named as a directory, and is none",
    ),
    "files: file named as a directory": Case(
        files(Crafted("etc/ovirt-engine/file/", b"content")), "is named as a directory, and is none"
    ),
    "outer: base 256, negative": Case(outer(hostile.with_field(X, 124, b"\xff" * 12)), "absurd size -1"),
    "outer: base 256, huge": Case(outer(hostile.with_field(X, 124, b"\x80" + b"\xff" * 11)), "absurd size"),
    "outer: size beyond the end": Case(
        outer(hostile.with_field(X, 124, b"00077777777\0")), "is cut off", DAMAGED
    ),
    "outer: negative mode": Case(outer(hostile.with_field(X, 100, b"\xff" * 8)), "absurd mode"),
    "outer: a number that is none": Case(
        outer(hostile.with_field(X, 124, b"0x000000100\0")), "size is no number", DAMAGED
    ),
    "outer: wrong checksum": Case(outer(BAD_SUM), "checksum is wrong", DAMAGED),
    "outer: checksum in another spelling": Case(outer(SPACED_SUM), "checksum is wrong", DAMAGED),
    "outer: checksum of signed bytes": Case(
        outer(hostile.member_bytes(X)[:100] + b"\xff" * 8 + hostile.member_bytes(X)[108:]),
        "checksum",
        DAMAGED,
    ),
    **{
        f"outer: unknown type {kind!r}": Case(
            outer(hostile.member_bytes(replace(X, type=kind))), repr(kind), DAMAGED
        )
        for kind in (b"7", b"M", b"V", b"g", b"A", b"D", b"N", b"Z")
    },
    # Long names and pax headers.
    "outer: long name, absolute": Case(
        outer(hostile.long_name(b"/etc/cron.d/x\0"), hostile.member_bytes(X)),
        "/etc/cron.d/x has an absolute name",
    ),
    "outer: long name, upwards": Case(
        outer(hostile.long_name(b"a/../../x\0"), hostile.member_bytes(X)), '".."'
    ),
    "outer: long name of nothing": Case(
        outer(hostile.long_name(b""), hostile.member_bytes(X)), "a name or pax"
    ),
    "outer: long name of a terabyte": Case(
        outer(hostile.long_name(b"", size=1 << 40)), "a name or pax header"
    ),
    "outer: long name, then the end": Case(outer(hostile.long_name(b"x\0")), "", DAMAGED),
    "outer: long name behind NUL": Case(
        outer(hostile.long_name(b"./version\0/../../x"), hostile.member_bytes(X)),
        "version stands there twice",
    ),
    "outer: long link of a file": Case(
        outer(
            hostile.long_name(b"/etc/shadow\0", LINK),
            hostile.member_bytes(replace(X, content=b"", type=SYMLINK)),
        ),
        "x is a link",
    ),
    "outer: pax, absolute": Case(
        outer(hostile.pax_member(PAX(b"path", b"/etc/x"), X)), "/etc/x has an absolute"
    ),
    "outer: pax, NUL": Case(outer(hostile.pax_member(PAX(b"path", b"a\0b"), X)), "without a name", DAMAGED),
    "outer: pax, sparse name": Case(
        outer(hostile.pax_member(PAX(b"GNU.sparse.name", b"/etc/x"), X)), "GNU.sparse.name is not supported"
    ),
    "outer: pax, other size": Case(outer(hostile.pax_member(PAX(b"size", b"99999999"), X)), "", DAMAGED),
    "outer: pax, broken": Case(outer(hostile.pax_member(b"99 path=x\n", X)), "broken pax record", DAMAGED),
    "outer: pax, character set": Case(
        outer(hostile.pax_member(PAX(b"hdrcharset", b"BINARY"), X)), "hdrcharset"
    ),
    # What would be read for ages.
    "outer: hole of a petabyte": Case(
        outer(hostile.sparse_member("./x", 1 << 50, ((0, 4),), b"data")), "x declares"
    ),
    "outer: hole of 40 GiB": Case(
        outer(hostile.sparse_member("./x", 40 << 30, ((0, 4),), b"data")), "x is all but"
    ),
    "files: hole of a petabyte": Case(
        raw_files(hostile.sparse_member("etc/x", 1 << 50, ((0, 4),), b"data")), "etc/x declares"
    ),
    "files: pieces over each other": Case(
        raw_files(hostile.sparse_member("etc/x", 100, ((0, 4), (2, 4)), b"12345678")),
        "etc/x has a sparse map",
    ),
    "files: a piece behind the end": Case(
        raw_files(hostile.sparse_member("etc/x", 3, ((0, 4),), b"data")), "etc/x has a sparse map"
    ),
    # Names that deceive who reads a message.
    "outer: control characters": Case(
        outer(hostile.member_bytes(Crafted(f"./{EVIL}", type=tarfile.FIFOTYPE))), f"{SHOWN_EVIL} is a device"
    ),
    "outer: control characters, no hash": Case(
        outer(hostile.member_bytes(Crafted(f"./{EVIL}", b"x"))), f"{SHOWN_EVIL} has no line", DAMAGED
    ),
    "files: control characters": Case(
        files(Crafted(f"etc/{EVIL}", type=tarfile.CHRTYPE)), f"etc/{SHOWN_EVIL} is a device"
    ),
    "files: below control characters": Case(
        files(Crafted(EVIL, type=SYMLINK, link="/"), Crafted(f"{EVIL}/x", b"x")), f"lies below '{SHOWN_EVIL}'"
    ),
    # Trees.
    "tree: through a link": Case(
        tree(Crafted("./files/etc", type=SYMLINK, link="/"), Crafted("./files/etc/x", b"")),
        "files/etc/x lies below",
    ),
    "tree: hard link to another member": Case(
        tree(Crafted("./files/x", type=hostile.HARDLINK, link="./version")), "files/x is a link"
    ),
    "tree: device": Case(tree(Crafted("./files/dev", type=tarfile.BLKTYPE)), "files/dev is a device"),
    "tree: upwards": Case(tree(Crafted("./files/../../x", b"")), '".."'),
    "tree: second": Case(tree(*[Crafted("./files/x", b"1")] * 2), "files/x stands there twice"),
    "tree and tar": Case(
        lambda: hostile.archive_bytes(
            hostile.sound_members(files=hostile.tar_bytes(Crafted("etc/x", b""))),
            Crafted("./files/etc/x", b""),
        ),
        "files/etc/x lies below 'files'",
    ),
    "tree below a link": Case(
        outer(hostile.member_bytes(Crafted("./files", type=SYMLINK, link="/etc"))), "files is a link"
    ),
    "dumps below a link": Case(
        lambda: hostile.tar_bytes(
            Crafted("./version", b"4.5.7\n"),
            Crafted("./db", type=SYMLINK, link="/"),
            Crafted("./db/engine_backup.db", b"x"),
        ),
        "db/engine_backup.db lies below 'db'",
    ),
    # Hash files.
    "hashes: absent member": Case(hashes(lambda lines: lines + ABSENT), "db/absent is missing", DAMAGED),
    "hashes: absolute name": Case(
        hashes(lambda lines: lines + ABSENT.replace(b"db", b"/etc")), "/etc/absent is missing", DAMAGED
    ),
    "hashes: line twice": Case(hashes(lambda lines: lines + lines), "stands there twice", DAMAGED),
    "hashes: member without line": Case(
        outer(hostile.member_bytes(Crafted("./db/engine_backup.db", b"x"))),
        "engine_backup.db has no line",
        DAMAGED,
    ),
    "hashes: of itself": Case(
        hashes(lambda lines: lines + b"0" * 64 + b"  sha256sum\n"), "sha256sum is missing", DAMAGED
    ),
    "hashes: wrong": Case(
        hashes(lambda lines: re.sub(rb"^.{9}", b"012345678", lines)), "verification failed: version", DAMAGED
    ),
    "hashes: no lines": Case(hashes(lambda lines: b"\0\xff\x1b[2J\n"), "no hash line", DAMAGED),
    "hashes: unknown escape": Case(
        hashes(lambda lines: b"\\" + b"0" * 64 + b"  a\\x\n"), "unknown escape", DAMAGED
    ),
    # Small members.
    "config: a command": Case(members(config=hostile.SQL_IN_CONFIG), "line 2 of config"),
    "config: control characters": Case(members(config=b"\x1b[2J\n"), "line 1 of config"),
    "config: enormous": Case(members(config=b"\n" * (2 << 20)), "config has 2097152 bytes"),
    "version: enormous": Case(members(version=b"4" * (2 << 20)), "version has 2097152 bytes"),
    "version: control characters": Case(
        members(version=b"4.5.7\x1b[2J\n"), "version holds no version", DAMAGED
    ),
    "manifest: deep": Case(members(**{"manifest.json": DEEP}), "manifest.json is no JSON", DAMAGED),
    "manifest: no object": Case(
        members(**{"manifest.json": b"[1]"}), "manifest.json is no JSON object", DAMAGED
    ),
    # Dumps.
    "dump: psql's shell": Case(
        dump("\\! touch /tmp/owned"), "db/engine_backup.db: line 2: a command of psql"
    ),
    "dump: psql's output": Case(dump("SELECT 1 \\g |sh"), "a command of psql"),
    "dump: psql's copy": Case(dump("\\copy t from program 'id'"), "a command of psql"),
    "dump: COPY PROGRAM": Case(
        dump("COPY t FROM PROGRAM 'id';"), "engine_backup.db: line 2: a statement that no dump"
    ),
    "dump: COPY of a file": Case(dump("copy t from '/etc/passwd';"), "line 2: a statement that no dump"),
    "dump: hidden COPY": Case(dump("/* x */ COPY/**/t TO PROGRAM 'sh';"), "line 2: a statement that no dump"),
    "dump: code": Case(dump("DO $$BEGIN PERFORM pg_sleep(9); END$$;"), "line 2: a statement that no dump"),
    "dump: ALTER SYSTEM": Case(dump("ALTER SYSTEM SET archive_command = 'id';"), "configures the server"),
    "dump: superuser": Case(dump("CREATE ROLE mallory SUPERUSER LOGIN;"), "about the whole server"),
    "dump: NUL": Case(dump("SELECT '\0';"), "holds a NUL byte"),
    "dump: cut off": Case(
        lambda: hostile.with_dump(b"CREATE TABLE t (a text);\n"), "engine_backup.db is truncated", DAMAGED
    ),
    "dump: broken custom": Case(
        lambda: hostile.with_dump(b"PGDMP\1\16\0" * 50), "engine_backup.db cannot", DAMAGED
    ),
    "grafana: no SQLite": Case(members(**{"db/grafana.db": b"#!/bin/sh\n"}), "db/grafana.db", DAMAGED),
    # Packing.
    **{
        f"{name}: something behind": Case(
            lambda pack=pack: pack(hostile.archive_bytes(hostile.sound_members())) + b"tail of an archive",  # type: ignore[misc]
            "something stands behind its end",
            DAMAGED,
        )
        for name, pack in PACK.items()
        if name
    },
    **{
        f"{name}: cut off": Case(
            lambda pack=pack: pack(hostile.archive_bytes(hostile.sound_members()))[:-9],  # type: ignore[misc]
            "is damaged",
            DAMAGED,
        )
        for name, pack in PACK.items()
        if name
    },
    "two archives": Case(
        lambda: hostile.archive_bytes(hostile.sound_members()) * 2, "behind its end-of-archive mark", DAMAGED
    ),
    "files: no tar": Case(members(files=b"#!/bin/sh\n" * 100), "files is not a tar archive", DAMAGED),
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with some files, and a current directory of its own."""
    found = Machine(tmp_path)
    found.install()
    (found.root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return found


def everything(machine: Machine) -> dict[str, FileFingerprint]:
    """Root, temporary directory, archive and current directory; no logs, nor when names came and went."""
    found = fingerprint_tree(machine.directory)
    return {
        name: replace(file, mtime_ns=0) if name in ("tmp", "") else file
        for name, file in found.items()
        if not name.startswith("log-")
    }


def assert_printable(result: Result, machine: Machine) -> None:
    """Nothing of a stranger's reaches a terminal that it would obey, be it by the log."""
    for text in (result.stdout, result.stderr, machine.log.read_text("utf-8", "surrogateescape")):
        assert all(letter.isprintable() or letter in "\n\t" or ord(letter) > 0xFF for letter in text), ascii(
            text
        )


WORDS = {
    "verify": (),
    "restore": ("--no-restore-permissions", "--include-path=/etc"),
    "dry run": ("--no-restore-permissions", "--dry-run"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_is_refused_and_leaves_nothing(case: Case, machine: Machine) -> None:
    machine.archive.write_bytes(case.content())
    before = everything(machine)
    for name, words in WORDS.items():
        mode = "verify" if name == "verify" else "restore"
        result = machine.engine_backup(mode, "--product-version=4.5.7", *words)
        told = f"{name}: {result.status} {result.stdout}{result.stderr}"
        assert result.status == case.status, told
        assert len(result.fatal) == 1, told
        assert case.message in result.fatal[0], told
        assert "Traceback" not in result.stderr + machine.log.read_text("utf-8", "surrogateescape"), told
        assert_printable(result, machine)
        assert everything(machine) == before


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 100


def files_bomb() -> bytes:
    """Files of 12 GiB in 400 KB."""
    header = hostile.member_bytes(Crafted(f"{ENGINE_DIRECTORY}x", size=12 << 30))
    inner = PACK["zstd"](header) + PACK["zstd"](bytes(64 << 20)) * 190
    return hostile.archive_bytes(hostile.sound_members(files=inner))


def dump_bomb() -> bytes:
    """A comment of 12 GiB."""
    packed = PACK["zstd"](b"--") + PACK["zstd"](b"x" * (64 << 20)) * 190
    return hostile.archive_bytes(hostile.sound_members(config=b"", **{"db/engine_backup.db": packed}))


BOMBS = {
    "files": Case(files_bomb, "files expands to more than 200 times its size"),
    "dump": Case(dump_bomb, "db/engine_backup.db: line 1: a statement or comment of more than 64 MiB"),
}


@pytest.mark.parametrize("case", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_too(case: Case, machine: Machine) -> None:
    test_is_refused_and_leaves_nothing(case, machine)


NEUTRALISED = {
    "setuid": (
        Crafted(f"{ENGINE_DIRECTORY}x", b"x", mode=0o4755),
        "x: setuid or setgid bit not restored",
        0o755,
    ),
    "setgid": (
        Crafted(f"{ENGINE_DIRECTORY}x", b"x", mode=0o2755),
        "x: setuid or setgid bit not restored",
        0o755,
    ),
    "guarded": (Crafted("etc/cron.d/x", b"x"), "restore it with --allow-path=/etc/cron.d/x", None),
    "key of root": (Crafted("root/.ssh/authorized_keys", b"x"), "restore it with --allow-path=/root", None),
    "password": (Crafted("etc/shadow", b"x"), "restore it with --allow-path=/etc/shadow", None),
    "unknown": (Crafted("etc/foreign", b"x"), "restore it with --include-path=/etc/foreign", None),
}


@pytest.mark.parametrize(("member", "warning", "mode"), NEUTRALISED.values(), ids=NEUTRALISED)
def test_is_neutralised(member: Crafted, warning: str, mode: int | None, machine: Machine) -> None:
    sane = Crafted(f"{ENGINE_DIRECTORY}sane", b"sane")
    machine.archive.write_bytes(hostile.with_files(sane, member))
    machine.engine_backup("verify", "--product-version=4.5.7").check()
    result = machine.engine_backup("restore", "--product-version=4.5.7").check()
    assert warning in result.stderr
    assert (machine.root / sane.name).read_bytes() == b"sane"
    place = machine.root / member.name
    assert (place.stat().st_mode & 0o7777 if place.exists() else None) == mode


def test_links_in_archived_files_are_not_followed(machine: Machine) -> None:
    """Neither one of the archive, nor one that an earlier archive has left."""
    outside = machine.directory / "here"
    link = Crafted("etc/ovirt-engine", type=SYMLINK, link=str(outside))
    machine.archive.write_bytes(hostile.with_files(link))
    machine.engine_backup("restore", "--product-version=4.5.7").check()
    below = (Crafted("etc/ovirt-engine/", type=DIRECTORY), Crafted("etc/ovirt-engine/x", b"x"))
    machine.archive.write_bytes(hostile.with_files(*below))
    before = everything(machine)
    result = machine.engine_backup("restore", "--product-version=4.5.7")
    assert result.status == ExitStatus.REFUSED
    assert everything(machine) == before
    assert list(outside.iterdir()) == []


def test_a_custom_dump_whose_data_would_run_a_program(
    machine: Machine, postgres_server: ScratchServer
) -> None:
    """The table of contents is a stranger's text, too: the server refuses it, and all is undone."""
    credentials = login(postgres_server, "hostile_dump", "hostile_dump")
    marker = Path("/tmp/eb-owned")  # noqa: S108 - where the server could write; short enough for the patch
    content = patched_dump(postgres_server, b"FROM PROGRAM 'touch %s'" % bytes(marker))
    machine.archive.write_bytes(hostile.with_dump(content))
    options = change_options({"engine": credentials}, machine.directory / "here")
    before = {name: file for name, file in everything(machine).items() if file.kind != "directory"}
    result = machine.engine_backup(
        "restore", "--product-version=4.5.7", "--no-restore-permissions", "--scope=db", *options
    )
    assert result.status == ExitStatus.FAILURE
    assert "Errors while restoring database hostile_dump" in result.fatal[0]
    assert not marker.exists()
    after = {name: file for name, file in everything(machine).items() if file.kind != "directory"}
    assert after == before
    assert machine.leftovers() == []
    assert fingerprint_database(credentials).tables == {}
