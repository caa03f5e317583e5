"""The restore within a drill: the plan, the steps and the loads of a real one, into what is thrown away.

What speaks to the running system is left out, and so is what only a second run would need.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic

import psycopg2

from engine_backup.drivers import row_counts, ways_out
from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.components import BY_NAME, SCOPE_ALL, Component, Kind
from engine_backup.model.drill import ANALYZING, CORRECTING, FILES, LOADING, PROVISIONING
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import ArchiveFacts, Credentials
from engine_backup.model.modes import RESTORE
from engine_backup.model.option_values import REFUSE
from engine_backup.model.provisioning_steps import ProvisionDatabase
from engine_backup.model.requests import Administrator, DrillRequest, RestoreRequest
from engine_backup.model.secret import Secret
from engine_backup.model.steps import (
    AnalyzeDatabases,
    ApplyFixes,
    EncryptPkcs12,
    ForgetApache,
    LoadDump,
    LoadDumps,
    PlaceFiles,
    PlaceSqlite,
    Plan,
    RelabelFiles,
    RewriteCredentials,
    RunHooks,
    StageFiles,
    StopServices,
)
from engine_backup.plan.restore import plan_restore
from engine_backup.run import restore_facts, side_by_side
from engine_backup.run.drilled import DrilledDatabase
from engine_backup.run.hook_stages import Hooks
from engine_backup.run.load_errors import LoadError
from engine_backup.run.provisioning_handlers import NOTES_DIRECTORY
from engine_backup.run.reporting import Reporter
from engine_backup.run.restoring import RestoreRun, perform
from engine_backup.run.servers import servers_of
from engine_backup.run.throw_away import NothingKept, NoWayBack

PASSING = b".engine-backup-drill-"
# These speak to the running system, which a drill leaves alone.
LEFT_OUT = (StopServices, RelabelFiles, RunHooks)
FILE_STEPS = (StageFiles, ForgetApache, EncryptPkcs12, PlaceFiles, PlaceSqlite, RewriteCredentials)
PHASES: Mapping[type, str] = {
    **dict.fromkeys(FILE_STEPS, FILES),
    LoadDumps: LOADING,
    ApplyFixes: CORRECTING,
    AnalyzeDatabases: ANALYZING,
}


@dataclass(frozen=True)
class Ground:
    """Where a drill restores: below `directory`, which is private, and on the server of `administrator`."""

    directory: Path
    administrator: Credentials

    @property
    def root(self) -> Path:
        """The scratch root."""
        return self.directory / "root"

    def prepare(self) -> None:
        """Make what is there on every machine."""
        self.root.mkdir(mode=0o755)
        self.staging.mkdir(mode=0o700)
        (self.root / NOTES_DIRECTORY).mkdir(mode=0o755, parents=True)

    @property
    def staging(self) -> Path:
        """Where files are unpacked; on the file system of the root."""
        return self.directory / "staging"


@dataclass(frozen=True)
class Failure:
    """A step that failed; `component` is None when the error tells of none."""

    step: object
    component: Component | None
    error: EngineBackupError


@dataclass
class Restored:
    """How far a restore got. `rows` by component and table, as loaded; `seconds` by phase."""

    failures: list[Failure] = field(default_factory=list)
    loaded: bool = False
    rows: dict[str, Mapping[str, int]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def explain(self, server_log: str) -> None:
        """Let failures say so when the server had no room: a client only sees that it is gone."""
        full = os.strerror(errno.ENOSPC)
        if full in server_log:
            for failure in self.failures:
                if full not in failure.error.message:
                    failure.error.message += f" (the scratch server: {full})"

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the length of a block to a phase."""
        begun = monotonic()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + monotonic() - begun


def restore_request(request: DrillRequest, facts: ArchiveFacts, ground: Ground) -> RestoreRequest:
    """Return the request of a restore of everything into the scratch root and onto the scratch server.

    Where the archive has no conf files, log-ins are made up. The machine is assumed to be like the one that
    was backed up, unless the person names a product version.
    """
    surroundings = replace(
        request.surroundings,
        root=ground.root,
        tmpdir=ground.directory,
        # What is written beside a log belongs to what is thrown away.
        log=ground.directory / "log",
        scopes=(SCOPE_ALL,),
        product_version=request.surroundings.product_version or facts.version,
        os_version=facts.os_version,
        json=False,
        warnings=(),
    )
    databases = [name for name in facts.dumps if BY_NAME[name].kind is Kind.POSTGRES]
    administrator = ground.administrator
    return RestoreRequest(
        surroundings,
        request.file,
        changed={} if facts.has_files else {name: _made_up(name, administrator) for name in databases},
        provision=frozenset(databases),
        provision_all=True,
        on_existing=REFUSE,
        administrator=Administrator(administrator.user, administrator.password),
    )


