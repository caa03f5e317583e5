"""Starting programs: the only module that does.

A child gets a small environment (PATH, TZ, a neutral locale, and what the
caller adds), its own standard streams, and never a secret in its arguments.
Its exit status decides; its standard error is kept for the message and the log.
It is told to end when the thread that started it dies, so a run that is killed takes its children along.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import IO, Any, BinaryIO

from engine_backup.drivers import children, forking
from engine_backup.drivers.command import PATIENCE_SECONDS, Command, Outcome, failure
from engine_backup.drivers.interruption import Interruption
from engine_backup.model.errors import ProgramError
from engine_backup.model.printable import printable

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ERROR_OUTPUT_LIMIT = 1 << 20
COPY_BYTES = 1 << 18
LONGEST_LINE = 1 << 16
PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031  # fcntl(2); Python has the name since 3.10


class Running:
    """A child with its streams; `outcome` is there after the `with` block that gave it."""

    def __init__(self, command: Command, child: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self.command = command
        self.child = child
        self._errors = errors

    @property
    def stdout(self) -> BinaryIO:
        """What the child writes."""
        assert self.child.stdout is not None  # noqa: S101 - set by reading()
        return self.child.stdout  # type: ignore[return-value]

    @property
    def stdin(self) -> BinaryIO:
        """What the child reads."""
        assert self.child.stdin is not None  # noqa: S101 - set by feeding()
        return self.child.stdin  # type: ignore[return-value]

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self.child.pid

    def error_output(self) -> str:
        """Return what the child has written to standard error so far (at most its last MiB)."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - ERROR_OUTPUT_LIMIT))
        return self._errors.read().decode("utf-8", "replace")

    def ended_within(self, seconds: float) -> int | None:
        """Wait for the child's end, and return its status; None when it still runs after that time."""
        with suppress(subprocess.TimeoutExpired):
            return self.child.wait(seconds)
        return None

    def stop(self) -> None:
        """End the child and what it has started: INT, then TERM, then KILL, with patience between them."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.child.poll() is not None:
                return
            self._signal(number)
            try:
                self.child.wait(self.command.patience)
            except subprocess.TimeoutExpired:
                continue

    def stop_all(self) -> None:
        """End the child as `stop` does, and kill what it has left: a shell's background jobs ignore INT."""
        self.stop()
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the whole group: workers of pg_restore must not go on without it."""
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)


def small_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child: no variable of ours but PATH and TZ, English messages."""
    path = os.environ.get("PATH", "")
    base = {"PATH": f"{path}:{SYSTEM_PATH}" if path else SYSTEM_PATH, "LC_ALL": "C", "LANGUAGE": "C"}
    if "TZ" in os.environ:
        base["TZ"] = os.environ["TZ"]
    return {**base, **children.marks(), **extra}


def run(
    command: Command,
    input_bytes: bytes = b"",
    accept: frozenset[int] = frozenset({0}),
    interruption: Interruption | None = None,
) -> Outcome:
    """Run a program whose output is small, and wait for it; an `interruption` ends it.

    Raises `ProgramError` when it cannot be started or its status is not in `accept`.
    """
    with _started(command, subprocess.PIPE, subprocess.PIPE, interruption) as running:
        stdout, _ = running.child.communicate(input_bytes)
        outcome = Outcome(command, running.child.returncode, stdout, running.error_output())
    if outcome.status not in accept:
        raise failure(command, outcome.status, outcome.stderr)
    return outcome


def follow(command: Command, tell: Callable[[str], None]) -> Outcome:
    """Run a program, and tell each line that it writes, errors among the others, as soon as it is there.

    Returns how it ended, whatever its status; `stdout` and `stderr` were told and are empty.
    Raises `ProgramError` when it cannot be started.
    """
    with _started(command, subprocess.DEVNULL, subprocess.PIPE, merged=True) as running:
        try:
            _pass_on(running, tell)
        except BaseException:
            # What it says while it clears up is told too; and a full pipe would keep it from doing so.
            teller = threading.Thread(target=_pass_on, args=(running, tell), daemon=True)
            teller.start()
            running.stop()
            teller.join(PATIENCE_SECONDS)
            raise
        return Outcome(command, running.child.wait(), b"", "")


def _pass_on(running: Running, tell: Callable[[str], None]) -> None:
    while line := running.stdout.readline(LONGEST_LINE):
        tell(printable(line.decode("utf-8", "replace").rstrip("\r\n").expandtabs(), LONGEST_LINE))


