"""Loading one dump from its parts: a program for each, several at the same time, and no unpacked file."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engine_backup.drivers import divided_dump, dumps
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.load_sessions import LoadSession
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.divided_dumps import LoadOrder, Part
from engine_backup.model.steps import LoadDump
from engine_backup.run import load_errors
from engine_backup.run.reading import watched
from engine_backup.run.restore_facts import programs_for, server_version

if TYPE_CHECKING:
    from engine_backup.run.restoring import RestoreRun


class DividedLoad:
    """The load of one dump: `begin`, each part from any thread, `finish`.

    Each raises `LoadError` when its program fails, `EngineBackupError` and `OSError` for what it reads and
    writes, and `StoppedError` when it is interrupted.
    """

    def __init__(self, step: LoadDump, order: LoadOrder, run: RestoreRun) -> None:
        self._step = step
        self._order = order
        self._run = run
        self._dump = run.facts.archive.dumps[step.component.name]
        self._head = run.workspace / f"{step.component.name}.head"
        self._expansion = divided_dump.Expansion(run.archive, self._dump.member)

    def begin(self, interruption: Interruption) -> None:
        """Make what stands before the rows: tables, functions, views."""
        self._run.reporter.note(f"{self._step.component.label} database: loading")
        divided_dump.copy_head(self._run.archive, self._dump.member, self._order.head_size, self._head)
        self._load_from_head(self._order.before, "before", 1, interruption)

    def load(self, part: Part, interruption: Interruption) -> None:
        """Load the rows of a part, and make the indexes of its tables."""
        arguments = self._arguments(part.entries, str(part.frame.start))
        stream = divided_dump.open_part(self._run.archive, self._dump.member, part.frame, self._head)
        # What stands before all rows was counted with the first part.
        told = self._order.head_size if part.frame.start else 0

        def advance(done: int) -> None:
            nonlocal told
            interruption.check()
            if done > told:
                given, told = self._expansion.add(done - told), done
                self._run.reporter.advance(self._step.component.label, given, self._dump.unpacked_size)

        with load_errors.told(self._step, self._run), watched(stream, advance) as content:
            dumps.load(self._programs, self._session(interruption), arguments, content, self._run.workspace)

    def finish(self, interruption: Interruption) -> None:
        """Make what comes after all rows: foreign keys, triggers, privileges."""
        self._load_from_head(self._order.after, "after", self._step.jobs, interruption)
        self._head.unlink()

    def _load_from_head(self, entries: str, name: str, jobs: int, interruption: Interruption) -> None:
        arguments = self._arguments(entries, name, jobs, self._head)
        with load_errors.told(self._step, self._run):
            dumps.load(self._programs, self._session(interruption), arguments, None, self._run.workspace)

    def _arguments(
        self, entries: str, name: str, jobs: int = 1, dump_file: Path | None = None
    ) -> tuple[str, ...]:
        list_file = self._run.workspace / f"{self._step.component.name}.{name}.list"
        list_file.write_text(entries, encoding="utf-8", errors="surrogateescape")
        return dumps.load_arguments(list_file, self._step.permissions, jobs, dump_file)

    @cached_property
    def _programs(self) -> Programs:
        server = server_version(self._step.component, self._run.facts)
        return programs_for(self._dump, server, self._run.programs)

    def _session(self, interruption: Interruption) -> LoadSession:
        return LoadSession(self._step.credentials, self._step.settings, interruption)
