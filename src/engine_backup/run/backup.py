"""`--mode=backup`: look, plan, do the plan's steps; a failure leaves nothing and is told to the engine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Union

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.archive_writer import ArchiveWriter
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.components import Component
from engine_backup.model.errors import EngineBackupError, ExitStatus
from engine_backup.model.facts import BackupFacts
from engine_backup.model.modes import BACKUP
from engine_backup.model.requests import BackupRequest
from engine_backup.model.steps import Plan
from engine_backup.plan.backup import archive_packing, has_plain_dump, plan_backup
from engine_backup.run import backup_facts, backup_steps, backup_summary, stopping
from engine_backup.run.events import Events
from engine_backup.run.hook_stages import Hooks, hooks_of
from engine_backup.run.output_file import OutputFile, output_file
from engine_backup.run.output_stream import OutputStream, output_stream
from engine_backup.run.reporting import Reporter
from engine_backup.run.showing_plans import begin
from engine_backup.run.snapshots import Description, Held
from engine_backup.run.workspace import private_directory

DEFAULT_DIRECTORY = Path("var/lib/ovirt-engine-backup")

Output = Union[OutputFile, OutputStream]


@dataclass
class BackupRun:
    """What the handlers of a running backup share."""

    request: BackupRequest
    facts: BackupFacts
    plan: Plan
    reporter: Reporter
    events: Events
    workspace: Path
    output: Output
    writer: ArchiveWriter
    started: datetime
    stack: ExitStack
    programs: tuple[Programs, ...]
    hooks: Hooks
    hook_members: list[str] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)
    described: dict[str, Future[Description]] = field(default_factory=dict)
    file_facts: dict[str, Any] = field(default_factory=backup_summary.describe_none)
    saved: list[Component] = field(default_factory=list)
    member_facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def when(self) -> int:
        """The start of the backup in seconds since 1970, which its members carry as their time."""
        return int(self.started.timestamp())


def back_up(request: BackupRequest, reporter: Reporter) -> ExitStatus:
    """Make a backup; raises `EngineBackupError`, after which no new file is left."""
    with hooks_of(BACKUP, request.file, request.surroundings, reporter) as hooks:
        hooks.early()
        complete = _back_up(_with_named_file(request, hooks, reporter), hooks, reporter)
    if complete:
        reporter.say("Done.")
    return ExitStatus.SUCCESS


def _with_named_file(request: BackupRequest, hooks: Hooks, reporter: Reporter) -> BackupRequest:
    """Take the file that hooks name, where the person named none; raises `EngineBackupError`."""
    named = hooks.file
    if named == str(request.file):
        return request
    if request.file_named:
        hooks.offer("FILE", str(request.file))
        reporter.warn("hooks changed FILE, which has no effect: --file was given")
        return request
    file = Path(named)
    if not file.is_absolute() or file == request.surroundings.log:
        raise EngineBackupError(
            f"hooks set FILE to '{named}', which is no place for an archive", "let them set an absolute path"
        )
    reporter.say(f"archive file: {file}")
    return replace(request, file=file)


def _back_up(request: BackupRequest, hooks: Hooks, reporter: Reporter) -> bool:
    """Make the backup; says whether one was asked for, and not only its plan."""
    facts = backup_facts.observe(request, request.surroundings.root / DEFAULT_DIRECTORY)
    plan = plan_backup(request, facts, hooks.added_paths, hooks.paths)
    if not begin(plan, request.surroundings, reporter):
        return False
    if facts.target and facts.target.is_default_directory and not facts.target.directory_exists:
        request.file.parent.mkdir(mode=0o750, parents=True)
    events = Events(facts, reporter, request.surroundings.log)
    try:
        _execute(request, facts, plan, hooks, events)
    except BaseException as error:
        with stopping.ignored():
            events.failed(str(error) or type(error).__name__)
        raise
    return True


def _execute(request: BackupRequest, facts: BackupFacts, plan: Plan, hooks: Hooks, events: Events) -> None:
    reporter = hooks.reporter
    with ExitStack() as stack:
        workspace = stack.enter_context(private_directory(request.surroundings.tmpdir))
        output, spool = stack.enter_context(_output(request, workspace, reporter))
        started = datetime.now(timezone.utc)
        writer = ArchiveWriter(
            output.stream, archive_packing(request, facts).compressor, spool, int(started.timestamp())
        )
        stack.callback(writer.drop_spools)
        run = BackupRun(
            request=request,
            facts=facts,
            plan=plan,
            reporter=reporter,
            events=events,
            workspace=workspace,
            output=output,
            writer=writer,
            started=started,
            stack=stack.enter_context(ExitStack()),
            programs=postgres_programs.installed(request.surroundings.pg_bindir, request.surroundings.root),
            hooks=hooks,
        )
        run.writer.add_directory("db")
        if has_plain_dump(plan):
            reporter.frame(
                "Please note: permissions are not backed up with a plain dump format,",
                "thus not restored during restore",
            )
        for step in plan.steps:
            reporter.note(f"step: {step}")
            backup_steps.HANDLERS[type(step)](step, run)


@contextmanager
def _output(request: BackupRequest, workspace: Path, reporter: Reporter) -> Iterator[tuple[Output, Path]]:
    """Open what the archive is written to; gives the directory where members wait for their place, too."""
    if request.to_standard_output:
        with output_stream(reporter.console.output_aside()) as stream:
            yield stream, workspace
    else:
        with (
            output_file(request.file) as file,
            private_directory(request.file.parent, "--file=FILE") as spool,
        ):
            yield file, spool
