"""Finding, saving, staging and placing real files with the real GNU tar."""

# Archived names are bytes, pathlib holds text.
# ruff: noqa: PTH101, PTH103, PTH115, PTH116, PTH120

from __future__ import annotations

import io
import os
import socket
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from engine_backup.drivers import file_placing, file_tree
from engine_backup.drivers.file_placing import Placing, check_places, place
from engine_backup.drivers.file_tree import find_paths, save, stage
from engine_backup.drivers.tar_relations import check_relations
from engine_backup.drivers.tar_walk import TarWalk
from engine_backup.model.archive import EntryType, FileEntry, ReadLimits
from engine_backup.model.errors import DamagedArchiveError, EngineBackupError, ProgramError
from engine_backup.model.paths import LEFT_OUT_OF_BACKUP, SAVED_PATHS, extra_path
from tests.support.hostile_archives import Crafted, tar_bytes

WHEN = 1_700_000_000
IS_ROOT = os.geteuid() == 0
ODD_NAMES = [
    b"-rf",
    b"--checkpoint-action=exec=sh",
    b"new\nline",
    b"back\\slash",
    b"caf\xe9",
    b" blank ",
    b"star*",
    b"quo'te\"s",
    b"back\\nslash",
    b"@LongLink",
    b"x" * 200,
]


class Collected:
    """A sink that takes back what a failing block wrote."""

    def __init__(self) -> None:
        self.content = b""
        self.tries = 0

    @contextmanager
    def __call__(self) -> Iterator[io.BytesIO]:
        self.tries += 1
        buffer = io.BytesIO()
        yield buffer
        self.content = buffer.getvalue()


class Disturbing(Collected):
    """A sink during whose every write somebody else writes into a file that is being saved."""

    def __init__(self, path: bytes) -> None:
        super().__init__()
        self.path = path

    @contextmanager
    def __call__(self) -> Iterator[io.BytesIO]:
        with super().__call__() as buffer, DisturbingBuffer(self.path) as disturbing:
            yield disturbing
            buffer.write(disturbing.getvalue())


class DisturbingBuffer(io.BytesIO):
    """Memory; a file changes whenever something is written to it."""

    def __init__(self, path: bytes) -> None:
        super().__init__()
        self.path = path
        self.times = 0

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self.times += 1
        with open(self.path, "r+b") as stream:
            stream.write(b"x")
        os.utime(self.path, (self.times, self.times))
        return super().write(data)


