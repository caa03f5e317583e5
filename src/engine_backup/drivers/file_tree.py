"""Finding the files of a backup, saving them with GNU tar, and unpacking an archive's files to one side.

Names are bytes relative to the root directory. They reach GNU tar in a list with NULs
between them, never as arguments, so no name can be an option or a pattern.
"""

# Archived names are bytes, pathlib holds text.
# ruff: noqa: PTH101, PTH112, PTH115

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from engine_backup.drivers import process
from engine_backup.drivers.archive_writer import Owner
from engine_backup.drivers.command import Command, failure
from engine_backup.drivers.compression import Sink
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.tar_walk import TarWalk
from engine_backup.model.archive import EntryType, FileEntry, ReadLimits
from engine_backup.model.errors import DamagedArchiveError, EngineBackupError, ProgramError
from engine_backup.model.paths import LeftOutPath, SavedPath

TAR = "tar"
ATTEMPTS = 3
CHUNK = 1 << 18
END = bytes(1024)
_NAMES_ARE_LITERAL = ("--no-recursion", "--no-unquote", "--null", "--verbatim-files-from")
_SPECIAL = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True)
class FoundPaths:
    """What there is to save under a root.

    `names`   in the order of saving, directories before what they hold
    `missing` rows of the table that nothing matches
    `skipped` names that cannot be saved, and links that are not followed, with the reason
    """

    names: tuple[bytes, ...]
    missing: tuple[SavedPath, ...]
    skipped: tuple[tuple[bytes, str], ...]


@dataclass(frozen=True)
class SaveReport:
    """How saving went: bytes of uncompressed tar, and the names that moved under our hands.

    A changed file is in the archive in some state between before and after; a vanished one is not there.
    """

    size: int
    changed: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()


class _MovedError(Exception):
    """Files changed while they were read, and there is another try."""


def owner_of(status: os.stat_result) -> Owner:
    """Return whose a file is, with names where the numbers have any."""
    user = group = ""
    with suppress(KeyError):
        user = pwd.getpwuid(status.st_uid).pw_name
    with suppress(KeyError):
        group = grp.getgrgid(status.st_gid).gr_name
    return Owner(status.st_uid, status.st_gid, user, group)


def find_paths(root: Path, rows: Iterable[SavedPath], left_out: Iterable[LeftOutPath]) -> FoundPaths:
    """Return all that the rows name under `root`, without following links below a row.

    A symbolic link is saved as a link, but a link *above* a row is passed through.
    Raises `EngineBackupError` for a directory that cannot be read.
    """
    search = _Search(os.fsencode(root), tuple(left_out))
    missing = [row for row in rows if not search.add_row(row)]
    return FoundPaths(tuple(sorted(search.names)), tuple(missing), tuple(sorted(search.skipped)))


class _Search:
    def __init__(self, root: bytes, left_out: tuple[LeftOutPath, ...]) -> None:
        self._root = root
        self._left_out = left_out
        self.names: set[bytes] = set()
        self.skipped: set[tuple[bytes, str]] = set()

    def add_row(self, row: SavedPath) -> bool:
        """Add what a row names, and say whether there was anything."""
        matches = list(self._expand(b"", row.components, row.is_glob))
        for name in matches:
            self._add(name, is_top=True)
        return bool(matches)

    def _expand(self, above: bytes, parts: tuple[bytes, ...], is_glob: bool) -> Iterator[bytes]:
        if not parts:
            yield above
            return
        for part in self._matching(above, parts[0]) if is_glob else [parts[0]]:
            name = b"%s/%s" % (above, part) if above else part
            if os.path.lexists(self._full(name)):
                yield from self._expand(name, parts[1:], is_glob)

    def _matching(self, above: bytes, pattern: bytes) -> list[bytes]:
        if not any(sign in pattern for sign in (b"*", b"?", b"[")):
            return [pattern]
        if not os.path.isdir(self._full(above)):
            return []
        return [name for name in self._listing(above) if fnmatchcase(name, pattern)]

    def _add(self, name: bytes, is_top: bool = False) -> None:
        if name in self.names or any(row.covers(name) for row in self._left_out):
            return
        try:
            mode = os.lstat(self._full(name)).st_mode
        except FileNotFoundError:
            return
        for is_special, what in _SPECIAL:
            if is_special(mode):
                self.skipped.add((name, what))
                return
        self.names.add(name)
        if stat.S_ISDIR(mode):
            for below in self._listing(name):
                self._add(b"%s/%s" % (name, below))
        elif is_top and os.path.isdir(self._full(name)):
            self.skipped.add((name, "a link to a directory; the link is saved, not what it points to"))

    def _listing(self, name: bytes) -> list[bytes]:
        try:
            return os.listdir(self._full(name))
        except FileNotFoundError:
            return []
        except OSError as error:
            shown = os.fsdecode(name)
            raise EngineBackupError(f"cannot read /{shown}: {error.strerror}", "run as root") from error

    def _full(self, name: bytes) -> bytes:
        return os.path.join(self._root, name)


