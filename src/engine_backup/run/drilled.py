"""What a drill has restored: all that a check may look at, while the scratch server still runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.archive import FileEntry
from engine_backup.model.components import Component
from engine_backup.model.facts import ArchiveFacts, Credentials, DumpFacts


@dataclass(frozen=True)
class DrilledDatabase:
    """A database that was loaded into the scratch server, under its final name, with all corrections.

    `credentials` are those of its owner there, who is no superuser. `rows` are the exact numbers of rows
    right after the load, before anything was corrected, by `schema.table`; tables that are parents of
    partitions count them in, others count their own rows only.
    """

    component: Component
    credentials: Credentials
    dump: DumpFacts
    rows: Mapping[str, int]


@dataclass(frozen=True)
class Drilled:
    """A whole restored archive.

    `facts` are what the archive says of itself: its own log-ins, not those of the scratch server. `root`
    holds the restored files, of which `placed` are the entries; SQLite databases lie in their places.
    `administrator` logs in to the scratch server as its superuser, for what only that may look at; nothing of
    the archive may be executed by it. `workspace` is private, and gone afterwards.
    """

    archive: Archive
    facts: ArchiveFacts
    root: Path
    placed: tuple[FileEntry, ...]
    databases: Mapping[str, DrilledDatabase]
    administrator: Credentials
    programs: Programs
    workspace: Path

    def as_administrator(self, database: DrilledDatabase) -> Credentials:
        """Return the superuser's log-in to one of the databases."""
        return replace(self.administrator, database=database.credentials.database)
