"""Archives in another form: nothing is lost, stock reads them, and a failure leaves nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.archive_reader import open_archive
from engine_backup.drivers.archive_writer import ArchiveWriter
from engine_backup.drivers.run_log import no_log
from engine_backup.model.errors import EngineBackupError, ExitStatus
from engine_backup.model.exporting import EXPORT_FORMS, Conversion
from engine_backup.model.paths import DIRECTORIES_ABOVE
from engine_backup.model.presets import PRESETS, Packing
from engine_backup.run.export_comparison import check_equal
from engine_backup.run.reporting import Reporter
from tests.support import golden, real_process
from tests.support import hostile_archives as hostile
from tests.support.failures import assert_failed, assert_refused
from tests.support.hostile_archives import Crafted
from tests.support.machine import Machine
from tests.support.pages import DOCS
from tests.support.sample import Original
from tests.support.small_disk import available, on_read_only_disk, on_small_disk
from tests.support.taking_out import command, content, files, flip, members
from tests.unit.test_documentation import table

FAILURE, REFUSED = ExitStatus.FAILURE, ExitStatus.REFUSED
DAMAGED, HOSTILE = ExitStatus.DAMAGED_ARCHIVE, ExitStatus.HOSTILE_ARCHIVE
needs_small_disk = pytest.mark.skipif(not available(), reason="no private mount namespaces here")
ALWAYS = ["version", "os_version", "config", "manifest.json", "sha256sum"]


def without_directories_above(found: dict) -> dict:
    """Directories on the way to saved paths are by-products in trees of generations A and B."""
    return {
        path: {**row, "target": row["target"]}
        for path, row in found.items()
        if not (row["type"] == tarfile.DIRTYPE and os.fsencode(path) in DIRECTORIES_ABOVE)
    }


def assert_same(before: Path, after: Path) -> None:
    """Hold that a reader that is not ours finds the same in both."""
    assert content(after) == content(before)
    assert members(after)["version"] == members(before)["version"]
    found, expected = files(after), files(before)
    assert found == (expected if expected.keys() == found.keys() else without_directories_above(expected))


def assert_sound(archive: Path) -> None:
    """Hold that the archive is of generation D, its hashes right, and only for us to read."""
    found = members(archive)
    lines = dict(reversed(line.split("  ")) for line in found["sha256sum"].decode().splitlines())
    assert lines == {
        name: hashlib.sha256(data).hexdigest() for name, data in found.items() if name != "sha256sum"
    }
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        assert names[:2] == [".", "./db"]
        assert all(member.name == "." or member.name.startswith("./") for member in tar)
    assert archive.stat().st_mode & 0o777 == 0o600
    assert list(found)[-5:] == ALWAYS


@pytest.mark.parametrize("form", EXPORT_FORMS)
@pytest.mark.parametrize("name", golden.NAMES)
def test_archives_of_every_generation(name: str, form: str, tmp_path: Path):
    new = tmp_path / "new.backup"
    done = command("export", golden.archive(name), new, f"--to={form}", tmpdir=tmp_path).check()
    assert done.data.decode().splitlines()[-1] == "Done."
    assert [path.name for path in tmp_path.iterdir()] == ["new.backup"]
    assert_sound(new)
    assert_same(golden.archive(name), new)
    facts = golden.facts(name)
    assert members(new)["os_version"].decode().strip() == (facts["os_version"] or "Unknown").strip()
    machine = Machine(tmp_path / "machine")
    version = f"--product-version={facts['version'].strip()}"
    result = machine.engine_backup("verify", f"--file={new}", version).check()
    assert "Warning" not in result.stderr


@pytest.mark.parametrize("name", golden.NAMES)
def test_a_classic_archive_needs_nothing_that_stock_has_not(name: str, tmp_path: Path):
    """What `config` says is right, and names programs of stock alone; `files` opens with Python's tarfile."""
    new = tmp_path / "new.backup"
    command("export", golden.archive(name), tmp_path / "native", "--to=native").check()
    command("export", tmp_path / "native", new, "--to=classic").check()
    magics = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ", "": b""}
    config = dict(line.split("=") for line in members(new)["config"].decode().splitlines())
    for row in json.loads(members(new)["manifest.json"])["members"]:
        if "dump_format" in row and row["dump_format"] != "sqlite":
            prefix = {"engine": ""}.get(row["component"], f"{row['component'].upper()}_")
            compressor = config[f"{prefix}DB_DUMP_COMPRESSOR"]
            assert members(new)[row["name"]].startswith(magics[compressor])
            dump_format = config[f"{prefix}DB_DUMP_FORMAT"]
            assert content(new)[row["name"]].startswith(b"PGDMP" if dump_format == "custom" else b"--")
    assert not any(data.startswith(b"\x28\xb5\x2f\xfd") for data in members(new).values())
    assert_same(golden.archive(name), new)


