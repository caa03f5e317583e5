"""`inspect`: golden archives against their JSON, our own of every preset, and whatever strangers hand in."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from engine_backup.cli.environment import Environment
from engine_backup.cli.main import run
from engine_backup.drivers import postgres_programs
from engine_backup.drivers.archive_reader import open_archive
from engine_backup.model.components import BY_NAME, DATABASES
from engine_backup.model.preflight import PreflightFacts
from engine_backup.model.presets import PRESETS
from engine_backup.model.shown_settings import SHOWN_SETTINGS
from engine_backup.plan.preflight import warnings
from engine_backup.run.archive_facts import observe_archive
from tests.support import golden
from tests.support.hostile_archives import Crafted, archive_bytes, sound_members, tar_bytes
from tests.support.machine import Machine, Result
from tests.support.manifests import with_changed_manifest, with_huge_member, with_manifest
from tests.support.planted_files import NAME, OWN, PKI, apart, put, renewed
from tests.support.sample import Original

NOW = datetime.now(timezone.utc)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing on it."""
    return Machine(tmp_path / "machine")


@pytest.fixture
def no_programs(tmp_path: Path) -> str:
    """The option that makes every program of PostgreSQL's a missing one."""
    (tmp_path / "bin").mkdir()
    return f"--pg-bindir={tmp_path / 'bin'}"


