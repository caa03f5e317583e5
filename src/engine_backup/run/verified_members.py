"""What verify finds out about members: what they are, and whether they can be read to their end."""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, Protocol

from engine_backup.drivers import config_files, dumps, host, otopi_answers, postgres_programs, sqlite
from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.plain_dump import CopyData
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model import manifest
from engine_backup.model.archive import FILES_MEMBER, DumpMember, MemberRecord
from engine_backup.model.components import COMPONENTS, FILES, AfterLoad, Component, Kind, in_scope
from engine_backup.model.errors import (
    DamagedArchiveError,
    IncompatibleArchiveError,
    Problem,
    ProgramError,
    RefusedError,
)
from engine_backup.model.presets import CUSTOM
from engine_backup.model.requests import VerifyRequest
from engine_backup.model.verify_levels import Level
from engine_backup.plan import legacy_domain, load_rules
from engine_backup.plan.manifest_agreement import Found, contradictions
from engine_backup.run import side_by_side
from engine_backup.run.reading import open_dump, statements, watched
from engine_backup.run.reporting import Reporter

CHUNK = 1 << 20


@dataclass(frozen=True)
class _Verification:
    """One archive under verification, at level structure or full."""

    request: VerifyRequest
    archive: Archive
    workspace: Path
    reporter: Reporter

    @property
    def is_full(self) -> bool:
        return self.request.level >= Level.FULL

    @cached_property
    def programs(self) -> Programs:
        """PostgreSQL's newest; raises `ProgramError` where there are none, and a dump needs them."""
        surroundings = self.request.surroundings
        found = postgres_programs.installed(surroundings.pg_bindir, surroundings.root)
        return postgres_programs.for_restore(0, found[:1])

    def name(self, member: DumpMember) -> str:
        return f"{self.archive.path}: {member.member}"


def check_members(request: VerifyRequest, archive: Archive, workspace: Path, reporter: Reporter) -> None:
    """Check each member that the scopes ask for, as many at the same time as there are processors.

    Raises `EngineBackupError` for the first that is found to be wrong.
    """
    run = _Verification(request, archive, workspace, reporter)
    _check_manifest(run)
    present = sorted(_present(run), key=lambda component: _size(component, archive), reverse=True)
    works = [partial(_check, component, run) for component in present]
    side_by_side.perform(works, min(len(works), host.cores()), "verify")


def _size(component: Component, archive: Archive) -> int:
    dump = archive.dumps.get(component.name)
    return dump.size if dump else 0


def _check(component: Component, run: _Verification, interruption: Interruption) -> None:
    interruption.check()
    if component.kind is Kind.FILES:
        run.reporter.say(f"- {component.label}: {_check_files(run)}")
        return
    _check_dump(component, run, interruption)
    run.reporter.say(f"- {component.label} database")


def _check_manifest(run: _Verification) -> None:
    """Read the small members, and compare what the manifest says with what there is."""
    archive = run.archive
    said = archive.manifest
    digests = archive.hashes.digests()
    members = [member for member in archive.members.values() if member.name in digests]
    found = Found(
        version=archive.version,
        os_version=archive.os_version,
        members=[MemberRecord(member.name, member.size, digests[member.name]) for member in members],
        dumps=archive.dumps,
        files_compressor=archive.files_compressor if archive.files_kind else None,
    )
    if said is None or not manifest.is_ours(said):
        return
    if not manifest.is_understood(said):
        run.reporter.warn(
            "manifest.json is of a later version of this tool, so it is not compared with the archive"
        )
        return
    differing = contradictions(said, found)
    if differing:
        raise DamagedArchiveError(f"{archive.path}: manifest.json contradicts the archive: {differing[0]}")


def _present(run: _Verification) -> list[Component]:
    scopes = run.request.surroundings.scopes
    present = set(run.archive.dumps) | ({FILES.name} if run.archive.files_kind else set())
    chosen = [c for c in COMPONENTS if c.name in present and in_scope(c, scopes)]
    if not chosen:
        message = f"nothing to verify: the archive has nothing of scope {', '.join(scopes)}"
        raise RefusedError([Problem(message, "leave --scope out, or take another backup")])
    return chosen