@contextmanager
def reading(
    command: Command,
    stdin: IO[bytes] | None = None,
    accept: frozenset[int] = frozenset({0}),
    interruption: Interruption | None = None,
) -> Iterator[Running]:
    """Start a program and read its `stdout` inside the block; an `interruption` ends it.

    After the block its exit status is looked at: `ProgramError` when it is not
    in `accept`. When the block raises or stops reading early, the child is ended.
    `stdin` is a real file that the child reads from where it stands (default: nothing).
    """
    source = stdin or subprocess.DEVNULL
    with _started(command, source, subprocess.PIPE, interruption) as running:
        _widen(running.stdout)
        yield running
        if running.stdout.read(1):
            running.stop()
        else:
            _finish(running, accept)


@contextmanager
def feeding(
    command: Command, stdout: IO[bytes] | None = None, interruption: Interruption | None = None
) -> Iterator[Running]:
    """Start a program and write to its `stdin` inside the block; an `interruption` ends it.

    When the program ends early, the block sees `BrokenPipeError`; it is turned
    into the program's own `ProgramError` here. `stdout` is a real file (default: thrown away).
    """
    with _started(command, subprocess.PIPE, stdout or subprocess.DEVNULL, interruption) as running:
        _widen(running.stdin)
        try:
            yield running
            running.stdin.close()
        except BrokenPipeError:
            _abandon_input(running)
            _finish(running, frozenset())
        _finish(running, frozenset({0}))


def converted(command: Command, source: BinaryIO, accept: frozenset[int] = frozenset({0})) -> bytes:
    """Feed `source` to a program and return what it writes, which must be small.

    The program may stop reading before the end of `source`; its exit status decides.
    """
    with tempfile.TemporaryFile() as output:
        with _started(command, stdin=subprocess.PIPE, stdout=output) as running:
            with suppress(BrokenPipeError):
                shutil.copyfileobj(source, running.stdin, COPY_BYTES)
            _close_quietly(running.child.stdin)
            _finish(running, accept)
        output.seek(0)
        return output.read()


@contextmanager
def serving(command: Command, log: IO[bytes], stdin: IO[bytes] | None = None) -> Iterator[Running]:
    """Start a program whose output goes to `log`, and end it when the block is left.

    `stdin` is a real file that the child reads from where it stands (default: nothing).
    """
    with _started(command, stdin=stdin or subprocess.DEVNULL, stdout=log) as running:
        yield running


@contextmanager
def _started(
    command: Command, stdin: Any, stdout: Any, interruption: Interruption | None = None, merged: bool = False
) -> Iterator[Running]:
    """`merged`: what it writes to standard error goes where its output goes."""
    with tempfile.TemporaryFile() as errors:
        child = _start(command, stdin, stdout, subprocess.STDOUT if merged else errors)
        running = Running(command, child, errors)
        try:
            with interruption.ending(running.stop) if interruption else nullcontext():
                yield running
        finally:
            running.stop()
            for stream in (running.child.stdin, running.child.stdout):
                _close_quietly(stream)


def _start(command: Command, stdin: Any, stdout: Any, errors: IO[bytes] | int) -> subprocess.Popen[bytes]:
    identity: dict[str, Any] = {}
    if command.user is not None:
        identity = {"user": command.user.uid, "group": command.user.gid, "extra_groups": []}
    try:
        with forking.undisturbed():
            child = subprocess.Popen(
                [command.program, *command.arguments],
                stdin=stdin,
                stdout=stdout,
                stderr=errors,
                env=small_environment(command.environment),
                cwd=command.directory or "/",
                pass_fds=command.files,
                start_new_session=True,
                preexec_fn=children.dying_with(os.getpid()),  # noqa: PLW1509 - it only makes system calls
                **identity,
            )
    except OSError as error:
        forking.catch_up()
        message = f"cannot start {command.program}: {error.strerror}"
        raise ProgramError(message, 127, hint=f"install the package that provides {command.name}") from error
    try:
        forking.catch_up()
        children.announce(child.pid, command.name)
    except BaseException:
        # One that cannot be told of must not run.
        child.kill()
        child.wait()
        raise
    return child


def _widen(pipe: BinaryIO) -> None:
    """Let a pipe hold more, so that both ends wait for each other less often."""
    # The system may allow its users less in all (/proc/sys/fs/pipe-user-pages-soft).
    with suppress(OSError):
        fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)


def _finish(running: Running, accept: frozenset[int]) -> None:
    status = running.child.wait()
    if status not in accept:
        raise failure(running.command, status, running.error_output())


def _abandon_input(running: Running) -> None:
    _close_quietly(running.child.stdin)


def _close_quietly(stream: IO[bytes] | None) -> None:
    """Close a pipe whose other end may be gone; the exit status tells what that meant."""
    if stream is None:
        return
    try:
        stream.close()
    except BrokenPipeError:
        # The buffer could not be flushed; the descriptor is closed all the same.
        return
