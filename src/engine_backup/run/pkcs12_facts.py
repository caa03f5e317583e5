"""Looking for PKCS#12 files in old encryption among archived files, before a restore is planned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine_backup.drivers import pkcs12
from engine_backup.drivers.archive_reader import Archive
from engine_backup.drivers.config_files import Configuration
from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.pkcs12 import OldPkcs12, Pkcs12Facts
from engine_backup.model.secret import Secret


def small_files(archive: Archive) -> frozenset[bytes]:
    """Return the paths of the archived PKCS#12 files that are no larger than one can be."""
    sizes = _sizes(archive)
    return frozenset(path for path, size in sizes.items() if size <= pkcs12.SIZE_LIMIT)


def observe(
    archive: Archive, files: Mapping[bytes, bytes], configuration: Configuration, root: Path
) -> Pkcs12Facts:
    """Return what is known of them; `files` holds the content of the small ones, among others."""
    password = Secret(configuration.get(pkcs12.PASSWORD_SETTING))
    password = password if password else pkcs12.DEFAULT_PASSWORD
    found = {path: content for path, content in files.items() if pkcs12.is_pkcs12(path)}
    large = (path for path, size in _sizes(archive).items() if size > pkcs12.SIZE_LIMIT)
    return Pkcs12Facts(
        password,
        (
            *pkcs12.find_old(found, password, root),
            *(OldPkcs12(path, reason=pkcs12.TOO_LARGE) for path in large),
        ),
    )


def _sizes(archive: Archive) -> dict[bytes, int]:
    """Return the size of each, in bytes; that of a link among files is its target's."""
    if not archive.files_kind:
        return {}
    entries = {entry.path: entry for entry in archive.file_entries()}
    found = {path: _content(entry, entries) for path, entry in entries.items() if pkcs12.is_pkcs12(path)}
    return {path: entry.size for path, entry in found.items() if entry.type is EntryType.FILE}


def _content(entry: FileEntry, entries: Mapping[bytes, FileEntry]) -> FileEntry:
    while entry.type is EntryType.HARDLINK:
        entry = entries[entry.link_target or b""]
    return entry
