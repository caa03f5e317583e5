"""What each level of verify finds, which exit status says it, and that none of them leaves a trace."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
from pathlib import Path

import pytest

from engine_backup.drivers import compression
from engine_backup.model.errors import ExitStatus
from engine_backup.model.verify_levels import PROVES, Level
from tests.support import golden
from tests.support import hostile_archives as hostile
from tests.support.hostile_archives import Crafted
from tests.support.machine import Machine, Result
from tests.support.pages import README
from tests.support.rewritten_archives import Change, in_manifest, rewrite
from tests.support.sample import Original

FAILURE = ExitStatus.FAILURE
UNREADABLE, DAMAGED = ExitStatus.UNREADABLE_ARCHIVE, ExitStatus.DAMAGED_ARCHIVE
HOSTILE, INCOMPATIBLE = ExitStatus.HOSTILE_ARCHIVE, ExitStatus.INCOMPATIBLE_ARCHIVE
LEVELS = list(Level)
ENGINE_DUMP, FILES, GRAFANA = "db/engine_backup.db", "files", "db/grafana.db"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def verify(machine: Machine, level: Level, *words: str) -> Result:
    return machine.engine_backup("verify", "--product-version=4.5.7", f"--level={level.word}", *words)


# The four kinds of bad archive


def flipped(whole: bytes) -> bytes:
    middle = whole.index(b"PGDMP" if b"PGDMP" in whole else b"\x28\xb5\x2f\xfd") + 5000
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


def unreadable(whole: bytes) -> bytes:
    return b"<html>not found</html>\n" * 100


def damaged(whole: bytes) -> bytes:
    return flipped(whole)


def cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def hostile_one(whole: bytes) -> bytes:
    return hostile.archive_bytes(hostile.sound_members(), Crafted("./db/../../etc/passwd", b"x"))


def incompatible(whole: bytes) -> bytes:
    return hostile.archive_bytes(hostile.sound_members(version=b"9.9.1\n"))


KINDS = {
    "unreadable": (unreadable, UNREADABLE, "not a tar archive"),
    "empty": (lambda whole: b"", UNREADABLE, "not a tar archive"),
    "flipped": (flipped, DAMAGED, "Checksum verification failed: db/"),
    "cut": (cut, DAMAGED, "cut off"),
    "hostile": (hostile_one, HOSTILE, '".."'),
    "incompatible": (incompatible, INCOMPATIBLE, "9.9.1"),
}


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.word)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_bad_archive_has_its_status_at_every_level(
    kind: str, level: Level, original: Original, machine: Machine
) -> None:
    change, status, words = KINDS[kind]
    machine.archive.write_bytes(change(original.machine.archive.read_bytes()))
    result = verify(machine, level)
    assert result.status == status, result.stderr
    assert words in result.fatal[0]
    assert "hint: " in result.stderr
    assert machine.leftovers() == []


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.word)
def test_a_sound_archive_passes(level: Level, original: Original, machine: Machine) -> None:
    shutil.copy2(original.machine.archive, machine.archive)
    result = verify(machine, level).check()
    assert ("- Engine database" in result.stdout) == (level > Level.HASH)
    assert result.stderr == ""


PACKINGS = {
    "classic": ["--classic"],
    "fast-backup": ["--fast-backup"],
    "fast-restore": ["--fast-restore"],
    "small-size": ["--small-size"],
    "gzip": ["--archive-compressor=gzip", "--db-compressor=gzip", "--dwh-db-dump-format=plain"],
    "bzip2": ["--archive-compressor=bzip2", "--db-compressor=bzip2", "--files-compressor=None"],
    "xz": ["--archive-compressor=xz", "--db-compressor=None", "--db-dump-format=plain"],
    "files only": ["--scope=files"],
    "one database": ["--scope=dwhdb"],
}


@pytest.mark.parametrize("words", PACKINGS.values(), ids=PACKINGS)
def test_a_sound_archive_of_every_packing_passes(
    words: list[str], original: Original, machine: Machine
) -> None:
    original.machine.engine_backup("backup", f"--file={machine.archive}", *words).check()
    for level in LEVELS:
        assert verify(machine, level).check().stderr == ""


def test_an_archive_that_somebody_packed_anew(original: Original, machine: Machine) -> None:
    """Nothing is wrong with it; the log says what could not be checked."""
    machine.archive.write_bytes(gzip.compress(original.machine.archive.read_bytes()))
    for level in LEVELS:
        verify(machine, level).check()
        assert "packed with gzip after it was written" in machine.log.read_text()


# What hashes cannot find, and the first level that does


def packed(content: bytes, compressor: str) -> bytes:
    sink = io.BytesIO()
    with compression.open_writer(sink, compressor) as writer:
        writer.write(content)
    return sink.getvalue()


def unpacked(content: bytes) -> bytes:
    stream = compression.open_reader(io.BytesIO(content), compression.detect(content), "test")
    return stream.read()


def row(document: dict, name: str) -> dict:
    return next(member for member in document["members"] if member["name"] == name)


def raw_sizes(size: int) -> Change:
    def change(document: dict) -> None:
        row(document, FILES)["raw_size"] = size

    return in_manifest(change)


def without_a_member(document: dict) -> None:
    del document["members"][1]


def another_version(document: dict) -> None:
    document["product_version"] = "4.5.6"


def another_compressor(document: dict) -> None:
    row(document, ENGINE_DUMP)["compressor"] = "xz"


def more_components(document: dict) -> None:
    document["components"].append("reports")


def damaged_rows(content: bytes) -> bytes:
    """Spoil the last block of a custom dump's data: the table of contents stands before it."""
    dump = bytearray(unpacked(content))
    dump[-2000:-1000] = bytes(1000)
    return packed(bytes(dump), "zstd")