@pytest.mark.parametrize("preset", PRESETS)
def test_there_and_back(preset: str, original: Original, tmp_path: Path):
    words = [] if preset == "default" else [f"--{preset}"]
    first, classic, native = (tmp_path / name for name in ("first", "classic", "native"))
    scopes = ["--scope=files", "--scope=keycloakdb", "--scope=managedblockdb", "--scope=grafanadb"]
    original.machine.engine_backup("backup", f"--file={first}", *words, *scopes).check()
    command("export", first, classic, "--to=classic").check()
    command("export", classic, native, "--to=native").check()
    command("export", native, tmp_path / "classic again", "--to=classic").check()
    for archive in (classic, native, tmp_path / "classic again"):
        assert_sound(archive)
        assert_same(first, archive)
    before, after = (json.loads(members(archive)["manifest.json"]) for archive in (first, native))
    changed = {"members", "exported"}
    assert {k: v for k, v in after.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }
    assert [row["to"] for row in after["exported"]] == ["classic", "native"]
    packing = {"size", "sha256", "compressor"}
    for old, new in zip(before["members"], after["members"]):
        if old["name"] != "config":
            assert {k: v for k, v in old.items() if k not in packing} == {
                k: v for k, v in new.items() if k not in packing
            }


def test_the_default_comes_back(original: Original, tmp_path: Path):
    first, classic, native = original.machine.archive, tmp_path / "classic", tmp_path / "native"
    command("export", first, classic, "--to=classic").check()
    command("export", classic, native, "--to=native").check()
    assert members(native)["files"] == members(first)["files"]
    assert members(native)["os_version"] == members(first)["os_version"]
    present = [
        row["component"]
        for row in json.loads(members(first)["manifest.json"])["members"]
        if "database" in row
    ]
    prefixes = tuple("DB_" if name == "engine" else f"{name.upper()}_DB_" for name in present)
    configs = [members(archive)["config"].decode().splitlines() for archive in (native, first)]
    after, before = ({line for line in lines if line.startswith(prefixes)} for lines in configs)
    assert after == before
    assert_same(first, native)


def test_every_field_of_exported_is_explained(original: Original, tmp_path: Path):
    command("export", original.machine.archive, tmp_path / "new", "--to=classic").check()
    [row] = json.loads(members(tmp_path / "new")["manifest.json"])["exported"]
    rows = table(DOCS / "extract-and-export.md", "fields of exported")
    assert list(row) == [cells[0].strip("`") for cells in rows]
    assert (row["to"], row["from"], row["from_generation"]) == ("classic", "engine.backup", "D")


def test_members_of_hooks_and_of_a_file_that_is_compressed_as_a_whole(tmp_path: Path):
    import gzip

    old, new = tmp_path / "old", tmp_path / "new"
    inner = hostile.tar_bytes(Crafted("etc/ovirt-engine/a", b"x"))
    contents = hostile.sound_members(files=inner, **{"custom/data": b"of a hook", "notes": b""})
    old.write_bytes(gzip.compress(hostile.archive_bytes(contents)))
    command("export", old, new, "--to=native").check()
    assert_sound(new)
    assert_same(old, new)
    assert content(new) == {"custom/data": b"of a hook", "notes": b""}


