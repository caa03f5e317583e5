"""A stream through a program, in at one end and out at the other, with nothing on the disk."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress
from typing import BinaryIO

from engine_backup.drivers import process
from engine_backup.drivers.command import Command
from engine_backup.drivers.compression import Sink
from engine_backup.drivers.process import COPY_BYTES
from engine_backup.model.errors import ProgramError


class _Feeder(threading.Thread):
    """Writes a stream into a pipe; what went wrong while reading it is kept for the other thread."""

    def __init__(self, source: BinaryIO, pipe: int) -> None:
        super().__init__(daemon=True)
        self._source = source
        self._pipe = os.fdopen(pipe, "wb", buffering=0)
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            # The program may have read enough before the end; its exit status decides.
            with suppress(BrokenPipeError), self._pipe:
                shutil.copyfileobj(self._source, self._pipe, COPY_BYTES)
        except BaseException as error:
            self.failure = error

    def end(self) -> None:
        """Wait for it; it ends with the program, which has the only other end of the pipe."""
        if self.ident is not None:
            self.join()
        self._pipe.close()


def filtered(command: Command, source: BinaryIO, sink: Sink) -> None:
    """Feed `source` to a program and write to `sink` what the program writes.

    Raises what reading `source` or writing to `sink` raises, else `ProgramError` when the program fails.
    """
    read_end, write_end = os.pipe()
    feeder = _Feeder(source, write_end)
    try:
        with (
            os.fdopen(read_end, "rb", buffering=0) as stdin,
            process.reading(command, stdin=stdin) as running,
        ):
            stdin.close()
            feeder.start()
            shutil.copyfileobj(running.stdout, sink, COPY_BYTES)
    except ProgramError:
        feeder.end()
        if feeder.failure is not None:
            raise feeder.failure from None
        raise
    finally:
        feeder.end()
    if feeder.failure is not None:
        raise feeder.failure
