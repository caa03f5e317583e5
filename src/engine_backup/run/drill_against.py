"""`drill --against=live`: what was restored, compared with the databases that are live now.

Live are those of the conf files below `--root`, or those that the person names: never one that only the
archive names. They are read in one snapshot each, and nothing there is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine_backup.drivers import config_files, inventory, manifest_reading
from engine_backup.model.checks import Check, Outcome
from engine_backup.model.components import BY_NAME, Component, Kind
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.live import LIVE, LiveDatabase, Seen
from engine_backup.model.printable import printable
from engine_backup.model.requests import DrillRequest
from engine_backup.plan.live_comparison import compare, sentence
from engine_backup.run.archive_heads import made_at
from engine_backup.run.drilled import Drilled, DrilledDatabase


@dataclass(frozen=True)
class Against:
    """What the comparison says: a check for each database of the archive, and those that were compared."""

    checks: tuple[Check, ...]
    databases: tuple[LiveDatabase, ...]


def against_live(request: DrillRequest, drilled: Drilled) -> Against:
    """Compare each restored database with the live one; raises nothing for those that cannot be reached."""
    checks: list[Check] = []
    databases: list[LiveDatabase] = []
    for name, database in drilled.databases.items():
        try:
            found = _compared(request, drilled, database)
        except EngineBackupError as error:
            text = f"{error.message} ({error.hint})" if error.hint else error.message
            finding = printable(" ".join(text.split()))
            checks.append(Check(name, LIVE, Outcome.COULD_NOT_RUN, "", (finding,)))
        else:
            databases.append(found)
            checks.append(Check(name, LIVE, Outcome.PASS, sentence(found)))
    return Against((*checks, *_not_compared(request, drilled)), tuple(databases))


def _not_compared(request: DrillRequest, drilled: Drilled) -> Iterable[Check]:
    """Tell of databases that could not be restored, and of those that were named in vain."""
    for name in drilled.archive.dumps:
        if name not in drilled.databases and BY_NAME[name].kind is Kind.POSTGRES:
            yield Check(name, LIVE, Outcome.COULD_NOT_RUN, "there is nothing to compare: it was not restored")
    for name in request.live:
        if name not in drilled.archive.dumps:
            yield Check(name, LIVE, Outcome.NOT_IN_ARCHIVE)


def _compared(request: DrillRequest, drilled: Drilled, database: DrilledDatabase) -> LiveDatabase:
    component = database.component
    login = _login(request, component)
    live = inventory.observe(login, component)
    restored = inventory.observe(database.credentials, component)
    return compare(
        component.name,
        printable(login.address),
        Seen(_saved_at(drilled, component), _printable_names(database.rows), restored.inventory),
        Seen(live.at, live.counts.rows, live.inventory, live.counts.estimates),
        database.dump.excluded,
    )


def _login(request: DrillRequest, component: Component) -> Credentials:
    """Return the log-in to the live database; raises `EngineBackupError` when nobody tells one."""
    given = request.live.get(component.name)
    if given is not None:
        return given
    root = request.surroundings.root
    found = config_files.credentials(config_files.load(root), component)
    if found is None:
        raise EngineBackupError(
            f"the conf files below {root} name no {component.label} database",
            f"name it: --{component.option_prefix}db-host=HOST and the options beside it",
        )
    return found


def _saved_at(drilled: Drilled, component: Component) -> str | None:
    """Return the time of the snapshot, or of the dump in an archive of stock."""
    manifest = drilled.archive.manifest
    members = {} if manifest is None else manifest_reading.read(manifest).members
    member = members.get(drilled.archive.dumps[component.name].member)
    recorded = member.database.snapshot_taken_at if member and member.database else None
    return recorded or made_at(drilled.archive.members)


def _printable_names(rows: Mapping[str, int]) -> dict[str, int]:
    return {printable(name): count for name, count in rows.items()}