def save(
    root: Path,
    names: Sequence[bytes],
    open_sink: Callable[[], AbstractContextManager[Sink]],
    interruption: Interruption | None = None,
) -> SaveReport:
    """Write a GNU tar of `names` under `root`, with these names, and return how it went.

    `open_sink` is called for each try; when its block fails, it must take back what was written.
    When files change or vanish meanwhile, all is written again, three times in the end;
    the third result stands, and the report names what moved. Hard links, sparse files,
    owners and modes are kept. Raises `ProgramError` that names what cannot be read, and when it is
    interrupted.
    """
    present = list(names)
    gone: list[str] = []
    for attempt in range(1, ATTEMPTS + 1):
        with suppress(_MovedError), open_sink() as sink:
            report = _save_once(root, present, sink, interruption)
            if (report.changed or report.vanished) and attempt < ATTEMPTS:
                raise _MovedError
            return replace(report, vanished=(*gone, *report.vanished))
        there = {name: os.path.lexists(os.path.join(os.fsencode(root), name)) for name in present}
        present = [name for name in present if there[name]]
        gone += [os.fsdecode(name) for name, is_there in there.items() if not is_there]
    raise RuntimeError("a sink swallowed an exception")


def _save_once(
    root: Path, names: Sequence[bytes], sink: Sink, interruption: Interruption | None
) -> SaveReport:
    arguments = ("--create", "--format=gnu", "--sparse", f"--directory={root}", *_NAMES_ARE_LITERAL)
    command = Command(TAR, (*arguments, "--files-from=-", "--file=-"))
    size = 0
    with tempfile.TemporaryFile() as listing:
        listing.write(b"".join(name + b"\0" for name in names))
        listing.seek(0)
        accepted = frozenset({0, 1, 2})
        with process.reading(command, listing, accepted, interruption) as running:
            while chunk := running.stdout.read(CHUNK):
                sink.write(chunk)
                size += len(chunk)
            status = running.child.wait()
            errors = running.error_output()
    return _judge(command, status, errors, size)


_CHANGED = re.compile(r"tar: (.*): (?:file changed as we read it|File shrank by .*)")
_VANISHED = re.compile(
    r"tar: (.*): (?:File removed before we read it|(?:Cannot stat|Cannot open|Warning: Cannot stat)"
    r": No such file or directory)"
)
_WORDLESS = re.compile(r"tar: Exiting with failure status due to previous errors|tar: .*: socket ignored|\s*")


def _judge(command: Command, status: int, errors: str, size: int) -> SaveReport:
    """Turn GNU tar's exit status (0 fine, 1 some files changed, 2 errors) and messages into a report.

    A name in our list that is gone counts as an error for tar; for us it is a file that vanished.
    """
    changed, vanished, others = [], [], []
    for line in errors.splitlines():
        if match := _CHANGED.fullmatch(line):
            changed.append(match[1])
        elif match := _VANISHED.fullmatch(line):
            vanished.append(match[1])
        elif not _WORDLESS.fullmatch(line):
            others.append(line)
    if status not in (0, 1, 2) or (status == 2 and (others or not vanished)):
        raise failure(command, status, others[0] if others else errors)
    return SaveReport(size, tuple(changed), tuple(vanished))


def stage(
    tar_stream: BinaryIO, directory: Path, selected: Sequence[FileEntry], archived: Iterable[FileEntry] = ()
) -> None:
    """Unpack the selected entries of a tar into `directory`, which is created here, private.

    GNU tar is given nothing but these entries' own bytes: what was not selected cannot be
    unpacked, and a list of a hundred thousand names costs no time.
    Each lands under its `stored_name`. Directories are made on the way only: their mode,
    owner and time are in the entries, and `file_placing` applies them. `archived` are all
    entries of the archive, so that what a selected hard link points to is unpacked with it.
    Owners are left to `file_placing`, too. Raises `DamagedArchiveError` for a broken stream
    and `ProgramError` when GNU tar fails.
    """
    directory.mkdir(mode=0o700)
    names = _names_to_stage(selected, {entry.path: entry for entry in (*archived, *selected)})
    options = ("--extract", "--no-same-owner", f"--directory={directory}", "--file=-")
    try:
        with process.feeding(Command(TAR, options)) as running:
            walk = TarWalk(tar_stream, "the archived files", ReadLimits())
            copied = set()
            for member in walk:
                if member.entry.stored_name in names:
                    walk.copy_member(member, running.stdin)
                    copied.add(member.entry.stored_name)
            running.stdin.write(END)
    except ProgramError as error:
        complaint = _first_complaint(error)
        if complaint is None:
            raise
        raise complaint from error
    for name in names - copied:
        raise DamagedArchiveError(f"the archived files: {os.fsdecode(name)} is missing")


def _names_to_stage(selected: Iterable[FileEntry], archived: dict[bytes, FileEntry]) -> set[bytes]:
    """Return the stored names of all that is needed, without directories."""
    names: set[bytes] = set()
    for entry in selected:
        current: FileEntry | None = entry
        while current is not None and current.type is not EntryType.DIRECTORY:
            names.add(current.stored_name)
            is_link = current.type is EntryType.HARDLINK
            current = archived.get(current.link_target or b"") if is_link else None
    return names


def _first_complaint(error: ProgramError) -> ProgramError | None:
    """Name the first thing that went wrong; tar's last line only says that something did.

    None when tar has said nothing, as when it was killed.
    """
    lines = [line for line in error.error_output.splitlines() if line and not _WORDLESS.fullmatch(line)]
    if not lines:
        return None
    return ProgramError(f"cannot unpack the files: {lines[0]}", error.exit_status, error.error_output)
