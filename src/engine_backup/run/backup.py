"""`--mode=backup`: look, plan, do the plan's steps; a failure leaves nothing and is told to the engine."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.archive_writer import ArchiveWriter
from engine_backup.drivers.postgres import SnapshotFacts
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.components import Component
from engine_backup.model.errors import ExitStatus
from engine_backup.model.facts import BackupFacts
from engine_backup.model.options import BACKUP
from engine_backup.model.requests import BackupRequest
from engine_backup.model.steps import Plan
from engine_backup.plan.backup import archive_packing, has_plain_dump, plan_backup
from engine_backup.run import backup_facts, backup_steps, backup_summary, stopping
from engine_backup.run.events import Events
from engine_backup.run.hook_paths import added_backup_paths, warn_of_later_hooks
from engine_backup.run.output_file import OutputFile, output_file
from engine_backup.run.reporting import Reporter
from engine_backup.run.showing_plans import begin
from engine_backup.run.workspace import private_directory

DEFAULT_DIRECTORY = Path("var/lib/ovirt-engine-backup")


@dataclass
class BackupRun:
    """What the handlers of a running backup share."""

    request: BackupRequest
    facts: BackupFacts
    plan: Plan
    reporter: Reporter
    events: Events
    workspace: Path
    output: OutputFile
    writer: ArchiveWriter
    started: datetime
    stack: ExitStack
    programs: tuple[Programs, ...]
    snapshots: dict[str, SnapshotFacts] = field(default_factory=dict)
    database_facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    file_facts: dict[str, Any] = field(default_factory=backup_summary.describe_none)
    saved: list[Component] = field(default_factory=list)
    member_facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def when(self) -> int:
        """The start of the backup in seconds since 1970, which its members carry as their time."""
        return int(self.started.timestamp())


def back_up(request: BackupRequest, reporter: Reporter) -> ExitStatus:
    """Make a backup; raises `EngineBackupError`, after which no new file is left."""
    root = request.surroundings.root
    facts = backup_facts.observe(request, root / DEFAULT_DIRECTORY)
    hook_paths = added_backup_paths(request.surroundings, request.file, reporter)
    warn_of_later_hooks(BACKUP, root, reporter)
    plan = plan_backup(request, facts, hook_paths)
    if not begin(plan, request.surroundings, reporter):
        return ExitStatus.SUCCESS
    if facts.target.is_default_directory and not facts.target.directory_exists:
        request.file.parent.mkdir(mode=0o750, parents=True)
    events = Events(facts, reporter, request.surroundings.log)
    try:
        _execute(request, facts, plan, reporter, events)
    except BaseException as error:
        with stopping.ignored():
            events.failed(str(error) or type(error).__name__)
        raise
    reporter.say("Done.")
    return ExitStatus.SUCCESS


def _execute(
    request: BackupRequest, facts: BackupFacts, plan: Plan, reporter: Reporter, events: Events
) -> None:
    with ExitStack() as stack:
        workspace = stack.enter_context(private_directory(request.surroundings.tmpdir))
        output = stack.enter_context(output_file(request.file))
        started = datetime.now(timezone.utc)
        packing = archive_packing(request, facts)
        run = BackupRun(
            request=request,
            facts=facts,
            plan=plan,
            reporter=reporter,
            events=events,
            workspace=workspace,
            output=output,
            writer=ArchiveWriter(output.stream, packing.compressor, workspace, int(started.timestamp())),
            started=started,
            stack=stack.enter_context(ExitStack()),
            programs=postgres_programs.installed(request.surroundings.pg_bindir, request.surroundings.root),
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
