"""The log file of a run, in stock's line format (reference 10.5)."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path
from types import TracebackType

from engine_backup.model.errors import EngineBackupError

FILE_MODE = 0o600
DIRECTORY_MODE = 0o750
# Without O_NONBLOCK, a pipe that nobody reads from would keep the run waiting for ever.
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK
OTHER_LOG = "run as root, or name another place: --log=FILE"

# Names out of archives may hold codes that a terminal obeys when the log is shown.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


class RunLog:
    """An open log file; lines are `YYYY-MM-DD HH:MM:SS PID: message`, in local time.

    Each line is written at once, so that a crash loses none. Once a line cannot
    be written (a full disk), the log stays quiet, so that logging never ends a
    restore half-way; `failure` then says why.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.failure = ""
        self._descriptor = descriptor

    def write(self, message: str) -> None:
        """Append a message; each of its lines gets its own time."""
        head = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {os.getpid()}: "
        lines = message.translate(_CONTROLS).split("\n")
        self._append("".join(f"{head}{line}\n" for line in lines))

    def output(self, line: str) -> None:
        """Append what the user was shown."""
        self.write(f"OUTPUT: {line}")

    def fatal(self, message: str) -> None:
        """Append the error that ended the run."""
        self.write(f"FATAL: {message}")

    def raw(self, text: str) -> None:
        """Append a program's own output, ending in a line end."""
        if text:
            text = text.translate(_CONTROLS)
            self._append(text if text.endswith("\n") else f"{text}\n")

    def close(self) -> None:
        """Close the file; later lines are dropped."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, text: str) -> None:
        if self._descriptor < 0 or self.failure:
            return
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self.failure = f"cannot write to the log {self.path}: {error.strerror}"


def no_log() -> RunLog:
    """Return a log that drops everything, for runs that have none."""
    return RunLog(Path(os.devnull), -1)


def open_log(path: Path, default_directory: Path | None = None) -> RunLog:
    """Open a log for appending; created 0600, and an existing file is made 0600.

    A device or a pipe is written to but keeps its mode. `default_directory` is
    created (0750) when the log lies in it; any other directory must exist.
    Raises `EngineBackupError`.
    """
    try:
        if default_directory is not None and path.parent == default_directory:
            _make_directory(default_directory)
        descriptor = os.open(path, FLAGS, FILE_MODE)
        os.set_blocking(descriptor, True)
    except FileNotFoundError as error:
        hint = f"create it: mkdir -p {path.parent}, or name another place: --log=FILE"
        raise EngineBackupError(f"the directory of the log {path} does not exist", hint) from error
    except OSError as error:
        reason = "nobody reads from this pipe" if error.errno == errno.ENXIO else error.strerror
        raise EngineBackupError(f"cannot open the log {path}: {reason}", OTHER_LOG) from error
    _protect(path, descriptor)
    return RunLog(path, descriptor)


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(DIRECTORY_MODE, parents=True)
        directory.chmod(DIRECTORY_MODE)


def _protect(path: Path, descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) or stat.S_IMODE(mode) == FILE_MODE:
        return
    try:
        os.fchmod(descriptor, FILE_MODE)
    except OSError as error:
        os.close(descriptor)
        raise EngineBackupError(f"cannot make the log {path} private: {error.strerror}", OTHER_LOG) from error
