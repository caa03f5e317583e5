"""The log file."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from engine_backup.drivers.run_log import open_log
from engine_backup.model.errors import EngineBackupError

HEAD = rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d {os.getpid()}: "


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_lines_have_stocks_format(tmp_path: Path) -> None:
    with open_log(tmp_path / "log") as log:
        log.write("plain")
        log.output("shown")
        log.fatal("bad")
        log.raw("tool: output")
        log.raw("with its own end\n")
        log.raw("")
        log.write("two\nlines")
    expected = (
        f"{HEAD}plain\n{HEAD}OUTPUT: shown\n{HEAD}FATAL: bad\ntool: output\nwith its own end\n"
        f"{HEAD}two\n{HEAD}lines\n"
    )
    assert re.fullmatch(expected, (tmp_path / "log").read_text())


def test_the_log_is_private_whatever_the_umask_and_appended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    before = os.umask(0)
    try:
        open_log(path).close()
        assert mode(path) == 0o600
        path.write_text("before\n")
        path.chmod(0o644)
        with open_log(path) as log:
            log.write("after")
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert path.read_text().startswith("before\n")


def test_a_device_keeps_its_mode() -> None:
    before = mode(Path("/dev/null"))
    with open_log(Path("/dev/null")) as log:
        log.write("gone")
        assert log.failure == ""
    assert mode(Path("/dev/null")) == before


def test_a_pipe_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o640)
    path.chmod(0o640)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open_log(path) as log:
        log.write("through")
    assert os.read(reader, 100).endswith(b"through\n")
    os.close(reader)
    assert mode(path) == 0o640


def test_a_pipe_that_nobody_reads_from_keeps_no_run_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EngineBackupError, match="nobody reads from this pipe"):
        open_log(tmp_path / "pipe")


def test_a_slow_reader_of_a_pipe_gets_every_line(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR)
    with subprocess.Popen(
        ["sh", "-c", "sleep 0.2; head -n 200 | wc -l"], stdin=end, stdout=subprocess.PIPE
    ) as cat:
        with open_log(path) as log:
            for _ in range(200):
                log.write("x" * 1000)
        assert log.failure == ""
        assert cat.communicate()[0].strip() == b"200"
    os.close(end)


def test_only_the_default_directory_is_made(tmp_path: Path) -> None:
    default = tmp_path / "var/log/ovirt-engine-backup"
    open_log(default / "log", default).close()
    assert mode(default) == 0o750
    with pytest.raises(EngineBackupError, match=r"the directory of the log .* does not exist"):
        open_log(tmp_path / "elsewhere/log", default)


def test_what_cannot_be_a_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineBackupError, match="cannot open the log") as caught:
        open_log(tmp_path)
    assert caught.value.hint == "run as root, or name another place: --log=FILE"


def test_a_full_disk_makes_the_log_quiet() -> None:
    with open_log(Path("/dev/full")) as log:
        log.write("a")
        assert log.failure == "cannot write to the log /dev/full: No space left on device"
        log.write("b")


def test_odd_names_cannot_steer_a_terminal_or_break_the_log(tmp_path: Path) -> None:
    with open_log(tmp_path / "log") as log:
        log.write("a\x1b[2Jb\rc\td\udcff\ud800é")
    log.write("closed")
    assert (tmp_path / "log").read_text().endswith("a\\x1b[2Jb\\x0dc\td\\udcff\\ud800é\n")
