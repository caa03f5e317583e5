"""The journal of a run that changes the machine: what survives a crash, so that all can be taken back.

Each run has a directory of its own below `STAGING_DIRECTORY`, 0700, with the file `journal`, the files that
it replaced (`kept`), what it unpacked, and a `reserve` of room for undoing. The journal is JSON lines, each
on the disk before the change that it speaks of is made:

`{"journal": 1, "run": …}`      the head: what is restored, from where, by which process
`{"begun": STEP}`, `{"done": STEP}`
`{"way_back": …}`               how to take back what comes next
`{"child": PID, "started": …}`  a program that was started, with its start time as the kernel counts it
`{"taken_back": N}`             the way back number N, counted from 0, has been gone
`{"ended": "complete" | "kept" | "committed" | "undone"}`

A run holds a lock on its journal as long as it lives. A journal that nobody holds and that has not
ended belongs to a run that was killed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine_backup.drivers.durable import sync_directory
from engine_backup.drivers.process import Child
from engine_backup.model.errors import EngineBackupError, RefusedError
from engine_backup.model.journal import JournalFacts, JournalHead, JournalState
from engine_backup.model.places import STAGING_DIRECTORY
from engine_backup.model.ways_back import WayBack
from engine_backup.plan import unfinished
from engine_backup.run.journal_lines import from_plain, to_plain

FILE, KEPT, RESERVE = "journal", "kept", "reserve"
RESERVE_BYTES = 1 << 18
LOOK_SECONDS = 1.0
VERSION = 1
COMPLETE, KEPT_UNDO, COMMITTED, UNDONE = "complete", "kept", "committed", "undone"
_ENDS = {KEPT_UNDO: JournalState.KEPT, COMMITTED: JournalState.COMMITTED, "": JournalState.UNFINISHED}


@dataclass
class _Content:
    """What a journal says."""

    head: JournalHead
    ways: list[WayBack] = field(default_factory=list)
    taken_back: set[int] = field(default_factory=set)
    children: list[Child] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    ended: str = ""


class Journal:
    """A journal that this process holds; `directory` is the run's own."""

    def __init__(self, directory: Path, descriptor: int, content: _Content) -> None:
        self.directory = directory
        self.content = content
        self._descriptor = descriptor
        self._lock = threading.Lock()

    @property
    def head(self) -> JournalHead:
        """What the run is about."""
        return self.content.head

    @property
    def state(self) -> JournalState:
        """How the run that it speaks of ended."""
        return _ENDS.get(self.content.ended, JournalState.ENDED)

    def begun(self, step: str) -> None:
        """Write down that a step begins."""
        self._write({"begun": step})

    def done(self, step: str) -> None:
        """Write down that a step has ended well."""
        self._write({"done": step})

    def add(self, way: WayBack) -> None:
        """Write down how to take back what is about to be done."""
        self._write({"way_back": to_plain(way)})
        self.content.ways.append(way)

    def taken_back(self, number: int) -> None:
        """Write down that a way back was gone; when it cannot be written, it is gone twice."""
        self.content.taken_back.add(number)
        with suppress(EngineBackupError):
            self._write({"taken_back": number})

    def made_nothing(self) -> None:
        """Write down that the change of the last way back has failed, and changed nothing."""
        self.taken_back(len(self.content.ways) - 1)

    def forget(self) -> None:
        """Keep all that was done so far: nothing of it is to be taken back."""
        for number in range(len(self.content.ways)):
            self.taken_back(number)

    def child(self, child: Child) -> None:
        """Write down that a program was started; nothing waits for the disk, a power cut ends it anyway."""
        line = {"child": child.pid, "started": child.started, "program": child.program}
        with suppress(EngineBackupError):  # undoing needs programs also where nothing can be written
            self._write(line, durable=False)

    def release(self) -> None:
        """Give the room free that undoing needs on a disk that is full."""
        (self.directory / RESERVE).unlink(missing_ok=True)

    def end(self, how: str) -> None:
        """Write down how the run ended."""
        self._write({"ended": how})
        self.content.ended = how

    def close(self) -> None:
        """Let go of it; others may take it up."""
        os.close(self._descriptor)

    def set_aside(self, place: Path) -> None:
        """Move the run's directory to `place`, where nothing obeys it any more."""
        with _locked(self.directory.parent):
            self.directory.rename(place)
            sync_directory(self.directory.parent)

    def remove(self) -> None:
        """Remove the run's directory with all that it holds, and the directories above that it made."""
        with _locked(self.directory.parent):
            shutil.rmtree(self.directory)
            for directory in self.head.made:
                with suppress(OSError):  # something else is there now
                    Path(directory).rmdir()

    def _write(self, line: dict[str, Any], durable: bool = True) -> None:
        """Append a line, whole or not at all; raises `EngineBackupError`."""
        data = json.dumps(line, ensure_ascii=True).encode() + b"\n"
        with self._lock:
            size = os.fstat(self._descriptor).st_size
            try:
                if os.write(self._descriptor, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if durable:
                    os.fsync(self._descriptor)
            except OSError as error:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, size)
                raise _unwritable(self.directory, error) from error


