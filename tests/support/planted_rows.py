"""Archives with right hashes whose dumps are those of databases that somebody has broken."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backports import zstd

from engine_backup.model.components import BY_NAME
from engine_backup.model.facts import Credentials
from tests.support.loaded import execute, execute_alone, renamed
from tests.support.rewritten_archives import Change, rewrite
from tests.support.sample import Original

ZSTD = b"\x28\xb5\x2f\xfd"


def broken_archive(original: Original, component: str, statements: str, target: Path) -> Path:
    """Write the backup again with a dump of a changed database; its manifest says what it did."""
    member = BY_NAME[component].member
    with _copied(original, component) as copy:
        execute(original.server, copy.database, statements)
        dump = _dumped(original, copy)
    return rewrite(original.machine.archive, target, {member: _packed(dump)})


@contextmanager
def _copied(original: Original, component: str) -> Iterator[Credentials]:
    login = original.sample.credentials[component]
    copy = renamed(login, f"broken_{component}")
    execute_alone(
        original.server, f'CREATE DATABASE {copy.database} TEMPLATE "{login.database}" OWNER "{login.user}"'
    )
    try:
        yield copy
    finally:
        execute_alone(original.server, f"DROP DATABASE {copy.database} WITH (FORCE)")


def _dumped(original: Original, login: Credentials) -> bytes:
    """Return what the stock tool's options make of a database, as its superuser sees it."""
    server = original.server
    command = [
        server.programs.path("pg_dump"),
        "--format=custom",
        "--compress=0",
        "--disable-dollar-quoting",
        f"--host={server.host}",
        f"--port={server.port}",
        f"--username={server.superuser}",
        login.database,
    ]
    environment = {"PGPASSWORD": server.superuser_password.reveal()}
    return subprocess.run(command, capture_output=True, check=True, env=environment).stdout


def _packed(dump: bytes) -> Change:
    """Return what puts a dump in the place of another, packed like that."""

    def changed(content: bytes) -> bytes:
        assert content.startswith(ZSTD)
        return zstd.compress(dump)

    return changed
