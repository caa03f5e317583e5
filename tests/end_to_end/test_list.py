"""`list`: directories and files, whatever lies in them."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine_backup.drivers.archive_glance import glance
from engine_backup.model.errors import UnreadableArchiveError
from tests.support import golden
from tests.support.hostile_archives import Crafted, archive_bytes, sound_members, tar_bytes
from tests.support.machine import Machine, Result
from tests.support.sample import Original

DAMAGED = archive_bytes(sound_members(files=bytes(100_000)))[:50_000]
HOSTILE = tar_bytes(Crafted("./version", b"4.5.7\n"), Crafted("./../x"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "archives"
    place.mkdir()
    return place


def listed(machine: Machine, *places: Path) -> dict[str, Any]:
    result = machine.command("list", "--json", *map(str, places)).check()
    found = json.loads(result.stdout)
    assert (found["format"], found["format_version"]) == ("engine-backup list", 1)
    return dict(found)


def by_name(result: Result) -> dict[str, dict[str, Any]]:
    return {Path(row["path"]).name: row for row in json.loads(result.stdout)["archives"]}


def test_golden_archives(machine: Machine) -> None:
    found = listed(machine, golden.DIRECTORY)
    assert found["other_files"] == len(golden.NAMES) + 1
    names = [Path(row["path"]).stem for row in found["archives"]]
    assert sorted(names) == golden.NAMES
    times = [row["made_at"] for row in found["archives"]]
    assert times == sorted(times)
    for row in found["archives"]:
        facts = golden.facts(Path(row["path"]).stem)
        assert (row["state"], row["reason"]) == ("readable", "")
        assert row["product_version"] == facts["version"]
        assert row["generation"] == facts["generation"]
        assert set(row["components"]) == {"files", *facts["databases"]}
        assert row["size"] == facts["outer"]["size"]


def test_our_own_archive(original: Original, machine: Machine) -> None:
    (row,) = listed(machine, original.machine.archive)["archives"]
    assert row["fqdn"] == original.sample.fqdn
    assert set(row["components"]) == {"files", *original.sample.components}
    shown = machine.command("list", str(original.machine.archive)).check().stdout.splitlines()
    assert len(shown) == 2
    assert shown[1].endswith(str(original.machine.archive))


def test_what_else_lies_in_a_directory(machine: Machine, directory: Path) -> None:
    shutil.copy(golden.archive("4.5.7-uncompressed"), directory / "sound")
    (directory / "damaged").write_bytes(DAMAGED)
    (directory / "hostile").write_bytes(HOSTILE)
    (directory / "no version").write_bytes(archive_bytes({"config": b"", "files": b""}))
    (directory / "empty.backup").touch()
    (directory / "text.log").write_text("nothing\n")
    (directory / "text.log.gz").write_bytes(gzip.compress(b"nothing\n" * 1000))
    (directory / "foreign.tar").write_bytes(tar_bytes(Crafted("hello", b"x")))
    (directory / "below").mkdir()
    shutil.copy(golden.archive("4.5.7-uncompressed"), directory / "below")
    os.mkfifo(directory / "pipe")
    result = machine.command("list", "--json", str(directory)).check()
    rows = by_name(result)
    assert {name: row["state"] for name, row in rows.items()} == {
        "sound": "readable",
        "damaged": "damaged",
        "hostile": "hostile",
        "no version": "damaged",
    }
    assert rows["no version"]["reason"] == "version is missing"
    assert json.loads(result.stdout)["other_files"] == 4
    text = machine.command("list", str(directory)).check().stdout
    assert "damaged: is cut off" in text
    assert "other files there: 4" in text


def test_what_was_seen_before_the_damage_is_told(machine: Machine, directory: Path) -> None:
    (directory / "damaged").write_bytes(DAMAGED)
    shutil.copy(golden.archive("4.5.7-uncompressed"), directory / "sound")
    row = by_name(machine.command("list", "--json", str(directory)).check())["damaged"]
    assert (row["product_version"], row["size"], row["state"]) == ("4.5.7", 50_000, "damaged")


@pytest.mark.parametrize(
    ("content", "status", "state"),
    [
        (b"", 4, "unreadable"),
        (b"text" * 500, 4, "unreadable"),
        (DAMAGED, 5, "damaged"),
        (HOSTILE, 6, "hostile"),
    ],
)
def test_a_named_file_that_cannot_be_read(
    machine: Machine, tmp_path: Path, content: bytes, status: int, state: str
) -> None:
    """The list goes on, and the exit status tells."""
    bad = tmp_path / "bad"
    bad.write_bytes(content)
    sound = golden.archive("4.5.7-uncompressed")
    result = machine.command("list", "--json", str(bad), str(sound))
    assert result.status == status
    assert len(result.fatal) == 1
    assert {name: row["state"] for name, row in by_name(result).items()} == {
        "bad": state, sound.name: "readable",
    }  # fmt: skip


def test_missing_places_and_what_is_no_file(machine: Machine, tmp_path: Path) -> None:
    for place in (tmp_path / "missing", Path("/dev/zero")):
        result = machine.command("list", "--json", str(place))
        assert result.status == 4
        assert str(place) in result.fatal[0]
        assert by_name(result)[place.name]["state"] == "unreadable"


def test_nothing_could_be_read_at_all(machine: Machine, directory: Path) -> None:
    (directory / "a").write_bytes(DAMAGED)
    (directory / "b").write_bytes(HOSTILE)
    assert machine.command("list", str(directory)).status in (5, 6)


def test_an_empty_directory_is_no_failure(machine: Machine, directory: Path) -> None:
    assert machine.command("list", str(directory)).check().stdout == "  no archives\n"
    assert listed(machine, directory) == {
        "format": "engine-backup list", "format_version": 1, "archives": [], "other_files": 0,
    }  # fmt: skip


def test_by_default_the_directory_of_backups(machine: Machine) -> None:
    place = machine.root / "var/lib/ovirt-engine-backup"
    place.mkdir(parents=True)
    shutil.copy(golden.archive("4.5.7-uncompressed"), place)
    result = machine.command("list", f"--root={machine.root}", "--json").check()
    assert list(by_name(result)) == ["4.5.7-uncompressed.backup"]


def test_names_that_terminals_obey(machine: Machine, directory: Path) -> None:
    shutil.copy(golden.archive("4.5.7-uncompressed"), os.fsencode(directory) + b"/a\x1b[2J\n\xff")
    for words in ((), ("--json",)):
        result = machine.command("list", str(directory), *words).check()
        assert all(line.isprintable() for line in result.stdout.splitlines())
        assert "x1b[2J" in result.stdout


@pytest.mark.parametrize("name", ["4.5.7-default", "3.3.5-default", "4.5.7-small-size"])
def test_of_a_compressed_archive_only_the_beginning_is_unpacked(
    name: str,
) -> None:
    whole = glance(golden.archive(name))
    assert whole.whole
    states = set()
    for most in (2000, 10_000, 100_000, 1 << 20):
        part = glance(golden.archive(name), most)
        assert part.members.items() <= whole.members.items()
        states.add(part.whole)
    assert states == {True, False}
    with pytest.raises(UnreadableArchiveError, match="first 1 bytes"):
        glance(golden.archive(name), 1)


def test_partly_read_archives_say_so(machine: Machine, tmp_path: Path) -> None:
    """More than is ever unpacked for a list, in front of what would have been told."""
    members = {"config": b"", "files": bytes(65 << 20), "version": b"4.5.7\n", "os_version": b"rhel9\n"}
    archive = tmp_path / "large.backup"
    archive.write_bytes(gzip.compress(archive_bytes(members), 1))
    (row,) = listed(machine, archive)["archives"]
    assert (row["state"], row["product_version"], row["generation"]) == ("partly read", None, None)
    assert "inspect" in row["reason"]
    assert row["components"] == ["files"]
    assert "partly read: compressed as a whole" in machine.command("list", str(archive)).check().stdout