def _check_files(run: _Verification) -> str:
    """List the files to the last; in full, read them, and understand the conf files among them."""
    archive = run.archive
    entries = archive.file_entries()
    if run.is_full:
        with archive.open_files_tar() as stream:
            _compare_size(_read_to_the_end(stream), FILES_MEMBER, run)
        files = archive.read_files(config_files.is_wanted)
        texts = {"/" + os.fsdecode(path): content for path, content in files.items()}
        config_files.load(texts)
        otopi_answers.load(texts)
    return f"{len(entries)} files and directories"


def _check_dump(component: Component, run: _Verification, interruption: Interruption) -> None:
    member = run.archive.dumps[component.name]
    if component.kind is Kind.SQLITE:
        _check_sqlite(member, run)
    elif member.dump_format == CUSTOM:
        _check_custom(component, member, run, interruption)
    else:
        _check_plain(component, member, run, interruption)


def _check_sqlite(member: DumpMember, run: _Verification) -> None:
    copy = run.workspace / "verified.db"
    with open_dump(run.archive, member) as stream, copy.open("xb") as target:
        shutil.copyfileobj(stream, target, CHUNK)
    sqlite.check(copy, run.name(member))
    copy.unlink()


def _check_custom(
    component: Component, member: DumpMember, run: _Verification, interruption: Interruption
) -> None:
    programs = run.programs
    try:
        with open_dump(run.archive, member) as stream:
            listed = dumps.contents(programs, stream).decode("utf-8", "surrogateescape")
        # Also the dump of a database without anything has entries, such as its encoding.
        if not load_rules.parse_toc(listed).header.entries:
            raise DamagedArchiveError(f"{run.name(member)} has an empty table of contents")
        with open_dump(run.archive, member) as stream:
            _read_sql(io.BytesIO(dumps.schema(programs, stream)), run.name(member), has_options=False)
        if run.is_full:
            _decode(component, member, run, interruption)
    except ProgramError as error:
        message = f"{run.name(member)} cannot be read: {error.message}"
        raise DamagedArchiveError(message, "see the log") from error


def _decode(component: Component, member: DumpMember, run: _Verification, interruption: Interruption) -> None:
    size = 0

    def advance(done: int) -> None:
        nonlocal size
        interruption.check()
        size = done

    table = legacy_domain.TABLE if component.after_load is AfterLoad.ENGINE else None
    with watched(open_dump(run.archive, member), advance) as stream:
        options = dumps.decode(run.programs, stream, table, interruption)
        _read_to_the_end(stream)
    _compare_size(size, member.member, run)
    if table is not None:
        _read_sql(io.BytesIO(options), run.name(member), has_options=True)


def _check_plain(
    component: Component, member: DumpMember, run: _Verification, interruption: Interruption
) -> None:
    """Split into statements and data to the end, which at once reads it all."""
    size = 0

    def advance(done: int) -> None:
        nonlocal size
        interruption.check()
        size = done

    with watched(open_dump(run.archive, member), advance) as stream:
        has_options = run.is_full and component.after_load is AfterLoad.ENGINE
        _read_sql(stream, run.name(member), has_options)
    _compare_size(size, member.member, run)


def _read_sql(stream: BinaryIO, name: str, has_options: bool) -> None:
    """Read a plain dump to its end; refuse an engine that used the old directory integration."""
    for item in statements(stream, name):
        if not isinstance(item, CopyData):
            continue
        statement = item.statement.decode("utf-8", "surrogateescape")
        if has_options and legacy_domain.is_options_table(statement):
            if legacy_domain.legacy_domains(statement, item.stream.read()):
                raise IncompatibleArchiveError(legacy_domain.MESSAGE, legacy_domain.HINT)
        else:
            _read_to_the_end(item.stream)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _read_to_the_end(stream: _Readable) -> int:
    """Return how many bytes there were."""
    return sum(len(data) for data in iter(lambda: stream.read(CHUNK), b""))


def _compare_size(size: int, name: str, run: _Verification) -> None:
    """Compare an unpacked size with the manifest's, where there is one of ours."""
    said = run.archive.manifest
    if not manifest.is_ours(said) or not manifest.is_understood(said or {}):
        return
    expected = manifest.raw_size(said, name)
    if expected != size:
        raise DamagedArchiveError(
            f"{run.archive.path}: {name} has {size} bytes unpacked, and {expected} in manifest.json"
        )
