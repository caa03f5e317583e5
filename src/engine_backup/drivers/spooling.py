"""Files without a name, where a member waits until its place in the archive is known."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO


@dataclass(frozen=True)
class Spool:
    """A member that waits: its header, its content, and that content's hex digest."""

    header: tarfile.TarInfo
    file: IO[bytes]
    sha256: str


def nameless_file(directory: Path) -> IO[bytes]:
    """Open a file in `directory` that is gone as soon as it is closed, also by a crash."""
    return tempfile.TemporaryFile(dir=directory)


@contextmanager
def kept_when_whole(directory: Path) -> Iterator[IO[bytes]]:
    """Open a nameless file that stays open after the block, unless the block fails."""
    file = nameless_file(directory)
    try:
        yield file
        file.flush()
    except BaseException:
        file.close()
        raise


def copied_in_kernel(source: int, target: BinaryIO, size: int) -> int:
    """Copy from the beginning of `source` to where `target` stands, and return how much that was.

    It is less than `size` where the file systems cannot do it.
    """
    start = target.tell()
    target.flush()
    done = 0
    # What the kernel cannot do here, or has no room for, is tried once more, and told, the usual way.
    with suppress(OSError):
        while done < size:
            step = os.copy_file_range(source, target.fileno(), size - done, done, start + done)
            if step == 0:
                break
            done += step
    target.seek(start + done)
    return done