def begin(root: Path, head: JournalHead) -> Journal:
    """Make a run's directory and its journal below `root`, and hold it.

    Raises `RefusedError` when another journal speaks of the same components.
    """
    parent = root / STAGING_DIRECTORY
    made = [directory for directory in (parent, *parent.parents) if not directory.exists()]
    head = head.with_made(tuple(map(str, made)))
    while True:
        _make_private(parent)
        with suppress(FileNotFoundError), _locked(parent):
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
        journal = Journal(directory, descriptor, _Content(head))
        _reserve(directory)
        journal._write({"journal": VERSION, **asdict(head)})  # noqa: SLF001 - its own module
        for place in (directory, directory.parent):
            sync_directory(place)
    except OSError as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise _unwritable(directory, error) from error
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


def _unwritable(directory: Path, error: OSError) -> EngineBackupError:
    message = f"cannot write the journal in {directory}: {error.strerror}"
    return EngineBackupError(message, "make room on that file system, and start again")


def observe(root: Path) -> tuple[JournalFacts, ...]:
    """Return the journals below `root`, the oldest first; nothing is changed."""
    found = []
    for directory in _directories(root):
        with suppress(FileNotFoundError), (directory / FILE).open("rb") as file:
            content = _read(file.read(), directory)
            found.append(_facts(directory, _state(file.fileno(), content), content))
    return tuple(found)


def _facts(directory: Path, state: JournalState, content: _Content) -> JournalFacts:
    return JournalFacts(
        content.head,
        str(directory),
        state,
        ways_back=tuple(map(str, content.ways)),
        steps=tuple(content.steps),
        taken_back=tuple(sorted(content.taken_back)),
    )


def _state(descriptor: int, content: _Content) -> JournalState:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return JournalState.RUNNING
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return _ENDS.get(content.ended, JournalState.ENDED)


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
        content = _read(data, directory)
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
    with suppress(FileNotFoundError), _locked(parent):
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


def _read(data: bytes, directory: Path) -> _Content:
    """Read the lines of a journal; the last may be cut off: nothing of what it speaks of was done then."""
    lines = data.split(b"\n")[:-1]
    if not lines:
        raise FileNotFoundError(directory / FILE)
    try:
        documents = [json.loads(line) for line in lines]
        head = documents[0]
        if head.pop("journal") != VERSION:
            raise EngineBackupError(
                f"the journal in {directory} is of another version", "use the engine-backup that wrote it"
            )
        content = _Content(JournalHead.from_document(head))
        for document in documents[1:]:
            _take_in(document, content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineBackupError(
            f"the journal in {directory} is damaged", "look into it; it says line by line what was changed"
        ) from error
    return content


def _take_in(document: dict[str, Any], content: _Content) -> None:
    if "way_back" in document:
        content.ways.append(from_plain(document["way_back"]))
    elif "taken_back" in document:
        content.taken_back.add(int(document["taken_back"]))
    elif "child" in document:
        content.children.append(Child(document["child"], document["started"], document["program"]))
    elif "done" in document:
        content.steps.append(document["done"])
    elif "ended" in document:
        content.ended = document["ended"]


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep others from adding journals to, and removing, a directory; raises `FileNotFoundError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        directory.stat()
        yield
    finally:
        os.close(descriptor)
