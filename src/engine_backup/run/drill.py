"""`drill`: an archive is restored as a whole into what is thrown away, and looked at there.

Nothing of this machine's own servers, services and files is touched, and no host that the archive names is
ever asked. All lies below one private directory, which is gone afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic

from engine_backup.drivers import disk_space, postgres_programs
from engine_backup.drivers.archive_reader import Archive, open_archive
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.checks import Check
from engine_backup.model.components import BY_NAME, Kind
from engine_backup.model.drill import HASHES, LOOKING, Asked, DrillResult
from engine_backup.model.errors import EngineBackupError, ExitStatus, RefusedError
from engine_backup.model.facts import ArchiveFacts
from engine_backup.model.preflight import SpaceFact
from engine_backup.model.presets import CUSTOM
from engine_backup.model.printable import printable
from engine_backup.model.requests import DrillRequest
from engine_backup.model.steps import PlaceFiles
from engine_backup.plan import space
from engine_backup.run import drill_checks, drill_record, drill_report
from engine_backup.run.archive_facts import major, observe_archive
from engine_backup.run.archive_heads import dump_header
from engine_backup.run.drill_against import Against, against_live
from engine_backup.run.drill_checks import ARCHIVE, failed, passed
from engine_backup.run.drill_restore import (
    Ground,
    Restored,
    carry_out,
    databases_of,
    on_scratch_server,
    planned,
    restore_request,
)
from engine_backup.run.drill_server import Wait, administrator, choose_programs, server_beside
from engine_backup.run.drilled import Drilled
from engine_backup.run.reading import checked
from engine_backup.run.reporting import Reporter
from engine_backup.run.workspace import private_directory

# What initdb makes, and what the server writes until it ends.
EMPTY_SERVER = 100 << 20


def drill(request: DrillRequest, reporter: Reporter) -> ExitStatus:
    """Drill; raises `EngineBackupError` for what is no archive, and when nothing could begin."""
    reporter.say("Drilling:")
    with (
        private_directory(request.surroundings.tmpdir) as workspace,
        open_archive(request.file, workspace) as archive,
    ):
        result = _Drill(request, reporter, archive, workspace).result()
        drill_record.write(result, archive, request, reporter)
    drill_report.show(result, request, reporter)
    return ExitStatus.SUCCESS if result.passed else ExitStatus.DRILL_FAILED


def _asked(request: DrillRequest) -> Asked:
    surroundings = request.surroundings
    bindir, version = surroundings.pg_bindir, surroundings.product_version
    return Asked(
        request.against,
        None if bindir is None else printable(str(bindir)),
        None if version is None else printable(version),
    )


class _Quiet(Reporter):
    """What the steps of the restore say goes to the log; their warnings are kept for the report."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(reporter.console, reporter.log, quiet=True)
        self.warnings: dict[str, None] = {}

    def warn(self, line: str) -> None:
        """Keep a warning, and log it."""
        self.warnings[printable(line)] = None
        self.note(f"Warning: {line}")