def without_contents(content: bytes) -> bytes:
    dump = unpacked(content)
    return packed(dump[:20] + bytes(len(dump) - 20), "zstd")


def escaping_files(content: bytes) -> bytes:
    return lzma.compress(hostile.tar_bytes(Crafted("/etc/passwd", b"x")))


def odd_conf(content: bytes) -> bytes:
    conf = Crafted("etc/ovirt-engine/engine.conf.d/10-setup-database.conf", b"what is this?\n")
    return lzma.compress(hostile.tar_bytes(conf))


def spoilt_pages(content: bytes) -> bytes:
    return content[:4096] + bytes(len(content) - 4096)


HIDDEN: dict[str, tuple[dict[str, Change], Level, ExitStatus]] = {
    "commands in config": ({"config": lambda c: hostile.SQL_IN_CONFIG}, Level.STRUCTURE, HOSTILE),
    "a file outside": ({FILES: escaping_files}, Level.STRUCTURE, HOSTILE),
    "no tar of files": ({FILES: lambda c: lzma.compress(b"no tar" * 200)}, Level.STRUCTURE, DAMAGED),
    "no table of contents": ({ENGINE_DUMP: without_contents}, Level.STRUCTURE, DAMAGED),
    "a plain dump that config calls custom": (
        {ENGINE_DUMP: lambda c: packed(b"SELECT 1;\n", "zstd")}, Level.STRUCTURE, DAMAGED,
    ),
    "no SQLite database": ({GRAFANA: lambda c: b"<html>" * 1000}, Level.STRUCTURE, DAMAGED),
    "spoilt pages of SQLite": ({GRAFANA: spoilt_pages}, Level.STRUCTURE, DAMAGED),
    "no os_version": ({"os_version": lambda c: b"\x1b[2J\n"}, Level.STRUCTURE, DAMAGED),
    "a member that the manifest lacks": (
        {"manifest.json": in_manifest(without_a_member)}, Level.STRUCTURE, DAMAGED,
    ),
    "another version in the manifest": (
        {"manifest.json": in_manifest(another_version)}, Level.STRUCTURE, DAMAGED,
    ),
    "another compressor in the manifest": (
        {"manifest.json": in_manifest(another_compressor)}, Level.STRUCTURE, DAMAGED,
    ),
    "more components in the manifest": (
        {"manifest.json": in_manifest(more_components)}, Level.STRUCTURE, DAMAGED,
    ),
    "spoilt rows": ({ENGINE_DUMP: damaged_rows}, Level.FULL, DAMAGED),
    "another unpacked size": ({"manifest.json": raw_sizes(5)}, Level.FULL, DAMAGED),
    "a conf file that nobody understands": (
        {FILES: odd_conf, "manifest.json": raw_sizes(2048)}, Level.FULL, FAILURE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.word)
@pytest.mark.parametrize("fault", HIDDEN)
def test_what_each_level_finds(
    fault: str, level: Level, original: Original, machine: Machine, tmp_path: Path
) -> None:
    changes, first, status = HIDDEN[fault]
    rewrite(original.machine.archive, machine.archive, changes)
    result = verify(machine, level)
    assert result.status == (status if level >= first else ExitStatus.SUCCESS), result.stderr
    assert len(result.fatal) == (level >= first)
    assert machine.leftovers() == []


def test_a_manifest_that_is_no_json_is_found_by_hashes_alone(original: Original, machine: Machine) -> None:
    rewrite(original.machine.archive, machine.archive, {"manifest.json": lambda content: b"{"})
    assert verify(machine, Level.HASH).status == DAMAGED


def test_a_later_manifest_is_not_compared(original: Original, machine: Machine) -> None:
    def later(document: dict) -> None:
        document.update(format_version=2, components="many", members={})

    rewrite(original.machine.archive, machine.archive, {"manifest.json": in_manifest(later)})
    for level in LEVELS:
        result = verify(machine, level).check()
        assert ("of a later version" in result.stderr) == (level > Level.HASH)


PSQL = b"CREATE TABLE t (a integer);\n\\! id\n\n--\n-- PostgreSQL database dump complete\n--\n\n"


def test_commands_in_a_plain_dump_are_found_by_structure(machine: Machine) -> None:
    members = hostile.sound_members(**{ENGINE_DUMP: PSQL})
    machine.archive.write_bytes(hostile.archive_bytes(members))
    assert [verify(machine, level).status for level in LEVELS] == [0, HOSTILE, HOSTILE]


def test_without_the_programs_of_postgresql(original: Original, machine: Machine, tmp_path: Path) -> None:
    shutil.copy2(original.machine.archive, machine.archive)
    verify(machine, Level.HASH, f"--pg-bindir={tmp_path}").check()
    for level in (Level.STRUCTURE, Level.FULL):
        result = verify(machine, level, f"--pg-bindir={tmp_path}")
        assert result.status == FAILURE
        assert f"no working pg_dump and pg_restore in {tmp_path}" in result.fatal[0]
        verify(machine, level, f"--pg-bindir={tmp_path}", "--scope=files", "--scope=grafanadb").check()


# No trace


def told(status: os.stat_result) -> tuple[object, ...]:
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    return (*times, status.st_mode, status.st_uid, status.st_gid, status.st_ino, status.st_nlink)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.word)
@pytest.mark.parametrize("name", ["ours", *golden.NAMES])
def test_the_archive_stays_as_it_was(name: str, level: Level, original: Original, machine: Machine) -> None:
    """The time of the last access too: archives are ours here, so the system lets us leave it alone."""
    source = original.machine.archive if name == "ours" else golden.archive(name)
    version = "4.5.7" if name == "ours" else golden.facts(name)["version"].strip()
    shutil.copy(source, machine.archive)
    machine.archive.chmod(0o440)
    content = machine.archive.read_bytes()
    os.utime(machine.archive, ns=(10**18, 11 * 10**17))
    before = machine.archive.stat()
    machine.engine_backup("verify", f"--product-version={version}", f"--level={level.word}").check()
    assert told(machine.archive.stat()) == told(before)
    assert machine.archive.read_bytes() == content
    assert machine.leftovers() == []


def test_every_level_is_explained() -> None:
    text = " ".join(Machine(Path("/tmp")).command("--help").stdout.split())  # noqa: S108
    for level, proves in PROVES.items():
        assert f"{level.word}: {proves}" in text
        assert f"| `{level.word}`" in README.read_text(encoding="utf-8")
