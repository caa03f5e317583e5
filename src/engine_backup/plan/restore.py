"""What a restore will do: from the request, the archive and the machine to ordered steps, or to problems.

Everything knowable is looked at before, so a plan names all its problems at
once. Databases are loaded first and files are put in their places last: what
can fail comes before what others see.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from engine_backup.model.archive import FileEntry, Generation
from engine_backup.model.components import BY_NAME, COMPONENTS, FILES, REPORTS, Component, Kind, in_scope
from engine_backup.model.errors import ExitStatus, Problem
from engine_backup.model.facts import (
    ArchiveFacts,
    Credentials,
    Origin,
    RestoreFacts,
    TargetDatabase,
)
from engine_backup.model.journal import SERVER
from engine_backup.model.paths import MADE_BY_COPYING, SAVED_PATHS, Condition
from engine_backup.model.presets import CUSTOM
from engine_backup.model.printable import printable_name
from engine_backup.model.requests import RestoreRequest
from engine_backup.model.steps import (
    PlaceFiles,
    PlaceSqlite,
    Plan,
    RelabelFiles,
    RewriteCredentials,
    RunHooks,
    StageFiles,
    StopServices,
)
from engine_backup.plan import (
    apache,
    clashes,
    database_checks,
    engine_setup,
    excluded_data,
    hook_steps,
    hosted_engine,
    pkcs12,
    preflight,
    unfinished,
)
from engine_backup.plan.compatibility import accepts
from engine_backup.plan.file_selection import Selection, select
from engine_backup.plan.load_steps import load_steps, with_permissions
from engine_backup.plan.provisioning import Provisioning, plan_provisioning

TREES = (Generation.A.value, Generation.B.value)
PERMISSIONS_QUESTION = Problem(
    "Please pass one of --restore-permissions or --no-restore-permissions"
    " when restoring a backup with a custom dump format",
    "add --restore-permissions to bring back what was granted to other roles",
)


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
    made_by_copying = MADE_BY_COPYING if archive.generation in TREES else frozenset()
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


def plan_restore(request: RestoreRequest, facts: RestoreFacts, selection: Selection, when: datetime) -> Plan:
    """Return the plan; `when` goes into passing and alternative names."""
    components = restored_components(request, facts.archive)
    made = plan_provisioning(request, facts, when)
    encrypting = pkcs12.encrypting(facts, selection, when)
    placed = (*selection.restore, *(entry for step in encrypting for entry in step.kept))
    return Plan(
        gate=made.gate,
        steps=made.before
        if made.ends
        else (
            *((StageFiles(selection.restore),) if selection.restore else ()),
            *_stopping(facts),
            *made.before,
            *load_steps(request, facts, made),
            *made.after,
            *apache.forgetting(facts, selection),
            *encrypting,
            *((PlaceFiles(placed),) if placed else ()),
            *(PlaceSqlite(c) for c in components if c.kind is Kind.SQLITE),
            *(
                RewriteCredentials(component, request.changed[component.name])
                for component in _rewritten(request, facts)
            ),
            *_relabelling(placed, components, _rewritten(request, facts)),
            *_hook_steps(request, facts, selection),
        ),
        notes=_notes(facts, selection),
        warnings=(
            *request.surroundings.warnings,
            *facts.warnings,
            *made.warnings,
            *preflight.warnings(facts.preflight, when.astimezone()),
            *_warnings(facts, selection, components),
            *pkcs12.warnings(facts, selection),
            *_unwritten(request, facts),
            *_hook_warnings(request, facts, selection),
            *hosted_engine.warnings(request, facts.archive, components),
            *_lost_privileges(request, facts, made),
            *engine_setup.warnings(request),
        ),
        problems=_problems(request, facts, selection, made),
        concerned=_concerned(components, made),
        afterwards=() if made.ends else engine_setup.engine_setup(request, facts, FILES in components),
    )


def _hook_steps(request: RestoreRequest, facts: RestoreFacts, selection: Selection) -> tuple[RunHooks, ...]:
    """Under another root no hooks run at all (design section 9)."""
    if request.surroundings.root != Path("/"):
        return ()
    return hook_steps.hook_steps(facts.hooks, selection, request.run_restored_hooks)


def _hook_warnings(request: RestoreRequest, facts: RestoreFacts, selection: Selection) -> list[str]:
    if request.surroundings.root != Path("/"):
        return []
    return hook_steps.warnings(facts.hooks, selection, request.run_restored_hooks)


def _concerned(components: tuple[Component, ...], made: Provisioning) -> tuple[str, ...]:
    """Name what is changed: restores of other things may go on at the same time."""
    return (*(component.name for component in components), *((SERVER,) if made.names else ()))


def _stopping(facts: RestoreFacts) -> tuple[StopServices, ...]:
    units = tuple(service.unit for service in preflight.to_stop(facts.preflight))
    return (StopServices(units),) if units else ()


def _relabelling(
    placed: tuple[FileEntry, ...], components: tuple[Component, ...], rewritten: tuple[Component, ...]
) -> tuple[RelabelFiles, ...]:
    """Label what is restored, by the archive's list, and not by one of what was there (quirk 32)."""
    names = [entry.path for entry in placed]
    names += [path.lstrip("/").encode() for c in rewritten for path in c.credentials_files]
    names += [c.path.lstrip("/").encode() for c in components if c.kind is Kind.SQLITE]
    return (RelabelFiles(tuple(dict.fromkeys(names))),) if names else ()


