"""`extract`: single things out of an archive, to a new directory or to standard output."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from engine_backup.drivers import dumps, file_placing, file_tree, postgres_programs, run_log
from engine_backup.drivers.archive_reader import Archive, open_archive
from engine_backup.drivers.compression import Sink
from engine_backup.drivers.file_placing import TEMPORARY_PREFIX, Placing
from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.errors import (
    DamagedArchiveError,
    EngineBackupError,
    ExitStatus,
    HostileArchiveError,
    Problem,
    ProgramError,
    RefusedError,
)
from engine_backup.model.extraction import Chosen, ChosenDump
from engine_backup.model.presets import CUSTOM
from engine_backup.model.requests import ExtractRequest
from engine_backup.plan import extraction
from engine_backup.run.extraction_choice import choose
from engine_backup.run.output_file import no_directory
from engine_backup.run.reading import open_dump
from engine_backup.run.reporting import Console, Reporter
from engine_backup.run.system_failures import named
from engine_backup.run.workspace import private_directory

CHUNK = 1 << 18
STAGED = "files"
SECRET = "what comes out holds passwords or private keys: keep it from others"


def extract(request: ExtractRequest, console: Console) -> ExitStatus:
    """Take out what is asked for; raises `EngineBackupError`, and then leaves nothing behind."""
    reporter = Reporter(console, run_log.no_log())
    for warning in request.warnings:
        reporter.warn(warning)
    with named(request.output or request.tmpdir, request.tmpdir):
        _check_request(request)
        with (
            private_directory(request.tmpdir) as workspace,
            open_archive(request.file, workspace) as archive,
        ):
            chosen = choose(request, archive)
            if request.output is None:
                _to_standard_output(request, archive, chosen, workspace, reporter)
            else:
                _to_directory(request, archive, chosen, request.output, reporter)
    return ExitStatus.SUCCESS


def _check_request(request: ExtractRequest) -> None:
    if request.same_owner and os.geteuid() != 0:
        raise RefusedError([Problem("--same-owner: only root can give files to others", "leave it out")])
    output = request.output
    if output is None:
        return
    if not os.path.lexists(output):
        if not output.parent.is_dir():
            raise RefusedError([no_directory(output.parent)])
        return
    if not stat.S_ISDIR(output.lstat().st_mode):
        raise RefusedError([Problem(f"{output} is no directory", "name a new one: --output=DIR")])
    if any(output.iterdir()):
        raise RefusedError([Problem(f"{output} is not empty", "name a new directory: --output=DIR")])


def _to_standard_output(
    request: ExtractRequest, archive: Archive, chosen: Chosen, workspace: Path, reporter: Reporter
) -> None:
    problems = extraction.output_problems(chosen, reporter.console.is_terminal)
    if problems:
        raise RefusedError(problems)
    if chosen.is_secret:
        reporter.warn(SECRET)
    sink = reporter.console.data()
    if chosen.single_entry is not None:
        with _staged_file(archive, chosen.single_entry, workspace) as file:
            shutil.copyfileobj(file, sink, CHUNK)
    for dump in chosen.dumps:
        _write_dump(request, archive, dump, sink)
    for text in chosen.texts:
        sink.write(text.content)
    sink.flush()


@contextmanager
def _staged_file(archive: Archive, entry: FileEntry, workspace: Path) -> Iterator[BinaryIO]:
    """Unpack one file where nobody else can look: only a whole one is shown."""
    directory = workspace / STAGED
    with archive.open_files_tar() as tar:
        file_tree.stage(tar, directory, (entry,), archive.file_entries())
    place = directory / os.fsdecode(entry.stored_name)
    place.chmod(0o600)
    with place.open("rb") as file:
        yield file


def _write_dump(request: ExtractRequest, archive: Archive, dump: ChosenDump, sink: Sink) -> None:
    with open_dump(archive, dump.member) as stream:
        if dump.as_sql and dump.member.dump_format == CUSTOM:
            _write_sql(request, archive, dump, stream, sink)
        else:
            shutil.copyfileobj(stream, sink, CHUNK)


def _write_sql(
    request: ExtractRequest, archive: Archive, dump: ChosenDump, stream: BinaryIO, sink: Sink
) -> None:
    found = postgres_programs.installed(request.pg_bindir)
    programs = postgres_programs.for_restore(0, found[:1])
    try:
        dumps.write_sql(programs, stream, sink)
    except ProgramError as error:
        message = f"{archive.path}: {dump.member.member} cannot be read: {error.message}"
        if "unsupported version" in error.error_output:
            hint = "install a PostgreSQL client as new as the backup's, or extract the dump as it is"
            raise EngineBackupError(message, hint) from error
        raise DamagedArchiveError(message) from error


def _to_directory(
    request: ExtractRequest, archive: Archive, chosen: Chosen, output: Path, reporter: Reporter
) -> None:
    with _output_directory(output, _top_names(chosen)), _staging(output) as staging:
        for text in chosen.texts:
            (staging / text.file_name).write_bytes(text.content)
            _put(staging, output, text.file_name)
        for dump in chosen.dumps:
            with (staging / dump.file_name).open("xb") as file:
                _write_dump(request, archive, dump, file)
            when = dump.member.mtime
            os.utime(staging / dump.file_name, (when, when))
            _put(staging, output, dump.file_name)
        if chosen.entries:
            _place(request, archive, chosen, staging, output)
    if chosen.is_secret:
        reporter.warn(SECRET)
    reporter.say(f"Extracted {_summary(chosen)} to {output}")


def _top_names(chosen: Chosen) -> frozenset[str]:
    """Return the names that will lie in the output directory itself."""
    files = [*(dump.file_name for dump in chosen.dumps), *(text.file_name for text in chosen.texts)]
    return frozenset([*files, *(os.fsdecode(entry.path).partition("/")[0] for entry in chosen.entries)])


@contextmanager
def _output_directory(output: Path, names: frozenset[str]) -> Iterator[None]:
    """Make the directory, 0700, unless it is there and empty; when the block fails it is so again.

    `names` are what the block puts there; what others have put there meanwhile stays.
    """
    is_new = not output.exists()
    if is_new:
        output.mkdir(mode=0o700)
    try:
        yield
    except BaseException:
        for place in (output / name for name in names):
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
        if is_new:
            with suppress(OSError):
                output.rmdir()
        raise


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
    """Make a private directory on the same file system, from where whole files are moved."""
    staging = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX.decode(), dir=output))
    try:
        yield staging
    finally:
        shutil.rmtree(staging)


def _put(staging: Path, output: Path, name: str) -> None:
    (staging / name).chmod(0o600)
    (staging / name).rename(output / name)


def _place(request: ExtractRequest, archive: Archive, chosen: Chosen, staging: Path, output: Path) -> None:
    """Unpack to one side and move in place; links are put down as links, and nothing goes through them."""
    uid, gid = os.geteuid(), os.getegid()
    entries = chosen.entries
    taken = _top_names(replace(chosen, entries=()))
    for entry in entries:
        if os.fsdecode(entry.path).partition("/")[0] in taken:
            raise HostileArchiveError(f"{archive.path}: /{os.fsdecode(entry.path)} is in the way of a dump")
    with archive.open_files_tar() as tar:
        file_tree.stage(tar, staging / STAGED, entries, archive.file_entries())
    if not request.same_owner:
        entries = tuple(extraction.owned_by(entry, uid, gid) for entry in entries)
    placing = Placing(staging / STAGED, output, followed=frozenset())
    file_placing.place(
        staging / STAGED, output, extraction.with_directories_above(entries, uid, gid), placing
    )


def _summary(chosen: Chosen) -> str:
    links = sum(entry.type is EntryType.SYMLINK for entry in chosen.entries)
    directories = sum(entry.type is EntryType.DIRECTORY for entry in chosen.entries)
    counts = {
        "file": chosen.count - links - directories,
        "symbolic link": links,
        "director": directories,
    }
    words = {"director": ("directory", "directories")}
    shown = [
        f"{count} {words.get(what, (what, what + 's'))[count != 1]}"
        for what, count in counts.items()
        if count
    ]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