@pytest.fixture(params=golden.NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def packed(original: Original, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One backup of the shared engine for each preset."""
    directory = tmp_path_factory.mktemp("presets")
    found = {}
    for preset in PRESETS:
        found[preset] = directory / f"{preset}.backup"
        words = [] if preset == "default" else [f"--{preset}"]
        original.machine.engine_backup("backup", f"--file={found[preset]}", *words).check()
    return found


def inspected(machine: Machine, archive: Path, *words: str) -> dict[str, Any]:
    result = inspect(machine, archive, "--json", *words).check()
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    assert result.stderr == ""
    return found


def inspect(machine: Machine, archive: Path, *words: str) -> Result:
    return machine.command(
        "inspect", str(archive), f"--root={machine.root}", f"--tmpdir={machine.temporary}", *words
    )


def databases(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row["database"] for row in found["components"] if row["database"]}


def test_golden_archives(name: str, machine: Machine) -> None:
    found, facts = inspected(machine, golden.archive(name)), golden.facts(name)
    assert found["generation"] == facts["generation"][0:2]
    assert found["product_version"] == facts["version"]
    assert found["os_version"] == (facts["os_version"] or "Unknown")
    assert found["size"] == facts["outer"]["size"]
    assert found["compressor"] == (facts["outer"]["compressor"] or "")
    assert found["hash_kind"] == facts["hash_file"].removesuffix("sum")
    assert (found["tool_version"], found["notes"], found["error"]) == (None, [], None)
    assert found["fqdn"] == "engine.lab.example"
    # The synthetic engine of the archives has a machine of origin 6.
    assert found["hosted_engine"] is (True if "engine" in facts["databases"] else None)
    mtimes = {member["mtime"] for member in facts["members"]}
    assert datetime.fromisoformat(found["made_at"]).timestamp() in mtimes
    rows = {row["name"]: row for row in found["components"]}
    assert set(rows) == {"files", *facts["databases"]}
    assert rows["files"]["paths"] == len(facts["files"])
    for component, stock in facts["databases"].items():
        row = rows[component]
        assert f"./{row['member']}" == stock["member"]
        assert row["size"] == stock["size"]
        assert row["dump_format"] == stock["dump_format"]
        assert row["compressor"] == (stock["compressor"] or "")
        assert (row["raw_size"] is None) == (stock["dump_format"] == "custom" and not stock["compressor"])


def test_databases_of_golden_archives(name: str, machine: Machine) -> None:
    facts = golden.facts(name)
    for component, database in databases(inspected(machine, golden.archive(name))).items():
        stock, login = facts["databases"][component], facts["credentials"][component]
        assert database["tables"] == len(stock["tables"])
        assert database["owners"] == stock["owners"]
        assert database["granted_roles"] == stock["granted_roles"]
        assert database["extensions"] == ["uuid-ossp"]
        assert database["server_version"] == database["pg_dump_version"]
        assert database["server_version"] in ("9.2.24", "15.18")
        assert (database["database"], database["role"]) == (login["database"], login["user"])
        assert (database["host"], database["port"]) == (login["host"], int(login["port"]))
        if stock["dump_format"] == "plain":
            largest = [row["name"].removeprefix("public.") for row in database["largest_tables"]]
            names = {table.strip('"') for table in stock["tables"]}
            assert set(largest) <= names
            assert database["table_sizes"] == "dump"
            assert component != "engine" or largest[0] == "audit_log"
        else:
            assert database["largest_tables"] is None
            assert database["unknown"]


def test_certificates_and_configuration_of_golden_archives(name: str, machine: Machine) -> None:
    found, facts = inspected(machine, golden.archive(name)), golden.facts(name)
    paths = {row["path"] for row in found["certificates"]}
    archived = {f"/{row['path']}" for row in facts["files"] if row["type"] == "file"}
    assert paths == {
        path for path in archived if re.search(r"pki/ovirt-engine/(ca\.pem|certs/.*\.cer)$", path)
    }
    assert all(datetime.fromisoformat(row["not_after"]) > NOW for row in found["certificates"])
    settings = {row["name"]: row["value"] for row in found["configuration"]["settings"]}
    assert settings["ENGINE_FQDN"] == "engine.lab.example"
    assert settings["ENGINE_DB_USER"] == facts["credentials"]["engine"]["user"]
    assert found["configuration"]["hidden"] > 0


def test_certificates_of_hosts_are_counted_only(machine: Machine) -> None:
    gone = OWN.sign("gone.lab.example", end=NOW - timedelta(days=900)).pem
    hosts = {f"{PKI}certs/gone{number}.lab.example.cer": gone for number in range(300)}
    parts = put({**renewed(), **hosts})(replace(apart(NAME), files_form=""))
    machine.archive.write_bytes(parts.content())
    found = inspected(machine, machine.archive)
    assert {Path(row["path"]).name for row in found["certificates"]} >= {"engine.cer", "apache.cer", "ca.pem"}
    assert not [row for row in found["certificates"] if "gone" in row["path"]]
    assert found["host_certificates"] == 300
    assert "300 of other machines" in machine.command("inspect", str(machine.archive)).check().stdout
    with open_archive(machine.archive, machine.directory) as archive:
        facts = observe_archive(archive, postgres_programs.installed(), machine.root)
    assert len(facts.certificates) == len(found["certificates"])
    assert not [text for text in warnings(PreflightFacts(facts.certificates), NOW) if "gone" in text]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_no_password_of_a_golden_archive_is_shown(
    name: str, machine: Machine, words: tuple[str, ...]
) -> None:
    shown = inspect(machine, golden.archive(name), *words).check().stdout
    passwords = {login["password"] for login in golden.facts(name)["credentials"].values()}
    assert passwords
    for password in (*passwords, "mypass", "abc123"):
        assert password not in shown


def test_without_programs_of_postgresql(name: str, machine: Machine, no_programs: str) -> None:
    """What pg_restore would have told is unknown, and the reason is there; the rest is as ever."""
    found, facts = inspected(machine, golden.archive(name), no_programs), golden.facts(name)
    for component, database in databases(found).items():
        custom = facts["databases"][component]["dump_format"] == "custom"
        assert database["server_version"] in ("9.2.24", "15.18")
        assert database["database"] == facts["credentials"][component]["database"]
        assert (database["tables"] is None) == custom
        assert (database["unknown"] == "pg_restore is not installed") == custom
    needs = [row for row in found["needs"] if row["kind"] == "postgresql"]
    custom = [d for d in facts["databases"].values() if d["dump_format"] == "custom"]
    assert len(found["notes"]) == 1
    assert "no working pg_dump and pg_restore in" in found["notes"][0]
    assert [(row["found"], row["met"]) for row in needs] == ([("not installed", False)] if custom else [])


def test_a_converted_archive_is_said_to_be_one(machine: Machine, tmp_path: Path) -> None:
    converted = tmp_path / "converted.backup"
    machine.command("export", str(golden.archive("3.3.5-default")), str(converted), "--to=native").check()
    assert inspected(machine, converted)["converted"] is True
    told = machine.command("inspect", str(converted)).check().stdout
    assert "D, converted by engine-backup" in told


@pytest.mark.parametrize("preset", PRESETS)
def test_our_own_archives(
    original: Original, packed: dict[str, Path], machine: Machine, preset: str, no_programs: str
) -> None:
    """The manifest tells all of it, without any program."""
    found = inspected(machine, packed[preset], no_programs)
    assert [note for note in found["notes"] if "manifest" in note] == []
    assert (found["generation"], found["tool_version"], found["converted"]) == ("D", "0.1.0", False)
    assert (found["fqdn"], found["hosted_engine"]) == (original.sample.fqdn, False)
    rows = {row["name"]: row for row in found["components"]}
    assert set(rows) == {"files", *original.sample.components}
    chosen = PRESETS[preset]
    for component, login in original.sample.credentials.items():
        database, row = databases(found)[component], rows[component]
        assert row["compressor"] == chosen.dump.packing.compressor
        assert (row["raw_size"] is None) == (chosen.dump.own_level > 0)
        assert (database["database"], database["role"]) == (login.database, login.user)
        assert database["tables"] == len(original.databases[component].tables)
        assert database["table_sizes"] == "disk"
        assert database["size"] > sum(table["size"] for table in database["largest_tables"]) > 0
        assert "plpgsql" not in database["extensions"]
        assert database["unknown"] == ""
    assert {row["path"] for row in found["certificates"]} >= {"/etc/pki/ovirt-engine/ca.pem"}
    settings = {row["name"]: row["value"] for row in found["configuration"]["settings"]}
    assert settings["ENGINE_HEAP_MAX"] == "2g"
    assert set(settings) <= SHOWN_SETTINGS


def test_manifest_and_files_tell_the_same(original: Original, machine: Machine, tmp_path: Path) -> None:
    """Without the fields that the manifest has, the files themselves are read."""
    archive = original.machine.archive

    def forget(manifest: dict[str, Any]) -> None:
        for name in ("certificates", "configuration", "fqdn"):
            del manifest[name]
        for member in manifest["members"]:
            member.pop("tables", None)

    told = inspected(machine, archive)
    read = inspected(machine, with_changed_manifest(archive, tmp_path / "other.backup", forget))
    for name in ("certificates", "configuration", "fqdn"):
        assert read[name] == told[name]
    for component, database in databases(read).items():
        assert database["tables"] == databases(told)[component]["tables"]
        assert database["extensions"] == databases(told)[component]["extensions"]
        assert database["owners"] == databases(told)[component]["owners"]
    assert [row["raw_size"] for row in read["components"]] == [row["raw_size"] for row in told["components"]]


def test_no_password_of_ours_is_shown(original: Original, machine: Machine) -> None:
    archive = original.machine.archive
    shown = inspect(machine, archive).check().stdout + inspect(machine, archive, "--json").check().stdout
    with tarfile.open(archive) as opened:
        stream = opened.extractfile("./manifest.json")
        assert stream is not None
        manifest = stream.read().decode()
    for login in original.sample.credentials.values():
        assert login.password.reveal() not in shown
        assert json.dumps(login.password.reveal())[1:-1] not in manifest
    assert "mypass" not in shown + manifest
    assert "abc123" not in shown + manifest


def test_a_password_within_a_harmless_setting_is_hidden(machine: Machine, tmp_path: Path) -> None:
    conf = (
        b'ENGINE_DB_PASSWORD="correct-horse"\nENGINE_FQDN="x.${ENGINE_DB_PASSWORD}.y"\nENGINE_HEAP_MAX=1g\n'
    )
    files = tar_bytes(Crafted("etc/ovirt-engine/engine.conf.d/10-setup.conf", conf))
    archive = tmp_path / "crafted.backup"
    archive.write_bytes(archive_bytes(sound_members(files=files)))
    found = inspected(machine, archive)
    assert found["configuration"] == {"settings": [{"name": "ENGINE_HEAP_MAX", "value": "1g"}], "hidden": 2}


def test_conf_files_that_cannot_be_understood_are_a_note(machine: Machine, tmp_path: Path) -> None:
    files = tar_bytes(
        Crafted("etc/ovirt-engine/engine.conf.d/10-setup.conf", b"neither\x1b one nor the other\n")
    )
    archive = tmp_path / "crafted.backup"
    archive.write_bytes(archive_bytes(sound_members(files=files)))
    found = inspected(machine, archive)
    assert (found["configuration"], found["fqdn"], len(found["notes"])) == (None, None, 1)
    assert "10-setup.conf:1" in found["notes"][0]
    assert "Configuration" not in inspect(machine, archive).check().stdout


def test_what_this_machine_needs(original: Original, packed: dict[str, Path], machine: Machine) -> None:
    def met(*words: str) -> dict[str, Any]:
        found = inspected(machine, packed["default"], *words)
        return {f"{row['kind']} {row['needed'].split()[-1]}": row["met"] for row in found["needs"]}

    assert met()["product_version 4.5.7"] is None
    assert met("--product-version=4.5.7")["product_version 4.5.7"] is True
    assert met("--product-version=4.4.10")["product_version 4.5.7"] is False
    assert met("--product-version=rubbish")["product_version 4.5.7"] is None
    assert {"stock_program zstd", "stock_program xz"} <= set(met())
    kinds = {row["kind"] for row in inspected(machine, packed["small-size"])["needs"]}
    assert {"database_space", "file_space"} <= kinds
    assert not kinds & {"temporary_space", "postgresql"}
    wanted = {package for name in original.sample.components for package in BY_NAME[name].packages}
    found = inspected(machine, packed["default"])["needs"]
    assert {row["needed"] for row in found if row["kind"] == "package"} == {f"package {w}" for w in wanted}


def test_people_see_tables(original: Original, machine: Machine) -> None:
    lines = inspect(machine, original.machine.archive).check().stdout.splitlines()
    assert lines[0] == str(original.machine.archive)
    assert "hashes not checked; engine-backup verify does" in lines[-1]
    assert not [line for line in lines if "\x1b" in line]
    for component in DATABASES:
        assert (f"{component.label} database" in lines) == (component.name in original.sample.credentials)
    shown = [line.rsplit(None, 1) for line in lines[lines.index("Inventory") :]]
    size = original.sample.size
    assert ["  virtual machines", str(size.vms)] in [[row[0].rstrip(), row[-1]] for row in shown if row]
    rows = [line for line in lines if line.startswith("  /") or " /etc/pki/" in line]
    assert len({line.index("/etc/pki/") for line in rows}) == 1


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_on_a_terminal(original: Original, variables: dict[str, str], coloured: bool) -> None:
    stdout = Terminal()
    environment = Environment(variables=variables, stdin=io.StringIO(), stdout=stdout, stderr=io.StringIO())
    assert run(["inspect", str(original.machine.archive)], environment) == 0
    assert ("\x1b[32m" in stdout.getvalue()) is coloured


def test_nothing_is_left_or_changed(original: Original, machine: Machine) -> None:
    before = original.machine.archive.stat()
    inspect(machine, original.machine.archive).check()
    inspect(machine, golden.archive("4.5.7-default")).check()
    after = original.machine.archive.stat()
    assert (before.st_mtime_ns, before.st_atime_ns, before.st_mode) == (
        after.st_mtime_ns, after.st_atime_ns, after.st_mode,
    )  # fmt: skip
    assert list(machine.root.rglob("*")) == []
    assert machine.leftovers() == []


@contextmanager
def bytes_read() -> Iterator[list[int]]:
    """Collect how many bytes this process reads while the block lasts (proc(5), rchar)."""
    found: list[int] = []

    def total() -> int:
        text = Path("/proc/self/io").read_text(encoding="ascii")
        return int(re.findall(r"rchar: (\d+)", text)[0])

    before = total()
    yield found
    found.append(total() - before)


@pytest.mark.parametrize("mode", ["inspect", "list"])
def test_a_huge_member_is_not_read(original: Original, machine: Machine, tmp_path: Path, mode: str) -> None:
    small = original.machine.archive
    huge = with_huge_member(small, tmp_path / "huge.backup", 4 << 30)
    machine.command(mode, "--json", str(small)).check()
    with bytes_read() as count:
        found = json.loads(machine.command(mode, "--json", str(huge)).check().stdout)
    assert (found if mode == "inspect" else found["archives"][0])["size"] > 4 << 30
    assert count[0] < 16 << 20


HOSTILE_TEXT = "\x1b]0;owned\x07\u202e\r\n"


def spoil(value: Any) -> Any:
    """Put what terminals obey into every text of a manifest."""
    if isinstance(value, dict):
        return {key: spoil(item) for key, item in value.items()}
    if isinstance(value, list):
        return [spoil(item) for item in value]
    keep = isinstance(value, str) and (value.startswith("db/") or value == "files")
    return value + HOSTILE_TEXT if isinstance(value, str) and not keep else value


@pytest.mark.parametrize("words", [(), ("--json",)])
@pytest.mark.parametrize("mode", ["inspect", "list"])
def test_what_terminals_obey_does_not_reach_one(
    original: Original, machine: Machine, tmp_path: Path, mode: str, words: tuple[str, ...]
) -> None:
    def change(manifest: dict[str, Any]) -> None:
        spoiled = spoil(manifest)
        manifest.update({**spoiled, "format": manifest["format"]})

    hostile = with_changed_manifest(original.machine.archive, tmp_path / "hostile.backup", change)
    result = machine.command(mode, str(hostile), *words).check()
    assert ("owned" in result.stdout) == (mode == "inspect" or bool(words))
    assert all(line.isprintable() for line in (result.stdout + result.stderr).splitlines())


def test_a_name_that_terminals_obey_does_not_reach_one(machine: Machine, tmp_path: Path) -> None:
    archive = tmp_path / "hostile.backup"
    archive.write_bytes(tar_bytes(Crafted("./version", b"4.5.7\n"), Crafted(f"./../{HOSTILE_TEXT}", b"")))
    for words in ((), ("--json",)):
        result = inspect(machine, archive, *words)
        assert result.status == 6
        assert all(line.isprintable() for line in (result.stdout + result.stderr).splitlines())


def test_a_manifest_of_another_archive_is_not_believed(original: Original, machine: Machine, tmp_path: Path):
    def change(manifest: dict[str, Any]) -> None:
        for member in manifest["members"]:
            member["size"] += 1
            member["database"] = "forged"

    archive = with_changed_manifest(original.machine.archive, tmp_path / "other.backup", change)
    found = inspected(machine, archive)
    assert "forged" not in json.dumps(found)
    assert "not believed" in found["notes"][0]
    assert databases(found)["engine"]["tables"] == len(original.databases["engine"].tables)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 5),
        (b"[]", 5),
        (b"[" * 100_000, 5),
        (b'{"members": ' + b"9" * 10_000 + b"}", None),
        (b'{"format": "engine-backup manifest", "format_version": 1}', 0),
        (b'{"format": "engine-backup manifest", "format_version": 1, "members": [[]], "fqdn": {}}', 0),
        (b'{"format": "engine-backup manifest", "format_version": 7}', 0),
        (b"{}", 0),
    ],
)
def test_strange_manifests(
    original: Original, machine: Machine, tmp_path: Path, content: bytes, status: int | None
) -> None:
    archive = with_manifest(original.machine.archive, tmp_path / "strange.backup", content)
    result = inspect(machine, archive, "--json")
    # Python refuses numbers of so many digits since 3.10.7 or so
    assert result.status in ((0, 5) if status is None else (status,))
    found = json.loads(result.stdout)
    if result.status:
        assert found["error"]["status"] == result.status
        assert len(result.fatal) == 1
    else:
        assert databases(found)["engine"]["tables"] == len(original.databases["engine"].tables)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


BAD_FILES = {
    "empty": (b"", 4),
    "text": (b"no archive\n" * 200, 4),
    "foreign tar": (tar_bytes(Crafted("hello", b"x")), 4),
    "truncated": (cut(archive_bytes(sound_members(files=bytes(100_000)))), 5),
    "truncated gzip": (cut(golden.archive("4.5.7-default").read_bytes()), 5),
    "truncated bzip2": (cut(golden.archive("3.3.5-default").read_bytes()), 5),
    "device": (tar_bytes(Crafted("./version", b"4.5.7\n"), Crafted("./x", type=tarfile.CHRTYPE)), 6),
    "shell in config": (archive_bytes(sound_members(config=b"DB_DUMP_FORMAT=$(touch /x)\n")), 6),
    "no version": (archive_bytes({"config": b"", "files": b""}), 5),
    "strange version": (archive_bytes(sound_members(version=b"4.5.7\x1b[2J\n")), 5),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_end_as_with_verify(machine: Machine, tmp_path: Path, kind: str) -> None:
    content, status = BAD_FILES[kind]
    archive = tmp_path / "bad.backup"
    archive.write_bytes(content)
    verified = machine.command(
        "verify", str(archive), f"--root={machine.root}", f"--log={tmp_path}/log", "--product-version=4.5.7"
    )
    for words in ((), ("--json",)):
        result = inspect(machine, archive, *words)
        assert result.status == status
        assert (verified.status, verified.fatal) == (status, result.fatal)
    found = json.loads(result.stdout)
    assert list(found) == ["format", "format_version", "path", "error"]
    assert machine.leftovers() == []


def test_what_is_no_file(machine: Machine, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (tmp_path, pipe, Path("/dev/zero"), tmp_path / "missing"):
        result = inspect(machine, place)
        assert (result.status, len(result.fatal)) == (4, 1), place
        assert str(place) in result.fatal[0]


@pytest.mark.parametrize(
    "words", [["inspect"], ["inspect", "a", "b"], ["inspect", "--log=x", "--level=deep"]]
)
def test_command_lines_that_are_refused(machine: Machine, words: list[str]) -> None:
    assert machine.command(*words).status == 1


def test_options_without_a_meaning_are_named(original: Original, machine: Machine) -> None:
    result = inspect(machine, original.machine.archive, "--scope=files").check()
    assert "--scope has no meaning with --mode=inspect" in result.stderr


def test_mode_as_option(original: Original, machine: Machine) -> None:
    words = ["--mode=inspect", f"--file={original.machine.archive}", "--json"]
    assert json.loads(machine.command(*words).check().stdout)["generation"] == "D"