def test_a_tree_with_holes_links_and_strange_names(tmp_path: Path):
    """As a tar of GNU tar's own holds them."""
    top = tmp_path / "staging"
    place = top / "files/etc/ovirt-engine"
    place.mkdir(parents=True)
    (place / "hard").write_bytes(b"shared")
    os.link(place / "hard", place / "other")
    (place / "soft").symlink_to("../nowhere")
    (place / "new\nline").write_bytes(b"1")
    (place / ("long" * 60)).write_bytes(b"2")
    (place / os.fsdecode(b"caf\xe9")).write_bytes(b"3")
    with (place / "holes").open("wb") as file:
        file.write(b"start" + bytes(4091))
        file.seek(3 << 20)
        file.write(b"middle")
        file.truncate(5 << 20)
    (top / "version").write_text("3.3.5\n")
    script = "find . -type f ! -name md5sum -printf '%P\\0' | xargs -0 md5sum > md5sum; tar -cpSjf ../old ."
    subprocess.run(["sh", "-c", script], cwd=top, check=True)
    old, new = tmp_path / "old", tmp_path / "new"
    command("export", old, new, "--to=classic").check()
    assert_sound(new)
    assert_same(old, new)
    assert "etc" not in files(new)
    assert (
        files(new)["etc/ovirt-engine/holes"]["sha256"]
        == hashlib.sha256((place / "holes").read_bytes()).hexdigest()
    )
    assert files(new)["etc/ovirt-engine/other"]["type"] in (tarfile.LNKTYPE, tarfile.REGTYPE)


# The proof


def write(path: Path, dump: bytes, mtime: int = 5) -> None:
    with path.open("wb") as target:
        writer = ArchiveWriter(target, "", path.parent, 1)
        with writer.member("db/engine_backup.db", mtime) as sink:
            sink.write(dump)
        writer.add_bytes("version", b"4.5.7\n")
        writer.add_bytes("config", b"DB_DUMP_FORMAT=plain\n")
        writer.finish()


@pytest.mark.parametrize(
    ("dump", "mtime", "said"),
    [(b"-- a", 5, ""), (b"-- b", 5, "db/engine_backup.db"), (b"-- a ", 5, "db/"), (b"-- a", 6, "db/")],
)
def test_a_difference_is_found(dump: bytes, mtime: int, said: str, tmp_path: Path):
    write(tmp_path / "old", b"-- a")
    write(tmp_path / "new", dump, mtime)
    name = "db/engine_backup.db"
    conversion = Conversion(name, name, "engine", "plain", "", Packing(""))
    with open_archive(tmp_path / "old", tmp_path) as old, open_archive(tmp_path / "new", tmp_path) as new:
        compare = lambda: check_equal(old, new, [conversion], Reporter(_Quiet(), no_log()))  # noqa: E731
        if not said:
            compare()
            return
        with pytest.raises(EngineBackupError, match=f"not the same: {said}") as caught:
            compare()
    assert "keep the archive" in caught.value.hint


class _Quiet:
    is_terminal = False

    def __getattr__(self, name: str):
        return lambda *_: None


# Where it goes


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return Path(shutil.copy2(golden.archive("4.5.7-default"), tmp_path / "a.backup"))


def test_a_file_that_is_there_is_replaced_and_that_is_said(archive: Path, tmp_path: Path):
    new = tmp_path / "new"
    new.write_text("mine")
    done = command("export", archive, new, "--to=native", "--no-overwrite")
    assert_refused(done.result, f"{new} exists", "--no-overwrite")
    assert new.read_text() == "mine"
    done = command("export", archive, new, "--to=native").check()
    assert f"Replaced the file that was there: {new}" in done.data.decode()
    assert_sound(new)


def test_the_input_is_never_the_output(archive: Path, tmp_path: Path):
    before = archive.read_bytes()
    link, hard, partial = tmp_path / "link", tmp_path / "hard", tmp_path / "x.partial"
    link.symlink_to(archive)
    os.link(archive, hard)
    os.link(archive, partial)
    for place in (archive, link, hard, tmp_path / "x"):
        done = command("export", archive, place, "--to=classic")
        assert_refused(done.result, f"{place} is the archive that is to be converted", "another file")
    assert archive.read_bytes() == before
    assert not (tmp_path / "x").exists()


