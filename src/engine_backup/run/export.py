"""`export`: an archive in another form, with the same content, proven before it gets its name."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from shlex import quote
from typing import Any

from engine_backup import __version__
from engine_backup.drivers import custom_dump_header, run_log
from engine_backup.drivers.archive_reader import Archive, open_archive
from engine_backup.drivers.archive_writer import ArchiveWriter
from engine_backup.model.archive import INNER_TAR, DumpMember
from engine_backup.model.components import COMPONENTS
from engine_backup.model.errors import ExitStatus, Problem, RefusedError
from engine_backup.model.exporting import EXPORT_FORMS, Conversion, DumpShape, ExportFacts
from engine_backup.model.presets import CUSTOM, NO_COMPRESSOR
from engine_backup.model.requests import ExportRequest
from engine_backup.plan import exporting
from engine_backup.run.export_comparison import check_equal
from engine_backup.run.export_members import ExportRun, write_archive
from engine_backup.run.output_file import no_directory, output_file, partial_name
from engine_backup.run.reading import checked, open_dump
from engine_backup.run.reporting import Console, Reporter
from engine_backup.run.system_failures import named
from engine_backup.run.workspace import private_directory

ANOTHER = "name another file"


def export(request: ExportRequest, console: Console) -> ExitStatus:
    """Convert; raises `EngineBackupError`, after which no new file is left."""
    reporter = Reporter(console, run_log.no_log())
    for warning in request.warnings:
        reporter.warn(warning)
    with named(request.output.parent, request.tmpdir):
        _check_output(request)
        with ExitStack() as stack:
            workspace = stack.enter_context(private_directory(request.tmpdir))
            archive = stack.enter_context(open_archive(request.file, workspace))
            _convert(request, archive, workspace, reporter)
    reporter.say("Done.")
    return ExitStatus.SUCCESS


def _convert(request: ExportRequest, archive: Archive, workspace: Path, reporter: Reporter) -> None:
    reporter.say(f"Converting {request.file} (generation {archive.generation.value}) to {request.form}:")
    checked(archive, reporter)
    conversions = exporting.plan_conversions(EXPORT_FORMS[request.form], _observe(archive))
    replaces = request.output.exists()
    with output_file(request.output, ANOTHER) as output:
        when = archive.members["version"].mtime
        writer = ArchiveWriter(output.stream, NO_COMPRESSOR, workspace, when)
        run = ExportRun(archive, conversions, writer, reporter)
        write_archive(run, _facts(request, archive, conversions))
        output.sync()
        with open_archive(output.path, workspace) as written:
            reporter.say("Comparing both archives")
            written.hashes.check_all()
            check_equal(archive, written, conversions, reporter)
        output.publish()
    if any(conversion.target_compressor == "zstd" for conversion in conversions):
        reporter.say("Stock restores this archive where the program zstd is installed.")
    if replaces:
        reporter.say(f"Replaced the file that was there: {request.output}")
    reporter.say(f"{request.output}: {request.output.stat().st_size} bytes")


def _observe(archive: Archive) -> ExportFacts:
    shapes = []
    for name, member in archive.dumps.items():
        own = member.dump_format == CUSTOM and _own_compression(archive, member)
        shapes.append(DumpShape(name, member.member, member.dump_format, member.compressor, own))
    compressor = archive.files_compressor if archive.files_kind == INNER_TAR else None
    return ExportFacts(tuple(archive.members.values()), tuple(shapes), compressor)


def _own_compression(archive: Archive, member: DumpMember) -> bool:
    """Say whether pg_dump compressed a dump; one of a version that we do not know is better left alone."""
    with open_dump(archive, member) as stream:
        header = custom_dump_header.read(stream, f"{archive.path}: {member.member}")
    return header is None or header.packed


def _facts(request: ExportRequest, archive: Archive, conversions: tuple[Conversion, ...]) -> dict[str, Any]:
    """Return what the new manifest says; the name of the file alone, for paths tell of a machine."""
    return {
        "tool_version": __version__,
        "product_version": archive.version,
        "os_version": archive.os_version,
        "components": [c.name for c in COMPONENTS if c.name in {row.component_name for row in conversions}],
        "exported": {
            "at": datetime.now(timezone.utc).isoformat(),
            "on": socket.gethostname(),
            "by": __version__,
            "to": request.form,
            "from": os.fsencode(request.file.name).decode("utf-8", "backslashreplace"),
            "from_generation": archive.generation.value,
        },
    }


def _check_output(request: ExportRequest) -> None:
    """Refuse what must not be replaced, above all the archive that is read."""
    output, problem = request.output, None
    if not output.parent.is_dir():
        problem = no_directory(output.parent)
    elif any(place.exists() and place.samefile(request.file) for place in (output, partial_name(output))):
        problem = Problem(f"{output} is the archive that is to be converted", ANOTHER)
    elif output.is_dir():
        problem = Problem(f"{output} is a directory", f"name a file: {quote(str(output))}/NAME.backup")
    elif os.path.lexists(output) and not (output.is_file() or output.is_symlink()):
        problem = Problem(f"{output} is no regular file", "name a file that may be replaced")
    elif request.no_overwrite and os.path.lexists(output):
        problem = Problem(f"{output} exists", f"{ANOTHER}, or leave --no-overwrite out")
    if problem is not None:
        raise RefusedError([problem])
