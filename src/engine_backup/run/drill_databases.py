"""The checks of all databases that a drill has loaded, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers import host, index_checking, inventory, loaded_catalog, loaded_rows
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.loaded_sessions import reading
from engine_backup.drivers.postgres import naming
from engine_backup.model import manifest
from engine_backup.model.checks import Check
from engine_backup.model.components import AfterLoad
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.loaded_database import CatalogFacts
from engine_backup.model.references import REFERENCES
from engine_backup.plan import database_soundness as soundness
from engine_backup.plan import index_choice
from engine_backup.plan.compatibility import Version
from engine_backup.plan.database_soundness import IndexResults
from engine_backup.plan.index_choice import IndexWork
from engine_backup.plan.row_agreement import Recorded, recorded
from engine_backup.run import side_by_side
from engine_backup.run.drilled import Drilled, DrilledDatabase

_Result = TypeVar("_Result")
CHANGE_LOG_LOCK = ("databasechangeloglock", "locked")


@dataclass(frozen=True)
class _Look:
    """The first look at a database.

    `catalog` is None when there is an `error`; `amcheck` is the schema it is in, None where there is none,
    or where it could not be made ready (`amcheck_error`).
    """

    database: DrilledDatabase
    catalog: CatalogFacts | None = None
    objects: Mapping[str, int] = field(default_factory=dict)
    amcheck: str | None = None
    amcheck_error: str = ""
    error: str = ""

    @property
    def subject(self) -> str:
        return self.database.component.name


@dataclass(frozen=True)
class _Part:
    """What one piece of work has found out about a database."""

    subject: str
    checks: tuple[Check, ...] = ()
    indexes: IndexResults | None = None


def check(drilled: Drilled) -> tuple[Check, ...]:
    """Return the checks of each database, one after the other.

    What keeps a check from being made is its outcome; only a signal ends this early.
    """
    looks = _all([partial(_look, drilled, database) for database in drilled.databases.values()])
    works = [work for look in looks for work in _works(drilled, look)]
    works.sort(key=lambda work: -work[0])
    parts = _all([work for _, work in works])
    return tuple(one for look in looks for one in _checks(drilled, look, parts))


def _all(works: Sequence[Callable[[Interruption], _Result]]) -> list[_Result]:
    """Do all works, as many at the same time as there are processors, and return what each returned."""
    results: dict[int, _Result] = {}

    def keep(number: int, interruption: Interruption) -> None:
        results[number] = works[number](interruption)

    processors = host.cores()
    side_by_side.perform([partial(keep, number) for number in range(len(works))], processors, "check")
    return [results[number] for number in range(len(works))]


def _look(drilled: Drilled, database: DrilledDatabase, interruption: Interruption) -> _Look:
    try:
        with reading(database.credentials, interruption) as connection:
            catalog = loaded_catalog.read(connection)
            objects = inventory.object_counts(connection)
    except EngineBackupError as error:
        interruption.check()
        return _Look(database, error=error.message)
    try:
        amcheck = index_checking.prepare(drilled.as_administrator(database), database.credentials.user)
    except EngineBackupError as error:
        return _Look(database, catalog, objects, amcheck_error=f"amcheck could not be used: {error.message}")
    return _Look(database, catalog, objects, amcheck)


def _works(drilled: Drilled, look: _Look) -> list[tuple[int, Callable[[Interruption], _Part]]]:
    """Return what is to be done now, each with how much it will read, in bytes."""
    if look.catalog is None:
        return []
    works: list[tuple[int, Callable[[Interruption], _Part]]] = [
        (index_choice.SHARE, partial(_rows_part, drilled, look))
    ]
    if look.amcheck is not None:
        shares = index_choice.share(index_choice.choose(look.catalog.indexes))
        works += [(work.size, partial(_indexes_part, look, look.amcheck, work)) for work in shares]
    return works


def _rows_part(drilled: Drilled, look: _Look, interruption: Interruption) -> _Part:
    """Make the checks that read tables; when nobody can log in, that is one that could not run."""
    try:
        return _read_rows(drilled, look, interruption)
    except EngineBackupError as error:
        interruption.check()
        return _Part(look.subject, (soundness.could_not_run(look.subject, "rows", error.message),))


def _indexes_part(look: _Look, schema: str, work: IndexWork, interruption: Interruption) -> _Part:
    """Look at some indexes; when nobody can log in, they were not looked at."""
    try:
        return _read_indexes(look, schema, work, interruption)
    except EngineBackupError as error:
        interruption.check()
        return _Part(look.subject, indexes=IndexResults(True, unread=(error.message,)))


def _read_rows(drilled: Drilled, look: _Look, interruption: Interruption) -> _Part:
    """Make the checks that read tables."""
    component, login = look.database.component, look.database.credentials
    with reading(login, interruption) as connection:
        columns = loaded_rows.columns(connection)
        makers: list[tuple[str, Callable[[], Check]]] = [
            ("sequences", lambda: soundness.sequences(look.subject, loaded_catalog.sequences(connection)))
        ]
        if component.has_schema_version:
            makers.append(("schema version", partial(_schema_version, connection, look.subject, drilled)))
        if CHANGE_LOG_LOCK in columns:
            makers.append(("change log", partial(_change_log, connection, look.subject)))
        if component.after_load is AfterLoad.ENGINE:
            makers.append(("references", partial(_references, connection, look.subject, columns)))
        return _Part(look.subject, tuple(_made(look, name, maker, interruption) for name, maker in makers))


def _made(look: _Look, name: str, make: Callable[[], Check], interruption: Interruption) -> Check:
    """Make one check; what the server complains about is its outcome."""
    try:
        with naming(look.database.credentials):
            return make()
    except EngineBackupError as error:
        interruption.check()
        return soundness.could_not_run(look.subject, name, error.message)


def _schema_version(connection: Connection, subject: str, drilled: Drilled) -> Check:
    try:
        product: tuple[int, int] | None = Version.parse(drilled.facts.version).line
    except EngineBackupError:
        product = None
    return soundness.schema_version(subject, loaded_rows.schema_versions(connection), product)


def _change_log(connection: Connection, subject: str) -> Check:
    return soundness.change_log(subject, loaded_rows.change_log_locks(connection))


def _references(connection: Connection, subject: str, columns: Mapping[tuple[str, str], int]) -> Check:
    return soundness.references(subject, loaded_rows.check_references(connection, REFERENCES, columns))


def _read_indexes(look: _Look, schema: str, work: IndexWork, interruption: Interruption) -> _Part:
    """Look at some indexes; one that cannot be looked at does not keep the others from it."""
    damaged, unread = [], []
    compared = 0
    with reading(look.database.credentials, interruption) as connection:
        for index, compare in work.indexes:
            try:
                with naming(look.database.credentials):
                    found = index_checking.damage(connection, schema, index.number, compare)
            except EngineBackupError as error:
                interruption.check()
                unread.append(f"index {index.name} of {index.table} could not be looked at: {error.message}")
                continue
            compared += compare
            if found:
                damaged.append(f"index {index.name} of {index.table}: {found}")
    structure_only = len(work.indexes) - compared - len(unread)
    return _Part(
        look.subject,
        indexes=IndexResults(True, compared, structure_only, tuple(damaged), tuple(unread)),
    )


def _checks(drilled: Drilled, look: _Look, parts: Sequence[_Part]) -> tuple[Check, ...]:
    """Return all checks of one database: those of its catalog, and what the works have found."""
    subject, catalog = look.subject, look.catalog
    if catalog is None:
        return (soundness.could_not_run(subject, "tables", look.error),)
    own = [part for part in parts if part.subject == subject]
    said = _recorded(drilled, look.database)
    results = [part.indexes for part in own if part.indexes is not None]
    if look.amcheck_error:
        results.append(IndexResults(True, unread=(look.amcheck_error,)))
    checked = IndexResults.together(look.amcheck is not None, results)
    return (
        soundness.tables(subject, look.database.dump.tables, said, catalog),
        soundness.objects(subject, said, look.objects),
        soundness.rows(subject, said, look.database.rows),
        soundness.constraints(subject, catalog),
        soundness.indexes(subject, catalog, checked),
        soundness.owners(subject, look.database.credentials.user, catalog),
        *(one for part in own for one in part.checks),
    )


def _recorded(drilled: Drilled, database: DrilledDatabase) -> Recorded:
    document = drilled.archive.manifest
    if document is None or not (manifest.is_ours(document) and manifest.is_understood(document)):
        return Recorded()
    return recorded(manifest.member_row(document, database.dump.member.member))
