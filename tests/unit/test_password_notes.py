from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from engine_backup.drivers.password_notes import random_password, write_notes
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.secret import Secret


def test_random_passwords_are_as_long_as_those_of_stock():
    made = {random_password().reveal() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch("[0-9A-Za-z]{22}", password) for password in made)
    assert len(set("".join(made))) == 62


def test_a_line_for_each_role(tmp_path: Path):
    path = tmp_path / "notes"
    write_notes(path, [("reader", "engine", Secret("a")), ("tab\tand\\", "ä\n", Secret("b c"))])
    assert path.read_text() == "reader\tengine\ta\ntab\\tand\\\\\tä\\n\tb c\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "directory"])
def test_what_is_there_stays(tmp_path: Path, kind: str):
    path, other = tmp_path / "notes", tmp_path / "other"
    if kind == "file":
        path.write_text("needed")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(other)
    if kind == "link":
        other.write_text("needed")
    with pytest.raises(EngineBackupError, match="notes: ") as caught:
        write_notes(path, [("reader", "engine", Secret("a"))])
    assert "move away" in caught.value.hint
    assert path.is_dir() or path.is_symlink() or path.read_text() == "needed"
    assert other.exists() is (kind == "link")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EngineBackupError, match="No space left"):
        write_notes(tmp_path / "notes", [("reader", "engine", Secret("a"))])
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there(tmp_path: Path):
    with pytest.raises(EngineBackupError, match="No such file"):
        write_notes(tmp_path / "missing/notes", [])