def put(root: Path, name: str | bytes, content: bytes = b"content\n", mode: int = 0o644) -> bytes:
    path = os.path.join(os.fsencode(root), os.fsencode(name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(content)
    os.chmod(path, mode)
    os.utime(path, (WHEN, WHEN))
    return path


def entries_of(content: bytes) -> list[FileEntry]:
    walk = TarWalk(io.BytesIO(content), "x", ReadLimits())
    return [member.entry for member in check_relations(walk, "x", repeated=True).values()]


def saved(root: Path, *extra: str) -> tuple[bytes, list[FileEntry]]:
    sink = Collected()
    found = find_paths(root, [extra_path(path) for path in extra], ())
    save(root, found.names, sink)
    return sink.content, entries_of(sink.content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A directory on another file system than the one of `tmp_path`."""
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK) or place.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    import tempfile

    with tempfile.TemporaryDirectory(dir=place) as directory:
        yield Path(directory)


class TestFinding:
    def test_known_paths_that_exist(self, root: Path) -> None:
        for name in (
            "etc/ovirt-engine/engine.conf.d/10.conf",
            "var/lib/ovirt-engine/.hidden",
            "var/lib/ovirt-engine/engine.up",
            "var/lib/ovirt-engine/backups/old.backup",
            "var/lib/ovirt-engine/jboss_runtime/x",
            "var/lib/grafana/grafana.db",
            "var/lib/grafana/grafana.db-wal",
            "var/lib/grafana/plugins/p",
            "etc/sysconfig/ovirt-engine-dwhd",
            "etc/sysconfig/network",
            "etc/passwd",
        ):
            put(root, name)
        found = find_paths(root, SAVED_PATHS, LEFT_OUT_OF_BACKUP)
        assert found.names == (
            b"etc/ovirt-engine",
            b"etc/ovirt-engine/engine.conf.d",
            b"etc/ovirt-engine/engine.conf.d/10.conf",
            b"etc/sysconfig/ovirt-engine-dwhd",
            b"var/lib/grafana/plugins",
            b"var/lib/grafana/plugins/p",
            b"var/lib/ovirt-engine/.hidden",
        )
        assert "/etc/pki/ovirt-engine" in [row.path for row in found.missing]
        assert "/etc/ovirt-engine" not in [row.path for row in found.missing]

    def test_sockets_and_pipes_are_skipped_and_named(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(root, "etc/x/file")
        os.mkfifo(root / "etc/x/pipe")
        monkeypatch.chdir(root / "etc/x")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            found = find_paths(root, [extra_path("/etc/x")], ())
        assert found.names == (b"etc/x", b"etc/x/file")
        assert found.skipped == ((b"etc/x/pipe", "a pipe"), (b"etc/x/socket", "a socket"))

    def test_links_are_not_followed_below_a_row(self, root: Path) -> None:
        put(root, "data/file")
        put(root, "etc/x/file")
        (root / "etc/x/link").symlink_to("../../data")
        (root / "etc/y").symlink_to("../data")
        (root / "etc/broken").symlink_to("nowhere")
        found = find_paths(root, [extra_path(f"/etc/{name}") for name in ("x", "y", "broken")], ())
        assert found.names == (b"etc/broken", b"etc/x", b"etc/x/file", b"etc/x/link", b"etc/y")
        assert found.skipped[0][0] == b"etc/y"

    def test_links_above_a_row_are_followed(self, root: Path) -> None:
        put(root, "data/content/file")
        (root / "var/lib").mkdir(parents=True)
        (root / "var/lib/ovirt-engine").symlink_to("../../data")
        found = find_paths(root, SAVED_PATHS, ())
        assert found.names == (b"var/lib/ovirt-engine/content", b"var/lib/ovirt-engine/content/file")

    def test_odd_names(self, root: Path) -> None:
        for name in ODD_NAMES:
            put(root, b"etc/x/" + name)
        found = find_paths(root, [extra_path("/etc/x")], ())
        assert set(found.names) == {b"etc/x", *(b"etc/x/" + name for name in ODD_NAMES)}

    def test_a_glob_that_matches_nothing_is_missing(self, root: Path) -> None:
        row = extra_path("/etc/nothing*/here")
        assert find_paths(root, [row], ()).missing == (row,)

    @pytest.mark.skipif(IS_ROOT, reason="root may read everything")
    def test_an_unreadable_directory_is_named(self, root: Path) -> None:
        put(root, "etc/x/y/file")
        (root / "etc/x/y").chmod(0)
        with pytest.raises(EngineBackupError, match="/etc/x/y"):
            find_paths(root, [extra_path("/etc/x")], ())
        (root / "etc/x/y").chmod(0o700)


class TestSaving:
    def test_names_types_modes_and_contents(self, root: Path) -> None:
        put(root, "etc/x/a", b"alpha", 0o640)
        os.link(root / "etc/x/a", root / "etc/x/b")
        (root / "etc/x/c").symlink_to("/etc/passwd")
        (root / "etc/x/empty").mkdir(mode=0o750)
        content, entries = saved(root, "/etc/x")
        shown = {entry.path: (entry.type, entry.link_target) for entry in entries}
        assert shown == {
            b"etc/x": (EntryType.DIRECTORY, None),
            b"etc/x/a": (EntryType.FILE, None),
            b"etc/x/b": (EntryType.HARDLINK, b"etc/x/a"),
            b"etc/x/c": (EntryType.SYMLINK, b"/etc/passwd"),
            b"etc/x/empty": (EntryType.DIRECTORY, None),
        }
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            assert "etc/x/a" in tar.getnames()
            member = tar.getmember("etc/x/a")
            assert (member.mode, member.mtime, member.uid) == (0o640, WHEN, os.geteuid())

    def test_odd_names(self, root: Path) -> None:
        for name in ODD_NAMES:
            put(root, b"etc/x/" + name)
            put(root, name)
        found = find_paths(root, [extra_path("/etc/x")], ())
        sink = Collected()
        save(root, [*found.names, *ODD_NAMES], sink)
        assert {entry.path for entry in entries_of(sink.content)} == {*found.names, *ODD_NAMES}

    def test_sparse_files_stay_small(self, root: Path) -> None:
        path = put(root, "etc/x/sparse", b"begin")
        with open(path, "r+b") as stream:
            stream.seek(64 << 20)
            stream.write(b"end")
        content, entries = saved(root, "/etc/x")
        assert len(content) < 1 << 20
        assert entries[1].size == (64 << 20) + 3

    def test_a_vanished_file_is_reported(self, root: Path) -> None:
        put(root, "etc/x/a")
        sink = Collected()
        report = save(root, [b"etc/x/a", b"etc/x/gone"], sink)
        assert [entry.path for entry in entries_of(sink.content)] == [b"etc/x/a"]
        assert report.vanished == ("etc/x/gone",)
        assert sink.tries == 2

    def test_files_that_never_rest_are_saved_and_reported(self, root: Path) -> None:
        path = put(root, "etc/x/busy", bytes(8 << 20))
        sink = Disturbing(path)
        report = save(root, [b"etc/x/busy"], sink)
        assert report.changed == ("etc/x/busy",)
        assert sink.tries == file_tree.ATTEMPTS
        assert entries_of(sink.content)[0].size == 8 << 20

    @pytest.mark.skipif(IS_ROOT, reason="root may read everything")
    def test_an_unreadable_file_fails_and_is_named(self, root: Path) -> None:
        put(root, "etc/x/secret", mode=0)
        with pytest.raises(ProgramError, match=r"etc/x/secret.*Permission denied"):
            save(root, [b"etc/x/secret"], Collected())

    def test_owner_of(self, root: Path) -> None:
        owner = file_tree.owner_of(os.stat(put(root, "a")))
        assert owner.uid == os.geteuid()
        if IS_ROOT:
            assert owner.uname == "root"


class TestStaging:
    def test_only_what_was_selected(self, root: Path, tmp_path: Path) -> None:
        for name in ("etc/x/a", "etc/x/b", "etc/x/d/c", "etc/x/[a]*"):
            put(root, name)
        content, entries = saved(root, "/etc/x")
        selected = [entry for entry in entries if entry.path in (b"etc/x", b"etc/x/a", b"etc/x/[a]*")]
        stage(io.BytesIO(content), tmp_path / "staging", selected, entries)
        found = sorted(
            str(path.relative_to(tmp_path / "staging")) for path in (tmp_path / "staging").rglob("*")
        )
        assert found == ["etc", "etc/x", "etc/x/[a]*", "etc/x/a"]
        assert (tmp_path / "staging").stat().st_mode & 0o777 == 0o700

    def test_a_hard_link_brings_its_content(self, root: Path, target: Path, tmp_path: Path) -> None:
        put(root, "etc/x/a", b"alpha")
        os.link(root / "etc/x/a", root / "etc/x/b")
        content, entries = saved(root, "/etc/x")
        selected = [entry for entry in entries if entry.path == b"etc/x/b"]
        stage(io.BytesIO(content), tmp_path / "staging", selected, entries)
        place(tmp_path / "staging", target, selected)
        assert (target / "etc/x/b").read_bytes() == b"alpha"
        assert not (target / "etc/x/a").exists()

    def test_nothing_selected(self, tmp_path: Path) -> None:
        stage(io.BytesIO(bytes(1024)), tmp_path / "staging", [])
        assert list((tmp_path / "staging").iterdir()) == []

    def test_a_broken_stream_fails(self, root: Path, tmp_path: Path) -> None:
        put(root, "etc/x/a", os.urandom(100_000))
        content, entries = saved(root, "/etc/x")
        with pytest.raises(DamagedArchiveError, match="cut off"):
            stage(io.BytesIO(content[:50_000]), tmp_path / "staging", entries)

    def test_an_entry_that_is_not_in_the_stream_fails(self, root: Path, tmp_path: Path) -> None:
        put(root, "etc/x/a")
        content, entries = saved(root, "/etc/x")
        stranger = replace(entries[1], path=b"etc/x/b", stored_name=b"etc/x/b")
        with pytest.raises(DamagedArchiveError, match="etc/x/b is missing"):
            stage(io.BytesIO(content), tmp_path / "staging", [*entries, stranger])

    def test_a_tar_that_ends_without_a_word(
        self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its failure is its own cause of nothing: who follows the causes comes to an end."""
        put(root, "etc/x/a")
        content, entries = saved(root, "/etc/x")
        program = tmp_path / "bin/tar"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\nkill -KILL $$\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        with pytest.raises(ProgramError, match="tar was ended by signal 9") as caught:
            stage(io.BytesIO(content), tmp_path / "staging", entries)
        assert caught.value.__cause__ is not caught.value

    def test_odd_names(self, root: Path, target: Path, tmp_path: Path) -> None:
        for name in ODD_NAMES:
            put(root, b"etc/x/" + name, name)
        entries = staged(root, tmp_path, "/etc/x")
        place(tmp_path / "staging", target, entries)
        for name in ODD_NAMES:
            with open(os.path.join(os.fsencode(target), b"etc/x", name), "rb") as stream:
                assert stream.read() == name

    def test_a_disk_that_refuses_names_the_file(self, root: Path, tmp_path: Path) -> None:
        put(root, "etc/x/a")
        _, entries = saved(root, "/etc/x")
        longer = b"etc/x/" + b"y" * 300
        crafted = tar_bytes(Crafted(longer.decode(), b"x"))
        with pytest.raises(ProgramError, match=r"cannot unpack the files: .*yyy"):
            stage(
                io.BytesIO(crafted),
                tmp_path / "staging",
                [replace(entries[1], path=longer, stored_name=longer)],
            )

    def test_an_existing_directory_is_not_reused(self, tmp_path: Path) -> None:
        with pytest.raises(FileExistsError):
            stage(io.BytesIO(), tmp_path, [])


def staged(root: Path, tmp_path: Path, *rows: str) -> list[FileEntry]:
    content, entries = saved(root, *rows)
    stage(io.BytesIO(content), tmp_path / "staging", entries)
    return entries


class TestPlacing:
    @pytest.fixture(params=["same file system", "another file system"])
    def where(self, request: pytest.FixtureRequest, target: Path) -> Path:
        if request.param == "same file system":
            return target
        path: Path = request.getfixturevalue("elsewhere")
        return path

    def test_a_whole_tree(self, root: Path, where: Path, tmp_path: Path) -> None:
        put(root, "etc/x/a", b"alpha", 0o600)
        put(root, "etc/x/closed", b"closed", 0o400)
        os.link(root / "etc/x/a", root / "etc/x/b")
        (root / "etc/x/c").symlink_to("/nowhere")
        put(root, "etc/x/d/e", b"e", 0o664)
        sparse = put(root, "etc/x/sparse", b"begin")
        with open(sparse, "r+b") as stream:
            stream.seek(8 << 20)
            stream.write(b"end")
            stream.truncate(16 << 20)
        (root / "etc/x/d").chmod(0o2750)
        os.utime(root / "etc/x/d", (WHEN, WHEN))
        entries = staged(root, tmp_path, "/etc/x")
        report = place(tmp_path / "staging", where, entries)
        assert report == file_placing.PlaceReport(len(entries), (), ())
        for entry in entries:
            before, after = (os.lstat(os.path.join(os.fsencode(top), entry.path)) for top in (root, where))
            assert stat.filemode(before.st_mode) == stat.filemode(after.st_mode)
            assert (before.st_uid, before.st_gid, int(before.st_mtime)) == (
                after.st_uid,
                after.st_gid,
                after.st_mtime,
            )
        assert (where / "etc/x/a").read_bytes() == b"alpha"
        assert (where / "etc/x/a").samefile(where / "etc/x/b")
        assert os.readlink(where / "etc/x/c") == "/nowhere"
        copy = (where / "etc/x/sparse").read_bytes()
        assert (len(copy), copy[:5], copy[8 << 20 :][:3]) == (16 << 20, b"begin", b"end")
        assert (where / "etc/x/sparse").stat().st_blocks * 512 < 1 << 20
        assert not list(where.rglob(".engine-backup-*"))

    def test_existing_files_are_replaced_not_written_into(
        self, root: Path, where: Path, tmp_path: Path
    ) -> None:
        put(root, "etc/x/a", b"new")
        put(root, "etc/x/link", b"new")
        entries = staged(root, tmp_path, "/etc/x")
        put(where, "etc/x/a", b"old", 0o444)
        put(where, "precious", b"precious")
        os.link(where / "etc/x/a", where / "other name")
        (where / "etc/x/link").symlink_to(where / "precious")
        place(tmp_path / "staging", where, entries)
        assert (where / "etc/x/a").read_bytes() == b"new"
        assert (where / "other name").read_bytes() == b"old"
        assert (where / "precious").read_bytes() == b"precious"
        assert not (where / "etc/x/link").is_symlink()

    def test_set_id_bits_of_files_are_dropped_and_reported(
        self, root: Path, where: Path, tmp_path: Path
    ) -> None:
        put(root, "etc/x/s", mode=0o4755)
        put(root, "etc/x/g", mode=0o2755)
        entries = staged(root, tmp_path, "/etc/x")
        report = place(tmp_path / "staging", where, entries)
        assert report.set_id_dropped == (b"etc/x/g", b"etc/x/s")
        assert (where / "etc/x/s").stat().st_mode & 0o7777 == 0o755

    def test_owners(self, root: Path, where: Path, tmp_path: Path) -> None:
        put(root, "etc/x/a")
        entries = [
            replace(entry, uid=4711, gid=4712, uname="no such user", gname="no such group")
            for entry in staged(root, tmp_path, "/etc/x")
        ]
        report = place(tmp_path / "staging", where, entries)
        status = (where / "etc/x/a").stat()
        if IS_ROOT:
            assert (status.st_uid, status.st_gid) == (4711, 4712)
            assert report.owners_not_set == ()
        else:
            assert set(report.owners_not_set) == {b"etc/x", b"etc/x/a"}

    def test_a_name_beats_a_number(self) -> None:
        assert file_placing.user_number("root", 4711) == 0
        assert file_placing.group_number("no such group", 4711) == 4711

    def test_files_of_which_nobody_may_read_anything(
        self, root: Path, elsewhere: Path, tmp_path: Path
    ) -> None:
        put(root, "etc/x/a", b"alpha", 0o600)
        entries = [
            replace(entry, mode=0) if entry.path == b"etc/x/a" else entry
            for entry in staged(root, tmp_path, "/etc/x")
        ]
        place(tmp_path / "staging", elsewhere, entries)
        assert (elsewhere / "etc/x/a").stat().st_mode & 0o7777 == 0
        assert (elsewhere / "etc/x/a").stat().st_size == 5

    def test_every_change_is_announced_before_it_happens(
        self, root: Path, target: Path, tmp_path: Path
    ) -> None:
        put(root, "etc/x/a")
        entries = staged(root, tmp_path, "/etc/x")
        announced: list[tuple[bytes, bool]] = []

        def before(name: bytes) -> None:
            announced.append((name, os.path.lexists(os.path.join(os.fsencode(target), name))))

        place(tmp_path / "staging", target, entries, Placing(tmp_path / "staging", target, before=before))
        assert announced == [(b"etc", False), (b"etc/x", False), (b"etc/x/a", False), (b"etc/x", True)]


class TestLinksOnTheMachine:
    @pytest.fixture
    def entries(self, root: Path, tmp_path: Path) -> list[FileEntry]:
        put(root, "var/lib/ovirt-engine/content/a", b"new")
        return staged(root, tmp_path, "/var/lib/ovirt-engine/*")

    @pytest.mark.parametrize(
        "link", ["/disk/engine", "../../disk/engine", "/via/../disk/./engine", "/far/engine"]
    )
    def test_a_directory_above_may_have_moved(
        self, link: str, entries: list[FileEntry], target: Path, tmp_path: Path
    ) -> None:
        (target / "disk/engine").mkdir(parents=True)
        (target / "via").mkdir()
        (target / "far").symlink_to("/disk")
        (target / "var/lib").mkdir(parents=True)
        (target / "var/lib/ovirt-engine").symlink_to(link)
        assert check_places(target, entries) == []
        place(tmp_path / "staging", target, entries)
        assert (target / "disk/engine/content/a").read_bytes() == b"new"
        assert (target / "var/lib/ovirt-engine").is_symlink()

    def test_links_do_not_leave_the_root(
        self, entries: list[FileEntry], target: Path, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (target / "var/lib").mkdir(parents=True)
        (target / "var/lib/ovirt-engine").symlink_to(outside)
        place(tmp_path / "staging", target, entries)
        assert list(outside.iterdir()) == []
        (target / "var/lib/ovirt-engine").unlink()
        (target / "var/lib/ovirt-engine").symlink_to("../../../../../../../../../" + str(outside))
        with pytest.raises(EngineBackupError):
            place(tmp_path / "staging", target, entries)
        assert list(outside.iterdir()) == []

    def test_links_below_the_known_paths_are_refused(
        self, entries: list[FileEntry], target: Path, tmp_path: Path
    ) -> None:
        (target / "etc/cron.d").mkdir(parents=True)
        (target / "var/lib/ovirt-engine").mkdir(parents=True)
        (target / "var/lib/ovirt-engine/content").symlink_to("/etc/cron.d")
        problems = check_places(target, entries)
        assert problems == [
            "/var/lib/ovirt-engine/content is no directory here, but one in the archive",
            "/var/lib/ovirt-engine/content is a symbolic link, and nothing is restored through it",
        ]
        with pytest.raises(EngineBackupError, match="content"):
            place(tmp_path / "staging", target, [entry for entry in entries if entry.type is EntryType.FILE])
        assert list((target / "etc/cron.d").iterdir()) == []

    @pytest.mark.skipif(not IS_ROOT, reason="needs another user's link")
    def test_links_of_other_users_are_refused(self, entries: list[FileEntry], target: Path) -> None:
        (target / "disk").mkdir()
        (target / "var/lib").mkdir(parents=True)
        (target / "var/lib/ovirt-engine").symlink_to("/disk")
        os.lchown(target / "var/lib/ovirt-engine", 4711, 4711)
        assert "symbolic link" in check_places(target, entries)[0]

    def test_links_in_a_circle(self, entries: list[FileEntry], target: Path) -> None:
        (target / "var/lib").mkdir(parents=True)
        (target / "var/lib/ovirt-engine").symlink_to("ovirt-engine")
        assert "symbolic link" in check_places(target, entries)[0]


class TestObstacles:
    def test_a_directory_where_a_file_should_go(self, root: Path, target: Path, tmp_path: Path) -> None:
        put(root, "etc/x/a")
        entries = staged(root, tmp_path, "/etc/x")
        (target / "etc/x/a").mkdir(parents=True)
        assert check_places(target, entries) == ["/etc/x/a is a directory here, but none in the archive"]
        with pytest.raises(EngineBackupError, match="/etc/x/a"):
            place(tmp_path / "staging", target, entries)

    def test_a_file_where_a_directory_should_go(self, root: Path, target: Path, tmp_path: Path) -> None:
        put(root, "etc/x/a")
        entries = staged(root, tmp_path, "/etc/x")
        put(target, "etc/x")
        assert check_places(target, entries) == ["/etc/x is no directory here, but one in the archive"]
        with pytest.raises(EngineBackupError, match="/etc/x"):
            place(tmp_path / "staging", target, entries)
        assert (target / "etc/x").read_bytes() == b"content\n"

    def test_checking_changes_nothing(self, root: Path, target: Path, tmp_path: Path) -> None:
        put(root, "etc/x/a")
        assert check_places(target, staged(root, tmp_path, "/etc/x")) == []
        assert list(target.iterdir()) == []

    @pytest.mark.skipif(IS_ROOT, reason="root may write everywhere")
    def test_a_directory_that_cannot_be_written(self, root: Path, target: Path, tmp_path: Path) -> None:
        put(root, "etc/x/a")
        entries = staged(root, tmp_path, "/etc/x")
        (target / "etc/x").mkdir(parents=True)
        (target / "etc/x").chmod(0o500)
        assert check_places(target, entries) == ["no permission to write in the directory of /etc/x/a"]
        (target / "etc/x").chmod(0o700)