def _rewritten(request: RestoreRequest, facts: RestoreFacts) -> tuple[Component, ...]:
    """Return the components whose conf files get other credentials."""
    return tuple(BY_NAME[name] for name in request.changed if not _is_only_a_server(name, request, facts))


def _notes(facts: RestoreFacts, selection: Selection) -> tuple[str, ...]:
    notes = [
        f"connects to {t.credentials.address} as {t.credentials.user} ({t.origin.value})"
        for t in facts.targets
        if t.credentials
    ]
    notes += [f"not restored: {_shown(path)}: {reason}" for path, reason in selection.excluded]
    for name, dump in facts.archive.dumps.items():
        notes += [f"{BY_NAME[name].label} dump: not loaded: {line}" for line in dump.left_out]
    return tuple(notes)


def _shown(path: bytes) -> str:
    return "/" + printable_name(path)


def _warnings(facts: RestoreFacts, selection: Selection, components: tuple[Component, ...]) -> list[str]:
    archive = facts.archive
    warnings = [
        f"not restored: {_shown(path)}; restore it with {option}"
        for path, option in (*selection.unknown, *selection.refused)
    ]
    if archive.os_version != facts.host.os_version:
        warnings.append(
            f"the backup was made on {archive.os_version}, this machine is {facts.host.os_version}"
        )
    for name in archive.dumps:
        component = BY_NAME[name]
        if not component.written:
            warnings.append(_gone(component, restored=component in components))
    for target in facts.targets:
        warnings += database_checks.warnings(target, facts)
        warnings += excluded_data.warnings(target.component, archive.dumps[target.component.name].excluded)
    warnings += [
        f"both {component.label} and {BY_NAME[component.successor].label} dumps found in the backup file"
        for component in map(BY_NAME.__getitem__, archive.dumps)
        if component.successor in archive.dumps
    ]
    return warnings


def _gone(component: Component, restored: bool) -> str:
    label = component.label
    beginning = f"A {label} dump was found inside the backup. The product has no {label} any more"
    if restored:
        return f"{beginning}: it is restored all the same, but nothing here will use it"
    return f"{beginning}; it is restored only with --scope={component.scope}"


def _unwritten(request: RestoreRequest, facts: RestoreFacts) -> list[str]:
    return [
        f"there is no {BY_NAME[name].credentials_file} here: the credentials of the"
        f" {BY_NAME[name].label} database are not written to any file of this machine"
        for name in request.changed
        if _is_only_a_server(name, request, facts)
    ]


