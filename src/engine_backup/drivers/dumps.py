"""pg_dump and pg_restore: making, reading and loading dumps.

Names of databases, roles and hosts reach the programs as one quoted connection
string; the password by a file (design section 9).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from engine_backup.drivers import process
from engine_backup.drivers.command import Command
from engine_backup.drivers.compression import Sink
from engine_backup.drivers.filtering import filtered
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.load_sessions import LoadSession
from engine_backup.drivers.postgres import conninfo, password_file
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.drivers.process import Running
from engine_backup.model.excluded_data import TableName
from engine_backup.model.facts import Credentials
from engine_backup.model.presets import CUSTOM, Encoding

# As much as a decompressor gives at a time.
COPY_BYTES = 1 << 15

# What stock passes (reference 4.2), so that both tools' dumps look alike.
DUMP_ARGUMENTS = ("--no-password", "--encoding=UTF8", "--disable-dollar-quoting", "--disable-triggers")


@contextmanager
def dumping(
    programs: Programs,
    credentials: Credentials,
    arguments: tuple[str, ...],
    workspace: Path,
    interruption: Interruption,
) -> Iterator[Running]:
    """Run pg_dump with `dump_arguments`; the block reads the dump from `.stdout` to its end.

    Raises `ProgramError` when pg_dump fails, whatever it has written before, and when it is interrupted.
    """
    with password_file(credentials, workspace) as environment:
        target = f"--dbname={conninfo(credentials)}"
        command = Command(programs.path("pg_dump"), (target, *arguments), environment)
        with process.reading(command, interruption=interruption) as running:
            yield running


def dump_arguments(
    encoding: Encoding, snapshot: str, excluded: tuple[TableName, ...] = ()
) -> tuple[str, ...]:
    """Return what pg_dump is told, besides where to log in, to dump an exported snapshot.

    The rows of `excluded` tables are left out.
    """
    return (
        f"--format={encoding.dump_format}",
        f"--snapshot={snapshot}",
        *DUMP_ARGUMENTS,
        *_format_arguments(encoding),
        *(f"--exclude-table-data={_exactly(schema)}.{_exactly(table)}" for schema, table in excluded),
    )


def _exactly(name: str) -> str:
    """Quote a name so that it is no pattern (PostgreSQL manual, psql, Patterns)."""
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def _format_arguments(encoding: Encoding) -> tuple[str, ...]:
    if encoding.dump_format == CUSTOM:
        return (f"--compress={encoding.own_level}",)
    return ("--no-owner", "--no-privileges")


def contents(programs: Programs, dump: BinaryIO) -> bytes:
    """Return the table of contents of a custom dump as `pg_restore --list` prints it.

    Reads no more of `dump` than pg_restore asks for; raises `ProgramError`.
    """
    return _converted(programs, dump, ("--list",))


def schema(programs: Programs, dump: BinaryIO) -> bytes:
    """Return the SQL of a custom dump's schema with its grants; raises `ProgramError`."""
    return _converted(programs, dump, ("--schema-only", "--no-owner", "--file=-"))


def table_data(programs: Programs, dump: BinaryIO, table: str) -> bytes:
    """Return the SQL that fills one table of a custom dump; raises `ProgramError`."""
    return _converted(programs, dump, ("--data-only", f"--table={table}", "--file=-"))


def decode(
    programs: Programs, dump: BinaryIO, table: str | None = None, interruption: Interruption | None = None
) -> bytes:
    """Read a custom dump to its end through pg_restore; returns the SQL that fills `table`, of one pass.

    All other SQL is thrown away. Raises `ProgramError`, also when it is interrupted.
    """
    command = Command(programs.path("pg_restore"), ("--file=/dev/null",))
    with process.feeding(command, interruption=interruption) as running:
        found = b""
        if table is not None:
            found = table_data(programs, cast(BinaryIO, _Copied(dump, running.stdin)), table)
        shutil.copyfileobj(dump, running.stdin, COPY_BYTES)
    return found


class _Copied:
    """A stream that writes to another place what is read from it."""

    def __init__(self, source: BinaryIO, place: BinaryIO) -> None:
        self._source = source
        self._place = place

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._place.write(data)
        return data


def write_sql(programs: Programs, dump: BinaryIO, sink: Sink) -> None:
    """Write a custom dump to `sink` as SQL text with owners and privileges; raises `ProgramError`."""
    filtered(Command(programs.path("pg_restore"), ("--file=-",)), dump, sink)


def _converted(programs: Programs, dump: BinaryIO, arguments: tuple[str, ...]) -> bytes:
    """Feed a dump to pg_restore, which may stop reading as soon as it knows enough."""
    command = Command(programs.path("pg_restore"), arguments)
    return process.converted(command, dump)


def load(
    programs: Programs,
    session: LoadSession,
    arguments: tuple[str, ...],
    dump: BinaryIO | None,
    workspace: Path,
) -> None:
    """Run pg_restore into a database; `arguments` come from `load_arguments`.

    `dump` is streamed to it, or None when the arguments name a file.
    Raises `ProgramError` at the first statement that fails, and when the session is interrupted.
    """
    with password_file(session.credentials, workspace) as password:
        target = (f"--dbname={conninfo(session.credentials)}", "--no-password")
        # Not in the connection string: workers of old programs (before 12.5) take a few words of it only.
        environment = {**password, "PGOPTIONS": session.options}
        command = Command(programs.path("pg_restore"), (*target, *arguments), environment)
        if dump is None:
            process.run(command, interruption=session.interruption)
            return
        with process.feeding(command, interruption=session.interruption) as running:
            shutil.copyfileobj(dump, running.stdin, COPY_BYTES)


def load_arguments(
    list_file: Path, permissions: bool, jobs: int = 1, dump_file: Path | None = None
) -> tuple[str, ...]:
    """Return pg_restore's arguments: only listed entries, the first error ends it, owner is who logs in."""
    arguments = ["--exit-on-error", "--no-owner", f"--use-list={list_file}"]
    if not permissions:
        arguments.append("--no-privileges")
    if dump_file is not None:
        arguments += [f"--jobs={jobs}", str(dump_file)]
    return tuple(arguments)
