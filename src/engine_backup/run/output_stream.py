"""An archive on its way to standard output: nothing of it is kept, and nothing can be read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import BinaryIO, cast

from engine_backup.drivers.outgoing_stream import OutgoingStream


class OutputStream:
    """`stream` is standard output, for the archive alone."""

    name = "standard output"

    def __init__(self, stream: OutgoingStream) -> None:
        self.outgoing = stream
        self.stream = cast(BinaryIO, stream)

    def give_up(self) -> None:
        """End writing to a reader that stalls; from any thread."""
        self.outgoing.give_up()


@contextmanager
def output_stream(descriptor: int) -> Iterator[OutputStream]:
    """Write to a descriptor, which is closed when the block is left."""
    with closing(OutgoingStream(descriptor)) as stream:
        yield OutputStream(stream)
