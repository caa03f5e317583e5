"""Bytes on their way to another program, front to back: all of each write, or an error that says why not."""

from __future__ import annotations

import errno
import io
import os
import select
import stat

from engine_backup.drivers.interruption import StoppedError
from engine_backup.model.errors import EngineBackupError

# What a pipe or socket that is ready takes without blocking (pipe(7), PIPE_BUF).
SURE_BYTES = select.PIPE_BUF
CHUNK = 1 << 20
_HINTS = {
    errno.EPIPE: "what reads it has ended too early: look at that program",
    errno.ENOSPC: "make room where standard output goes",
}


class OutgoingStream(io.RawIOBase):
    """Writes to a descriptor, which it owns; cannot seek. `size` is the number of bytes so far.

    A reader that stalls is waited for, unless another thread calls `give_up`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        self._step = SURE_BYTES if self._kind in (stat.S_IFIFO, stat.S_IFSOCK) else CHUNK
        self._given_up, self._giver = os.pipe()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._poll.register(self._given_up, select.POLLIN)
        self.size = 0

    def writable(self) -> bool:
        """Whether it can be written to: yes."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Write all of `data` and return its length.

        Raises `EngineBackupError` when that cannot be, `StoppedError` after `give_up`.
        """
        rest = memoryview(data)
        while rest:
            written = self._write_some(rest[: self._step])
            self.size += written
            rest = rest[written:]
        return len(data)

    def sync(self) -> None:
        """Bring a file that standard output was redirected to, to its disk; raises `EngineBackupError`."""
        if self._kind not in (stat.S_IFREG, stat.S_IFBLK):
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise _cannot(error) from error

    def give_up(self) -> None:
        """End the writing that goes on in another thread, and any that would come; from any thread."""
        os.write(self._giver, b"-")

    def close(self) -> None:
        """Close the descriptor: its reader sees the end."""
        if not self.closed:
            super().close()
            for descriptor in (self._descriptor, self._given_up, self._giver):
                os.close(descriptor)

    def _write_some(self, data: memoryview) -> int:
        """Wait until something can be written; what is ready may still not take it, and gives 0 then."""
        ready = [descriptor for descriptor, _ in self._poll.poll()]
        if self._given_up in ready:
            raise StoppedError
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _cannot(error) from error


def _cannot(error: OSError) -> EngineBackupError:
    hint = _HINTS.get(error.errno or 0, "look at the program or the file that takes it")
    return EngineBackupError(f"cannot write the archive to standard output: {error.strerror}", hint)
