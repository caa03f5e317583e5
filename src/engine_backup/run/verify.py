"""`--mode=verify`: every byte of every member is read, every dump decoded to its end; nothing is changed."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from engine_backup.drivers import config_files, dumps, host, otopi_answers, postgres_programs, sqlite
from engine_backup.drivers.archive_reader import Archive, open_archive
from engine_backup.drivers.plain_dump import CopyData, split
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.archive import DumpMember
from engine_backup.model.components import COMPONENTS, FILES, AfterLoad, Component, Kind, in_scope
from engine_backup.model.errors import (
    DamagedArchiveError,
    EngineBackupError,
    ExitStatus,
    IncompatibleArchiveError,
    ProgramError,
)
from engine_backup.model.options import VERIFY
from engine_backup.model.presets import CUSTOM
from engine_backup.model.requests import VerifyRequest
from engine_backup.plan import legacy_domain
from engine_backup.plan.compatibility import accepts
from engine_backup.run.archive_facts import open_dump
from engine_backup.run.hook_paths import warn_of_later_hooks
from engine_backup.run.reading import checked
from engine_backup.run.reporting import Reporter
from engine_backup.run.workspace import private_directory

CHUNK = 1 << 20


def verify(request: VerifyRequest, reporter: Reporter) -> ExitStatus:
    """Verify; raises `EngineBackupError` at the first thing that is wrong."""
    surroundings = request.surroundings
    programs = postgres_programs.installed(surroundings.pg_bindir, surroundings.root)
    reporter.say("Verifying:")
    warn_of_later_hooks(VERIFY, surroundings.root, reporter)
    with private_directory(surroundings.tmpdir) as workspace:
        reporter.say(f"- Unpacking file '{request.file}'")
        with open_archive(request.file, workspace) as archive:
            checked(archive, reporter)
            _check_version(request, archive, reporter)
            for component in _present(request, archive):
                _check(component, archive, programs, workspace, reporter)
    reporter.say("Done.")
    return ExitStatus.SUCCESS


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


def _present(request: VerifyRequest, archive: Archive) -> list[Component]:
    scopes = request.surroundings.scopes
    present = set(archive.dumps) | ({FILES.name} if archive.files_kind else set())
    chosen = [c for c in COMPONENTS if c.name in present and in_scope(c, scopes)]
    if not chosen:
        raise EngineBackupError(
            f"nothing to verify: the archive has nothing of scope {', '.join(scopes)}", "leave --scope out"
        )
    return chosen


def _check(
    component: Component,
    archive: Archive,
    programs: tuple[Programs, ...],
    workspace: Path,
    reporter: Reporter,
) -> None:
    if component.kind is Kind.FILES:
        reporter.say(f"- {component.label}: {_check_files(archive)}")
        return
    member = archive.dumps[component.name]
    if component.kind is Kind.SQLITE:
        _check_sqlite(archive, member, workspace)
    elif member.dump_format == CUSTOM:
        _check_custom(component, archive, member, programs)
    else:
        _check_plain(component, archive, member)
    reporter.say(f"- {component.label} database")


def _check_files(archive: Archive) -> str:
    """List the files to the last; conf files among them must be understandable."""
    entries = archive.file_entries()
    files = archive.read_files(config_files.is_wanted)
    texts = {"/" + os.fsdecode(path): content for path, content in files.items()}
    config_files.load(texts)
    otopi_answers.load(texts)
    return f"{len(entries)} files and directories"


def _check_sqlite(archive: Archive, member: DumpMember, workspace: Path) -> None:
    copy = workspace / "verified.db"
    with open_dump(archive, member) as stream, copy.open("xb") as target:
        shutil.copyfileobj(stream, target, CHUNK)
    sqlite.check(copy, f"{archive.path}: {member.member}")
    copy.unlink()


def _check_custom(
    component: Component, archive: Archive, member: DumpMember, programs: tuple[Programs, ...]
) -> None:
    newest = postgres_programs.for_restore(0, programs[:1])
    name = f"{archive.path}: {member.member}"
    try:
        with open_dump(archive, member) as stream:
            dumps.decode(newest, stream)
        if component.after_load is AfterLoad.ENGINE:
            with open_dump(archive, member) as stream:
                _read_sql(io.BytesIO(dumps.table_data(newest, stream, legacy_domain.TABLE)), name, True)
    except ProgramError as error:
        raise DamagedArchiveError(f"{name} cannot be read: {error.message}", "see the log") from error


def _check_plain(component: Component, archive: Archive, member: DumpMember) -> None:
    with open_dump(archive, member) as stream:
        name = f"{archive.path}: {member.member}"
        _read_sql(stream, name, component.after_load is AfterLoad.ENGINE)


def _read_sql(stream: BinaryIO, name: str, has_options: bool) -> None:
    """Read a plain dump to its end; refuse an engine that used the old directory integration."""
    for item in split(stream, name):
        if not isinstance(item, CopyData):
            continue
        statement = item.statement.decode("utf-8", "surrogateescape")
        if has_options and legacy_domain.is_options_table(statement):
            if legacy_domain.legacy_domains(statement, item.stream.read()):
                raise IncompatibleArchiveError(legacy_domain.MESSAGE, legacy_domain.HINT)
        else:
            while item.stream.read(CHUNK):
                continue
