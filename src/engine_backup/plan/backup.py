"""What a backup will do: from the request and what was observed to ordered steps, or to problems.

The rule of what counts as saved (design section 9): enabled, in scope and not
savable is a problem; configured but not enabled is a warning; nothing in
scope is a problem; an engine that is not set up gives files only, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from engine_backup.model.backup_steps import (
    AnnounceEnd,
    AnnounceStart,
    CopySqlite,
    Describe,
    DumpDatabase,
    Part,
    SaveFiles,
    SaveMembers,
    TakeSnapshots,
)
from engine_backup.model.components import BY_NAME, COMPONENTS, FILES, Component, Kind, in_scope
from engine_backup.model.errors import Problem
from engine_backup.model.excluded_data import TablePattern
from engine_backup.model.facts import BackupFacts, DatabaseFacts, FileFacts
from engine_backup.model.hooks import LATE_STAGE_OF_MODE
from engine_backup.model.modes import BACKUP
from engine_backup.model.presets import CLASSIC, DEFAULT, PLAIN, PRESETS, Encoding, Packing, Preset, encoding
from engine_backup.model.requests import BackupRequest, DumpWish
from engine_backup.model.steps import Plan, RunHooks
from engine_backup.plan import archive_ways, backup_space, excluded_data
from engine_backup.plan.archive_ways import Way

NO_HOOKS: Mapping[str, tuple[str, ...]] = MappingProxyType({})
# A dump waits for its server now and then; each is a session on a server that others use too.
LEAST_AT_ONCE, MOST_AT_ONCE = 2, 8
UNKNOWN_VERSION = Problem(
    "the installed product version is unknown", "name it with --product-version=X.Y.Z, e.g. 4.5.7"
)


def plan_backup(
    request: BackupRequest,
    facts: BackupFacts,
    hook_paths: tuple[str, ...] = (),
    hooks: Mapping[str, tuple[str, ...]] = NO_HOOKS,
) -> Plan:
    """Return the plan; `hooks` are those that are there, by stage, `hook_paths` what they added."""
    stage = LATE_STAGE_OF_MODE[BACKUP]
    saved = _saved(request, facts)
    parts = _parts(saved, request, facts, (*request.include_paths, *hook_paths))
    dumped = [d for d in facts.databases if d.component in saved]
    way = archive_ways.choose(request, facts.target, archive_packing(request, facts).compressor)
    saving = (SaveMembers(parts, _at_once(parts, request, facts, way)),) if parts else ()
    steps = (
        AnnounceStart(saved),
        TakeSnapshots(tuple((d.component, d.credentials) for d in dumped if d.credentials)),
        *saving,
        *((RunHooks(stage, hooks[stage]),) if hooks.get(stage) else ()),
        Describe(),
        way.last_step,
        AnnounceEnd(saved),
    )
    return Plan(
        steps,
        notes=(_preset(request, facts)[1],),
        warnings=(
            *request.surroundings.warnings,
            *facts.warnings,
            *way.warnings,
            *_warnings(request, facts, saved),
            *(text for step in saving for text in backup_space.warnings(step, facts, way)),
        ),
        problems=(
            *_problems(request, facts, saved, way),
            *(problem for step in saving for problem in backup_space.problems(step, facts, way)),
        ),
    )


def _parts(
    saved: tuple[Component, ...], request: BackupRequest, facts: BackupFacts, extra_paths: tuple[str, ...]
) -> tuple[Part, ...]:
    preset, _ = _preset(request, facts)
    files: tuple[Part, ...] = (
        *_file_steps(saved, request, preset, extra_paths),
        *(CopySqlite(f.component) for f in facts.single_files if f.component in saved),
    )
    dumped = (d for d in facts.databases if d.component in saved)
    return _in_order(_by_size(_dump_step(d, request, preset) for d in dumped), files)


def archive_packing(request: BackupRequest, facts: BackupFacts) -> Packing:
    """Return how the whole archive is compressed."""
    preset, _ = _preset(request, facts)
    return preset.archive if request.archive_compressor is None else Packing(request.archive_compressor)


def _preset(request: BackupRequest, facts: BackupFacts) -> tuple[Preset, str]:
    """Choose by risk when nothing was asked: a hosted engine may be restored by the stock tool (design 3)."""
    if request.preset is not None:
        return PRESETS[request.preset], f"packing: {request.preset}, as asked"
    if is_hosted_engine(facts):
        return CLASSIC, "packing: classic, since a hosted engine's appliance may hold only the stock tool"
    return DEFAULT, "packing: default (zstd)"


def is_hosted_engine(facts: BackupFacts) -> bool:
    """Whether the engine runs in a machine that it manages itself, by its answers or by its database."""
    return facts.host.hosted_engine or any(database.hosted_engine for database in facts.databases)


def _by_size(dumps: Iterable[DumpDatabase]) -> list[DumpDatabase]:
    return sorted(dumps, key=lambda dump: dump.size, reverse=True)


def _in_order(dumps: Sequence[Part], files: Sequence[Part]) -> tuple[Part, ...]:
    """Begin with the largest database, which takes longest.

    Files come next, for no snapshot holds them: they should be those of the databases' moment.
    """
    return (*dumps[:1], *files, *dumps[1:])


def _at_once(parts: tuple[Part, ...], request: BackupRequest, facts: BackupFacts, way: Way) -> int:
    """Return how many members are made at the same time.

    Where a member has its place only when its size is known, one waits for that at a time, so that they
    take little room.
    """
    if not way.in_place:
        return 1
    return max(1, min(len(parts), request.jobs or max(LEAST_AT_ONCE, min(MOST_AT_ONCE, facts.cores))))


def _file_steps(
    saved: tuple[Component, ...], request: BackupRequest, preset: Preset, extra_paths: tuple[str, ...]
) -> tuple[SaveFiles, ...]:
    if FILES not in saved:
        return ()
    asked = request.files_compressor
    return (SaveFiles(FILES, preset.files if asked is None else Packing(asked), extra_paths),)


def _dump_step(facts: DatabaseFacts, request: BackupRequest, preset: Preset) -> DumpDatabase:
    if facts.credentials is None:
        raise ValueError(f"{facts.component.name} is planned without credentials")
    packed = _encoding(facts.component, request, preset)
    excluded = excluded_data.choose(_patterns(facts.component, request), facts.tables)
    size = max(0, facts.size - excluded.size)
    return DumpDatabase(facts.component, facts.credentials, packed, size, excluded)


def _patterns(component: Component, request: BackupRequest) -> list[TablePattern]:
    return [pattern for pattern in request.excluded if pattern.component == component.name]


def encoding_of(component: Component, request: BackupRequest, facts: BackupFacts) -> Encoding:
    """Return how a database is written, or would be if it were there."""
    preset, _ = _preset(request, facts)
    return _encoding(component, request, preset)


def _encoding(component: Component, request: BackupRequest, preset: Preset) -> Encoding:
    wish = request.dumps.get(component.name, DumpWish())
    return encoding(preset, wish.dump_format, wish.compressor)


def _saved(request: BackupRequest, facts: BackupFacts) -> tuple[Component, ...]:
    """Return the components that will be in the archive, in the table's order."""
    present = {FILES.name}
    present |= {d.component.name for d in facts.databases if _is_dumped(d)}
    present |= {f.component.name for f in facts.single_files if f.enabled and f.exists}
    return tuple(c for c in COMPONENTS if c.name in present and in_scope(c, request.surroundings.scopes))


