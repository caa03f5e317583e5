"""Private temporary directories, and what dead runs have left beside them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine_backup.drivers.private_directories import private_directory, sweep


def test_a_living_run_keeps_its_directory(tmp_path: Path):
    with private_directory(tmp_path) as directory:
        assert directory.stat().st_mode & 0o777 == 0o700
        sweep(tmp_path)
        assert directory.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_run_left_is_removed(tmp_path: Path):
    with private_directory(tmp_path) as directory:
        name = directory.name
    (tmp_path / name).mkdir()
    (tmp_path / name / "dump").write_text("secret")
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["engine-backup.kWq3Zx", "engine-backup.before-upgrade", "engine-backup.d"])
def test_directories_of_stock_and_of_people_stay(name: str, tmp_path: Path):
    theirs = tmp_path / name
    theirs.mkdir(mode=0o700)
    (theirs / "engine.backup").write_text("the only copy")
    with private_directory(tmp_path):
        pass
    assert (theirs / "engine.backup").read_text() == "the only copy"


def test_a_server_that_a_dead_run_left_is_ended_first(tmp_path: Path):
    with private_directory(tmp_path) as directory:
        name = directory.name
    data = tmp_path / name / "data"
    data.mkdir(parents=True)
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=data)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=tmp_path)
    try:
        threading.Thread(target=server.wait).start()
        sweep(tmp_path)
        assert list(tmp_path.iterdir()) == []
        assert server.wait() == -signal.SIGQUIT
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
