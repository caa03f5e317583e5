"""`--mode=verify`: an archive is looked at as deep as asked for; nothing is changed."""

from __future__ import annotations

from engine_backup.drivers import host
from engine_backup.drivers.archive_reader import Archive, open_archive
from engine_backup.model.errors import ExitStatus, IncompatibleArchiveError
from engine_backup.model.hooks import LATE_STAGE_OF_MODE
from engine_backup.model.modes import VERIFY
from engine_backup.model.requests import VerifyRequest
from engine_backup.model.verify_levels import Level
from engine_backup.plan.compatibility import accepts
from engine_backup.run.hook_members import offer_members
from engine_backup.run.hook_stages import Hooks, hooks_of
from engine_backup.run.reading import check_form, checked
from engine_backup.run.reporting import Reporter
from engine_backup.run.workspace import private_directory


def verify(request: VerifyRequest, reporter: Reporter) -> ExitStatus:
    """Verify; raises `EngineBackupError` at the first thing that is wrong."""
    with hooks_of(VERIFY, request.file, request.surroundings, reporter) as hooks:
        hooks.early()
        _verify(request, hooks, reporter)
    reporter.say("Done.")
    return ExitStatus.SUCCESS


def _verify(request: VerifyRequest, hooks: Hooks, reporter: Reporter) -> None:
    surroundings = request.surroundings
    reporter.say("Verifying:")
    with private_directory(surroundings.tmpdir) as workspace:
        reporter.say(f"- Unpacking file '{request.file}'")
        with open_archive(request.file, workspace) as archive:
            checked(archive, reporter)
            check_form(archive, reporter)
            reporter.say(f"- Hashes: {len(archive.hashes.digests())} members")
            _check_version(request, archive, reporter)
            if request.level >= Level.STRUCTURE:
                from engine_backup.run.verified_members import check_members

                check_members(request, archive, workspace, reporter)
            stage = LATE_STAGE_OF_MODE[VERIFY]
            offer_members(archive, stage, hooks)
            hooks.run(stage)


def _check_version(request: VerifyRequest, archive: Archive, reporter: Reporter) -> None:
    installed = request.surroundings.product_version or host.product_version(request.surroundings.root)
    if installed is None:
        reporter.warn(
            f"the installed product version is unknown, so whether it takes a backup of {archive.version}"
            " is not checked; name it with --product-version=X.Y.Z"
        )
        return
    verdict = accepts(installed, archive.version)
    if not verdict.accepted:
        raise IncompatibleArchiveError(verdict.message, verdict.reason)
