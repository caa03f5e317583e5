"""Which answers engine-setup gets after a restore, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator

from engine_backup.model.components import COMPONENTS, Component
from engine_backup.model.engine_setup import (
    ALWAYS,
    APACHE_ANSWERS,
    CONTINUE_ON_HOSTED_ENGINE,
    FIREWALL_MANAGER,
    FIREWALLD,
    FQDN,
    HOST_NAME,
    PROGRAM,
    UPDATE_FIREWALL,
    RunEngineSetup,
    SetupAnswer,
    SetupFacts,
)
from engine_backup.model.errors import Problem
from engine_backup.model.facts import ArchiveFacts, RestoreFacts
from engine_backup.model.requests import RestoreRequest

AS_BACKED_UP = "as in the backup"
KEEPS_NO_SETUP = (
    "--keep-undo keeps what was before the restore, and nothing of what engine-setup changes:"
    " a rollback afterwards leaves that as it is"
)


def engine_setup(
    request: RestoreRequest, facts: RestoreFacts, with_files: bool
) -> tuple[RunEngineSetup, ...]:
    """Return what is to be done when the restore is complete.

    Without files this machine's own conf files stay, and answer for themselves.
    """
    program = facts.engine_setup.program
    if not request.run_engine_setup or program is None:
        return ()
    archived = _archived(facts.archive, facts.engine_setup) if with_files else ()
    return (RunEngineSetup(program, (*ALWAYS, *archived)),)


def problems(request: RestoreRequest, facts: RestoreFacts) -> tuple[Problem, ...]:
    """Return what keeps engine-setup from running: it is said before the restore begins."""
    if not request.run_engine_setup or facts.engine_setup.program is not None:
        return ()
    hint = "install the engine's packages, or leave --run-engine-setup out"
    return (Problem(f"there is no {PROGRAM} to run after the restore", hint),)


def warnings(request: RestoreRequest) -> tuple[str, ...]:
    """Return what is to be known of what cannot be undone."""
    return (KEEPS_NO_SETUP,) if request.run_engine_setup and request.keep_undo else ()


def _archived(archive: ArchiveFacts, machine: SetupFacts) -> Iterator[SetupAnswer]:
    if HOST_NAME.fullmatch(archive.fqdn):
        yield SetupAnswer(FQDN, archive.fqdn, "the name that hosts know the engine by")
    for component in COMPONENTS:
        if component.enabled_key and component.written:
            yield from _component(component, archive)
    for key in APACHE_ANSWERS:
        value = archive.setup.answers.get(key)
        if isinstance(value, bool):
            yield SetupAnswer(key, value, AS_BACKED_UP)
    yield from _firewall(archive, machine)
    if archive.hosted_engine:
        yield SetupAnswer(CONTINUE_ON_HOSTED_ENGINE, True, "the backup is that of a hosted engine")


def _component(component: Component, archive: ArchiveFacts) -> Iterator[SetupAnswer]:
    """What the backup does not have is not set up. One of several that followed each other stays open:

    a release that knows the later one only takes it over from the earlier one's answer (reference 11).
    """
    answered = archive.setup.answers.get(component.enabled_key)
    if isinstance(answered, bool):
        yield SetupAnswer(component.enabled_key, answered, AS_BACKED_UP)
    elif component.name in archive.dumps:
        yield SetupAnswer(component.enabled_key, True, "its database is in the backup")
    elif not component.successor and component.name not in {c.successor for c in COMPONENTS}:
        yield SetupAnswer(component.enabled_key, False, "the backup does not have it")


def _firewall(archive: ArchiveFacts, machine: SetupFacts) -> Iterator[SetupAnswer]:
    """Let firewalld be configured where the backup and this machine have it; leave others alone."""
    answers = archive.setup.answers
    manager = answers.get(FIREWALL_MANAGER) or (FIREWALLD if archive.setup.firewalld else "")
    if answers.get(UPDATE_FIREWALL) is False:
        yield SetupAnswer(UPDATE_FIREWALL, False, AS_BACKED_UP)
    elif manager != FIREWALLD:
        yield SetupAnswer(UPDATE_FIREWALL, False, "the backup has no firewalld")
    elif not machine.firewalld:
        yield SetupAnswer(UPDATE_FIREWALL, False, "firewalld is not installed here")
    else:
        yield SetupAnswer(UPDATE_FIREWALL, True, AS_BACKED_UP)
        yield SetupAnswer(FIREWALL_MANAGER, FIREWALLD, AS_BACKED_UP)