def _is_dumped(facts: DatabaseFacts) -> bool:
    return bool(facts.enabled and facts.credentials and facts.component.written)


def _warnings(request: BackupRequest, facts: BackupFacts, saved: tuple[Component, ...]) -> tuple[str, ...]:
    scopes = request.surroundings.scopes
    warnings = []
    if not facts.host.set_up:
        warnings.append("engine-setup has not configured anything here: only files are saved")
    warnings += [
        f"the {d.component.label} database is configured ({d.credentials.source}) but not enabled: not saved"
        for d in facts.databases
        if d.credentials and not d.enabled and d.component.written and in_scope(d.component, scopes)
    ]
    warnings += [
        f"{f.component.path} exists but {f.component.label} is not enabled: not saved"
        for f in facts.single_files
        if f.exists and not f.enabled and in_scope(f.component, scopes)
    ]
    warnings += [
        f"{pattern.option} has no effect: the {BY_NAME[pattern.component].label} database is not saved"
        for pattern in request.excluded
        if BY_NAME[pattern.component] not in saved
    ]
    return tuple(warnings)


def has_plain_dump(plan: Plan) -> bool:
    """Whether a database is dumped as plain text, which carries no permissions."""
    saving = [step for step in plan.steps if isinstance(step, SaveMembers)]
    dumps = [part for step in saving for part in step.parts if isinstance(part, DumpDatabase)]
    return any(dump.encoding.dump_format == PLAIN for dump in dumps)


def _problems(
    request: BackupRequest, facts: BackupFacts, saved: tuple[Component, ...], way: Way
) -> tuple[Problem, ...]:
    scopes = request.surroundings.scopes
    problems = list(facts.problems)
    if facts.host.product_version is None:
        problems.append(UNKNOWN_VERSION)
    problems += way.problems
    for database in facts.databases:
        if in_scope(database.component, scopes):
            problems += _database_problems(database)
        if database.tables:
            patterns = _patterns(database.component, request)
            problems += excluded_data.problems(database.component, patterns, database.tables)
    for file in facts.single_files:
        if in_scope(file.component, scopes):
            problems += _file_problems(file)
    if not saved and not problems:
        problems.append(_nothing(scopes))
    return tuple(problems)


def _nothing(scopes: tuple[str, ...]) -> Problem:
    return Problem(
        f"nothing to back up: no component of scope {', '.join(scopes)} is set up here",
        "leave --scope out to save everything there is",
    )


def _database_problems(facts: DatabaseFacts) -> list[Problem]:
    if not facts.enabled or not facts.component.written:
        return []
    label, scope = facts.component.label, facts.component.scope
    if facts.credentials is None:
        return [
            Problem(
                f"the {label} database is enabled but its credentials stand nowhere",
                f"check {facts.component.conf_file}, or leave its scope ({scope}) out",
            )
        ]
    if facts.error is not None:
        return [replace(facts.error, hint=facts.error.hint or f"leave its scope ({scope}) out")]
    return []


def _file_problems(facts: FileFacts) -> list[Problem]:
    if facts.component.kind is Kind.SQLITE and facts.enabled and not facts.exists:
        label, path = facts.component.label, facts.component.path
        hint = f"check it, or leave its scope ({facts.component.scope}) out"
        return [Problem(f"{label} is enabled but its database {path} does not exist", hint)]
    return []
