"""`list`: one line for each archive, oldest first; what cannot be read has a line that says why."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engine_backup.drivers import archive_texts, drill_records, manifest_reading
from engine_backup.drivers.archive_dumps import OLD_SUFFIX
from engine_backup.drivers.archive_glance import Glance, glance
from engine_backup.model.archive import (
    FILES_MEMBER,
    HASH_FILES,
    MANIFEST_MEMBER,
    VERSION_MEMBER,
    generation_of,
)
from engine_backup.model.components import COMPONENTS, Component, Kind
from engine_backup.model.drill import Proof
from engine_backup.model.errors import (
    DamagedArchiveError,
    EngineBackupError,
    ExitStatus,
    HostileArchiveError,
    UnreadableArchiveError,
)
from engine_backup.model.inspection import ArchiveState, ListedArchive, RecordedArchive
from engine_backup.model.printable import printable
from engine_backup.model.requests import ListRequest
from engine_backup.model.sheet import Cell, CellOrText, Section, Sheet, Style
from engine_backup.plan.restore_needs import size_text
from engine_backup.run.archive_heads import made_at
from engine_backup.run.drill_record import identity_of
from engine_backup.run.inspection_document import render
from engine_backup.run.reporting import Console

FORMAT = "engine-backup list"
FORMAT_VERSION = 1
PARTLY = "compressed as a whole, and not unpacked to its end: engine-backup inspect tells the rest"
HEAD = ("made at", "version", "kind", "size", "components", "drill", "file", "")

_STATES: Mapping[type[EngineBackupError], ArchiveState] = {
    DamagedArchiveError: ArchiveState.DAMAGED,
    HostileArchiveError: ArchiveState.HOSTILE,
}


@dataclass(frozen=True)
class _Looked:
    """A line of the list, and the error that it came to."""

    listed: ListedArchive
    error: EngineBackupError | None = None
    named: bool = False


def list_archives(request: ListRequest, console: Console) -> ExitStatus:
    """Show the archives. Raises, in the end, for a named file or directory that cannot be read, and when
    nothing could be read at all.
    """
    looked: list[_Looked] = []
    others = 0
    for place in request.places:
        found = list(_below(place)) if os.path.isdir(place) else [_look(place, named=True)]  # noqa: PTH112
        archives = [row for row in found if row.named or not _is_other(row)]
        looked += archives
        others += len(found) - len(archives)
    looked.sort(key=lambda row: (row.listed.made_at or "", row.listed.path))
    listed = [row.listed for row in looked]
    if request.surroundings.json:
        console.say(render(document(listed, others)))
    else:
        console.show(sheet(listed, others))
    _fail(looked)
    return ExitStatus.SUCCESS


def _fail(looked: Sequence[_Looked]) -> None:
    errors = [row.error for row in looked if row.error and row.named]
    if looked and all(row.error for row in looked):
        errors += [row.error for row in looked if row.error]
    if errors:
        raise errors[0]


def _below(directory: Path) -> Iterator[_Looked]:
    try:
        places = sorted(place for place in directory.iterdir() if place.is_file() and not _is_record(place))
    except OSError as error:
        message = f"cannot read {directory}: {error.strerror}"
        yield _failed(directory, UnreadableArchiveError(message, "look at its rights"), named=True)
        return
    yield from (_look(place) for place in places)


def _is_other(row: _Looked) -> bool:
    """Return whether a file is no archive; one that cannot be opened may be one."""
    error = row.error
    return isinstance(error, UnreadableArchiveError) and not isinstance(error.__cause__, OSError)


def _is_record(place: Path) -> bool:
    name = place.name[: -len(drill_records.SUFFIX)]
    return place.name.endswith(drill_records.SUFFIX) and place.with_name(name or ".").is_file()


def _look(path: Path, named: bool = False) -> _Looked:
    try:
        found = glance(path)
        recorded = _recorded(found, path)
        listed = _listed(path, found, recorded)
    except EngineBackupError as error:
        return _failed(path, error, named)
    except OSError as error:
        return _failed(path, UnreadableArchiveError(f"cannot read {path}: {error.strerror}"), named)
    if found.error is None:
        return _Looked(listed)
    state = _STATES.get(type(found.error), ArchiveState.UNREADABLE)
    return _Looked(replace(listed, state=state, reason=_reason(path, found.error)), found.error, named)


def _failed(path: Path, error: EngineBackupError, named: bool) -> _Looked:
    state = _STATES.get(type(error), ArchiveState.UNREADABLE)
    return _Looked(ListedArchive(printable(str(path)), state, _reason(path, error)), error, named)


def _reason(path: Path, error: EngineBackupError) -> str:
    """Return what happened, without the name that stands in the line anyway."""
    return printable(error.message.removeprefix(str(path)).lstrip(": "))


def _recorded(found: Glance, path: Path) -> RecordedArchive:
    content = found.contents.get(MANIFEST_MEMBER)
    if content is None:
        return RecordedArchive()
    return manifest_reading.read(archive_texts.parse_manifest(content, f"{path}: {MANIFEST_MEMBER}"))


def _listed(path: Path, found: Glance, recorded: RecordedArchive) -> ListedArchive:
    version = found.contents.get(VERSION_MEMBER)
    if version is None and found.whole:
        raise DamagedArchiveError(f"{path}: {VERSION_MEMBER} is missing")
    return ListedArchive(
        path=printable(str(path)),
        state=ArchiveState.READABLE if found.whole else ArchiveState.PARTLY_READ,
        reason="" if found.whole else PARTLY,
        size=found.size,
        made_at=recorded.started_at or made_at(found.members),
        product_version=None if version is None else archive_texts.parse_version(version, str(path)),
        generation=generation_of(found.members).value if found.whole else None,
        components=tuple(c.name for c in COMPONENTS if _has(c, found)),
        fqdn=recorded.fqdn,
        drill=_drill(path, found),
    )


def _drill(path: Path, found: Glance) -> Proof | None:
    hashes = next((found.contents[name] for name, _ in HASH_FILES if name in found.contents), None)
    return drill_records.read(path, identity_of(found.size, hashes))


def _has(component: Component, found: Glance) -> bool:
    if component.kind is Kind.FILES and any(name.startswith(f"{FILES_MEMBER}/") for name in found.members):
        return True
    members = (found.members.get(component.member + suffix) for suffix in ("", OLD_SUFFIX))
    return any(member is not None and member.is_file and member.size for member in members)


def document(listed: Collection[ListedArchive], others: int) -> dict[str, Any]:
    """Return the document for programs (docs/inspect.md)."""
    rows = [{**asdict(row), "state": row.state.value} for row in listed]
    return {"format": FORMAT, "format_version": FORMAT_VERSION, "archives": rows, "other_files": others}


def sheet(listed: Sequence[ListedArchive], others: int) -> Sheet:
    """Return the table for people."""
    rows = tuple(_row(row) for row in listed) or (("no archives",),)
    more: list[tuple[CellOrText, ...]] = []
    if others:
        more.append((Cell(f"other files there: {others}", Style.FAINT),))
    found = (Section("", rows, HEAD if listed else ()), Section("", tuple(more)))
    return tuple(section for section in found if section.rows)


_STYLES = {
    ArchiveState.READABLE: Style.PLAIN,
    ArchiveState.PARTLY_READ: Style.DOUBTFUL,
    ArchiveState.UNREADABLE: Style.BAD,
    ArchiveState.DAMAGED: Style.BAD,
    ArchiveState.HOSTILE: Style.BAD,
}


_SHORT = {True: "proven ", False: "failed "}
_PROVEN = {True: Style.GOOD, False: Style.BAD}


def _row(row: ListedArchive) -> tuple[CellOrText, ...]:
    state = "" if row.state is ArchiveState.READABLE else f"{row.state.value}: {row.reason}"
    return (
        (row.made_at or "-").replace("T", " ")[:19],
        row.product_version or "-",
        row.generation or "-",
        Cell("-" if row.size is None else size_text(row.size), right=True),
        ",".join(row.components or ()) or "-",
        "-"
        if row.drill is None
        else Cell(_SHORT[row.drill.passed] + row.drill.at[:10], _PROVEN[row.drill.passed]),
        row.path,
        Cell(state, _STYLES[row.state]),
    )
