"""Every archive that a stock release really wrote reads as its description says."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine_backup.drivers import file_placing, file_tree
from engine_backup.drivers.archive_reader import open_archive
from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.paths import SAVED_PATHS
from engine_backup.plan.file_selection import select

GOLDEN = sorted((Path(__file__).parent.parent / "golden").glob("*.backup"))


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> tuple[Path, dict[str, Any]]:
    path: Path = request.param
    return path, json.loads(path.with_suffix(".json").read_text())


def described(entry: FileEntry) -> dict[str, Any]:
    shown = {
        "type": entry.type.value,
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "uname": entry.uname,
        "gname": entry.gname,
        "mtime": entry.mtime,
    }
    if entry.type is EntryType.FILE:
        shown["size"] = entry.size
    if entry.link_target is not None:
        shown["target"] = os.fsdecode(entry.link_target)
    return shown


def expected(record: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    path = bytes.fromhex(record["path_hex"]) if "path_hex" in record else record["path"].encode()
    wanted = ("type", "mode", "uid", "gid", "uname", "gname", "mtime", "target")
    shown = {key: record[key] for key in wanted if key in record}
    if record["type"] == "file":
        shown["size"] = record["size"]
    return path, shown


def test_what_it_is(golden: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, facts = golden
    with open_archive(path, tmp_path) as archive:
        assert archive.generation.value == facts["generation"]
        assert archive.version == facts["version"]
        assert archive.os_version == (facts["os_version"] or "Unknown")
        assert archive.config == (facts["config"] or {})
        assert f"{archive.hashes.kind}sum" == facts["hash_file"]
        assert archive.compressor == (facts["outer"]["compressor"] or "")
        assert archive.files_kind == facts["files_kind"]
        assert archive.files_compressor == (facts.get("files_compressor") or "")
        assert archive.manifest is None


def test_members(golden: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, facts = golden
    with open_archive(path, tmp_path) as archive:
        for record in facts["members"]:
            name = record["path"][2:]
            if not name or (name == "files" and record["type"] == "dir"):
                continue
            member = archive.members[name]
            assert (member.entry.type.value, f"{member.mode:04o}") == (record["type"], record["mode"])
            assert (member.entry.uid, member.entry.gname) == (record["uid"], record["gname"])
            assert member.mtime == record["mtime"]
            if record["type"] == "file":
                assert member.size == record["size"]
                assert archive.hashes.digest(name, "sha256") == record["sha256"]
        outside = {name for name in archive.members if not name.startswith("files/")}
        assert outside - {"files"} == {record["path"][2:] for record in facts["members"]} - {"", "files"}


def test_hashes(golden: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, facts = golden
    seen: dict[str, int] = {}
    with open_archive(path, tmp_path) as archive:
        archive.hashes.check_all(lambda name, count: seen.update({name: seen.get(name, 0) + count}))
        files = {name for name, member in archive.members.items() if member.is_file and member.size}
        assert {name for name, count in seen.items() if count} >= files - {facts["hash_file"]}
        assert archive.read_small(facts["hash_file"]).count(b"\n") == facts["hash_lines"]


def test_dumps(golden: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, facts = golden
    with open_archive(path, tmp_path) as archive:
        dumps = {name: dump for name, dump in archive.dumps.items() if dump.dump_format != "sqlite"}
        wanted = {name: record for name, record in facts["databases"].items() if name != "grafana"}
        assert dumps.keys() == wanted.keys()
        assert ("grafana" in archive.dumps) == ("grafana" in facts["databases"])
        for name, record in wanted.items():
            dump = dumps[name]
            assert (dump.dump_format, dump.compressor) == (record["dump_format"], record["compressor"] or "")
            assert dump.size == record["size"]
            assert dump.member == record["member"].replace("./", "", 1)
            assert archive.hashes.digest(dump.member, "sha256") == record["sha256"]


def test_archived_files(golden: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, facts = golden
    with open_archive(path, tmp_path) as archive:
        found = {entry.path: described(entry) for entry in archive.file_entries()}
        assert found == dict(expected(record) for record in facts["files"])


def test_contents_of_archived_files(golden: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, facts = golden
    records = {expected(record)[0]: record for record in facts["files"]}
    with open_archive(path, tmp_path) as archive:
        contents = archive.read_files(lambda _path: True, limit=64 << 20)
    assert contents.keys() == {
        name for name, record in records.items() if record["type"] in ("file", "hardlink")
    }
    for name, content in contents.items():
        if "sha256" in records[name]:
            assert hashlib.sha256(content).hexdigest() == records[name]["sha256"]


def test_staging_and_placing(golden: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, facts = golden
    root = tmp_path / "root"
    root.mkdir()
    with open_archive(path, tmp_path) as archive:
        entries = archive.file_entries()
        selected = select(entries, SAVED_PATHS).restore
        with archive.open_files_tar() as stream:
            file_tree.stage(stream, tmp_path / "staging", selected, entries)
    assert (tmp_path / "staging").stat().st_mode & 0o777 == 0o700
    assert file_placing.check_places(root, selected) == []
    report = file_placing.place(tmp_path / "staging", root, selected)
    assert report.placed == len(selected)
    if os.geteuid() == 0:
        assert report.owners_not_set == ()
    records = dict(expected(record) for record in facts["files"])
    for entry in selected:
        assert_placed(os.fsencode(root), entry, records[entry.path])


def assert_placed(root: bytes, entry: FileEntry, record: dict[str, Any]) -> None:
    placed = os.path.join(root, entry.path)
    status = os.lstat(placed)
    assert status.st_mtime == record["mtime"]
    if os.geteuid() == 0:
        assert status.st_gid == file_placing.group_number(record["gname"], record["gid"])
    if entry.type is EntryType.SYMLINK:
        assert str(Path(os.fsdecode(placed)).readlink()) == record["target"]
        return
    assert f"{status.st_mode & 0o7777:04o}" == record["mode"]
    if entry.type is EntryType.HARDLINK:
        assert status.st_ino == os.lstat(os.path.join(root, os.fsencode(record["target"]))).st_ino
    if entry.type is EntryType.FILE:
        assert status.st_size == record["size"]


def test_reading_leaves_no_trace(golden: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    path, _ = golden
    copy = tmp_path / "copy.backup"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, (1_000_000_000, 1_100_000_000))
    copy.chmod(0o400)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    with open_archive(copy, workspace) as archive:
        archive.hashes.check_all()
    status = copy.stat()
    assert (status.st_atime, status.st_mtime, status.st_mode & 0o777) == (1_000_000_000, 1_100_000_000, 0o400)
    assert list(workspace.iterdir()) == []
