"""Looking into an archive before a restore is planned; every dump is read far enough to plan its load."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Optional

from engine_backup.drivers import (
    certificates,
    config_files,
    divided_dump,
    dumps,
    otopi_answers,
    postgres_programs,
    privileges_document,
)
from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.config_files import Configuration
from engine_backup.drivers.host import hosted_engine
from engine_backup.drivers.otopi_answers import Answers
from engine_backup.drivers.plain_dump import Statement
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model import manifest
from engine_backup.model.archive import DumpMember
from engine_backup.model.components import BY_NAME, DATABASES, Component, Kind
from engine_backup.model.engine_setup import ArchivedSetup, Value
from engine_backup.model.errors import DamagedArchiveError, EngineBackupError, ProgramError
from engine_backup.model.facts import ArchiveFacts, Credentials, DumpFacts
from engine_backup.model.presets import CUSTOM
from engine_backup.model.server import ClusterPrivileges, PrivilegeStatement
from engine_backup.model.shown_settings import SHOWN_ANSWERS
from engine_backup.plan import dump_tables, load_rules
from engine_backup.plan.grants import grantees, has_foreign_grants, is_privilege, privilege_statements
from engine_backup.plan.load_rules import Contents
from engine_backup.plan.space import recorded_sizes
from engine_backup.run import pkcs12_facts
from engine_backup.run.reading import open_dump, statements

ReadLogin = Callable[[Configuration, Component], Optional[Credentials]]
APACHE_CONFIGURED = "OVESETUP_APACHE/configured"
FIREWALLD_FILES = b"etc/firewalld/"


def observe_archive(archive: Archive, programs: tuple[Programs, ...], root: Path) -> ArchiveFacts:
    """Return what a plan needs to know; raises `EngineBackupError` for what is damaged or hostile.

    Programs of `root` are asked where a library cannot tell.
    """
    with _dumps_observed(archive, programs) as dumps_found:
        return replace(_observed(archive, root), dumps=dict(dumps_found))


def _observed(archive: Archive, root: Path) -> ArchiveFacts:
    """Return all but the dumps."""
    small = pkcs12_facts.small_files(archive)
    entries = tuple(archive.file_entries()) if archive.files_kind else ()
    chosen = certificates.choose(entry.path for entry in entries)
    more = small.union(chosen.paths)
    files = archive.read_files(lambda p: config_files.is_wanted(p) or p in more) if archive.files_kind else {}
    texts = {
        "/" + os.fsdecode(path): content for path, content in files.items() if config_files.is_wanted(path)
    }
    configuration = config_files.load(texts)
    answers = otopi_answers.load(texts)
    return ArchiveFacts(
        generation=archive.generation.value,
        version=archive.version,
        os_version=archive.os_version,
        fqdn=configuration.get("ENGINE_FQDN"),
        has_files=archive.files_kind is not None,
        apache_configured=bool(answers.boolean(APACHE_CONFIGURED)),
        entries=entries,
        dumps={},
        credentials=_logins(configuration, config_files.credentials),
        readers=_logins(configuration, config_files.reader_credentials),
        certificates=certificates.read_chosen(chosen, files),
        recorded_sizes=recorded_sizes(archive.manifest),
        pkcs12=pkcs12_facts.observe(archive, files, configuration, root),
        hosted_engine=bool((archive.manifest or {}).get("hosted_engine")) or hosted_engine(answers),
        setup=ArchivedSetup(_simple(answers), any(e.path.startswith(FIREWALLD_FILES) for e in entries)),
    )


@contextmanager
def _dumps_observed(
    archive: Archive, programs: tuple[Programs, ...]
) -> Iterator[Iterator[tuple[str, DumpFacts]]]:
    """Look at all dumps while the block goes on; programs do it, one after the other within each."""
    with ThreadPoolExecutor(max(1, len(archive.dumps)), "look") as pool:
        found = pool.map(lambda member: observe_dump(archive, member, programs), archive.dumps.values())
        yield zip(archive.dumps, found)


def _simple(answers: Answers) -> dict[str, Value]:
    """Return the answers that may be shown, which no password is among."""
    found = ((key, answers.values.get(key)) for key in SHOWN_ANSWERS)
    return {key: value for key, value in found if isinstance(value, (bool, str))}


def _logins(configuration: Configuration, read: ReadLogin) -> dict[str, Credentials]:
    found = {c.name: read(configuration, c) for c in DATABASES}
    return {name: credentials for name, credentials in found.items() if credentials is not None}


def observe_dump(archive: Archive, member: DumpMember, programs: tuple[Programs, ...]) -> DumpFacts:
    """Return what one dump says of itself. A plain one is read to its end, to find hostile lines."""
    if BY_NAME[member.component_name].kind is not Kind.POSTGRES:
        return DumpFacts(member)
    if member.dump_format == CUSTOM:
        return _custom(archive, member, programs)
    return _plain(archive, member)


def _custom(archive: Archive, member: DumpMember, programs: tuple[Programs, ...]) -> DumpFacts:
    newest = postgres_programs.for_restore(0, programs[:1])
    contents, grants = read_custom(archive, member, newest)
    return DumpFacts(
        member,
        kept=load_rules.kept_list(contents.entries),
        left_out=load_rules.left_out(contents.entries),
        extensions=load_rules.needed_extensions(contents.entries),
        grantees=grantees(grants),
        foreign_grants=has_foreign_grants(grants),
        programs_major=major(contents.header.pg_dump_version),
        unpacked_size=manifest.raw_size(archive.manifest, member.member),
        privileges=_privileges(archive, member),
        owners=_owners(e.owner for e in contents.entries if e.description == "TABLE"),
        database=contents.header.dbname or _recorded(archive, member, "database"),
        role=_recorded(archive, member, "role"),
        excluded=manifest.excluded_tables(archive.manifest, member.member),
        tables=load_rules.made_tables(contents.entries),
        divided=divided_dump.observe(archive, member),
    )


def read_custom(archive: Archive, member: DumpMember, programs: Programs) -> tuple[Contents, list[str]]:
    """Return a custom dump's table of contents, and its schema's statements if there are grants among them.

    Raises `DamagedArchiveError`, or `EngineBackupError` when the dump is too new for the programs.
    """
    try:
        with open_dump(archive, member) as stream:
            contents = load_rules.parse_toc(
                dumps.contents(programs, stream).decode("utf-8", "surrogateescape")
            )
        return contents, _schema_statements(archive, member, programs)
    except ProgramError as error:
        raise _unreadable(archive, member, error) from error


def read_table(archive: Archive, member: DumpMember, programs: Programs, table: str) -> bytes:
    """Return the SQL that fills one table of a custom dump. Raises as `read_custom` does."""
    try:
        with open_dump(archive, member) as stream:
            return dumps.table_data(programs, stream, table)
    except ProgramError as error:
        raise _unreadable(archive, member, error) from error


def _unreadable(archive: Archive, member: DumpMember, error: ProgramError) -> EngineBackupError:
    message = f"{archive.path}: {member.member} cannot be read: {error.message}"
    if "unsupported version" in error.error_output:
        return EngineBackupError(message, "install a PostgreSQL client as new as the backup's")
    return DamagedArchiveError(message, "take another backup")


def major(version: str) -> int:
    """Return the major version in `15.18 (Debian …)`; 0 when there is none."""
    digits = version.split(".", maxsplit=1)[0].strip()
    return int(digits) if digits.isdigit() and len(digits) < 4 else 0


def _schema_statements(archive: Archive, member: DumpMember, programs: Programs) -> list[str]:
    with open_dump(archive, member) as stream:
        text = io.BytesIO(dumps.schema(programs, stream))
    items = statements(text, f"{archive.path}: {member.member}")
    return [item.text.decode("utf-8", "surrogateescape") for item in items if isinstance(item, Statement)]


def grant_statements(
    archive: Archive, dump: DumpFacts, programs: tuple[Programs, ...], owner: str
) -> tuple[PrivilegeStatement, ...]:
    """Return a dump's privileges, for the administrator to run; `owner` owns the database here."""
    if dump.member.dump_format != CUSTOM:
        texts = (item.text for item in _plain_statements(archive, dump.member))
        return privilege_statements((text.decode("utf-8", "surrogateescape") for text in texts), owner)
    newest = postgres_programs.for_restore(0, programs[:1])
    return privilege_statements(_schema_statements(archive, dump.member, newest), owner)


