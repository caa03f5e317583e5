"""What a restore is about: components and files of the archive, log-ins of databases, and what is changed."""

from __future__ import annotations

from engine_backup.model.archive import FileEntry, Generation
from engine_backup.model.components import BY_NAME, COMPONENTS, FILES, REPORTS, Component, Kind, in_scope
from engine_backup.model.facts import ArchiveFacts, Credentials, Origin, RestoreFacts, TargetDatabase
from engine_backup.model.journal import SERVER
from engine_backup.model.paths import MADE_BY_COPYING, SAVED_PATHS, Condition
from engine_backup.model.requests import RestoreRequest
from engine_backup.plan import apache
from engine_backup.plan.file_selection import Selection, select
from engine_backup.plan.provisioning import Provisioning

_TREES = (Generation.A.value, Generation.B.value)


def restored_components(request: RestoreRequest, archive: ArchiveFacts) -> tuple[Component, ...]:
    """Return what is asked for and is in the archive, in the table's order.

    A component that no release writes any more is restored only when its scope is named, or one of
    the options for its database is used.
    """
    present = set(archive.dumps) | ({FILES.name} if archive.has_files else set())
    return tuple(c for c in COMPONENTS if c.name in present and _is_wanted(c, request))


def _is_wanted(component: Component, request: RestoreRequest) -> bool:
    scopes = request.surroundings.scopes
    named = component.name in request.provision or component.name in request.changed
    return component.scope in scopes or ((component.written or named) and in_scope(component, scopes))


def choose_files(request: RestoreRequest, archive: ArchiveFacts, os_version: str) -> Selection:
    """Decide about every archived path; nothing is chosen when files are out of scope."""
    wanted = FILES in restored_components(request, archive)
    conditions = [Condition.OS_CHANGED] if apache.is_left_out(archive, os_version) else []
    conditions += [] if REPORTS in restored_components(request, archive) else [Condition.NO_REPORTS]
    apart = [c for c in COMPONENTS if c.kind is Kind.SQLITE and c.name in archive.dumps]
    made_by_copying = MADE_BY_COPYING if archive.generation in _TREES else frozenset()
    entries = [
        entry
        for entry in archive.entries
        if wanted and not _belongs_to(entry, apart) and entry.path not in made_by_copying
    ]
    return select(entries, SAVED_PATHS, request.include_paths, request.allow_paths, conditions)


def _belongs_to(entry: FileEntry, components: list[Component]) -> bool:
    """Whether a file is a database that the archive has a consistent copy of (4.4.3.4 to 4.4.6 have both)."""
    names = (c.path.lstrip("/").encode() for c in components)
    return any(entry.path == name or entry.path.startswith(name + b"-") for name in names)


def choose_credentials(
    component: Component, request: RestoreRequest, archive: ArchiveFacts, local: Credentials | None
) -> TargetDatabase:
    """Decide which log-in loads a database: options, then the conf files that will be in force afterwards.

    Where the product has no such component any more, no machine has it configured but by an archive.
    """
    if component.name in request.changed:
        return TargetDatabase(component, request.changed[component.name], Origin.OPTIONS)
    archived = archive.credentials.get(component.name)
    alone = local is None and not component.written
    if archived is not None and (alone or FILES in restored_components(request, archive)):
        return TargetDatabase(component, archived, Origin.ARCHIVE)
    return TargetDatabase(component, local, Origin.MACHINE)


def concerned(components: tuple[Component, ...], made: Provisioning) -> tuple[str, ...]:
    """Name what is changed: restores of other things may go on at the same time."""
    return (*(component.name for component in components), *((SERVER,) if made.names else ()))


def is_only_a_server(name: str, request: RestoreRequest, facts: RestoreFacts) -> bool:
    """Whether a database is restored on a machine where the product that uses it is not set up."""
    wanted = FILES in restored_components(request, facts.archive)
    return not wanted and BY_NAME[name].credentials_file not in facts.existing_files