def _lost_privileges(request: RestoreRequest, facts: RestoreFacts, made: Provisioning) -> list[str]:
    """Plain dumps hold privileges up to 3.5.3; stock asks about them for custom dumps only."""
    if request.permissions is not None or made.names:
        return []
    dumps = ((t.component, facts.archive.dumps[t.component.name]) for t in facts.targets)
    return [
        f"what the {component.label} database grants to {', '.join(dump.grantees)} is not restored;"
        " add --restore-permissions to restore it"
        for component, dump in dumps
        if dump.grantees and dump.member.dump_format != CUSTOM
    ]


def _is_only_a_server(name: str, request: RestoreRequest, facts: RestoreFacts) -> bool:
    """Whether a database is restored on a machine where the product that uses it is not set up."""
    wanted = FILES in restored_components(request, facts.archive)
    return not wanted and BY_NAME[name].credentials_file not in facts.existing_files


def _problems(
    request: RestoreRequest, facts: RestoreFacts, selection: Selection, made: Provisioning
) -> tuple[Problem, ...]:
    components = restored_components(request, facts.archive)
    problems = [
        *unfinished.problems(_concerned(components, made), facts.journals, request.surroundings.root),
        *_version_problems(facts),
        *preflight.problems(facts.preflight),
        *engine_setup.problems(request, facts),
    ]
    if not components:
        problems.append(_nothing(request))
    problems += made.problems
    if made.ends and request.surroundings.dry_run:
        problems.append(made.ends)
    for target in facts.targets:
        if target.component.name not in made.names:
            problems += database_checks.problems(target, facts, request, with_permissions(request, made))
    problems += clashes.problems(facts.targets, facts.host)
    if (
        request.permissions is None
        and not made.names
        and any(_asks_about_permissions(t, facts.archive) for t in facts.targets)
    ):
        problems.append(PERMISSIONS_QUESTION)
    problems += [
        Problem(text, "move it away, or make it writable; or leave files out of the scope")
        for text in facts.place_problems
    ]
    problems += _rewriting_problems(request, facts, selection)
    return tuple(problems)


def _version_problems(facts: RestoreFacts) -> list[Problem]:
    installed = facts.host.product_version
    if installed is None:
        hint = "name it with --product-version=X.Y.Z, e.g. 4.5.7"
        return [Problem("the installed product version is unknown", hint)]
    verdict = accepts(installed, facts.archive.version)
    if verdict.accepted:
        return []
    return [Problem(verdict.message, verdict.reason, ExitStatus.INCOMPATIBLE_ARCHIVE)]


def _nothing(request: RestoreRequest) -> Problem:
    return Problem(
        f"nothing to restore: the archive has nothing of scope {', '.join(request.surroundings.scopes)}",
        "leave --scope out to restore everything there is",
    )


def _asks_about_permissions(target: TargetDatabase, archive: ArchiveFacts) -> bool:
    return archive.dumps[target.component.name].member.dump_format == CUSTOM


def _rewriting_problems(request: RestoreRequest, facts: RestoreFacts, selection: Selection) -> list[Problem]:
    """The conf file of each component with changed credentials must exist, and be able to hold them."""
    restored = {"/" + entry.path.decode("utf-8", "surrogateescape") for entry in selection.restore}
    problems = [
        Problem(
            f"Can not find {BY_NAME[name].credentials_file}", "restore files too, or run engine-setup first"
        )
        for name in request.changed
        if BY_NAME[name].credentials_file not in restored | facts.existing_files
        and not _is_only_a_server(name, request, facts)
    ]
    return problems + [
        Problem(
            f"the {what} for the {BY_NAME[name].label} database holds a line end; no conf file can hold it",
            "choose one without line ends",
        )
        for name, credentials in request.changed.items()
        for what, text in _conf_values(credentials)
        if "\n" in text or "\r" in text
    ]


def _conf_values(credentials: Credentials) -> tuple[tuple[str, str], ...]:
    return (
        ("host", credentials.host),
        ("user", credentials.user),
        ("password", credentials.password.reveal()),
        ("name", credentials.database),
    )
