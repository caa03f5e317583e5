"""Loading the dumps of a restore side by side; the first that fails, or a signal, ends the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from engine_backup.drivers import dump_offsets, dumps, plain_loading, postgres
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.load_sessions import LoadSession
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials, DumpFacts
from engine_backup.model.presets import CUSTOM
from engine_backup.model.steps import LoadDump, LoadDumps, Loaded
from engine_backup.model.ways_back import EmptyDatabase
from engine_backup.plan.load_rules import decide_statement
from engine_backup.run import load_errors, side_by_side
from engine_backup.run.analyzing import analyze_meanwhile
from engine_backup.run.load_queue import Chain, LoadQueue, Task
from engine_backup.run.loading_parts import DividedLoad
from engine_backup.run.reading import open_dump, watched
from engine_backup.run.restore_facts import programs_for, server_version

if TYPE_CHECKING:
    from engine_backup.run.restoring import RestoreRun


def load_dumps(step: LoadDumps, run: RestoreRun) -> None:
    """Load all dumps; on any later failure each database is emptied again, if it is to stay then.

    When this returns or raises, no load is going on any more: what undoes them can begin.
    """
    for load in step.loads:
        _prepare(load, run)
    going_on = {load.component.name for load in step.loads}

    def end(load: LoadDump, interruption: Interruption) -> None:
        with postgres.session(load.credentials) as connection:
            postgres.make_lasting(connection)
        run.reporter.note(f"{load.component.label} database: loaded")
        going_on.discard(load.component.name)
        if step.analyze and going_on:
            analyze_meanwhile(Loaded(load.component, load.credentials), run, interruption)

    queue = LoadQueue([_chain(load, run, partial(end, load)) for load in step.loads])
    side_by_side.perform([queue.work] * step.at_once, step.at_once, "load")


def _chain(load: LoadDump, run: RestoreRun, end: Callable[[Interruption], None]) -> Chain:
    """Return what is done to load one dump; `end` comes last."""
    size = run.facts.archive.dumps[load.component.name].member.size
    ended = [Task(size, end)]
    if load.order is None:
        return Chain([[Task(size, partial(_load, load, run))], ended])
    divided = DividedLoad(load, load.order, run)
    parts = [Task(part.frame.size, partial(divided.load, part)) for part in load.order.parts]
    return Chain([[Task(size, divided.begin)], parts, [Task(size, divided.finish)], ended], load.jobs)


def _prepare(step: LoadDump, run: RestoreRun) -> None:
    """Say what is loaded, and how it is taken back, before anything of it begins."""
    credentials = step.credentials
    run.reporter.say(f"- {step.component.label} database '{step.final_name or credentials.database}'")
    if step.final_name in ("", credentials.database):
        _demand_empty(credentials)
        run.undo.add(EmptyDatabase(credentials, step.component.label))


def _demand_empty(credentials: Credentials) -> None:
    """Look again: what others have put there since the plan was made would be dropped if this load failed."""
    with postgres.session(credentials) as connection:
        objects = postgres.count_objects(connection)
    if objects:
        raise EngineBackupError(
            f"Database '{credentials.database}' is not empty any more: it has {objects} objects",
            "somebody else is using it: find out who, see pg_stat_activity",
        )


def _load(step: LoadDump, run: RestoreRun, interruption: Interruption) -> None:
    """Load one dump as a whole, in a thread that starts its programs and awaits them."""
    interruption.check()
    run.reporter.note(f"{step.component.label} database: loading")
    dump = run.facts.archive.dumps[step.component.name]
    session = LoadSession(step.credentials, step.settings, interruption)
    with load_errors.told(step, run):
        if dump.member.dump_format == CUSTOM:
            _load_custom(step, dump, session, run)
        else:
            _load_plain(step, dump, session, run)


@contextmanager
def _opened(
    step: LoadDump, dump: DumpFacts, interruption: Interruption, run: RestoreRun
) -> Iterator[BinaryIO]:
    """Open a dump so that reading it shows progress, and ends early when it is to."""
    label = f"{step.component.label}: unpacking" if step.unpacked else step.component.label

    def advance(done: int) -> None:
        interruption.check()
        run.reporter.advance(label, done, dump.unpacked_size)

    with watched(open_dump(run.archive, dump.member), advance) as stream:
        yield stream


def _load_custom(step: LoadDump, dump: DumpFacts, session: LoadSession, run: RestoreRun) -> None:
    programs = programs_for(dump, server_version(step.component, run.facts), run.programs)
    list_file = run.workspace / f"{step.component.name}.list"
    list_file.write_text(dump.kept, encoding="utf-8", errors="surrogateescape")
    with _opened(step, dump, session.interruption, run) as stream:
        if not step.unpacked:
            arguments = dumps.load_arguments(list_file, step.permissions)
            dumps.load(programs, session, arguments, stream, run.workspace)
            return
        unpacked = run.workspace / f"{step.component.name}.dump"
        dump_offsets.unpack(stream, unpacked)
    arguments = dumps.load_arguments(list_file, step.permissions, step.jobs, unpacked)
    dumps.load(programs, session, arguments, None, run.workspace)
    unpacked.unlink()


def _load_plain(step: LoadDump, dump: DumpFacts, session: LoadSession, run: RestoreRun) -> None:
    with _opened(step, dump, session.interruption, run) as stream:
        plain_loading.load(
            session,
            stream,
            f"{run.archive.path}: {dump.member.member}",
            lambda statement: decide_statement(statement, step.permissions).load,
        )
