"""From what somebody asked for to what is in the archive: checked against its hashes before it is used."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from engine_backup.drivers import config_files
from engine_backup.drivers.archive_dumps import dump_member
from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.config_files import Configuration
from engine_backup.drivers.credentials_rewriting import login_block
from engine_backup.model.archive import DIRECTORY_TREE, FILES_MEMBER, INNER_TAR, EntryType, FileEntry
from engine_backup.model.components import BY_NAME, COMPONENTS, DATABASES, FILES, Component, Kind
from engine_backup.model.errors import Problem, RefusedError
from engine_backup.model.extraction import Chosen, ChosenDump, ChosenText
from engine_backup.model.facts import Credentials
from engine_backup.model.requests import ExtractRequest
from engine_backup.plan import extraction

TREE = FILES_MEMBER + "/"
FQDN = "ENGINE_FQDN"
NAME_BYTES = ("utf-8", "surrogateescape")


def choose(request: ExtractRequest, archive: Archive) -> Chosen:
    """Return what is meant; raises `RefusedError` with every part that is not there.

    The members that hold it are compared with their hashes, and no others: the sound parts of a damaged
    archive can be had. Raises `DamagedArchiveError`.
    """
    reading_files = bool(
        request.paths
        or request.pki
        or request.credentials
        or request.fqdn
        or FILES.name in request.components
    )
    if reading_files and archive.files_kind == INNER_TAR:
        archive.hashes.check_members([FILES_MEMBER])
    problems: list[Problem] = []
    entries = _entries(request, archive, problems) if reading_files else ()
    dumps = _dumps(request, archive, problems)
    texts = _texts(request, archive, problems) if request.credentials or request.fqdn else ()
    if problems:
        raise RefusedError(problems)
    check_entries(archive, entries)
    return Chosen(entries, dumps, texts, is_secret=request.credentials or request.pki)


def check_entries(archive: Archive, entries: Iterable[FileEntry]) -> None:
    """Compare files of a tree with their own hashes; those of an inner tar have one together."""
    if archive.files_kind == DIRECTORY_TREE:
        files = (e.path for e in entries if e.type in (EntryType.FILE, EntryType.HARDLINK))
        archive.hashes.check_members(TREE + path.decode(*NAME_BYTES) for path in files)


def _entries(request: ExtractRequest, archive: Archive, problems: list[Problem]) -> tuple[FileEntry, ...]:
    entries = archive.file_entries()
    found: list[FileEntry] = []
    for path in request.paths:
        meant = extraction.matching(path, entries)
        if not meant:
            problems.append(extraction.not_there(path, entries))
        found += meant
    if request.pki:
        keys = extraction.pki_entries(entries)
        if not keys:
            problems.append(Problem("the archive has no PKI", "take a backup of scope files"))
        found += keys
    if FILES.name in request.components:
        if archive.files_kind is None:
            problems.append(extraction.missing_component(FILES, _present(archive)))
        found += entries
    return extraction.in_order(found, entries)


def _dumps(request: ExtractRequest, archive: Archive, problems: list[Problem]) -> tuple[ChosenDump, ...]:
    chosen = []
    for component in COMPONENTS:
        if component.name not in request.components or component is FILES:
            continue
        member = archive.dump(component)
        if member is None:
            problems.append(extraction.missing_component(component, _present(archive)))
            continue
        as_sql = request.as_sql
        if as_sql and component.kind is Kind.SQLITE:
            problems.append(_no_sql(component))
            continue
        file_name = extraction.dump_file_name(component.name, member.dump_format, as_sql)
        chosen.append(ChosenDump(member, file_name, as_sql))
    return tuple(chosen)


def _no_sql(component: Component) -> Problem:
    name = extraction.dump_file_name(component.name, "", False)
    hint = f"extract it without --as=sql, then: sqlite3 {name} .dump"
    return Problem(f"the {component.label} database is a SQLite file", hint)


def _present(archive: Archive) -> Sequence[str]:
    files = [FILES.name] if archive.files_kind else []
    return [*files, *(c.name for c in COMPONENTS if dump_member(c, archive.members))]


def _texts(request: ExtractRequest, archive: Archive, problems: list[Problem]) -> tuple[ChosenText, ...]:
    configuration = _configuration(archive)
    texts = []
    if request.fqdn:
        fqdn = configuration.get(FQDN)
        if not fqdn:
            problems.append(Problem("no conf file in the archive names the engine", "take another backup"))
        texts.append(ChosenText("fqdn", f"{fqdn}\n".encode(*NAME_BYTES)))
    if request.credentials:
        logins = _logins(configuration)
        if not logins:
            problems.append(Problem("no conf file in the archive holds a log-in", "take another backup"))
        name = "credentials.json" if request.json else "credentials.conf"
        texts.append(ChosenText(name, _json(logins) if request.json else _conf(logins)))
    return tuple(texts)


def _configuration(archive: Archive) -> Configuration:
    if archive.files_kind is None:
        return Configuration({})
    check_entries(archive, (e for e in archive.file_entries() if config_files.is_wanted(e.path)))
    files = archive.read_files(config_files.is_wanted)
    return config_files.load({"/" + os.fsdecode(path): content for path, content in files.items()})


Login = tuple[str, str, Credentials]


def _logins(configuration: Configuration) -> list[Login]:
    """Return component, prefix of the variables, and log-in; a database may have a second, reading one."""
    found = []
    for component in DATABASES:
        for prefix, login in (
            (component.conf_prefix, config_files.credentials(configuration, component)),
            (component.reader_conf_prefix, config_files.reader_credentials(configuration, component)),
        ):
            if login is not None:
                found.append((component.name, f"{prefix}DB_", login))
    return found


def _conf(logins: Iterable[Login]) -> bytes:
    blocks = (
        f"# {BY_NAME[name].label}, from {login.source}\n{login_block(prefix, login)}"
        for name, prefix, login in logins
    )
    return "\n".join(blocks).encode(*NAME_BYTES)


def _json(logins: Iterable[Login]) -> bytes:
    rows = [{"component": name, "prefix": prefix, **_document(login)} for name, prefix, login in logins]
    return (json.dumps({"credentials": rows}, indent=1) + "\n").encode()


def _document(login: Credentials) -> dict[str, Any]:
    return {
        "host": login.host,
        "port": login.port,
        "user": login.user,
        "password": login.password.reveal(),
        "database": login.database,
        "secured": login.secured,
        "secured_validation": login.secured_validation,
        "source": login.source,
    }