class _Drill:
    """One drill."""

    def __init__(self, request: DrillRequest, reporter: Reporter, archive: Archive, workspace: Path) -> None:
        self._request = request
        self._reporter = reporter
        self._quiet = _Quiet(reporter)
        self._archive = archive
        self._workspace = workspace
        self._checks: list[Check] = []
        self._restored = Restored()
        self._against: Against | None = None
        self._complete = False
        self._server_log: Callable[[], str] = str
        self._begun = monotonic()
        self._started_at = datetime.now(timezone.utc)

    def result(self) -> DrillResult:
        """Do everything; raises `EngineBackupError` for what says nothing about the archive."""
        surroundings = self._request.surroundings
        found = postgres_programs.installed(surroundings.pg_bindir, surroundings.root)
        dumped_by = self._newest_major()
        chosen = choose_programs(found, dumped_by)
        version = ".".join(map(str, chosen.version))
        self._reporter.say(f"- Scratch server: PostgreSQL {version} ({chosen.directory})")
        with server_beside(chosen, self._request.surroundings.tmpdir) as wait:
            try:
                self._restore(found, chosen, wait)
            except _EndedError:
                self._reporter.note("the drill ends early")
        return DrillResult(
            path=printable(str(self._archive.path)),
            identity=drill_record.identity(self._archive),
            product_version=printable(self._archive.version),
            started_at=self._started_at,
            postgresql=version,
            seconds=monotonic() - self._begun,
            checks=drill_checks.in_order(self._checks),
            phases=self._restored.seconds,
            warnings=tuple(self._quiet.warnings),
            complete=self._complete,
            live=None if self._against is None else self._against.databases,
            asked=_asked(self._request),
            dumped_by=dumped_by,
        )

    def _newest_major(self) -> int:
        """Return the major version of the newest pg_dump that made a dump; 0 when none tells it."""
        try:
            heads = [
                dump_header(self._archive, member)
                for member in self._archive.dumps.values()
                if member.dump_format == CUSTOM
            ]
        except EngineBackupError:
            return 0  # what is wrong with it is found again when it is read as a whole
        return max((major(head.pg_dump_version) for head in heads if head), default=0)

    def _restore(self, found: tuple[Programs, ...], chosen: Programs, wait: Wait) -> None:
        with self._checking(ARCHIVE, drill_checks.HASHES), self._restored.timed(HASHES):
            self._reporter.say("- Hashes")
            checked(self._archive, self._quiet)
        self._checks.append(
            passed(ARCHIVE, drill_checks.HASHES, f"{len(self._archive.hashes.digests())} members")
        )
        with self._checking(ARCHIVE, drill_checks.READING), self._restored.timed(LOOKING):
            facts = observe_archive(self._archive, found, self._request.surroundings.root)
        databases = self._room_for_databases(facts)
        server = wait()
        server.limit_temporary_files(space.temporary_limit(databases))
        ground = Ground(self._workspace, administrator(server))
        ground.prepare()
        self._server_log = server.log
        self._checks += self._proven(facts, ground, found, chosen)

    @contextmanager
    def _checking(self, subject: str, name: str) -> Iterator[None]:
        """End the drill with a check that failed when the block does."""
        try:
            yield
        except EngineBackupError as error:
            self._checks.append(failed(subject, name, error))
            raise _EndedError from error

    def _room_for_databases(self, facts: ArchiveFacts) -> SpaceFact:
        """Return what databases take; raises `RefusedError` when all that is restored cannot fit."""
        volume = replace(disk_space.free(self._workspace), directory=str(self._request.surroundings.tmpdir))
        needs = [
            space.database_need(dump, facts.recorded_sizes.get(name))
            for name, dump in facts.dumps.items()
            if BY_NAME[name].kind is Kind.POSTGRES
        ]
        files = sum(space.sizes_by_group(facts.entries, {}).values())
        databases = replace(space.database_space(volume, needs), movable_by=space.TMPDIR)
        spaces = (
            SpaceFact("the scratch server", volume, EMPTY_SERVER, movable_by=space.TMPDIR),
            databases,
            SpaceFact(space.FILES, volume, files, movable_by=space.TMPDIR),
        )
        problems = space.problems(spaces)
        if problems:
            raise RefusedError(problems)
        return databases

    def _proven(
        self, facts: ArchiveFacts, ground: Ground, found: tuple[Programs, ...], chosen: Programs
    ) -> list[Check]:
        """Restore everything, and look at it."""
        moved = on_scratch_server(facts, ground.administrator)
        request = restore_request(self._request, moved, ground)
        with self._checking(ARCHIVE, drill_checks.PLAN):
            plan, make_run = planned(request, moved, found, self._workspace)
        for warning in plan.warnings:
            self._quiet.warn(warning)
        self._checks.append(drill_checks.of_plan(plan))
        if plan.problems:
            return drill_checks.of_unplanned(facts)
        run = make_run(self._archive, ground, self._quiet)
        self._reporter.say("- Restoring")
        carry_out(plan, run, self._restored)
        self._restored.explain(self._server_log())
        self._complete = not self._restored.failures
        self._reporter.say("- Checking")
        drilled = Drilled(
            self._archive,
            facts,
            ground.root,
            tuple(e for step in plan.steps if isinstance(step, PlaceFiles) for e in step.entries),
            databases_of(run, self._restored),
            ground.administrator,
            chosen,
            self._workspace,
        )
        return [
            *drill_checks.of_restore(plan, facts, self._restored),
            *drill_checks.of_restored(drilled),
            *self._compared(drilled),
        ]

    def _compared(self, drilled: Drilled) -> tuple[Check, ...]:
        """Compare with what is live, if that is asked for."""
        if self._request.against is None:
            return ()
        self._reporter.say("- Comparing with the live databases")
        self._against = against_live(self._request, drilled)
        return self._against.checks


class _EndedError(Exception):
    """The archive has failed so that nothing more can be looked at."""
