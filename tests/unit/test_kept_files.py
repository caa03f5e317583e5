"""What files were before a change comes back, or is at least not lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from engine_backup.drivers.kept_files import KeptFiles
from engine_backup.drivers.kept_records import RECORDS
from engine_backup.model.errors import EngineBackupError
from tests.support.lasting import identity


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for name in ("first", "second", "third"):
        (root / "etc" / name).write_text(f"former {name}")
    return root


@pytest.fixture(params=["same", "another"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A directory on the file system of the root, or on another."""
    if request.param == "same":
        yield tmp_path
        return
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system")
    with TemporaryDirectory(dir=memory) as directory:
        yield Path(directory)


@pytest.fixture
def kept(root: Path, place: Path) -> KeptFiles:
    found = KeptFiles(root, place / "kept")
    for name in ("first", "second", "third", "new"):
        found.before(f"etc/{name}".encode())
        changed = root / "etc" / f".{name}"
        changed.write_text(f"changed {name}")
        changed.replace(root / "etc" / name)
    return found


def contents(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (root / "etc").iterdir() if path.is_file()}


def former(*names: str) -> dict[str, str]:
    return {name: f"former {name}" for name in names}


def test_all_comes_back(root, kept, place):
    kept.restore()
    kept.restore()
    assert contents(root) == former("first", "second", "third")


def block(root: Path) -> None:
    """Put something in the way of one of them."""
    (root / "etc/second").unlink()
    (root / "etc/second/in the way").mkdir(parents=True)


def test_one_that_cannot_come_back_is_in_the_way_of_no_other(root, kept):
    block(root)
    with pytest.raises(EngineBackupError, match="are not as before, first /etc/second"):
        kept.restore()
    assert contents(root) == former("first", "third")


def test_undoing_twice_loses_nothing(root, kept):
    block(root)
    for _ in range(2):
        with pytest.raises(EngineBackupError, match="/etc/second"):
            kept.restore()
    assert contents(root) == former("first", "third")
    (root / "etc/second/in the way").rmdir()
    (root / "etc/second").rmdir()
    kept.restore()
    assert contents(root) == former("first", "second", "third")


def test_another_process_puts_all_back(root, kept, place):
    """What a run keeps outlives it; the last record may be cut off."""
    with (place / "kept" / RECORDS).open("ab") as records:
        records.write(b'{"name": "etc/fir')
    KeptFiles(root, place / "kept").restore()
    assert contents(root) == former("first", "second", "third")


def test_what_was_put_back_already_is_left_alone(root, kept, place):
    kept.restore()
    (root / "etc/first").write_text("edited since")
    KeptFiles(root, place / "kept").restore()
    assert (root / "etc/first").read_text() == "edited since"


def test_all_is_kept_beforehand_with_missing_directories(root, place):
    (root / "etc").chmod(0o711)
    times = (root / "etc").stat().st_mtime_ns
    found = KeptFiles(root, place / "kept")
    found.keep([b"etc/new/deep/file", b"etc/first", b"etc/new/other"])
    (root / "etc/new/deep").mkdir(parents=True)
    for name in ("etc/new/deep/file", "etc/new/other"):
        (root / name).write_text("new")
    (root / "etc").chmod(0o700)
    KeptFiles(root, place / "kept").restore()
    assert contents(root) == former("first", "second", "third")
    assert not (root / "etc/new").exists()
    status = (root / "etc").stat()
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o711, times)


def test_passing_names_of_a_killed_run_go_away(root, place):
    found = KeptFiles(root, place / "kept", passing=b".passing-7-")
    found.keep([b"etc/first"])
    for name in (".passing-7-abc", ".passing-8-abc"):
        (root / "etc" / name).write_text("half a file")
    KeptFiles(root, place / "kept", passing=b".passing-7-").restore()
    assert set(contents(root)) == {"first", "second", "third", ".passing-8-abc"}


def test_a_new_directory_that_others_use_stays(root, place):
    found = KeptFiles(root, place / "kept")
    found.keep([b"etc/new/file"])
    (root / "etc/new").mkdir()
    for name in ("file", "of somebody else"):
        (root / "etc/new" / name).write_text("new")
    assert found.restore() == (b"etc/new",)
    assert [path.name for path in (root / "etc/new").iterdir()] == ["of somebody else"]


def test_links_among_files_are_links_again(root, place):
    os.link(root / "etc/first", root / "etc/fourth")
    found = KeptFiles(root, place / "kept")
    found.keep([b"etc/first", b"etc/fourth"])
    for name in ("first", "fourth"):
        (root / "etc/passing").write_text("new")
        (root / "etc/passing").replace(root / "etc" / name)
    KeptFiles(root, place / "kept").restore()
    assert (root / "etc/first").read_text() == "former first"
    assert (root / "etc/first").samefile(root / "etc/fourth")


def test_a_link_to_a_file_that_cannot_come_back_comes_back(root, place):
    os.link(root / "etc/first", root / "etc/second-name")
    kept = KeptFiles(root, place / "kept")
    kept.keep((b"etc/first", b"etc/second-name"))
    for name in ("first", "second-name"):
        (root / "etc" / name).unlink()
    (root / "etc/second-name/in the way").mkdir(parents=True)
    (root / "etc/first").write_text("changed")
    with pytest.raises(EngineBackupError, match="first /etc/second-name"):
        kept.restore()
    assert (root / "etc/first").read_text() == "former first"


def test_copies_are_on_the_disk_before_what_they_stand_in_for_goes(root, place, lasting):
    if place.stat().st_dev == root.stat().st_dev:
        pytest.skip("no copies are made on the same file system")
    kept = KeptFiles(root, place / "kept")
    kept.keep([b"etc/first"])
    assert identity(place / "kept" / "1") in lasting
    (root / "etc/first").unlink()
    kept.restore()
    assert identity(root / "etc/first") in lasting
    assert identity(root / "etc") in lasting


def test_what_was_changed_is_made_lasting(root, kept, lasting):
    (root / "etc/second").unlink()
    (root / "etc/third").unlink()
    os.mkfifo(root / "etc/third")
    (root / "etc/new").unlink()
    (root / "etc/new").symlink_to("/dev/zero")
    kept.before(b"var/lib/deep")
    kept.before(b"top")
    (root / "top").write_text("new")
    lasting.clear()
    kept.make_lasting()
    assert lasting == {identity(root / name) for name in (".", "etc", "etc/first", "top")}