def test_places_that_are_no_files(archive: Path, tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place, said in (
        (tmp_path, "is a directory"),
        ("/dev/null", "/dev/null is no regular file"),
        (pipe, "is no regular file"),
        (tmp_path / "no/where", f"directory {tmp_path}/no does not exist"),
        (archive / "new", f"{archive} is no directory"),
    ):
        assert_refused(command("export", archive, place, "--to=classic").result, said)
    assert pipe.is_fifo()
    done = command("export", archive, "/proc/new.backup", "--to=classic")
    assert_failed(done.result, FAILURE, "Cannot create '/proc/new.backup.partial'", "name another file")


@pytest.mark.parametrize("form", EXPORT_FORMS)
def test_a_damaged_archive_is_not_converted(form: str, original: Original, tmp_path: Path):
    archive = Path(shutil.copy2(original.machine.archive, tmp_path / "a.backup"))
    flip(archive, members(archive)["db/keycloak_backup.db"], 500)
    done = command("export", archive, tmp_path / "new", f"--to={form}", tmpdir=tmp_path)
    assert_failed(done.result, DAMAGED, "Checksum verification failed: db/keycloak_backup.db", "another")
    assert [path.name for path in tmp_path.iterdir()] == ["a.backup"]


@pytest.mark.parametrize(
    "member",
    [
        Crafted("/etc/passwd", b"x"),
        Crafted("./db/../../etc/passwd", b"x"),
        Crafted("./manifest.json", type=tarfile.SYMTYPE, link="/etc/shadow"),
        Crafted("./db/x", type=tarfile.FIFOTYPE),
    ],
    ids=lambda member: member.name,
)
def test_a_hostile_archive_is_not_converted(member: Crafted, tmp_path: Path):
    archive = tmp_path / "a.backup"
    archive.write_bytes(hostile.archive_bytes(hostile.sound_members(), member))
    done = command("export", archive, tmp_path / "new", "--to=classic", tmpdir=tmp_path)
    assert_failed(done.result, HOSTILE, str(archive), "where the archive comes from")
    assert [path.name for path in tmp_path.iterdir()] == ["a.backup"]


def test_commands_in_config_are_refused(tmp_path: Path):
    archive = tmp_path / "a.backup"
    archive.write_bytes(hostile.archive_bytes(hostile.sound_members(config=hostile.SQL_IN_CONFIG)))
    done = command("export", archive, tmp_path / "new", "--to=classic")
    assert_failed(done.result, HOSTILE, "config", "would execute")
    assert not (tmp_path / "new").exists()


def test_a_manifest_that_lies_is_not_believed(tmp_path: Path):
    archive, new = tmp_path / "a.backup", tmp_path / "new"
    lies = {
        "format": "engine-backup manifest",
        "format_version": 1,
        "components": ["engine", 5],
        "product_version": "9.9",
        "members": [{"name": "version", "raw_size": "huge", "sha256": "x"}, 7],
        "exported": "x",
    }
    contents = hostile.sound_members(**{"manifest.json": json.dumps(lies).encode()})
    archive.write_bytes(hostile.archive_bytes(contents))
    command("export", archive, new, "--to=native").check()
    found = json.loads(members(new)["manifest.json"])
    assert (found["components"], found["product_version"]) == ([], "4.5.7")
    assert len(found["exported"]) == 1
    assert [(row["name"], row["raw_size"]) for row in found["members"]] == [
        (name, len(members(new)[name])) for name in ("version", "os_version", "config")
    ]


@needs_small_disk
@pytest.mark.parametrize("kilobytes", [4, 40, 150])
def test_no_room_for_the_new_archive(kilobytes: int, tmp_path: Path):
    place, report = tmp_path / "full", tmp_path / "report"
    place.mkdir()
    words = ["export", str(golden.archive("4.5.7-default")), f"{place}/new", "--to=classic"]
    done = real_process.run(words, on_small_disk(place, kilobytes, report))
    assert_failed(done, FAILURE, "no space left on device", f"make room on the file system of {place}")
    assert report.read_text() == ""


@needs_small_disk
def test_a_disk_that_is_read_only(tmp_path: Path):
    place = tmp_path / "full"
    place.mkdir()
    words = ["export", str(golden.archive("4.5.7-default")), f"{place}/new", "--to=classic"]
    done = real_process.run(words, on_read_only_disk(place, tmp_path / "report"))
    assert_failed(done, FAILURE, "Read-only file system", "name another file")


def test_no_program_of_postgresql_is_asked_for(archive: Path, tmp_path: Path):
    """An empty PATH, and no engine on this machine."""
    words = [*real_process.COMMAND, "export", str(archive), str(tmp_path / "new"), "--to=classic"]
    environment = {**real_process.environment(), "PATH": "/nowhere"}
    subprocess.run(words, check=True, env=environment, capture_output=True)
    assert_same(archive, tmp_path / "new")
    assert postgres_programs.installed()
