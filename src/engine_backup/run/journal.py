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
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine_backup.drivers.children import Child
from engine_backup.drivers.durable import sync_directory
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.journal import JournalHead, JournalState
from engine_backup.model.ways_back import WayBack
from engine_backup.run.journal_content import VERSION, Content
from engine_backup.run.journal_lines import to_plain

FILE, KEPT, RESERVE = "journal", "kept", "reserve"


class Journal:
    """A journal that this process holds; `directory` is the run's own."""

    def __init__(self, directory: Path, descriptor: int, content: Content) -> None:
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
        return self.content.state

    def headed(self) -> None:
        """Write down what the run is about."""
        self._write({"journal": VERSION, **asdict(self.head)})

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
        with locked(self.directory.parent):
            self.directory.rename(place)
            sync_directory(self.directory.parent)

    def remove(self) -> None:
        """Remove the run's directory with all that it holds, and the directories above that it made."""
        with locked(self.directory.parent):
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
                raise unwritable(self.directory, error) from error


def unwritable(directory: Path, error: OSError) -> EngineBackupError:
    """Return the error of a journal that cannot be written."""
    message = f"cannot write the journal in {directory}: {error.strerror}"
    return EngineBackupError(message, "make room on that file system, and start again")


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep others from adding journals to, and removing, a directory; raises `FileNotFoundError`."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        directory.stat()
        yield
    finally:
        os.close(descriptor)
