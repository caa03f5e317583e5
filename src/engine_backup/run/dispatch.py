"""From a request to the run that serves it, with the log open and foreseen failures named."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Union

from engine_backup.drivers.run_log import RunLog, no_log, open_log
from engine_backup.model.errors import EngineBackupError, ExitStatus, InterruptedByUserError, RefusedError
from engine_backup.model.modes import BACKUP, DRILL, JOURNAL, RESTORE, ROLLBACK, VERIFY
from engine_backup.model.requests import (
    BackupRequest,
    DemoRequest,
    DrillRequest,
    ExportRequest,
    ExtractRequest,
    InspectRequest,
    JournalRequest,
    ListRequest,
    Request,
    RestoreRequest,
    TakingOutRequest,
    VerifyRequest,
)
from engine_backup.run.reporting import Console, Reporter

DEFAULT_LOG_DIRECTORY = Path("var/log/ovirt-engine-backup")
LOW_SPACE_BYTES = 10_000 << 10

_LoggedRequest = Union[BackupRequest, RestoreRequest, VerifyRequest, DrillRequest, JournalRequest]
_SurroundedRequest = Union[_LoggedRequest, InspectRequest, ListRequest]
MODES: dict[type, str] = {
    BackupRequest: BACKUP,
    RestoreRequest: RESTORE,
    VerifyRequest: VERIFY,
    DrillRequest: DRILL,
}


def perform(request: Request, console: Console) -> ExitStatus:
    """Do what is asked; raises `EngineBackupError` for every failure that is foreseen."""
    if isinstance(request, DemoRequest):
        from engine_backup.run.demo import demonstrate

        return demonstrate(request, console)
    if isinstance(request, JournalRequest) and request.mode == JOURNAL:
        from engine_backup.run.rollback import show_journals

        _warn_of(request, console)
        return show_journals(request, console)
    if isinstance(request, (InspectRequest, ListRequest)):
        return _look(request, console)
    if isinstance(request, (ExtractRequest, ExportRequest)):
        return _take_out(request, console)
    surroundings = request.surroundings
    if isinstance(request, BackupRequest) and request.to_standard_output and not surroundings.dry_run:
        console.set_output_aside()
    with _log_of(request, console) as log:
        reporter = Reporter(console, log, quiet=surroundings.json)
        try:
            _head(request, reporter, log.path)
            return _run(request, reporter)
        except OSError as error:
            failure = _describe(error, request)
            log.fatal(failure.message)
            _show_failure(failure, request, reporter)
            raise failure from error
        except (EngineBackupError, InterruptedByUserError) as error:
            log.fatal(error.message)
            _log_program_output(error, reporter)
            if os.strerror(errno.ENOSPC) in error.message:
                error.hint = "make room on that file system, and start again"
            _show_failure(error, request, reporter)
            raise
        finally:
            if log.failure:
                console.warn(log.failure)


def _log_of(request: _LoggedRequest, console: Console) -> RunLog:
    """Open the log; an ordinary user, who may not write the default one, drills without."""
    surroundings = request.surroundings
    try:
        return open_log(surroundings.log, surroundings.root / DEFAULT_LOG_DIRECTORY)
    except (EngineBackupError, OSError) as error:
        if not isinstance(request, DrillRequest) or request.log_named:
            raise
        reason = error.message if isinstance(error, EngineBackupError) else str(error)
        console.warn(f"there is no log of this drill: {reason}")
        return no_log()


def _take_out(request: TakingOutRequest, console: Console) -> ExitStatus:
    """Make something of an archive; the archive stays as it is, so nothing is logged."""
    if isinstance(request, ExtractRequest):
        from engine_backup.run.extract import extract

        return extract(request, console)
    from engine_backup.run.export import export

    return export(request, console)


def _look(request: InspectRequest | ListRequest, console: Console) -> ExitStatus:
    """Tell what archives hold. Nothing is changed, so nothing is logged."""
    _warn_of(request, console)
    try:
        if isinstance(request, ListRequest):
            from engine_backup.run.listing import list_archives

            return list_archives(request, console)
        from engine_backup.run.inspection import inspect

        return inspect(request, console)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        place = f": {os.fsdecode(error.filename)}" if error.filename else ""
        hint = "make room in the temporary directory, or choose another with --tmpdir=DIR" if full else ""
        raise EngineBackupError(f"{error.strerror or error}{place}", hint or "look at that file") from error


def _warn_of(request: _SurroundedRequest, speaker: Union[Console, Reporter]) -> None:
    for warning in request.surroundings.warnings:
        speaker.warn(warning)


def _check_product_version(request: _LoggedRequest) -> None:
    """Let a slip of the pen neither get into an archive nor refute one. Raises `EngineBackupError`."""
    if request.surroundings.product_version:
        from engine_backup.plan.compatibility import Version

        Version.parse(request.surroundings.product_version)


def _head(request: _LoggedRequest, reporter: Reporter, log: Path) -> None:
    """Print the lines that callers look for (contract K4)."""
    surroundings = request.surroundings
    if isinstance(request, JournalRequest):
        reporter.note(f"Start of engine-backup mode {request.mode}")
        reporter.say(f"log file: {log}")
        return
    mode, scopes = MODES[type(request)], surroundings.scopes
    reporter.note(f"Start of engine-backup mode {mode} scope {','.join(scopes)} file {request.file}")
    reporter.say(f"Start of engine-backup with mode '{mode}'")
    reporter.say(f"scope: {','.join(scopes)}")
    reporter.say(f"archive file: {request.file}")
    reporter.say(f"log file: {log}")


def _run(request: _LoggedRequest, reporter: Reporter) -> ExitStatus:
    if not isinstance(request, (BackupRequest, RestoreRequest)):  # their plans hold these warnings
        _warn_of(request, reporter)
    _check_product_version(request)
    if isinstance(request, BackupRequest):
        from engine_backup.run.backup import back_up

        return back_up(request, reporter)
    if isinstance(request, RestoreRequest):
        from engine_backup.run.restore import restore

        return restore(request, reporter)
    if isinstance(request, JournalRequest):
        from engine_backup.run import rollback

        return (rollback.roll_back if request.mode == ROLLBACK else rollback.commit)(request, reporter)
    if isinstance(request, DrillRequest):
        from engine_backup.run.drill import drill

        return drill(request, reporter)
    from engine_backup.run.verify import verify

    return verify(request, reporter)


def _show_failure(error: BaseException, request: _LoggedRequest, reporter: Reporter) -> None:
    """Let a program that waits for a plan read why there is none; a refused one was shown already."""
    shown = isinstance(error, RefusedError) and not isinstance(request, DrillRequest)
    if shown or not request.surroundings.json:
        return
    if isinstance(error, EngineBackupError) and isinstance(request, DrillRequest):
        from engine_backup.run import drill_document

        reporter.show(drill_document.render(drill_document.failure(str(request.file), error)))
    elif isinstance(error, EngineBackupError):
        from engine_backup.run import plan_document

        reporter.show(plan_document.render(plan_document.failure(error, request.surroundings)))


def _log_program_output(error: BaseException | None, reporter: Reporter) -> None:
    """Put what failed programs said into the log, whole."""
    while error is not None:
        reporter.log.raw(getattr(error, "error_output", ""))
        error = error.__cause__


def _describe(error: OSError, request: _LoggedRequest) -> EngineBackupError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _no_space(request)
    place = f": {os.fsdecode(error.filename)}" if error.filename else ""
    return EngineBackupError(f"{error.strerror or error}{place}", f"see the log {request.surroundings.log}")


def _no_space(request: _LoggedRequest) -> EngineBackupError:
    """Name the file system that is full: that of the archive, or the temporary one."""
    surroundings = request.surroundings
    usual = _usual_place(request)
    places = (usual, surroundings.tmpdir, surroundings.root)
    free = {place: shutil.disk_usage(place).free for place in places if place.exists()}
    fullest = min(free, key=lambda place: free[place])
    if free[fullest] >= LOW_SPACE_BYTES:
        # What filled the disk is cleaned up by now; the archive is the usual culprit.
        fullest = usual
    message = f"no space left on the file system of {fullest} (free now: {free[fullest] >> 10} KiB)"
    return EngineBackupError(message, "make room there, or choose another place with --file or --tmpdir")


def _usual_place(request: _LoggedRequest) -> Path:
    if isinstance(request, JournalRequest):
        return request.surroundings.root
    return request.spool_parent if isinstance(request, BackupRequest) else request.file.parent
