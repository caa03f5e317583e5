"""Gathering statistics of restored databases, so that the engine is fast at once."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers import postgres, statistics
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.load_sessions import cancelled_by
from engine_backup.drivers.statistics import StoredTable
from engine_backup.model.facts import Credentials
from engine_backup.model.printable import printable
from engine_backup.model.steps import AnalyzeDatabases, Loaded
from engine_backup.run import side_by_side

if TYPE_CHECKING:
    from engine_backup.run.restoring import RestoreRun

Queue = deque[tuple[Loaded, StoredTable]]
# What a server that stops at once forgets of them, autovacuum gathers again.
NO_WAITING = "-c synchronous_commit=off"


def analyze_databases(step: AnalyzeDatabases, run: RestoreRun) -> None:
    """Analyze all tables, the largest first. One that cannot be analyzed is a warning: it is whole."""
    run.reporter.say("- Gathering statistics, so that queries are planned well from the start")
    queue = _queue([database for database in step.databases if database.component.name not in run.analyzed])
    count = len(queue)
    worker = partial(_analyze_from, queue, run)
    side_by_side.perform([worker] * step.at_once, step.at_once, "analyze")
    run.reporter.note(f"analyzed {count} tables")


def analyze_meanwhile(database: Loaded, run: RestoreRun, interruption: Interruption) -> None:
    """Analyze the tables of one database while others are loaded: they wait for the disk now and then."""
    _analyze_from(_queue([database]), run, interruption)
    run.analyzed.add(database.component.name)


def _queue(databases: list[Loaded]) -> Queue:
    found: list[tuple[Loaded, StoredTable]] = []
    for database in databases:
        with postgres.session(database.credentials) as connection:
            found += [(database, table) for table in statistics.tables(connection)]
    return deque(sorted(found, key=lambda item: item[1].size, reverse=True))


def _analyze_from(queue: Queue, run: RestoreRun, interruption: Interruption) -> None:
    """Analyze tables as long as there are any, with one connection to each database."""
    connections: dict[str, Connection] = {}
    with ExitStack() as stack:
        while queue:
            interruption.check()
            try:
                database, table = queue.popleft()
            except IndexError:
                return
            name = database.component.name
            if name not in connections:
                connections[name] = _connected(database.credentials, interruption, stack)
            reason = statistics.analyze(connections[name], table)
            if reason:
                interruption.check()
                # An expression of the archive may have made the reason up.
                shown = printable(f"{table.schema}.{table.name}: {reason}")
                run.reporter.warn(f"{database.component.label} database: no statistics of {shown}")


def _connected(credentials: Credentials, interruption: Interruption, stack: ExitStack) -> Connection:
    connection = stack.enter_context(postgres.session(credentials, NO_WAITING))
    stack.enter_context(cancelled_by(interruption, connection, credentials))
    return connection
