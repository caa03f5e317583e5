"""What is taken out of an archive: files, dumps, and texts made from its conf files."""

from __future__ import annotations

from dataclasses import dataclass

from engine_backup.model.archive import DumpMember, EntryType, FileEntry


@dataclass(frozen=True)
class ChosenDump:
    """A dump, and the name of the file that it becomes. `as_sql`: pg_restore turns it into SQL text."""

    member: DumpMember
    file_name: str
    as_sql: bool = False


@dataclass(frozen=True)
class ChosenText:
    """A text and the name of the file that it becomes; `repr` does not show it, for it may hold passwords."""

    file_name: str
    content: bytes

    def __repr__(self) -> str:
        return f"ChosenText({self.file_name!r})"


@dataclass(frozen=True)
class Chosen:
    """All that is to be taken out, in the order of the archive. `is_secret`: it must be guarded."""

    entries: tuple[FileEntry, ...] = ()
    dumps: tuple[ChosenDump, ...] = ()
    texts: tuple[ChosenText, ...] = ()
    is_secret: bool = False

    @property
    def count(self) -> int:
        """Number of files, links, directories, dumps and texts."""
        return len(self.entries) + len(self.dumps) + len(self.texts)

    @property
    def single_entry(self) -> FileEntry | None:
        """The archived file, when exactly that and nothing else is to be taken out."""
        if self.count != 1 or not self.entries:
            return None
        is_file = self.entries[0].type in (EntryType.FILE, EntryType.HARDLINK)
        return self.entries[0] if is_file else None
