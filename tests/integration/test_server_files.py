"""A server's configuration file: replaced whole, with a copy, and put back as it was."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from engine_backup.drivers import server_files
from engine_backup.drivers.server_files import prepare, read, restore, rewrite
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.ways_back import ReplacedFile

WHEN = datetime(2026, 8, 19, 1, 2, 3)
STAMP = "20260819010203"
OLD = b"a = 1\r\n# caf\xe9\n"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "postgresql.conf"
    path.write_bytes(OLD)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
    return path


def replace(path: Path, text: str) -> ReplacedFile:
    """Give a file a new text, and return how it is put back."""
    replaced = prepare(path, text, WHEN)
    assert replaced is not None
    server_files.replace(replaced, text)
    return replaced


def traits(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    return (path.read_bytes(), status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns)


def test_a_copy_with_all_traits_stays_beside_the_new_file(conf):
    before = traits(conf)
    replaced = replace(conf, read(conf) + "b = 2\n")
    assert traits(replaced.copy) == before
    assert replaced.copy.name == f"postgresql.conf.{STAMP}"
    assert traits(conf)[:4] == (OLD + b"b = 2\n", *before[1:4])
    assert conf.stat().st_mtime_ns != before[-1]
    assert sorted(path.name for path in conf.parent.iterdir()) == [conf.name, replaced.copy.name]


def test_restoring_brings_all_back_and_may_be_repeated(conf):
    before = traits(conf)
    replaced = replace(conf, "b = 2\n")
    for _ in range(2):
        restore(replaced)
        assert traits(conf) == before
        assert list(conf.parent.iterdir()) == [conf]


def test_several_edits_in_one_second_are_undone_one_by_one(conf):
    before = traits(conf)
    first, second = replace(conf, "b = 2\n"), replace(conf, "c = 3\n")
    assert second.copy.name == f"postgresql.conf.{STAMP}.1"
    restore(second)
    assert conf.read_text() == "b = 2\n"
    restore(first)
    assert traits(conf) == before


def test_what_was_only_announced_can_be_put_back(conf):
    before = traits(conf)
    replaced = prepare(conf, "b = 2\n", WHEN)
    assert replaced is not None
    replaced.passing.write_text("half of it")
    for _ in range(2):
        restore(replaced)
        assert traits(conf) == before
        assert list(conf.parent.iterdir()) == [conf]


def test_a_passing_text_leaves_no_copy_and_the_former_times(conf):
    before = traits(conf)
    former = read(conf)
    rewrite(conf, "for a moment\n" + former)
    rewrite(conf, former)
    assert traits(conf) == before
    assert list(conf.parent.iterdir()) == [conf]


def test_what_was_put_back_stays_so_whatever_came_later(conf):
    replaced = replace(conf, "b = 2\n")
    restore(replaced)
    conf.write_text("edited since\n")
    restore(replaced)
    assert conf.read_text() == "edited since\n"


def test_the_same_text_changes_nothing(conf):
    before = traits(conf)
    assert prepare(conf, read(conf), WHEN) is None
    assert traits(conf) == before
    assert list(conf.parent.iterdir()) == [conf]


def test_a_copy_that_was_tampered_with_is_not_put_back(conf):
    replaced = replace(conf, "b = 2\n")
    replaced.copy.write_text("evil\n")
    with pytest.raises(EngineBackupError, match="is not what it was"):
        restore(replaced)
    replaced.copy.unlink()
    with pytest.raises(EngineBackupError, match="is not what it was"):
        restore(replaced)
    assert conf.read_text() == "b = 2\n"


def test_a_link_of_root_leads_to_the_real_file(tmp_path, conf):
    (tmp_path / "data").mkdir()
    link = tmp_path / "data" / "postgresql.conf"
    link.symlink_to("../postgresql.conf")
    replaced = replace(link, "b = 2\n")
    assert replaced.path == conf
    assert link.is_symlink()
    assert link.read_text() == "b = 2\n"
    assert list(link.parent.iterdir()) == [link]


@AS_ROOT
def test_a_link_of_the_server_to_a_file_of_root_is_refused(tmp_path):
    secret = tmp_path / "shadow"
    secret.write_text("secret\n")
    link = tmp_path / "postgresql.conf"
    link.symlink_to(secret)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    with pytest.raises(EngineBackupError, match="link to a file of somebody else"):
        replace(link, "b = 2\n")
    os.chown(secret, NOBODY, NOBODY)
    assert replace(link, "b = 2\n").path == secret


@pytest.mark.parametrize("kind", ["missing", "directory", "dangling", "fifo"])
def test_what_is_no_regular_file_is_refused(tmp_path, kind):
    path = tmp_path / "postgresql.conf"
    if kind == "directory":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(EngineBackupError):
        replace(path, "b = 2\n")


def test_where_nothing_can_be_written_nothing_changes(conf):
    long = conf.with_name("x" * 250)  # a name to which no suffix can be added
    conf.rename(long)
    before = traits(long)
    with pytest.raises(EngineBackupError, match="cannot rewrite"):
        replace(long, "b = 2\n")
    assert traits(long) == before
    assert list(long.parent.iterdir()) == [long]
