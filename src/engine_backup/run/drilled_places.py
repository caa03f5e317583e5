"""Whether each archived file that a restore chose is in its place as it was archived."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from engine_backup.drivers.file_placing import group_number, user_number
from engine_backup.drivers.restored_files import RestoredFiles, UnreadableFileError
from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.checks import Check, Outcome
from engine_backup.model.components import FILES
from engine_backup.model.printable import printable_name
from engine_backup.run.drilled import Drilled

NAME = "files"
# Some GiB of images in an archive would make a drill wait for nothing: the archive's hash holds for them.
LARGEST_COMPARED = 64 << 20
MOST_COMPARED = 1 << 30
MOST_FINDINGS = 20
_KINDS = {
    stat.S_IFREG: EntryType.FILE,
    stat.S_IFDIR: EntryType.DIRECTORY,
    stat.S_IFLNK: EntryType.SYMLINK,
}


@dataclass
class _Comparison:
    drilled: Drilled
    files: RestoredFiles
    placed: dict[bytes, FileEntry]
    changed: frozenset[bytes]
    wrong: dict[bytes, str] = field(default_factory=dict)
    owners: int = 0
    compared: int = 0
    bytes_compared: int = 0

    def entries(self) -> None:
        for path, entry in self.placed.items():
            try:
                status = self.files.status(path)
                problem = "is missing" if status is None else self._difference(entry, status)
            except UnreadableFileError as error:
                problem = error.message
            if problem:
                self.wrong[path] = problem

    def _difference(self, entry: FileEntry, status: os.stat_result) -> str:
        kind = EntryType.FILE if entry.type is EntryType.HARDLINK else entry.type
        if _KINDS.get(stat.S_IFMT(status.st_mode)) is not kind:
            return f"is no {kind.value} here, as it is in the archive"
        if kind is EntryType.SYMLINK:
            target = self.files.link_target(entry.path)
            return "" if target == entry.link_target else "leads elsewhere than in the archive"
        wanted = user_number(entry.uname, entry.uid), group_number(entry.gname, entry.gid)
        self.owners += (status.st_uid, status.st_gid) != wanted
        return "" if entry.type is EntryType.HARDLINK else self._other_settings(entry, status)

    def _other_settings(self, entry: FileEntry, status: os.stat_result) -> str:
        mode = entry.mode & ~0o6000 if entry.is_set_id else entry.mode
        if stat.S_IMODE(status.st_mode) != mode:
            return f"has mode {stat.S_IMODE(status.st_mode):04o}, in the archive {mode:04o}"
        if entry.type is EntryType.DIRECTORY or entry.path in self.changed:
            return ""
        if status.st_size != entry.size:
            return f"has {status.st_size} bytes, in the archive {entry.size}"
        return "" if int(status.st_mtime) == entry.mtime else "has another time than in the archive"

    def contents(self) -> None:
        """Compare what is in the files; of a path that the archive has twice, the last one counts."""
        for entry, chunks in self.drilled.archive.file_contents():
            placed = self.placed.get(entry.path)
            if placed is None or entry.type is not EntryType.FILE or entry.path in self.changed:
                continue
            if entry.size > LARGEST_COMPARED or self.bytes_compared + entry.size > MOST_COMPARED:
                continue
            self._content(entry, chunks)

    def _content(self, entry: FileEntry, chunks: Iterator[bytes]) -> None:
        differs = "has another content than in the archive"
        if self.wrong.get(entry.path) == differs:
            del self.wrong[entry.path]
        if entry.path in self.wrong:
            return
        try:
            same = self.files.holds(entry.path, chunks)
        except UnreadableFileError:
            # An ordinary user cannot read all that it restores; type, size and time were compared.
            return
        self.compared += 1
        self.bytes_compared += entry.size
        if not same:
            self.wrong[entry.path] = differs


def check_places(drilled: Drilled) -> Check:
    """Compare type, mode, size, time, target and content with the archive's list; owners are only told of."""
    if not drilled.facts.has_files:
        return Check(FILES.name, NAME, Outcome.NOT_IN_ARCHIVE)
    comparison = _Comparison(
        drilled, RestoredFiles(drilled.root), {e.path: e for e in drilled.placed}, _changed(drilled)
    )
    comparison.entries()
    comparison.contents()
    wrong = [f"/{printable_name(path)} {problem}" for path, problem in comparison.wrong.items()]
    if not drilled.placed:
        wrong = ["the archive holds files, of which none was restored"]
    more = len(wrong) - MOST_FINDINGS
    findings = (*wrong[:MOST_FINDINGS], *((f"and {more} more",) if more > 0 else ()))
    detail = f"{len(drilled.placed)} files and directories, {comparison.compared} compared byte by byte"
    if comparison.owners:
        detail += f"; {comparison.owners} have another owner than in the archive, which only root can set"
    return Check(FILES.name, NAME, Outcome.FAIL if findings else Outcome.PASS, detail, findings)


def _changed(drilled: Drilled) -> frozenset[bytes]:
    """Return the paths whose content a restore changes on purpose, or makes."""
    pkcs12 = drilled.facts.pkcs12
    encrypted_anew = {old.path for old in pkcs12.old if not old.reason} if pkcs12 else set()
    archived = {entry.path for entry in drilled.facts.entries}
    return frozenset(encrypted_anew | {e.path for e in drilled.placed if e.path not in archived})
