"""What a restore will do: from the request, the archive and the machine to ordered steps, or to problems.

Everything knowable is looked at before, so a plan names all its problems at
once. Databases are loaded first and files are put in their places last: what
can fail comes before what others see.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from engine_backup.model.archive import FileEntry
from engine_backup.model.components import BY_NAME, FILES, Component, Kind
from engine_backup.model.facts import RestoreFacts
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
    database_checks,
    engine_setup,
    excluded_data,
    hook_steps,
    hosted_engine,
    pkcs12,
    preflight,
    restore_problems,
)
from engine_backup.plan.file_selection import Selection
from engine_backup.plan.load_steps import load_steps
from engine_backup.plan.provisioning import Provisioning, plan_provisioning
from engine_backup.plan.restore_choices import concerned, is_only_a_server, restored_components


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
        notes=_notes(facts, selection, components),
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
        problems=restore_problems.problems(request, facts, selection, made),
        concerned=concerned(components, made),
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
    return tuple(BY_NAME[name] for name in request.changed if not is_only_a_server(name, request, facts))


def _notes(facts: RestoreFacts, selection: Selection, components: tuple[Component, ...]) -> tuple[str, ...]:
    notes = [
        f"connects to {t.credentials.address} as {t.credentials.user} ({t.origin.value})"
        for t in facts.targets
        if t.credentials
    ]
    notes += [f"not restored: {_shown(path)}: {reason}" for path, reason in selection.excluded]
    for component in components:
        dump = facts.archive.dumps.get(component.name)
        notes += [f"{component.label} dump: not loaded: {line}" for line in (dump.left_out if dump else ())]
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
        if is_only_a_server(name, request, facts)
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
