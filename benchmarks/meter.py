"""What a program takes: time, processor, memory and temporary disk, of itself and of all that it starts.

A thread looks four times a second and only at the processes and directories of
that one program, so that looking hardly slows down what is looked at: ten times a second
took 3 % of a processor.
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import processes

PERIOD_SECONDS = 0.25
# Short programs are looked at more often, so that their last state is seen.
PART_OF_TIME = 8
SHORTEST_SECONDS = 0.01
LAST_WORDS = 2000
QUIET = 0.3  # processor seconds of a second


class MeasuredProgramError(Exception):
    """The measured program failed: its times are worth nothing."""


@dataclass(frozen=True)
class Invocation:
    """A program to measure.

    `watched` are the directories in which it may leave temporary files;
    `archive` is the file that is not temporary, wherever it grows and whatever
    its name is meanwhile. `server` is the process id of the database server.
    """

    words: tuple[str, ...]
    environment: Mapping[str, str]
    watched: tuple[Path, ...] = ()
    archive: Path | None = None
    server: int = 0


@dataclass(frozen=True)
class Measurement:
    """Seconds and bytes. `server_cpu` is what the database server and its sessions computed meanwhile.

    `others` is what the rest of the machine computed meanwhile: the more, the less the times are worth.
    `own_memory` is the peak of the started process alone, `all_memory` the
    peak of it and all its descendants together, shared pages counted once.
    `temporary` is the peak of all temporary files, `size` that of the archive.
    """

    wall: float
    cpu: float
    server_cpu: float
    others: float
    own_memory: int
    all_memory: int
    temporary: int
    size: int


@dataclass
class Peaks:
    """What a sampler has seen so far. Files are told apart by inode, for they may be renamed."""

    own_memory: int = 0
    all_memory: int = 0
    files: list[dict[int, int]] = field(default_factory=list)

    def temporary(self, result: int) -> int:
        """Return the most bytes that files other than inode `result` took at one moment."""
        return max((sum(sizes.values()) - sizes.get(result, 0) for sizes in self.files), default=0)


def measure(invocation: Invocation) -> Measurement:
    """Run a program to its end; raises `MeasuredProgramError` with its last words when it fails."""
    before, server_before = processes.computed_by_all(), processes.computed(invocation.server)
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        child = subprocess.Popen(  # noqa: S603 - the words are ours
            invocation.words,
            env=dict(invocation.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        peaks, (status, usage) = _watch(child.pid, invocation.watched)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            output.seek(0)
            words = output.read()[-LAST_WORDS:].decode(errors="replace")
            raise MeasuredProgramError(f"{invocation.words[0]} ended with {child.returncode}:\n{words}")
    cpu = usage.ru_utime + usage.ru_stime
    server_cpu = processes.computed(invocation.server) - server_before
    archive = invocation.archive
    found = archive.stat() if archive and archive.exists() else None
    return Measurement(
        wall=wall,
        cpu=cpu,
        server_cpu=server_cpu,
        others=max(0.0, processes.computed_by_all() - before - cpu - server_cpu),
        own_memory=peaks.own_memory,
        all_memory=peaks.all_memory,
        temporary=peaks.temporary(found.st_ino if found else 0),
        size=found.st_size if found else 0,
    )


def wait_for_quiet(patience: float) -> None:
    """Wait until the machine has done next to nothing for a second, but no longer than `patience` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = processes.computed_by_all()
        time.sleep(1.0)
        if processes.computed_by_all() - before < QUIET:
            return


def _watch(pid: int, watched: Sequence[Path]) -> tuple[Peaks, tuple[int, resource.struct_rusage]]:
    peaks = Peaks()
    over = threading.Event()
    sampler = threading.Thread(target=_sample, args=(pid, watched, peaks, over))
    sampler.start()
    try:
        _, status, usage = os.wait4(pid, 0)
    finally:
        over.set()
        sampler.join()
    return peaks, (status, usage)


def _sample(pid: int, watched: Sequence[Path], peaks: Peaks, over: threading.Event) -> None:
    begun = time.monotonic()
    while True:
        family = processes.family(pid)
        peaks.own_memory = max(peaks.own_memory, processes.highest_memory(pid))
        peaks.all_memory = max(peaks.all_memory, sum(processes.memory(member) for member in family))
        sizes = dict(_files_below(watched))
        for member in family:
            sizes.update(processes.nameless_files(member))
        peaks.files.append(sizes)
        so_far = time.monotonic() - begun
        if over.wait(min(PERIOD_SECONDS, max(SHORTEST_SECONDS, so_far / PART_OF_TIME))):
            return


def _files_below(directories: Sequence[Path]) -> list[tuple[int, int]]:
    """Return inode and allocated bytes of each file; files that vanish meanwhile do not count."""
    found = []
    for directory in directories:
        for top, _, names in os.walk(directory):
            for name in names:
                with suppress(OSError):
                    status = os.lstat(os.path.join(top, name))
                    found.append((status.st_ino, status.st_blocks * 512))
    return found
