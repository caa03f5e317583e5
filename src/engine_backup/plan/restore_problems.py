"""What keeps a restore from beginning: all of it at once, each with what to do."""

from __future__ import annotations

from engine_backup.model.components import BY_NAME
from engine_backup.model.errors import ExitStatus, Problem
from engine_backup.model.facts import ArchiveFacts, Credentials, RestoreFacts, TargetDatabase
from engine_backup.model.presets import CUSTOM
from engine_backup.model.requests import RestoreRequest
from engine_backup.plan import clashes, database_checks, engine_setup, preflight, unfinished
from engine_backup.plan.compatibility import accepts
from engine_backup.plan.file_selection import Selection
from engine_backup.plan.load_steps import with_permissions
from engine_backup.plan.provisioning import Provisioning
from engine_backup.plan.restore_choices import concerned, is_only_a_server, restored_components

PERMISSIONS_QUESTION = Problem(
    "Please pass one of --restore-permissions or --no-restore-permissions"
    " when restoring a backup with a custom dump format",
    "add --restore-permissions to bring back what was granted to other roles",
)


def problems(
    request: RestoreRequest, facts: RestoreFacts, selection: Selection, made: Provisioning
) -> tuple[Problem, ...]:
    """Return all that is known to be in the way; where there is none, the restore may begin.

    `selection` are the files that are put back, `made` what is provisioned before.
    """
    components = restored_components(request, facts.archive)
    found = [
        *unfinished.problems(concerned(components, made), facts.journals, request.surroundings.root),
        *_version_problems(facts),
        *preflight.problems(facts.preflight),
        *engine_setup.problems(request, facts),
    ]
    if not components:
        found.append(_nothing(request))
    found += made.problems
    if made.ends and request.surroundings.dry_run:
        found.append(made.ends)
    for target in facts.targets:
        if target.component.name not in made.names:
            found += database_checks.problems(target, facts, request, with_permissions(request, made))
    found += clashes.problems(facts.targets, facts.host)
    if (
        request.permissions is None
        and not made.names
        and any(_asks_about_permissions(t, facts.archive) for t in facts.targets)
    ):
        found.append(PERMISSIONS_QUESTION)
    found += [
        Problem(text, "move it away, or make it writable; or leave files out of the scope")
        for text in facts.place_problems
    ]
    found += _rewriting_problems(request, facts, selection)
    return tuple(found)


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
        and not is_only_a_server(name, request, facts)
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
