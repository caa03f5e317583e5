"""The only module that prints: lines, warnings, fatal errors, and progress on a terminal."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, TextIO

from engine_backup.model.errors import EngineBackupError, InterruptedByUserError, RefusedError
from engine_backup.model.printable import printable
from engine_backup.model.sheet import Sheet

LONGEST_MESSAGE = 10_000
# What a terminal obeys instead of showing it: control characters but tab and line ends, in ASCII and UTF-8.
_OBEYED = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|\xc2[\x80-\x9f]")


class TextConsole:
    """Normal output to `stdout`, warnings and errors to `stderr`; progress lines where a person looks.

    Several threads may use it: a line is whole, and never within the progress lines. `lost` is why some
    of it could not be written, "" when all was, or nobody wanted it.
    """

    def __init__(self, stdin: TextIO, stdout: TextIO, stderr: TextIO, coloured: bool = False) -> None:
        self._stdin = stdin
        self._coloured = coloured
        self._stdout = stdout
        self._stderr = stderr
        self._unread: list[TextIO] = []
        self.lost = ""
        self._progress: _Progress | None = _Progress(stderr) if stderr.isatty() else None
        self._lock = threading.RLock()
        self._aside = -1

    def say(self, line: str) -> None:
        """Print a line of normal output."""
        self._print(_obeyed_by_no_terminal(line), self._stdout)

    def show(self, sheet: Sheet) -> None:
        """Print tables, aligned, and coloured where that is wanted."""
        from engine_backup.cli.sheets import render

        # Its cells are escaped one by one: only the colours are for the terminal.
        self._print(render(sheet, self._coloured), self._stdout)

    def wait(self, line: str) -> None:
        """Print a line, and wait for Enter or the end of the input."""
        self.say(line)
        self._stdin.readline()

    def confirm(self, question: str) -> bool:
        """Ask on the terminal; False when there is none, or for any answer but y and yes."""
        if not self._stdin.isatty():
            return False
        self.settle()
        self.say(question)
        return self._stdin.readline().strip().lower() in ("y", "yes")

    def warn(self, line: str) -> None:
        """Print a warning."""
        self._print(f"Warning: {_one_line(line)}", self._stderr)

    def fatal(self, error: EngineBackupError | InterruptedByUserError) -> None:
        """Print why the run failed: a `FATAL:` line for each reason, with its hint below it."""
        self.settle()
        reasons = error.problems if isinstance(error, RefusedError) else (error,)
        for reason in reasons:
            self._print(f"FATAL: {_one_line(reason.message)}", self._stderr)
            if reason.hint:
                self._print(f"  hint: {_one_line(reason.hint)}", self._stderr)

    def _print(self, line: str, stream: TextIO) -> None:
        """Print a line. When nobody reads any more (`| head`), or a disk is full, a restore still goes on."""
        if stream in self._unread:
            return
        with self._lock:
            self.settle()
            try:
                print(line, file=stream, flush=True)
            except BrokenPipeError:
                self._unread.append(stream)
            except OSError as error:
                self._unread.append(stream)
                self.lost = error.strerror or str(error)
                self.warn(f"the output is not complete: {self.lost}")
            except UnicodeEncodeError:
                print(line.encode("ascii", "backslashreplace").decode("ascii"), file=stream, flush=True)

    def abandon_unread(self) -> None:
        """Keep the interpreter from flushing, at its end, into a pipe that nobody reads."""
        for stream in self._unread:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)

    @property
    def is_terminal(self) -> bool:
        """Whether normal output goes to a terminal."""
        return self._stdout.isatty()

    def set_output_aside(self) -> None:
        """Keep standard output for an archive: what is said from now on goes to standard error.

        Also what anything else in this process prints.
        """
        self._stdout.flush()
        number = self._stdout.fileno()
        self._aside = os.dup(number)
        os.dup2(self._stderr.fileno(), number, inheritable=False)

    def output_aside(self) -> int:
        """Return a descriptor of standard output that was set aside; the caller closes it."""
        return self._aside

    def data(self) -> DataOutput:
        """Return standard output for bytes as they are; nothing else must be said there then."""
        self.settle()
        self._stdout.flush()
        return DataOutput(self._stdout.buffer, self.is_terminal, lambda: self._unread.append(self._stdout))

    def advance(self, label: str, done: int, total: int | None) -> None:
        """Show progress on a terminal; elsewhere the plain lines are all there is."""
        if self._progress is not None:
            with self._lock:
                self._progress.advance(label, done, total)

    def settle(self) -> None:
        """Take the progress lines away, so that a line can be printed in their place."""
        if self._progress is not None:
            with self._lock:
                self._progress.clear()


class DataOutput:
    """Standard output for bytes. Control characters do not reach a terminal: the text is a stranger's."""

    def __init__(self, stream: BinaryIO, is_terminal: bool, abandon: Callable[[], None]) -> None:
        self._stream = stream
        self._is_terminal = is_terminal
        self._abandon = abandon

    def write(self, data: bytes, /) -> int:
        """Write all of `data`; raises `EngineBackupError` when that cannot be, or would harm a terminal."""
        if self._is_terminal and _OBEYED.search(data):
            raise EngineBackupError(
                "this is no text that a terminal can show",
                "write it to a file with '> NAME', or --output=DIR",
            )
        self._guarded(lambda: self._stream.write(data))
        return len(data)

    def flush(self) -> None:
        """Bring all to where it goes; raises `EngineBackupError`."""
        self._guarded(self._stream.flush)

    def _guarded(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            self._abandon()
            hint = "look at the program or the file that takes it"
            raise EngineBackupError(f"cannot write to standard output: {error.strerror}", hint) from error


class _Progress:
    """Changing lines with bytes and rate, one for each label, drawn by rich, which is loaded when needed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._display: Any = None
        self._tasks: dict[str, Any] = {}

    def advance(self, label: str, done: int, total: int | None) -> None:
        if self._display is None:
            self._display = self._start()
        if label not in self._tasks:
            self._tasks[label] = self._display.add_task(label, total=total)
        self._display.update(self._tasks[label], completed=done, total=total)

    def clear(self) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None
            self._tasks = {}

    def _start(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        display = Progress(*columns, console=Console(file=self._stream), transient=True)
        display.start()
        return display


def _obeyed_by_no_terminal(text: str) -> str:
    """Escape what names out of archives may hold to deceive who reads it; lines and tabs are ours."""
    return "".join(letter if letter in "\n\t" else printable(letter) for letter in text)


def _one_line(message: str) -> str:
    """Return a message without line ends, and without what a stranger's words tell the terminal to do."""
    return printable(" ".join(message.split()), LONGEST_MESSAGE)
