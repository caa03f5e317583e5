"""`rollback`, `commit` and `journal`: for restores that were killed, or whose old state was kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers import children, config_files, provisioning, services, survivors
from engine_backup.drivers.config_files import Configuration
from engine_backup.drivers.private_directories import sweep
from engine_backup.model.errors import (
    EngineBackupError,
    ExitStatus,
    IncompleteChangeError,
    InterruptedByUserError,
    RefusedError,
)
from engine_backup.model.journal import JournalFacts, JournalState
from engine_backup.model.places import STAGING_DIRECTORY
from engine_backup.model.preflight import PreflightFacts
from engine_backup.model.requests import JournalRequest
from engine_backup.model.ways_back import PutNamesBack
from engine_backup.plan import preflight
from engine_backup.plan.unfinished import command, to_commit, to_roll_back
from engine_backup.run import administrator_access, journals, stopping
from engine_backup.run.changing import opened, taken_back, unwind
from engine_backup.run.journal import Journal
from engine_backup.run.journal_content import COMMITTED, UNDONE
from engine_backup.run.preflight_facts import service_facts
from engine_backup.run.reporting import Console, Reporter
from engine_backup.run.servers import Server


def roll_back(request: JournalRequest, reporter: Reporter) -> ExitStatus:
    """Take back what killed restores have changed, or a restore whose old state was kept.

    Raises `IncompleteChangeError` when something is in the way; it can be tried again.
    """
    root = request.surroundings.root
    journals.clear(root)
    sweep(request.surroundings.tmpdir)
    chosen = to_roll_back(request.run, journals.observe(root))
    for facts in chosen:
        _finish_undo(facts, request, reporter)
    reporter.say("Done." if chosen else "Nothing to roll back.")
    return ExitStatus.SUCCESS


def _finish_undo(facts: JournalFacts, request: JournalRequest, reporter: Reporter) -> None:
    head, root, give_up = facts.head, request.surroundings.root, request.give_up
    with closing(journals.held(facts)) as journal, _told_when_stopped(root):
        reporter.say(f"Rolling back the restore of {', '.join(head.components)} that began at {head.started}")
        if facts.state is JournalState.KEPT:
            _make_quiet(facts, root, reporter)
        _end_survivors(journal, reporter)
        sweep(Path(head.tmpdir))
        with children.announced(journal.child, head.run), stopping.leaving(_last_words(root, reporter)):
            change = opened(journal, root, reporter, ExitStack())
            if give_up:
                left = taken_back(change, root)
            else:
                unwind(change, None, root)
                left = []
        _close(journal, left, root, reporter)


def _close(journal: Journal, left: list[str], root: Path, reporter: Reporter) -> None:
    """Remove a journal, or set it aside with what could not be put back."""
    if not left:
        journal.end(UNDONE)
        journal.remove()
        return
    for line in left:
        reporter.warn(f"not taken back: {line}")
    place = root / STAGING_DIRECTORY.parent / f"given-up-{journal.head.run}"
    journal.set_aside(place)
    reporter.warn(f"given up; the journal and files that were not put back are in {place}")


@contextmanager
def _told_when_stopped(root: Path) -> Iterator[None]:
    """A rollback that is stopped by a signal leaves an undo that is incomplete, and must say so."""
    try:
        yield
    except InterruptedByUserError as error:
        message = f"{error}: not everything has been taken back"
        raise IncompleteChangeError(message, f"go on with {command('rollback', root)}") from error


def _last_words(root: Path, reporter: Reporter) -> stopping.LastWords:
    def say(signal_name: str) -> EngineBackupError:
        message = f"stopped at once by {signal_name}: not everything has been taken back"
        reporter.log.fatal(message)
        return IncompleteChangeError(message, f"go on with {command('rollback', root)}")

    return say


def _end_survivors(journal: Journal, reporter: Reporter) -> None:
    if journal.head.boot == survivors.boot():
        for name in survivors.end(journal.content.children, journal.head.run):
            reporter.say(f"Ended what was left running: {name}")


def _make_quiet(facts: JournalFacts, root: Path, reporter: Reporter) -> None:
    """Refuse while the engine runs, as a restore does, and stop what a restore stops."""
    try:
        configuration = config_files.load(root)
    except EngineBackupError:
        configuration = Configuration({})
    found = PreflightFacts(services=service_facts(frozenset(facts.head.components), root, configuration))
    problems = preflight.problems(found)
    if problems:
        raise RefusedError(problems)
    for service in preflight.to_stop(found):
        reporter.say(f"Stopping {service.unit}")
        services.stop(service.unit, root)


def commit(request: JournalRequest, reporter: Reporter) -> ExitStatus:
    """Drop the old state that a restore has kept: files, and databases that were set aside."""
    root = request.surroundings.root
    journals.clear(root)
    chosen = to_commit(request.run, journals.observe(root))
    for facts in chosen:
        with closing(journals.held(facts)) as journal, ExitStack() as servers:
            renamed = [way for way in journal.content.ways if isinstance(way, PutNamesBack)]
            # From the moment on that dropping begins, nothing comes back: see that it can be done.
            administrators = [_administrator(way, root, servers) for way in renamed]
            journal.end(COMMITTED)
            for way, administrator in zip(renamed, administrators):
                for name in way.set_aside:
                    reporter.say(f"Dropping database {name}")
                    provisioning.drop_database(administrator, name)
            journal.remove()
        reporter.say(f"The old state of {', '.join(facts.head.components)} is dropped.")
    reporter.say("Done." if chosen else "Nothing to commit.")
    return ExitStatus.SUCCESS


def _administrator(way: PutNamesBack, root: Path, stack: ExitStack) -> Connection:
    server = Server.reached_by(way.access, root)
    if server.cluster is not None:
        stack.enter_context(administrator_access.let_in(server.cluster))
    return stack.enter_context(closing(server.connect()))


def show_journals(request: JournalRequest, console: Console) -> ExitStatus:
    """Show what can be rolled back or committed; nothing is changed."""
    found = journals.observe(request.surroundings.root)
    if request.surroundings.json:
        console.say(json.dumps({"journals": [_document(facts) for facts in found]}, indent=1))
        return ExitStatus.SUCCESS
    for line in _lines(found, request.surroundings.root) if found else ["There is no journal."]:
        console.say(line)
    return ExitStatus.SUCCESS


def _document(facts: JournalFacts) -> dict[str, Any]:
    return {
        **asdict(facts.head),
        "directory": facts.directory,
        "state": facts.state.value,
        "steps": list(facts.steps),
        "ways_back": [
            {"text": text, "taken_back": number in facts.taken_back}
            for number, text in enumerate(facts.ways_back)
        ],
    }


_NEXT = {
    JournalState.RUNNING: "it is going on",
    JournalState.UNFINISHED: "it was neither finished nor undone: {rollback}",
    JournalState.KEPT: "it succeeded, and the old state is kept: {commit}, or {rollback}",
    JournalState.COMMITTED: "its old state is being dropped: {commit}",
    JournalState.ENDED: "it has ended; what is left is removed by the next run",
}


def _lines(found: Iterable[JournalFacts], root: Path) -> Iterable[str]:
    words = {mode: command(mode, root) for mode in ("rollback", "commit")}
    for facts in found:
        yield f"{facts.head.run}: restore of {', '.join(facts.head.components)}, from {facts.head.archive}"
        yield f"  began at {facts.head.started}; {_NEXT[facts.state].format(**words)}"
        yield f"  directory {facts.directory}"
        for number, text in enumerate(facts.ways_back):
            done = " (done)" if number in facts.taken_back else ""
            yield f"  can be taken back: {text}{done}"
