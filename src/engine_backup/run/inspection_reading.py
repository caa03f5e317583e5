"""What only the members of an archive tell: of stock's archives all, of ours what the manifest lacks."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.plain_dump import CopyData, split
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.archive import DumpMember
from engine_backup.model.components import BY_NAME, AfterLoad
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.inspection import IN_DUMP, LARGEST_TABLES, InspectedDatabase, LargeTable
from engine_backup.model.presets import CUSTOM
from engine_backup.model.printable import printable
from engine_backup.plan import dump_tables, engine_machine, load_rules
from engine_backup.plan.grants import grantees
from engine_backup.run.archive_facts import read_custom, read_table
from engine_backup.run.archive_heads import dump_header, raw_custom_size
from engine_backup.run.reading import open_dump, watched

CHUNK = 1 << 20
HEAD = 4096
_SERVER = re.compile(rb"^-- Dumped from database version (\S+)", re.MULTILINE)
_PG_DUMP = re.compile(rb"^-- Dumped by pg_dump version (\S+)", re.MULTILINE)
NO_PROGRAMS = "pg_restore is not installed"
NO_SIZES = "a custom dump does not say how large its tables are"


@dataclass(frozen=True)
class ReadDump:
    """What a dump says. `hosted_engine`: it knows the engine's own machine; None: it is no engine's dump."""

    database: InspectedDatabase
    raw_size: int | None
    hosted_engine: bool | None = None


def read_dump(
    archive: Archive, member: DumpMember, programs: tuple[Programs, ...], recorded: int | None
) -> ReadDump:
    """Return what a dump of PostgreSQL's says; a manifest may have `recorded` its size without compressor.

    Raises `EngineBackupError` for damage. What only PostgreSQL's
    programs could tell stays None where there are none.
    """
    if member.dump_format == CUSTOM:
        database = _custom(archive, member, programs)
        hosted = _has_engine_machine(archive, member, programs) if database.tables is not None else None
        return ReadDump(database, raw_custom_size(archive, member, recorded), hosted)
    return _plain(archive, member)


def _custom(archive: Archive, member: DumpMember, programs: tuple[Programs, ...]) -> InspectedDatabase:
    header = dump_header(archive, member)
    found = InspectedDatabase()
    if header is not None:
        found = InspectedDatabase(
            database=printable(header.database),
            server_version=_first_word(header.server_version),
            pg_dump_version=_first_word(header.pg_dump_version),
        )
    if not programs:
        return replace(found, unknown=NO_PROGRAMS)
    try:
        contents, statements = read_custom(archive, member, programs[0])
    except EngineBackupError as error:
        if error.status is not EngineBackupError.status:
            raise
        return replace(found, unknown=printable(error.message))
    tables = [entry for entry in contents.entries if entry.description == "TABLE"]
    owners = _names(entry.owner for entry in tables)
    return replace(
        found,
        tables=len(tables),
        extensions=_names(load_rules.needed_extensions(contents.entries)),
        owners=owners,
        granted_roles=_without(owners, grantees(statements)),
        unknown=NO_SIZES,
    )


def _has_engine_machine(archive: Archive, member: DumpMember, programs: tuple[Programs, ...]) -> bool | None:
    if BY_NAME[member.component_name].after_load is not AfterLoad.ENGINE:
        return None
    content = _PlainContent()
    text = io.BytesIO(read_table(archive, member, programs[0], engine_machine.TABLE))
    for item in split(text, f"{archive.path}: {member.member}"):
        if isinstance(item, CopyData):
            content.take_rows(item)
    return content.hosted_engine


@dataclass
class _PlainContent:
    """What goes by while a plain dump is read."""

    schema: str = dump_tables.DEFAULT_SCHEMA
    tables: set[str] = field(default_factory=set)
    sizes: Counter[str] = field(default_factory=Counter)
    extensions: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    privileges: list[str] = field(default_factory=list)
    hosted_engine: bool | None = None

    def take_statement(self, statement: str) -> None:
        self.schema = dump_tables.search_path(statement) or self.schema
        table = dump_tables.created_table(statement, self.schema)
        if table is not None:
            self.tables.add(table)
        owner = dump_tables.table_owner(statement)
        if owner is not None:
            self.owners.add(owner)
        if dump_tables.is_about_privileges(statement):
            self.privileges.append(statement)
        self.extensions.update(load_rules.extensions_of(statement))

    def take_rows(self, rows: CopyData) -> None:
        statement = rows.statement.decode("utf-8", "surrogateescape")
        if engine_machine.is_machines_table(statement):
            size = self._take_machines(statement, rows)
        else:
            size = sum(len(data) for data in iter(lambda: rows.stream.read(CHUNK), b""))
        table = dump_tables.filled_table(statement, self.schema)
        if table is not None:
            self.sizes[table] += size

    def _take_machines(self, statement: str, rows: CopyData) -> int:
        data = rows.stream.read()
        self.hosted_engine = engine_machine.has_engine_machine(statement, data)
        return len(data)


def _plain(archive: Archive, member: DumpMember) -> ReadDump:
    content = _PlainContent()
    raw_size = 0

    def tell(size: int) -> None:
        nonlocal raw_size
        raw_size = size

    with open_dump(archive, member) as stream:
        head = stream.read(HEAD)
    with watched(open_dump(archive, member), tell) as stream:
        for item in split(stream, f"{archive.path}: {member.member}"):
            if isinstance(item, CopyData):
                content.take_rows(item)
            else:
                content.take_statement(item.text.decode("utf-8", "surrogateescape"))
        _read_to_end(stream)
    return ReadDump(_plain_database(content, head), raw_size, content.hosted_engine)


def _read_to_end(stream: BinaryIO) -> None:
    while stream.read(CHUNK):
        continue


def _plain_database(content: _PlainContent, head: bytes) -> InspectedDatabase:
    owners = _names(content.owners)
    return InspectedDatabase(
        server_version=_version(_SERVER, head),
        pg_dump_version=_version(_PG_DUMP, head),
        tables=len(content.tables),
        largest_tables=tuple(
            LargeTable(printable(name), content.sizes[name])
            for name in sorted(content.tables, key=lambda name: (-content.sizes[name], name))[:LARGEST_TABLES]
        ),
        table_sizes=IN_DUMP,
        extensions=_names(content.extensions),
        owners=owners,
        granted_roles=_without(owners, grantees(content.privileges)),
    )


def _version(pattern: re.Pattern[bytes], head: bytes) -> str | None:
    match = pattern.search(head)
    return printable(match[1].decode("utf-8", "backslashreplace")) if match else None


def _first_word(text: str) -> str | None:
    return printable(text.partition(" ")[0]) or None


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(printable(name) for name in sorted(set(names) - {""}))


def _without(owners: tuple[str, ...], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in _names(names) if name not in owners)
