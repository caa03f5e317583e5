"""What every run that reads an archive does first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from engine_backup.drivers import archive_form, compression
from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.plain_dump import Item, Statement, split
from engine_backup.model import manifest
from engine_backup.model.archive import DumpMember
from engine_backup.model.errors import HostileArchiveError
from engine_backup.model.printable import printable
from engine_backup.plan.hostile_statements import meaning_of_forbidden
from engine_backup.run.reporting import Reporter


def checked(archive: Archive, reporter: Reporter) -> None:
    """Read every member and compare it with its hash; raises `DamagedArchiveError`."""
    reporter.note("Verifying hash")
    total = sum(member.size for member in archive.members.values() if member.is_file)
    done = 0

    def advance(name: str, size: int) -> None:
        nonlocal done
        done += size
        reporter.advance("checking hashes", done, total)

    archive.hashes.check_all(advance)
    reporter.note(f"generation {archive.generation.value}, version {archive.version}")


def check_form(archive: Archive, reporter: Reporter) -> None:
    """Hold an archive of this tool against the form that this tool gives archives, bit by bit.

    Of stock's archives, and of what others have packed anew, only the log says that it could not be done.
    Raises `DamagedArchiveError`.
    """
    if not manifest.is_ours(archive.manifest):
        reporter.note("written by another tool: what is neither hash nor checksum is not checked")
        return
    archive_form.check_tar(archive)
    written = (archive.manifest or {}).get("archive_compressor")
    if written == archive.compressor and written in archive_form.WHOLE_ARCHIVE_COMPRESSORS:
        archive_form.check_packing(archive)
    elif archive.compressor:
        reporter.note(f"packed with {archive.compressor} after it was written: its form is not checked")


def statements(stream: BinaryIO, name: str) -> Iterator[Item]:
    """Yield the items of a plain dump; raises `HostileArchiveError` for one that no dump holds."""
    for item in split(stream, name):
        if isinstance(item, Statement):
            meaning = meaning_of_forbidden(item.text.decode("utf-8", "surrogateescape"))
            if meaning:
                shown = printable(item.text[:60].decode("utf-8", "backslashreplace"))
                raise HostileArchiveError(
                    f"{name}: line {item.line_number}: a statement that no dump holds, it {meaning}: {shown}"
                )
        yield item


def open_dump(archive: Archive, member: DumpMember) -> BinaryIO:
    """Return a dump as pg_dump or SQLite wrote it, its compressor taken off."""
    stored = archive.open_member(member.member)
    name = f"{archive.path}: {member.member}"
    return compression.open_reader(stored, member.compressor, name, archive.limits)


class _Watched:
    """Passes on what is read from a stream, and tells how much has gone through."""

    def __init__(self, stream: BinaryIO, tell: Callable[[int], None]) -> None:
        self._stream = stream
        self._tell = tell
        self._done = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._done += len(data)
        self._tell(self._done)
        return data

    def __enter__(self) -> _Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def watched(stream: BinaryIO, tell: Callable[[int], None]) -> BinaryIO:
    """Return the same bytes, for `read` front to back; `tell` gets the number of bytes read so far.

    Closing it, which `with` does, closes `stream`.
    """
    return cast(BinaryIO, _Watched(stream, tell))
