"""One view of every database, all of the same moment; what the manifest says of them is read from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers import (
    cluster_privileges,
    inventory,
    inventory_document,
    postgres,
    privileges_document,
    snapshots,
    table_sizes,
)
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.snapshots import SnapshotFacts
from engine_backup.model.components import Component
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.inventory import DatabaseCounts, Inventory
from engine_backup.run import side_by_side


@dataclass(frozen=True)
class Description:
    """What the manifest says of a database: fields of its member, and its part of the inventory."""

    fields: dict[str, Any]
    inventory: Inventory


@dataclass(frozen=True)
class Held:
    """A database whose view is held by a connection until the end of the backup."""

    component: Component
    credentials: Credentials
    connection: Connection
    facts: SnapshotFacts


@contextmanager
def held(databases: Iterable[tuple[Component, Credentials]]) -> Iterator[dict[str, Held]]:
    """Take the snapshots of all databases at the same moment, and hold them while the block lasts.

    Each has a thread of its own; all log in first, then all look. Raises `LoginError`, and
    `EngineBackupError` when a view was lost before the end.
    """
    chosen = tuple(databases)
    found: dict[str, Held] = {}
    with ExitStack() as stack:
        if chosen:
            hold = partial(_hold, barrier=Barrier(len(chosen)), stack=stack, found=found)
            side_by_side.perform([partial(hold, *database) for database in chosen], len(chosen), "snapshot")
        yield {component.name: found[component.name] for component, _ in chosen}


def _hold(
    component: Component,
    credentials: Credentials,
    interruption: Interruption,
    *,
    barrier: Barrier,
    stack: ExitStack,
    found: dict[str, Held],
) -> None:
    """Hold one; when another cannot be had, nobody waits for it."""
    with interruption.ending(barrier.abort):
        connection, facts = stack.enter_context(snapshots.snapshot(credentials, barrier.wait))
    found[component.name] = Held(component, credentials, connection, facts)


def skew(taken: Iterable[SnapshotFacts]) -> float | None:
    """Return the milliseconds between first and last by the clocks of the servers; None of none."""
    times = [datetime.fromisoformat(snapshot.taken_at) for snapshot in taken]
    return (max(times) - min(times)) / timedelta(milliseconds=1) if times else None


@contextmanager
def described(
    databases: Iterable[Held], warn: Callable[[str], None]
) -> Iterator[dict[str, Future[Description]]]:
    """Read what the manifest says of each database in a thread of its own, while the block goes on.

    At its end all are done; when it fails, what is still being read is given up. `warn` is told of what
    could not be read, and a backup does not need.
    """
    chosen = tuple(databases)
    interruption = Interruption()
    with ThreadPoolExecutor(max(1, len(chosen)), "describe") as pool:
        try:
            yield {
                database.component.name: pool.submit(_describe, database, warn, interruption)
                for database in chosen
            }
        except BaseException:
            interruption.trigger()
            raise


def _describe(database: Held, warn: Callable[[str], None], interruption: Interruption) -> Description:
    """Describe one; raises `EngineBackupError` that names the database."""
    connection = database.connection
    with interruption.ending(partial(_cancel, connection)), postgres.naming(database.credentials):
        facts = {
            "database_size": postgres.database_size(connection),
            "extensions": postgres.extensions(connection),
            "granted_roles": postgres.granted_roles(connection),
            **table_sizes.read(connection),
            "privileges": privileges_document.to_json(cluster_privileges.read(connection)),
        }
        counted = _count(database, warn, interruption)
        counts = inventory_document.counts_to_json(counted.counts)
        return Description({**facts, **counts}, counted.inventory)


def _cancel(connection: Connection) -> None:
    # Its next statement fails anyway when it cannot be cancelled any more.
    with suppress(psycopg2.Error):
        connection.cancel()


def _count(database: Held, warn: Callable[[str], None], interruption: Interruption) -> inventory.Reading:
    """Return how much is in a database, and its inventory; a backup does not fail for it."""
    try:
        return inventory.read(database.connection, database.component)
    except EngineBackupError as error:
        interruption.check()
        warn(f"{error.message}: the archive will not tell how much is in it")
        return inventory.Reading(DatabaseCounts(), Inventory())
