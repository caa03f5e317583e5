"""What a run tells while it goes on: lines for people, details for the log, and progress."""

from __future__ import annotations

from typing import Protocol

from engine_backup.drivers.run_log import RunLog
from engine_backup.model.sheet import Sheet


class DataSink(Protocol):
    """Where bytes for another program go."""

    def write(self, data: bytes, /) -> int:
        """Take all of `data`; raises `EngineBackupError` when that cannot be."""

    def flush(self) -> None:
        """Bring all to where it goes; raises `EngineBackupError`."""


class Console(Protocol):
    """Where people look; implemented by `cli.console`."""

    def say(self, line: str) -> None:
        """Show a line of normal output."""

    def show(self, sheet: Sheet) -> None:
        """Show tables, aligned."""

    def warn(self, line: str) -> None:
        """Show a warning."""

    def advance(self, label: str, done: int, total: int | None) -> None:
        """Show that `done` bytes of `total` (None: unknown) of one component are through."""

    def wait(self, line: str) -> None:
        """Show a line, and wait until the person presses Enter or nobody is there."""

    def confirm(self, question: str) -> bool:
        """Ask a person; False when there is none or the answer is not yes."""

    def settle(self) -> None:
        """Take the progress display away."""

    @property
    def is_terminal(self) -> bool:
        """Whether normal output goes to a terminal."""

    def set_output_aside(self) -> None:
        """Keep standard output for an archive: from now on what is said goes to standard error."""

    def output_aside(self) -> int:
        """Return a descriptor of standard output, once it was set aside; the caller closes it."""

    def data(self) -> DataSink:
        """Return normal output for bytes as they are, when nothing is said there."""


class Reporter:
    """Tells the console and the log alike, so that no note stands in one of them only.

    `quiet`: normal output goes to the log only, because a program reads what `show` shows.
    """

    def __init__(self, console: Console, log: RunLog, quiet: bool = False) -> None:
        self.console = console
        self.log = log
        self._quiet = quiet

    def say(self, line: str) -> None:
        """Show a line, and log it as output."""
        if not self._quiet:
            self.show(line)
        self.log.output(line)

    def show(self, text: str) -> None:
        """Show a text that is no news to the log."""
        self.console.settle()
        self.console.say(text)

    def warn(self, line: str) -> None:
        """Show and log a warning."""
        self.console.settle()
        self.console.warn(line)
        self.log.write(f"Warning: {line}")

    def note(self, line: str) -> None:
        """Log a detail."""
        self.log.write(line)

    def frame(self, *lines: str) -> None:
        """Show and log a note in a frame (reference 10.4)."""
        border = "#" * (max(len(line) for line in lines) + 4)
        for line in (border, *(f"# {line.ljust(len(border) - 4)} #" for line in lines), border):
            self.say(line)

    def advance(self, label: str, done: int, total: int | None = None) -> None:
        """Show progress in bytes; not logged."""
        self.console.advance(label, done, total)
