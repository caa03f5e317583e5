"""The journals below a root: begun, found, taken up, cleared away."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import time
from contextlib import closing, suppress
from pathlib import Path

from engine_backup.drivers.durable import sync_directory
from engine_backup.model.errors import EngineBackupError, RefusedError
from engine_backup.model.journal import JournalFacts, JournalHead, JournalState
from engine_backup.model.places import STAGING_DIRECTORY
from engine_backup.plan import unfinished
from engine_backup.run.journal import FILE, RESERVE, Journal, locked, unwritable
from engine_backup.run.journal_content import Content, read

RESERVE_BYTES = 1 << 18
LOOK_SECONDS = 1.0


def begin(root: Path, head: JournalHead) -> Journal:
    """Make a run's directory and its journal below `root`, and hold it.

    Raises `RefusedError` when another journal speaks of the same components.
    """
    parent = root / STAGING_DIRECTORY
    made = [directory for directory in (parent, *parent.parents) if not directory.exists()]
    head = head.with_made(tuple(map(str, made)))
    while True:
        _make_private(parent)
        with suppress(FileNotFoundError), locked(parent):
            problems = unfinished.problems(head.components, observe(root), root)
            if problems:
                raise RefusedError(problems)
            return _new(parent / head.run, head)


def _make_private(parent: Path) -> None:
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        parent.chmod(0o700)
    except OSError as error:
        raise EngineBackupError(
            f"cannot make the directory {parent}: {error.strerror}", "make it writable, and start again"
        ) from error


def _new(directory: Path, head: JournalHead) -> Journal:
    """Make both; what can be seen of them is complete, or has no journal yet."""
    directory.mkdir(mode=0o700)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(directory / FILE, flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        journal = Journal(directory, descriptor, Content(head))
        _reserve(directory)
        journal.headed()
        for place in (directory, directory.parent):
            sync_directory(place)
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise unwritable(directory, error) from error
    except EngineBackupError:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return journal


def _reserve(directory: Path) -> None:
    """Take room on the disk, for the lines that undoing writes when there is none left."""
    descriptor = os.open(directory / RESERVE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
    finally:
        os.close(descriptor)


def observe(root: Path) -> tuple[JournalFacts, ...]:
    """Return the journals below `root`, the oldest first; nothing is changed."""
    found = []
    for directory in _directories(root):
        with suppress(FileNotFoundError), (directory / FILE).open("rb") as file:
            content = read(file.read(), directory)
            found.append(_facts(directory, _state(file.fileno(), content), content))
    return tuple(found)


def _facts(directory: Path, state: JournalState, content: Content) -> JournalFacts:
    return JournalFacts(
        content.head,
        str(directory),
        state,
        ways_back=tuple(map(str, content.ways)),
        steps=tuple(content.steps),
        taken_back=tuple(sorted(content.taken_back)),
    )


def _state(descriptor: int, content: Content) -> JournalState:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return JournalState.RUNNING
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return content.state


def take_up(directory: Path) -> Journal:
    """Hold the journal of a run that has ended or was killed.

    Raises `EngineBackupError` when that run is alive, or another process has taken it up.
    """
    try:
        descriptor = os.open(directory / FILE, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise EngineBackupError(f"cannot open the journal in {directory}: {error.strerror}") from error
    try:
        _hold(descriptor)
        data = (directory / FILE).read_bytes()
        content = read(data, directory)
        # What is written next must not be added to a line that was cut off.
        os.ftruncate(descriptor, data.rfind(b"\n") + 1)
        return Journal(directory, descriptor, content)
    except BlockingIOError as error:
        os.close(descriptor)
        raise EngineBackupError(
            f"run {directory.name} is still going on", "wait until it has ended"
        ) from error
    except BaseException:
        os.close(descriptor)
        raise


def _hold(descriptor: int) -> None:
    """Lock a journal; whoever only looks at it holds it for a moment. Raises `BlockingIOError`."""
    deadline = time.monotonic() + LOOK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_SECONDS / 20)
        else:
            return


def held(facts: JournalFacts) -> Journal:
    """Hold a journal that was found; raises like `take_up`, and when another process was quicker."""
    journal = take_up(Path(facts.directory))
    if journal.state is not facts.state:
        journal.close()
        raise EngineBackupError(
            f"run {facts.head.run} was {facts.state.value}, and is {journal.state.value} now",
            "look at it again: engine-backup journal",
        )
    return journal


def clear(root: Path) -> None:
    """Remove directories of runs that have ended, or were killed before their journal had its head."""
    parent = root / STAGING_DIRECTORY
    with suppress(FileNotFoundError), locked(parent):
        for directory in _directories(root):
            journal = directory / FILE
            if not journal.exists() or b"\n" not in journal.read_bytes():
                shutil.rmtree(directory)
    for facts in observe(root):
        if facts.state is JournalState.ENDED:
            with suppress(EngineBackupError), closing(held(facts)) as ended:  # others clear up, too
                ended.remove()


def _directories(root: Path) -> list[Path]:
    """Return the runs' directories; raises `EngineBackupError` when others could have put them there."""
    parent = root / STAGING_DIRECTORY
    try:
        _check_private(parent)
        found = sorted(path for path in parent.iterdir() if path.is_dir() and not path.is_symlink())
        for path in found:
            _check_private(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        message = f"cannot look for journals in {parent}: {error.strerror}"
        raise EngineBackupError(message, "run this as the account that restores: root") from error
    return found


def _check_private(directory: Path) -> None:
    """A journal is obeyed, so nobody else may have written it."""
    status = directory.lstat()
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022 or not stat.S_ISDIR(status.st_mode):
        raise EngineBackupError(
            f"others could have written the journals in {directory}: they are not obeyed",
            f"look at them, and make them yours: chown root {directory}; chmod 700 {directory}",
        )
