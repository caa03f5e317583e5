"""Crafted and broken archives are refused, with the culprit's name, before anything is unpacked."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_backup.drivers.archive_reader import Archive, open_archive
from engine_backup.drivers.archive_texts import parse_config
from engine_backup.drivers.hash_lines import hash_line, parse_hash_lines
from engine_backup.drivers.tar_headers import parse_header
from engine_backup.model.archive import EntryType, FileEntry, Generation, ReadLimits
from engine_backup.model.errors import (
    DamagedArchiveError,
    EngineBackupError,
    HostileArchiveError,
    UnreadableArchiveError,
)
from tests.support import hostile_archives as hostile
from tests.support.hostile_archives import DIRECTORY, HARDLINK, SYMLINK, Crafted

Check = Callable[[Archive], object]


def nothing(_archive: Archive) -> None:
    return


def hashes(archive: Archive) -> None:
    archive.hashes.check_all()


def entries(archive: Archive) -> list[FileEntry]:
    return archive.file_entries()


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[..., str]:
    """Read an archive, and return the message that it is refused with."""

    def read(
        content: bytes,
        error: type[EngineBackupError],
        check: Check = nothing,
        limits: ReadLimits | None = None,
    ) -> str:
        path = tmp_path / "crafted.backup"
        path.write_bytes(content)
        with pytest.raises(error) as caught, open_archive(path, tmp_path, limits) as archive:
            check(archive)
        assert caught.type is error
        return caught.value.message

    return read


def read_archive(content: bytes, tmp_path: Path, check: Check) -> object:
    (tmp_path / "crafted.backup").write_bytes(content)
    with open_archive(tmp_path / "crafted.backup", tmp_path) as archive:
        return check(archive)


SOUND = hostile.sound_members()


@pytest.mark.parametrize(("member", "message"), hostile.OUTER.values(), ids=hostile.OUTER)
def test_hostile_members(member: Crafted, message: str, refuse: Callable[..., str]) -> None:
    assert message in refuse(hostile.archive_bytes(SOUND, member), HostileArchiveError)


@pytest.mark.parametrize(("members", "message"), hostile.INNER.values(), ids=hostile.INNER)
def test_hostile_archived_files(members: list[Crafted], message: str, refuse: Callable[..., str]) -> None:
    assert message in refuse(hostile.with_files(*members), HostileArchiveError, entries)


def test_hostile_tree(refuse: Callable[..., str]) -> None:
    through = [
        Crafted("./files/etc/link", type=SYMLINK, link="/etc"),
        Crafted("./files/etc/link/passwd", b"x"),
    ]
    assert "lies below" in refuse(hostile.tree_archive(*through), HostileArchiveError)
    leaving = Crafted("./files/etc/x", type=HARDLINK, link="./version")
    assert "is a link" in refuse(hostile.tree_archive(leaving), HostileArchiveError)


def test_links_in_a_tree_are_normal(tmp_path: Path) -> None:
    tree = hostile.tree_archive(
        Crafted("./files/etc/a", b"x"),
        Crafted("./files/etc/b", type=HARDLINK, link="./files/etc/a"),
        Crafted("./files/etc/c", type=SYMLINK, link="/etc/a"),
    )
    found = read_archive(tree, tmp_path, entries)
    assert isinstance(found, list)
    assert [(entry.path, entry.link_target) for entry in found] == [
        (b"etc/a", None),
        (b"etc/b", b"etc/a"),
        (b"etc/c", b"/etc/a"),
    ]
    assert read_archive(tree, tmp_path, lambda archive: archive.generation) is Generation.A
    wanted = read_archive(tree, tmp_path, lambda archive: archive.read_files(lambda path: path == b"etc/b"))
    assert wanted == {b"etc/b": b"x"}


def test_setuid_files_are_reported_and_setgid_directories_are_not(tmp_path: Path) -> None:
    content = hostile.with_files(
        Crafted("etc/d/", type=DIRECTORY, mode=0o2775),
        Crafted("etc/s", b"x", mode=0o4755),
        Crafted("etc/g", b"x", mode=0o2755),
    )
    found = read_archive(content, tmp_path, entries)
    assert isinstance(found, list)
    assert [entry.is_set_id for entry in found] == [False, True, True]


def test_a_path_that_comes_twice_in_the_inner_tar_counts_once(tmp_path: Path) -> None:
    """GNU tar writes it so when its list of names has a path twice; the later one wins."""
    content = hostile.with_files(
        Crafted("etc/a", b"old"), Crafted("etc/a", b"newer"), Crafted("etc/a", type=HARDLINK, link="etc/a")
    )
    found = read_archive(content, tmp_path, entries)
    assert isinstance(found, list)
    assert [(entry.path, entry.type, entry.size) for entry in found] == [(b"etc/a", EntryType.FILE, 5)]
    assert read_archive(content, tmp_path, lambda a: a.read_files(lambda _path: True)) == {b"etc/a": b"newer"}


def test_not_an_archive(refuse: Callable[..., str], tmp_path: Path) -> None:
    for content in (b"", b"hello\n" * 1000, b"hello", bytes(10240), b"SQLite format 3\0" * 100):
        refuse(content, UnreadableArchiveError)
    other = hostile.tar_bytes(Crafted("holiday.jpg", b"x"))
    assert "none of engine-backup" in refuse(other, UnreadableArchiveError)
    for path in (tmp_path, tmp_path / "missing", Path("/dev/null")):
        with pytest.raises(UnreadableArchiveError), open_archive(path, tmp_path):
            pass


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(UnreadableArchiveError, match="no regular file"),
        open_archive(tmp_path / "pipe", tmp_path),
    ):
        pass


def test_damage_in_the_first_header_is_no_foreign_file(refuse: Callable[..., str]) -> None:
    whole = bytearray(hostile.archive_bytes(SOUND))
    for place in (100, 150, 257, 300):
        whole[place] ^= 1
        assert "checksum" in refuse(bytes(whole), DamagedArchiveError)
        whole[place] ^= 1


def test_every_region_of_a_header_is_guarded(refuse: Callable[..., str]) -> None:
    whole = bytearray(hostile.archive_bytes(SOUND))
    for place in range(1024, 1536):
        whole[place] ^= 1 << place % 8
        refuse(bytes(whole), DamagedArchiveError)
        whole[place] ^= 1 << place % 8


def test_truncated(refuse: Callable[..., str]) -> None:
    whole = hostile.archive_bytes(hostile.sound_members(files=bytes(3000)))
    for length in range(512, len(whole), 128):
        refuse(whole[:length], DamagedArchiveError)


def test_something_behind_the_end(refuse: Callable[..., str]) -> None:
    whole = hostile.archive_bytes(SOUND)
    assert "behind its end" in refuse(whole + whole, DamagedArchiveError)
    assert "behind its end" in refuse(whole + bytes(5000) + b"x", DamagedArchiveError)


def test_hash_file_missing(refuse: Callable[..., str]) -> None:
    content = hostile.archive_bytes(SOUND, with_hashes=False)
    assert "No supported hash file found" in refuse(content, DamagedArchiveError, hashes)


def test_wrong_hash(refuse: Callable[..., str]) -> None:
    lines = hostile.hash_file({**SOUND, "version": b"other"})
    content = hostile.archive_bytes(SOUND, Crafted("./sha256sum", lines), with_hashes=False)
    assert refuse(content, DamagedArchiveError, hashes).endswith("Checksum verification failed: version")


def test_hash_line_without_member(refuse: Callable[..., str]) -> None:
    lines = hostile.hash_file({**SOUND, "db/engine_backup.db": b"gone"})
    content = hostile.archive_bytes(SOUND, Crafted("./sha256sum", lines), with_hashes=False)
    assert "db/engine_backup.db is missing" in refuse(content, DamagedArchiveError, hashes)


def test_member_without_hash_line(refuse: Callable[..., str]) -> None:
    content = hostile.archive_bytes(SOUND, Crafted("./db/engine_backup.db", b"smuggled"))
    assert "db/engine_backup.db has no line" in refuse(content, DamagedArchiveError, hashes)


CONFIGS = {
    "command": hostile.SQL_IN_CONFIG,
    "second command on the line": b"DB_DUMP_FORMAT=plain; reboot\n",
    "unknown word": b"DB_DUMP_COMPRESSOR=lzma\n",
    "other statement": b"export PATH=/tmp\n",
    "lower case key": b"path=plain\n",
    "carriage return": b"DB_DUMP_FORMAT=plain\r\n",
    "quote that does not end": b"DB_DUMP_FORMAT='plain\n",
    "comment": b"# hello\n",
    "no text": b"\xff\xfe\n",
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_shell_in_config(config: bytes, refuse: Callable[..., str]) -> None:
    content = hostile.archive_bytes(hostile.sound_members(config=config))
    message = refuse(content, HostileArchiveError, lambda archive: archive.config)
    assert f"line {config.count(bytes([10]))} of config" in message


def test_quoted_words_in_config() -> None:
    config = b"DB_DUMP_FORMAT='plain'\n\nDB_DUMP_COMPRESSOR=\"\"\nDB_DUMP_COMPRESSOR=zstd\n"
    assert parse_config(config, "x") == {"DB_DUMP_FORMAT": "plain", "DB_DUMP_COMPRESSOR": "zstd"}


DUMPS = {
    "format": (b"DB_DUMP_FORMAT=plain\nDB_DUMP_COMPRESSOR=\n", b"PGDMP and more"),
    "compressor": (b"DB_DUMP_FORMAT=plain\nDB_DUMP_COMPRESSOR=gzip\n", b"-- plain SQL\n"),
}


@pytest.mark.parametrize(("config", "dump"), DUMPS.values(), ids=DUMPS)
def test_dumps_that_are_not_what_config_says(config: bytes, dump: bytes, refuse: Callable[..., str]) -> None:
    members = hostile.sound_members(config=config, **{"db/engine_backup.db": dump})
    message = refuse(hostile.archive_bytes(members), DamagedArchiveError, lambda archive: archive.dumps)
    assert message.startswith("db/engine_backup.db")


def test_a_grafana_database_that_is_none(refuse: Callable[..., str]) -> None:
    members = hostile.sound_members(**{"db/grafana.db": b"<html>"})
    assert "grafana" in refuse(
        hostile.archive_bytes(members), DamagedArchiveError, lambda archive: archive.dumps
    )


def test_where_nothing_is_declared_the_content_decides(tmp_path: Path) -> None:
    members = hostile.sound_members(
        config=b"", **{"db/engine_backup.db": b"-- SQL\n", "db/dwh_backup.db": b"PGDMP..."}
    )
    members["db/keycloak_backup.db"] = b""
    dumps = read_archive(hostile.archive_bytes(members), tmp_path, lambda archive: archive.dumps)
    assert isinstance(dumps, dict)
    assert {name: dump.dump_format for name, dump in dumps.items()} == {"engine": "plain", "dwh": "custom"}


@pytest.mark.parametrize("name", ["version", "os_version"])
def test_versions_are_one_word(name: str, refuse: Callable[..., str]) -> None:
    content = hostile.archive_bytes(hostile.sound_members(**{name: b"4.5\x1b[2J\n"}))
    refuse(content, DamagedArchiveError, lambda archive: getattr(archive, name))


def test_manifests(refuse: Callable[..., str]) -> None:
    for manifest in (b"{", b"[]", b"[" * 100_000, b"\xff"):
        content = hostile.archive_bytes(hostile.sound_members(**{"manifest.json": manifest}))
        refuse(content, DamagedArchiveError, lambda archive: archive.manifest)


def test_too_many_members(refuse: Callable[..., str]) -> None:
    members = [Crafted(f"etc/{number}") for number in range(20)]
    message = refuse(hostile.with_files(*members), HostileArchiveError, entries, ReadLimits(members=15))
    assert "more than 15 members" in message


def test_a_configuration_file_that_is_no_small_file(refuse: Callable[..., str]) -> None:
    content = hostile.with_files(Crafted("etc/big.conf", bytes(2 << 20)))
    read = lambda archive: archive.read_files(lambda path: path.endswith(b".conf"))  # noqa: E731
    assert "etc/big.conf" in refuse(content, HostileArchiveError, read)


def test_absurd_long_names(refuse: Callable[..., str]) -> None:
    long_name = Crafted("././@LongLink", type=tarfile.GNUTYPE_LONGNAME, size=1 << 40)
    assert "name or pax header" in refuse(hostile.archive_bytes(SOUND, long_name), HostileArchiveError)


def test_sparse_maps_that_contradict_themselves(refuse: Callable[..., str]) -> None:
    sparse = Crafted("etc/x", b"12345", type=tarfile.GNUTYPE_SPARSE)
    assert "sparse map" in refuse(hostile.with_files(sparse), HostileArchiveError, entries)


def test_pax_names_are_checked_like_others(refuse: Callable[..., str], tmp_path: Path) -> None:
    for records, error in (
        ({"path": "/etc/passwd"}, HostileArchiveError),
        ({"path": "a/../../b"}, HostileArchiveError),
        ({"GNU.sparse.name": "b"}, HostileArchiveError),
        ({"size": "-5"}, DamagedArchiveError),
    ):
        inner = hostile.pax_tar("a", records)
        refuse(hostile.archive_bytes(hostile.sound_members(files=inner)), error, entries)
    inner = hostile.pax_tar("a", {"path": "etc/näme", "mtime": "12.75", "comment": "x"})
    found = read_archive(hostile.archive_bytes(hostile.sound_members(files=inner)), tmp_path, entries)
    assert isinstance(found, list)
    assert (found[0].path, found[0].mtime) == ("etc/näme".encode(), 12)


def test_an_inner_tar_without_files(tmp_path: Path) -> None:
    content = hostile.archive_bytes(hostile.sound_members(files=bytes(10240)))
    assert read_archive(content, tmp_path, entries) == []


def test_an_inner_tar_that_is_none(refuse: Callable[..., str]) -> None:
    content = hostile.archive_bytes(hostile.sound_members(files=b"no tar at all" * 100))
    refuse(content, DamagedArchiveError, entries)


TEXT_NAMES = st.text(
    st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1, max_size=20
)


@given(name=TEXT_NAMES.filter(lambda name: not name.startswith("./")))
def test_hash_lines_keep_every_name(name: str) -> None:
    line = hash_line("a" * 64, name)
    assert parse_hash_lines(line, "sha256", "x") == {name.encode(): "a" * 64}
    assert line.count(b"\n") == 1


@given(content=st.binary(max_size=200))
def test_hash_files_are_read_or_refused(content: bytes) -> None:
    try:
        parse_hash_lines(content, "sha256", "x")
    except DamagedArchiveError as error:
        assert error.message.startswith("x")


@settings(max_examples=300)
@given(fields=st.binary(min_size=512, max_size=512))
def test_any_header_is_read_or_refused(fields: bytes) -> None:
    block = bytearray(fields)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    try:
        header = parse_header(bytes(block), "x")
    except EngineBackupError as error:
        assert error.message.startswith("x")
    else:
        assert header.size >= 0
        assert header.mode <= 0o7777


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_random_damage_never_gives_anything_but_our_errors(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray(
        hostile.with_files(Crafted("etc/a", b"content"), Crafted("etc/l", type=SYMLINK, link="a"))
    )
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "x"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        with open_archive(path, path.parent) as archive:
            archive.hashes.check_all()
            archive.file_entries()
    except EngineBackupError:
        return
    # What reads without complaint is what was written.
    assert archive.members.keys() >= {"version", "config", "files"}


@pytest.mark.parametrize("when", [1 << 62, 1 << 80, -(1 << 62), -(1 << 70)])
def test_times_that_no_file_can_have(when: int, refuse, monkeypatch):
    monkeypatch.setattr(hostile, "WHEN", when)
    content = hostile.archive_bytes(SOUND)
    assert f"absurd mtime {when}" in refuse(content, HostileArchiveError)
