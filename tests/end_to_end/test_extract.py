"""Single things out of archives of every generation: right, safe, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from engine_backup.drivers import config_files, postgres_programs
from engine_backup.model.components import BY_NAME
from engine_backup.model.errors import ExitStatus
from tests.support import golden, real_process
from tests.support import hostile_archives as hostile
from tests.support.failures import assert_failed, assert_refused
from tests.support.hostile_archives import Crafted
from tests.support.pages import DOCS
from tests.support.sample import Original
from tests.support.small_disk import available, on_small_disk
from tests.support.taking_out import command, content, files, flip, real_path, tree
from tests.support.wrapped_programs import WAIT, wrapped
from tests.unit.test_documentation import table

FAILURE, REFUSED = ExitStatus.FAILURE, ExitStatus.REFUSED
DAMAGED, HOSTILE, UNREADABLE = (
    ExitStatus.DAMAGED_ARCHIVE,
    ExitStatus.HOSTILE_ARCHIVE,
    ExitStatus.UNREADABLE_ARCHIVE,
)
needs_small_disk = pytest.mark.skipif(not available(), reason="no private mount namespaces here")
WITH_FILES = [name for name in golden.NAMES if golden.facts(name)["files_kind"]]
RESTRICT = re.compile(rb"^\\(un)?restrict .*$", re.MULTILINE)


# What comes out


@pytest.mark.parametrize("name", WITH_FILES)
def test_all_files(name: str, tmp_path: Path):
    command("extract", golden.archive(name), "/", f"--output={tmp_path}/out", tmpdir=tmp_path).check()
    found = tree(tmp_path / "out")
    rows = {real_path(row): row for row in golden.facts(name)["files"]}
    assert {path for path, row in found.items() if row[0] != "dir"} == {
        path for path, row in rows.items() if row["type"] != "dir"
    }
    for path, row in rows.items():
        kind, mode, mtime, what = found[path]
        if row["type"] == "hardlink":
            assert what == found[row["target"]][3]
            continue
        assert (kind, mtime) == (row["type"], row["mtime"]), path
        assert mode == (0o777 if kind == "symlink" else int(row["mode"], 8) & 0o700), path
        assert what == row.get("sha256", row.get("target", "")), path
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", golden.NAMES)
def test_every_dump(name: str, tmp_path: Path):
    expected = content(golden.archive(name))
    for component in golden.facts(name)["databases"]:
        words = ("extract", golden.archive(name), f"--component={component}")
        done = command(*words).check()
        assert done.data == expected[BY_NAME[component].member]
        command(*words, f"--output={tmp_path / component}").check()
        [file] = (tmp_path / component).iterdir()
        assert file.read_bytes() == done.data
        assert file.stat().st_mode & 0o777 == 0o600
        ending = "db" if component == "grafana" else "dump" if done.data.startswith(b"PGDMP") else "sql"
        assert file.name == f"{component}.{ending}"


@pytest.mark.parametrize("name", golden.NAMES)
def test_every_dump_as_sql(name: str, tmp_path: Path):
    """What pg_restore gives when it is called by hand."""
    program = postgres_programs.installed()[0].path("pg_restore")
    for component in set(golden.facts(name)["databases"]) - {"grafana"}:
        expected = content(golden.archive(name))[BY_NAME[component].member]
        if expected.startswith(b"PGDMP"):
            dump = tmp_path / "dump"
            dump.write_bytes(expected)
            expected = subprocess.run([program, "--file=-", dump], check=True, capture_output=True).stdout
        done = command("extract", golden.archive(name), f"--component={component}", "--as=sql").check()
        assert RESTRICT.sub(b"", done.data) == RESTRICT.sub(b"", expected)
        assert b"\nCOPY " in done.data


@pytest.mark.parametrize("name", WITH_FILES)
def test_single_files_to_standard_output(name: str):
    rows = [row for row in golden.facts(name)["files"] if row["type"] == "file"]
    for row in (rows[0], rows[len(rows) // 2], *(row for row in rows if "path_hex" in row)):
        done = command("extract", golden.archive(name), "/" + real_path(row)).check()
        assert len(done.data) == row["size"]
        assert files(golden.archive(name))[real_path(row)]["sha256"] == row["sha256"]
        assert done.stderr == ""


@pytest.mark.parametrize("name", WITH_FILES)
def test_log_ins(name: str):
    expected = golden.facts(name)["credentials"]
    done = command("extract", golden.archive(name), "--credentials", "--json").check()
    rows = json.loads(done.data)["credentials"]
    names = {row["prefix"]: "grafana" if row["prefix"] == "GRAFANA_DB_" else row["component"] for row in rows}
    found = {
        names[row["prefix"]]: {
            "host": row["host"],
            "port": str(row["port"]),
            "user": row["user"],
            "password": row["password"],
            "database": row["database"],
        }
        for row in rows
    }
    assert found == expected
    assert "keep it from others" in done.stderr
    done = command("extract", golden.archive(name), "--credentials").check()
    values = config_files.parse(done.data.decode("utf-8"), {}, "credentials")
    for row in rows:
        for word in ("user", "password", "database", "host"):
            assert values[f"{row['prefix']}{word.upper()}"] == row[word]


def test_every_field_of_a_log_in_is_explained():
    done = command("extract", golden.archive("4.5.7-default"), "--credentials", "--json").check()
    rows = table(DOCS / "extract-and-export.md", "fields of credentials")
    kinds = {str: "string", int: "integer", bool: "boolean"}
    for login in json.loads(done.data)["credentials"]:
        assert {name: kinds[type(value)] for name, value in login.items()} == {
            cells[0].strip("`"): cells[1] for cells in rows
        }


@pytest.mark.parametrize("name", WITH_FILES)
def test_the_name_of_the_engine(name: str):
    done = command("extract", golden.archive(name), "--fqdn").check()
    assert done.data == b"engine.lab.example\n"
    assert done.stderr == ""


def test_our_own_archive_and_many_things_at_once(original: Original, tmp_path: Path):
    archive = original.machine.archive
    out = tmp_path / "out"
    words = (
        "--pki",
        "/etc/httpd/conf.d/*.conf",
        "--component=engine",
        "--component=dwh",
        "--as=sql",
        "--fqdn",
    )
    done = command("extract", archive, *words, "--credentials", f"--output={out}").check()
    assert re.fullmatch(rb"Extracted \d+ files?, .* to .*\n", done.data)
    found = tree(out)
    assert {path.partition("/")[0] for path in found} == {
        "etc",
        "engine.sql",
        "dwh.sql",
        "fqdn",
        "credentials.conf",
    }
    archived = files(archive)
    pki = {p for p in archived if p.startswith(("etc/pki/ovirt-engine", "etc/pki/ovirt-vmconsole"))}
    assert pki
    assert pki == {p for p in found if p.startswith("etc/pki/ovirt")}
    assert {p for p in found if p.startswith("etc/httpd/") and p.endswith(".conf")} == {
        p for p in archived if p.startswith("etc/httpd/conf.d/") and p.endswith(".conf")
    }
    for path, row in archived.items():
        if path in found and row["type"] == tarfile.REGTYPE:
            assert found[path][3] == row["sha256"]
    assert all(mode & 0o077 == 0 for kind, mode, _, _ in found.values() if kind != "symlink")
    assert (out / "fqdn").read_bytes() == f"{original.sample.fqdn}\n".encode()


def test_an_archive_that_is_compressed_as_a_whole(original: Original, tmp_path: Path):
    """As stock makes them; nothing of the unpacked one stays in the temporary directory."""
    place = tmp_path / "a.backup"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    original.machine.engine_backup("backup", f"--file={place}", "--archive-compressor=gzip").check()
    done = command("extract", place, "--component=keycloak", f"--tmpdir={temporary}").check()
    assert done.data == content(place)["db/keycloak_backup.db"]
    assert list(temporary.iterdir()) == []


def test_no_program_of_postgresql_is_needed_for_dumps_as_they_are(tmp_path: Path):
    words = ("extract", golden.archive("4.5.7-default"), "--pg-bindir=/nowhere")
    command(*words, "--component=engine", "--fqdn", f"--output={tmp_path}/out").check()
    done = command(*words, "--component=engine", "--as=sql")
    assert_failed(done.result, FAILURE, "pg_restore in /nowhere", "--pg-bindir")
    assert done.data == b""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_archived_owners_come_back_when_root_asks(tmp_path: Path):
    words = ("extract", golden.archive("4.5.7-default"), "/etc/ovirt-engine", f"--output={tmp_path}/out")
    command(*words, "--same-owner").check()
    rows = {row["path"]: row for row in golden.facts("4.5.7-default")["files"]}
    for path in (tmp_path / "out/etc/ovirt-engine").rglob("*"):
        row = rows[path.relative_to(tmp_path / "out").as_posix()]
        if row["type"] == "file":
            assert path.stat().st_mode & 0o7777 == int(row["mode"], 8)
            assert path.stat().st_uid in (row["uid"], 0) or row["uname"]
    assert any(path.stat().st_uid for path in (tmp_path / "out/etc/ovirt-engine").rglob("*"))


@pytest.mark.skipif(os.getuid() == 0, reason="root may")
def test_archived_owners_need_root(tmp_path: Path):
    words = ("extract", golden.archive("4.5.7-default"), "/etc", f"--output={tmp_path}/out", "--same-owner")
    assert_refused(command(*words).result, "only root can give files to others", "leave it out")


def test_a_real_process_writes_nothing_but_the_dump():
    words = [*real_process.COMMAND, "extract", str(golden.archive("4.5.7-default")), "--component=engine"]
    done = subprocess.run(words, capture_output=True, check=True, env=real_process.environment())
    assert done.stdout == content(golden.archive("4.5.7-default"))["db/engine_backup.db"]
    assert done.stderr == b""


def test_a_reader_that_goes_away():
    words = [
        *real_process.COMMAND,
        "extract",
        str(golden.archive("4.5.7-default")),
        "--component=dwh",
        "--as=sql",
    ]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=real_process.environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        errors = process.stderr.read().decode()
    assert process.returncode == FAILURE
    assert errors.startswith("FATAL: cannot write to standard output: Broken pipe\n  hint: ")
    assert "Traceback" not in errors


# A terminal


def test_dumps_are_no_text_for_a_terminal():
    words = ("extract", golden.archive("4.5.7-default"))
    done = command(*words, "--component=engine", terminal=True)
    assert_refused(done.result, "engine.dump is no text for a terminal", "--as=sql")
    assert done.data == b""
    done = command(*words, "--component=grafana", terminal=True)
    assert_refused(done.result, "grafana.db is no text for a terminal", "> grafana.db")
    assert done.data == b""
    assert b"\nCOPY " in command(*words, "--component=engine", "--as=sql", terminal=True).check().data
    assert command(*words, "--fqdn", terminal=True).check().data == b"engine.lab.example\n"


@pytest.mark.parametrize(
    "text", [b"\x1b]0;title\x07", b"a\x00b", b"over\rwritten", "\x9b31m".encode(), b"\x7f"]
)
def test_what_a_terminal_would_obey(text: bytes, tmp_path: Path):
    archive = tmp_path / "a.backup"
    archive.write_bytes(hostile.with_files(Crafted("etc/ovirt-engine/x", b"harmless\r\n\t" + text)))
    done = command("extract", archive, "/etc/ovirt-engine/x", terminal=True)
    assert_failed(done.result, FAILURE, "no text that a terminal can show", "--output=DIR")
    assert done.data == b""
    assert command("extract", archive, "/etc/ovirt-engine/x").check().data == b"harmless\r\n\t" + text


# What is refused


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return Path(shutil.copy2(golden.archive("4.5.7-default"), tmp_path / "a.backup"))


def test_everything_that_is_not_there_is_named(archive: Path, tmp_path: Path):
    words = ("/etc/nothing", "/ovirt/ca.pem", "/etc/x*", "--component=reports", "--component=engine")
    done = command("extract", archive, *words, f"--output={tmp_path}/out")
    assert done.result.fatal == [
        "FATAL: /etc/nothing is not in the archive",
        "FATAL: /ovirt/ca.pem is not in the archive",
        "FATAL: /etc/x* is not in the archive",
        "FATAL: the archive has no Reports database",
    ]
    assert "it has: files, engine, dwh, cinderlib, keycloak, grafana" in done.stderr
    assert done.status == REFUSED
    assert not (tmp_path / "out").exists()


def test_an_archive_without_files_or_dumps(original: Original, tmp_path: Path):
    words = ("extract", golden.archive("4.5.7-scope-files"), "--component=engine")
    assert_refused(command(*words).result, "the archive has no Engine database", "it has: files")
    archive = tmp_path / "dumps.backup"
    original.machine.engine_backup("backup", f"--file={archive}", "--scope=keycloakdb").check()
    for word, said in (
        ("--fqdn", "no conf file in the archive names the engine"),
        ("--credentials", "no conf file in the archive holds a log-in"),
        ("--pki", "the archive has no PKI"),
        ("--component=files", "the archive has no Files"),
        ("/etc", "/etc is not in the archive"),
    ):
        assert_refused(command("extract", archive, word).result, said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/etc/pki"], "files and directories are meant"),
        (["--component=engine", "--fqdn"], "2 files and directories are meant"),
        (["--component=files"], "files and directories are meant"),
        (["/etc/pki/ovirt-engine/apache-ca.pem"], "apache-ca.pem is a symbolic link to ca.pem"),
    ],
)
def test_more_than_fits_on_standard_output(words: list[str], said: str, archive: Path):
    done = command("extract", archive, *words)
    assert_refused(done.result, said, "--output=DIR")
    assert done.data == b""


def test_an_empty_directory_is_no_file(tmp_path: Path):
    archive = tmp_path / "a.backup"
    archive.write_bytes(hostile.with_files(Crafted("etc/exports.d", type=tarfile.DIRTYPE, mode=0o755)))
    done = command("extract", archive, "/etc/exports.d")
    assert_refused(done.result, "/etc/exports.d is a directory", "--output=DIR")
    command("extract", archive, "/etc/exports.d", f"--output={tmp_path}/out").check()
    assert (tmp_path / "out/etc/exports.d").stat().st_mode & 0o7777 == 0o700


def test_a_place_that_is_taken(archive: Path, tmp_path: Path):
    taken, file, link = tmp_path / "taken", tmp_path / "file", tmp_path / "link"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    file.write_text("mine")
    link.symlink_to(tmp_path / "elsewhere")
    for place, said in (
        (taken, "is not empty"),
        (file, "is no directory"),
        (link, "is no directory"),
        (tmp_path / "no/where", f"directory {tmp_path}/no does not exist"),
        (file / "where", f"{file} is no directory"),
    ):
        assert_refused(command("extract", archive, "/etc", f"--output={place}").result, said)
    assert tree(taken).keys() == {"mine"}
    assert file.read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


def test_an_empty_directory_keeps_its_mode(archive: Path, tmp_path: Path):
    place = tmp_path / "empty"
    place.mkdir()
    place.chmod(0o750)
    command("extract", archive, "--fqdn", f"--output={place}").check()
    assert place.stat().st_mode & 0o777 == 0o750
    assert [path.name for path in place.iterdir()] == ["fqdn"]


def test_sqlite_is_no_sql(archive: Path):
    done = command("extract", archive, "--component=grafana", "--as=sql")
    assert_refused(done.result, "the Grafana database is a SQLite file", "sqlite3 grafana.db .dump")


@pytest.mark.parametrize("data", [b"", b"hello\n" * 1000, b"PGDMP\x01\x0e\x00" + bytes(1000)])
def test_no_archive(data: bytes, archive: Path, tmp_path: Path):
    archive.write_bytes(data)
    done = command("extract", archive, "/etc", f"--output={tmp_path}/out")
    assert_failed(done.result, UNREADABLE, str(archive), "--file")
    assert not (tmp_path / "out").exists()


# Damage


def test_a_damaged_dump_stays_in_and_the_others_come_out(original: Original, tmp_path: Path):
    archive = Path(shutil.copy2(original.machine.archive, tmp_path / "a.backup"))
    whole = content(archive)
    with tarfile.open(archive) as tar:
        stored = tar.extractfile("./db/dwh_backup.db")
        assert stored is not None
        flip(archive, stored.read(), 10_000)
    for more in ((), ("--as=sql",)):
        done = command("extract", archive, "--component=dwh", *more)
        assert_failed(done.result, DAMAGED, "Checksum verification failed: db/dwh_backup.db", "another")
        assert done.data == b""
        words = ("--component=engine", "--component=dwh", "/etc", f"--output={tmp_path}/out")
        assert command("extract", archive, *words, *more).status == DAMAGED
        assert not (tmp_path / "out").exists()
    assert command("extract", archive, "--component=engine").check().data == whole["db/engine_backup.db"]
    command("extract", archive, "/etc", f"--output={tmp_path}/out").check()


def test_a_damaged_file_of_a_tree_stays_in_and_the_others_come_out(tmp_path: Path):
    inner = {"etc/ovirt-engine/a": b"first file\n", "etc/ovirt-engine/b": b"second file\n"}
    hashes = hostile.hash_file({f"files/{name}": data for name, data in inner.items()})
    archive = tmp_path / "a.backup"
    members = [Crafted(f"./files/{name}", data) for name, data in inner.items()]
    archive.write_bytes(hostile.tree_archive(*members, Crafted("./sha256sum", hashes)))
    assert command("extract", archive, "/etc/ovirt-engine/a").check().data == b"first file\n"
    flip(archive, b"second file")
    assert command("extract", archive, "/etc/ovirt-engine/a").check().data == b"first file\n"
    done = command("extract", archive, "/etc/ovirt-engine", f"--output={tmp_path}/out")
    assert_failed(done.result, DAMAGED, "Checksum verification failed: files/etc/ovirt-engine/b", "another")
    assert not (tmp_path / "out").exists()


def test_a_file_without_a_hash(tmp_path: Path):
    archive = tmp_path / "a.backup"
    hashes = Crafted("./sha256sum", hostile.hash_file({"version": b"3.3.5\n"}))
    archive.write_bytes(hostile.tree_archive(Crafted("./files/etc/a", b"planted"), hashes))
    done = command("extract", archive, "/etc/a")
    assert_failed(done.result, DAMAGED, "files/etc/a has no line in the hash file", "another")


@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_truncated_archive(part: float, archive: Path, tmp_path: Path):
    os.truncate(archive, int(archive.stat().st_size * part))
    done = command("extract", archive, "--fqdn", f"--output={tmp_path}/out")
    assert_failed(done.result, DAMAGED, str(archive), "another backup")
    assert not (tmp_path / "out").exists()


# Archives that mean harm

HARMFUL = {
    "absolute": [Crafted("/etc/passwd", b"x")],
    "upwards": [Crafted("etc/ovirt-engine/../../../x", b"x")],
    "through a link": [
        Crafted("etc/ovirt-engine/aaa", type=tarfile.SYMTYPE, link="/etc"),
        Crafted("etc/ovirt-engine/aaa/passwd", b"x"),
    ],
    "hard link outside": [Crafted("etc/ovirt-engine/x", type=tarfile.LNKTYPE, link="/etc/shadow")],
    "device": [Crafted("etc/ovirt-engine/x", type=tarfile.CHRTYPE)],
    "pipe": [Crafted("etc/ovirt-engine/x", type=tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("members", HARMFUL.values(), ids=HARMFUL)
@pytest.mark.parametrize("as_tree", [False, True])
def test_hostile_files(members: list[Crafted], as_tree: bool, tmp_path: Path):
    archive = tmp_path / "a.backup"
    good = Crafted("etc/ovirt-engine/good", b"good")
    if as_tree:
        moved = [Crafted(f"./files/{m.name}", m.content, m.type, m.link) for m in (good, *members)]
        archive.write_bytes(hostile.tree_archive(*moved))
    else:
        archive.write_bytes(hostile.with_files(good, *members))
    for words in (("/",), ("/etc/ovirt-engine/good",), ("--fqdn",)):
        done = command("extract", archive, *words, f"--output={tmp_path}/out", tmpdir=tmp_path)
        if not (as_tree and members is HARMFUL["absolute"]):
            assert_failed(done.result, HOSTILE, str(archive), "where the archive comes from")
        assert done.status != ExitStatus.SUCCESS
        assert [path.name for path in tmp_path.iterdir()] == ["a.backup"]


def test_links_are_put_down_and_not_followed(tmp_path: Path):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    archive = tmp_path / "a.backup"
    archive.write_bytes(
        hostile.with_files(
            Crafted("etc/ovirt-engine/link", type=tarfile.SYMTYPE, link=str(outside)),
            Crafted("etc/ovirt-engine/tool", b"#!/bin/sh\n", mode=0o6755),
            Crafted("etc/ovirt-engine/closed", b"x", mode=0o400),
        )
    )
    command("extract", archive, "/etc/ovirt-engine", f"--output={tmp_path}/out").check()
    place = tmp_path / "out/etc/ovirt-engine"
    assert (place / "link").readlink() == outside
    assert outside.read_text() == "mine"
    assert (place / "tool").stat().st_mode & 0o7777 == 0o700
    assert (place / "closed").stat().st_mode & 0o7777 == 0o400


def test_a_file_with_the_name_of_a_dump(tmp_path: Path):
    archive = tmp_path / "a.backup"
    inner = hostile.tar_bytes(Crafted("engine.sql", b"rm -rf /"))
    dump = {"db/engine_backup.db": b"-- PostgreSQL database dump\n"}
    archive.write_bytes(hostile.archive_bytes(hostile.sound_members(files=inner, **dump)))
    done = command("extract", archive, "/", "--component=engine", f"--output={tmp_path}/out")
    assert_failed(done.result, HOSTILE, "/engine.sql is in the way of a dump", "comes from")
    assert not (tmp_path / "out").exists()


# Programs and disks that fail


def test_a_pg_restore_that_is_too_old(archive: Path, tmp_path: Path):
    body = (
        "sys.stdout.write('half of it')\n"
        "sys.exit('pg_restore: error: unsupported version (1.15) in file header')\n"
    )
    bindir = wrapped(tmp_path / "bin", postgres_programs.for_restore(0), pg_restore=body)
    words = ("--component=engine", "--as=sql", f"--pg-bindir={bindir}", f"--output={tmp_path}/out")
    done = command("extract", archive, *words)
    assert_failed(done.result, FAILURE, "unsupported version (1.15)", "as new as the backup's")
    assert not (tmp_path / "out").exists()


def test_a_pg_restore_that_dies(archive: Path, tmp_path: Path):
    bindir = wrapped(
        tmp_path / "bin",
        postgres_programs.for_restore(0),
        pg_restore="os.kill(os.getpid(), signal.SIGKILL)\n",
    )
    words = ("--component=engine", "--as=sql", f"--pg-bindir={bindir}", f"--output={tmp_path}/out")
    assert command("extract", archive, *words).status == DAMAGED
    assert not (tmp_path / "out").exists()


def test_what_others_put_there_meanwhile_stays(archive: Path, tmp_path: Path):
    out = tmp_path / "out"
    body = f"Path({str(out)!r}, 'theirs').write_text('theirs')\nsys.exit(1)\n"
    bindir = wrapped(tmp_path / "bin", postgres_programs.for_restore(0), pg_restore=body)
    words = ("/etc", "--fqdn", "--component=engine", "--as=sql", f"--pg-bindir={bindir}", f"--output={out}")
    assert command("extract", archive, *words).status == DAMAGED
    assert [path.name for path in out.iterdir()] == ["theirs"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_leaves_nothing(number: signal.Signals, archive: Path, tmp_path: Path):
    bindir = wrapped(
        tmp_path / "bin", postgres_programs.for_restore(0), pg_restore=f"{WAIT}wait()\nbecome_real()\n"
    )
    words = ["extract", str(archive), "/etc", "--component=engine", "--as=sql", f"--pg-bindir={bindir}"]
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = real_process.start([*words, f"--output={tmp_path}/out", f"--tmpdir={temporary}"])
    while not (bindir / "reached").exists():
        assert process.poll() is None
    process.send_signal(number)
    done = real_process.result(process)
    assert_failed(done, ExitStatus.INTERRUPTED, f"stopped by {number.name}")
    assert not (tmp_path / "out").exists()
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((bindir / "pid").read_text()), 0)


@needs_small_disk
@pytest.mark.parametrize("kilobytes", [4, 40, 300])
@pytest.mark.parametrize("is_new", [False, True])
def test_no_room_in_the_directory(kilobytes: int, is_new: bool, tmp_path: Path):
    place, report = tmp_path / "full", tmp_path / "report"
    place.mkdir()
    output = place / "out" if is_new else place
    words = ["extract", str(golden.archive("4.5.7-default")), "/", "--component=engine", "--component=dwh"]
    done = real_process.run(
        [*words, "--as=sql", f"--output={output}"], on_small_disk(place, kilobytes, report)
    )
    assert_failed(done, FAILURE, "o space left on device", f"make room on the file system of {output}"[:40])
    assert report.read_text() == ""


@needs_small_disk
def test_no_room_for_temporary_data(tmp_path: Path):
    place, report = tmp_path / "full", tmp_path / "report"
    place.mkdir()
    words = ["extract", str(golden.archive("4.5.7-default")), "--fqdn", f"--tmpdir={place}"]
    done = real_process.run(words, on_small_disk(place, 40, report))
    assert_failed(done, FAILURE, "o space left on device", "--tmpdir")
    assert done.stdout == ""
    assert report.read_text() == ""


def test_a_full_standard_output():
    words = [*real_process.COMMAND, "extract", str(golden.archive("4.5.7-default")), "--component=engine"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, check=False, env=real_process.environment(), text=True
        )
    assert done.returncode == FAILURE
    assert done.stderr.splitlines()[0] == "FATAL: cannot write to standard output: No space left on device"
    assert "Traceback" not in done.stderr