def _privileges(archive: Archive, member: DumpMember) -> ClusterPrivileges | None:
    """Return what the manifest says of a database's privileges and settings; None where it says nothing."""
    row = manifest.member_row(archive.manifest, member.member)
    found = row.get("privileges") if row else None
    return None if found is None else privileges_document.from_json(found)


def _plain(archive: Archive, member: DumpMember) -> DumpFacts:
    left_out: list[str] = []
    extensions: list[str] = []
    privileges: list[str] = []
    owners: set[str | None] = set()
    tables = dump_tables.MadeTables()
    for item in _plain_statements(archive, member):
        statement = item.text.decode("utf-8", "surrogateescape")
        tables.take(statement)
        decision = load_rules.decide_statement(statement, permissions=True)
        extensions += load_rules.extensions_of(statement)
        privileges += [statement] if is_privilege(statement) else []
        owners.add(dump_tables.table_owner(statement) if decision.reason == load_rules.OWNERS else None)
        if not decision.load and decision.reason != load_rules.OWNERS:
            left_out.append(f"line {item.line_number}: {decision.reason}")
    return DumpFacts(
        member,
        left_out=tuple(left_out),
        extensions=tuple(dict.fromkeys(extensions)),
        grantees=grantees(privileges),
        foreign_grants=has_foreign_grants(privileges),
        privileges=_privileges(archive, member),
        owners=_owners(owners),
        database=_recorded(archive, member, "database"),
        role=_recorded(archive, member, "role"),
        excluded=manifest.excluded_tables(archive.manifest, member.member),
        tables=tuple(tables.names),
    )


def _owners(found: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({owner for owner in found if owner}))


def _recorded(archive: Archive, member: DumpMember, name: str) -> str:
    """Return a text that the manifest says of a member; "" where it says none."""
    text = (manifest.member_row(archive.manifest, member.member) or {}).get(name)
    return text if isinstance(text, str) else ""


def _plain_statements(archive: Archive, member: DumpMember) -> Iterator[Statement]:
    with open_dump(archive, member) as stream:
        for item in statements(stream, f"{archive.path}: {member.member}"):
            if isinstance(item, Statement):
                yield item
