"""Writes down how a drill went: beside the archive, and in the history below the root."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from engine_backup.drivers import drill_records
from engine_backup.drivers.archive_reader import Archive
from engine_backup.model.archive import HASH_FILES
from engine_backup.model.drill import ArchiveIdentity, DrillResult
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.requests import DrillRequest
from engine_backup.plan.drill_causes import other_causes
from engine_backup.run import drill_document
from engine_backup.run.reporting import Reporter

LONGEST_LIST = 16 << 20
HISTORY = Path("var/lib/ovirt-engine-backup/drills.jsonl")


def identity(archive: Archive) -> ArchiveIdentity | None:
    """Return what tells an archive from all others; None when it lists no hashes."""
    name = next((name for name, _ in HASH_FILES if name in archive.members), None)
    try:
        content = archive.read_small(name, LONGEST_LIST) if name else None
    except EngineBackupError:
        return None
    return identity_of(archive.stored_size, content)


def identity_of(size: int, hashes: bytes | None) -> ArchiveIdentity | None:
    """Return the same, given the archive's size and the content of its list of hashes."""
    return None if hashes is None else ArchiveIdentity(size, hashlib.sha256(hashes).hexdigest())


def write(result: DrillResult, archive: Archive, request: DrillRequest, reporter: Reporter) -> None:
    """Write record and history; what cannot be written is told, and is no failure of the archive.

    Beside another archive, which has replaced the drilled one meanwhile, nothing is written. Nor is a failure
    that may lie in something else than the archive, in whose place a former record stays.
    """
    place = drill_records.place_of(request.file)
    text = drill_document.render(drill_document.document(result))
    causes = other_causes(result)
    if causes:
        reporter.say(
            f"- not recorded in {place}, which stays as it is: what has failed may lie in"
            f" {' and '.join(causes)}, not in the archive"
        )
    elif archive.is_in_its_place():
        _attempted(place, lambda: drill_records.write(place, text), reporter)
    else:
        reporter.say(f"- not recorded in {place}: the archive was removed, or replaced by another")
    history = request.surroundings.root / HISTORY
    line = drill_document.render(drill_document.summary(result), indent=None)
    _attempted(history, lambda: drill_records.append(history, line), reporter)


def _attempted(place: Path, action: Callable[[], None], reporter: Reporter) -> None:
    try:
        action()
    except OSError as error:
        reporter.say(f"- not recorded in {place}: {error.strerror}")
