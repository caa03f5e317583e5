"""Fingerprints of databases and trees: equal before a backup and after a restore, or something was lost."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 names its class so

from engine_backup.model.facts import Credentials
from engine_backup.sample.databases import script

BLOCK = 1 << 20


@dataclass(frozen=True)
class DatabaseFingerprint:
    """What a database holds.

    `tables`: rows and a digest of the content, whatever the order of rows.
    `sequences`: last value and whether it was handed out. `owners`: of tables,
    views, sequences and functions. `privileges`: who may do what on which
    table, view, sequence or column. `definitions`: of views, indexes,
    constraints, triggers and functions. Default privileges and those on the
    database itself belong to the cluster: they are told, not compared.
    """

    tables: Mapping[str, tuple[int, str]]
    sequences: Mapping[str, tuple[int, bool]]
    owners: Mapping[str, str]
    privileges: frozenset[tuple[str, ...]]
    definitions: frozenset[tuple[str, ...]]
    cluster_privileges: frozenset[tuple[str, ...]] = field(compare=False)


@dataclass(frozen=True)
class FileFingerprint:
    """What a file is. `content` is the sha256 of a file, the target of a link, "" for others.

    `content` is "unreadable" where we may not read. `links` is the number of names of a file.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    links: int
    content: str


# A backup records itself in the engine's database, before and after the moment that it saves.
BACKUP_EVENTS: Mapping[str, str] = {
    "public.audit_log": "log_type BETWEEN 9022 AND 9026",
    "public.engine_backup_log": "true",
}


def fingerprint_databases(
    logins: Mapping[str, Credentials], ignored: Mapping[str, str] | None = None
) -> dict[str, DatabaseFingerprint]:
    """Return the fingerprint of each database, by the name under which `logins` gives it.

    `ignored` are conditions (fixed SQL) for rows that do not count, by table.
    """
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda login: fingerprint_database(login, ignored), logins.values())
        return dict(zip(logins, found))


def fingerprint_database(login: Credentials, ignored: Mapping[str, str] | None = None) -> DatabaseFingerprint:
    """Read a whole database, in one snapshot, as its own role; `ignored` as in `fingerprint_databases`."""
    connection = psycopg2.connect(
        host=login.host,
        port=login.port,
        dbname=login.database,
        user=login.user,
        password=login.password.reveal(),
        options="-c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=1",
    )
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(script("compare.sql"))
        connection.commit()
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        return _fingerprint(cursor, ignored or {})


def fingerprint_tree(
    root: Path, counts: Callable[[str], bool] = lambda _path: True
) -> dict[str, FileFingerprint]:
    """Return the fingerprint of everything below `root` that `counts`, by path relative to it.

    Names that are no UTF-8 are given as Python gives them (surrogate escapes).
    """
    found: dict[str, FileFingerprint] = {}
    for top, directories, files in os.walk(root):
        for name in directories + files:
            path = Path(top, name)
            relative = str(path.relative_to(root))
            if counts(relative):
                found[relative] = fingerprint_file(path)
    return found


def fingerprint_file(path: Path) -> FileFingerprint:
    """Return the fingerprint of one file, link or directory."""
    status = path.lstat()
    kind = _kind(status.st_mode)
    return FileFingerprint(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        size=0 if kind == "directory" else status.st_size,
        links=1 if kind == "directory" else status.st_nlink,
        content=_content(path, kind),
    )


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(mode), "special")


def _content(path: Path, kind: str) -> str:
    if kind == "link":
        return str(path.readlink())
    if kind != "file":
        return ""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(BLOCK):
                digest.update(block)
            return digest.hexdigest()
    except PermissionError:
        return "unreadable"


def _fingerprint(cursor: Cursor, ignored: Mapping[str, str]) -> DatabaseFingerprint:
    return DatabaseFingerprint(
        tables={
            f"{schema}.{name}": _digest(cursor, schema, name, ignored.get(f"{schema}.{name}", "false"))
            for schema, name in _rows(cursor, "tables")
        },
        sequences={
            f"{schema}.{name}": _sequence(cursor, schema, name) for schema, name in _rows(cursor, "sequences")
        },
        owners={str(what): str(owner) for what, owner in _rows(cursor, "owners")},
        privileges=frozenset(_rows(cursor, "privileges")),
        definitions=frozenset(_rows(cursor, "definitions")),
        cluster_privileges=frozenset(_rows(cursor, "cluster_privileges")),
    )


def _rows(cursor: Cursor, view: str) -> list[tuple[str, ...]]:
    """Read one of the temporary views of compare.sql."""
    cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier("pg_temp", view)))
    return cursor.fetchall()


def _digest(cursor: Cursor, schema: str, name: str, ignored: str) -> tuple[int, str]:
    statement = sql.SQL(
        "SELECT count(*), md5(coalesce(string_agg(md5(x::text), '' ORDER BY md5(x::text) COLLATE \"C\"), ''))"
        " FROM {} x WHERE NOT ({})"
    )
    cursor.execute(statement.format(sql.Identifier(schema, name), sql.SQL(ignored)))
    rows, digest = cursor.fetchone() or (0, "")
    return int(rows), str(digest)


def _sequence(cursor: Cursor, schema: str, name: str) -> tuple[int, bool]:
    cursor.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name)))
    last_value, is_called = cursor.fetchone() or (0, False)
    return int(last_value), bool(is_called)
