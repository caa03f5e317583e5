"""What people see: lines, warnings, errors with hints, progress where a terminal is."""

from __future__ import annotations

import errno
import io
import shlex
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine_backup.cli.console import TextConsole
from engine_backup.model.errors import EngineBackupError, Problem, RefusedError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    def write(self, text: str, /) -> int:
        raise BrokenPipeError


class Full(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def streams() -> tuple[io.StringIO, io.StringIO]:
    return io.StringIO(), io.StringIO()


def console(streams, stdin: io.StringIO | None = None) -> TextConsole:
    return TextConsole(stdin or io.StringIO(), *streams)


def test_output_and_warnings_go_to_their_streams(streams):
    shown = console(streams)
    shown.say("a line")
    shown.warn("careful")
    assert (streams[0].getvalue(), streams[1].getvalue()) == ("a line\n", "Warning: careful\n")


def test_an_error_is_one_line_with_its_hint_below(streams):
    console(streams).fatal(EngineBackupError("two\nlines", "type this"))
    assert streams[1].getvalue() == "FATAL: two lines\n  hint: type this\n"


def test_every_problem_has_its_line(streams):
    console(streams).fatal(RefusedError([Problem("one", "a"), Problem("two", "b")]))
    assert streams[1].getvalue() == "FATAL: one\n  hint: a\nFATAL: two\n  hint: b\n"


def test_what_cannot_be_written_is_told_once_and_ends_nothing():
    errors = io.StringIO()
    shown = console((Full(), errors))
    shown.say("one")
    shown.say("two")
    assert shown.lost == "No space left on device"
    assert errors.getvalue() == "Warning: the output is not complete: No space left on device\n"
    console((Full(), Full())).warn("nowhere to say it")


def test_progress_is_drawn_on_a_terminal_and_gone_before_a_line():
    streams = io.StringIO(), Terminal()
    shown = console(streams)
    shown.advance("DWH", 500_000, 1_000_000)
    shown.advance("DWH", 1_000_000, 1_000_000)
    shown.settle()
    shown.say("- DWH")
    assert "DWH" in streams[1].getvalue()
    assert "1.0/1.0 MB" in streams[1].getvalue()
    assert streams[0].getvalue() == "- DWH\n"


def test_without_a_terminal_progress_is_not_drawn(streams):
    shown = console(streams)
    shown.advance("DWH", 500_000, 1_000_000)
    shown.settle()
    assert streams[1].getvalue() == ""


def test_a_restore_goes_on_when_nobody_reads_any_more():
    shown = TextConsole(io.StringIO(), Closed(), io.StringIO())
    shown.say("one")
    shown.say("two")


def test_a_name_that_the_terminal_cannot_show_is_escaped():
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    shown = TextConsole(io.StringIO(), narrow, io.StringIO())
    shown.say("größer")
    narrow.seek(0)
    assert narrow.read() == "gr\\xf6\\xdfer\n"


@pytest.mark.parametrize(
    ("answer", "terminal", "agreed"),
    [("y", True, True), ("YES", True, True), ("n", True, False), ("", True, False), ("y", False, False)],
)
def test_asking(answer, terminal, agreed, streams):
    stdin = (Terminal if terminal else io.StringIO)(answer + "\n")
    assert console(streams, stdin).confirm("Replace?") is agreed


def test_a_closed_pipe_leaves_no_noise():
    command = f"{shlex.quote(sys.executable)} -m engine_backup --help | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: engine-backup")
    assert done.stderr == ""


class Watched(Terminal):
    """Counts how often two wrote at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.clashes = 0
        self.writing = threading.Lock()

    def write(self, text: str, /) -> int:
        if not self.writing.acquire(blocking=False):
            self.clashes += 1
            return super().write(text)
        try:
            time.sleep(0.001)
            return super().write(text)
        finally:
            self.writing.release()


def test_lines_and_progress_of_several_threads_do_not_mix():
    terminal = Watched()
    shown = console((terminal, terminal))
    with ThreadPoolExecutor(4) as pool:
        for done in range(50):
            for label in ("Engine", "DWH"):
                pool.submit(shown.advance, label, done, 50)
            pool.submit(shown.say, "a line")
    shown.settle()
    assert terminal.clashes == 0
    assert terminal.getvalue().count("a line\n") == 50


def test_progress_of_each_label_has_its_line():
    terminal = Terminal()
    shown = console((io.StringIO(), terminal))
    shown.advance("Engine", 1_000_000, 1_000_000)
    shown.advance("DWH", 500_000, 1_000_000)
    shown.settle()
    drawn = terminal.getvalue().splitlines()
    assert any("Engine" in line and "DWH" in after for line, after in zip(drawn, drawn[1:]))


def test_nothing_that_a_terminal_obeys_is_printed(streams):
    shown = console(streams)
    shown.say("a\x1b[2J\nb\x9b\u202ec\ttab")
    shown.warn("x\nFATAL: forged\r\x07")
    shown.fatal(EngineBackupError("\x1b]0;title\x07", "h\x00"))
    assert streams[0].getvalue() == "a\\x1b[2J\nb\\x9b\\u202ec\ttab\n"
    assert streams[1].getvalue() == (
        "Warning: x FATAL: forged \\x07\nFATAL: \\x1b]0;title\\x07\n  hint: h\\x00\n"
    )