def _made_up(name: str, administrator: Credentials) -> Credentials:
    password = Secret(secrets.token_urlsafe(24))
    return replace(administrator, user=f"drill_{name}", database=f"drill_{name}", password=password)


def on_scratch_server(facts: ArchiveFacts, administrator: Credentials) -> ArchiveFacts:
    """Return the same facts with all log-ins on the scratch server: no host of the archive is left."""
    moved: dict[str, Credentials] = {}
    taken: set[str] = set()
    for name, login in facts.credentials.items():
        # Databases of several servers may have the same name; here they share one server.
        database = login.database if login.database not in taken else f"{login.database}_{name}"
        taken.add(database)
        moved[name] = _moved(replace(login, database=database), administrator)
    readers = {name: _moved(login, administrator) for name, login in facts.readers.items()}
    return replace(facts, credentials=moved, readers=readers)


def _moved(login: Credentials, administrator: Credentials) -> Credentials:
    return replace(
        login, host=administrator.host, port=administrator.port, secured=False, secured_validation=False
    )


def planned(
    request: RestoreRequest, facts: ArchiveFacts, programs: tuple[Programs, ...], workspace: Path
) -> tuple[Plan, Callable[[Archive, Ground, Reporter], RestoreRun]]:
    """Return the plan of a restore, and what makes the run that does it; raises `EngineBackupError`."""
    observed, selection = restore_facts.observe(request, facts, programs, workspace)
    started = datetime.now()
    plan = plan_restore(request, observed, selection, started)

    def made(archive: Archive, ground: Ground, reporter: Reporter) -> RestoreRun:
        hooks = Hooks(RESTORE, request.file, request.surroundings, reporter)
        servers = servers_of(list(observed.targets), request, observed.host)
        return RestoreRun(
            request, archive, observed, reporter, workspace, programs, NoWayBack(), ground.staging,
            NothingKept(), PASSING, started, hooks, servers,
        )  # fmt: skip

    return plan, made


def carry_out(plan: Plan, run: RestoreRun, restored: Restored) -> None:
    """Do all steps, and count rows as soon as they are there.

    When a step for databases fails, those for files still go on, and the other way round.
    """
    for step in plan.steps:
        if isinstance(step, LEFT_OUT) or not _goes_on(step, restored):
            continue
        try:
            with restored.timed(PHASES.get(type(step), PROVISIONING)):
                perform(step, run)
            if isinstance(step, ProvisionDatabase):
                _close_ways_out(step, run)
            if isinstance(step, LoadDumps):
                restored.rows = _counted(step)
        except (EngineBackupError, OSError, psycopg2.Error) as error:
            restored.failures.append(_failure(step, error, run))
    restored.loaded = not any(not isinstance(f.step, FILE_STEPS) for f in restored.failures)


def _close_ways_out(step: ProvisionDatabase, run: RestoreRun) -> None:
    """Keep what is loaded from asking any server, this machine's own among them."""
    with closing(run.servers[step.component.name].connect(step.name)) as administrator:
        ways_out.close(administrator)


def _goes_on(step: object, restored: Restored) -> bool:
    """Whether a step may still be done: files and databases do not need each other."""
    is_of_files = isinstance(step, FILE_STEPS)
    return not any(isinstance(failure.step, FILE_STEPS) == is_of_files for failure in restored.failures)


def _failure(step: object, error: Exception, run: RestoreRun) -> Failure:
    component = error.component if isinstance(error, LoadError) else getattr(step, "component", None)
    if not isinstance(error, EngineBackupError):
        place = f": {os.fsdecode(error.filename)}" if isinstance(error, OSError) and error.filename else ""
        text = error.strerror if isinstance(error, OSError) else str(error).split("\n")[0]
        error = EngineBackupError(f"{text}{place}")
    run.reporter.note(f"failed: {step}: {error.message}")
    return Failure(step, component, error)


def _counted(step: LoadDumps) -> dict[str, Mapping[str, int]]:
    """Count the rows of all databases side by side: what corrects them changes some."""
    found: dict[str, Mapping[str, int]] = {}

    def count(load: LoadDump, interruption: Interruption) -> None:
        found[load.component.name] = row_counts.count_rows(load.credentials, interruption)

    side_by_side.perform([partial(count, load) for load in step.loads], step.at_once, "count")
    return found


def databases_of(run: RestoreRun, restored: Restored) -> dict[str, DrilledDatabase]:
    """Return the databases that were loaded, by component name; none when any step for them failed."""
    if not restored.loaded:
        return {}
    return {
        t.component.name: DrilledDatabase(
            t.component,
            t.credentials,
            run.facts.archive.dumps[t.component.name],
            restored.rows[t.component.name],
        )
        for t in run.facts.targets
        if t.credentials is not None and t.component.name in restored.rows
    }
