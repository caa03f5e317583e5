"""Whether the members of a tar make sense together: no name leads through another, or stands there twice."""

from __future__ import annotations

from collections.abc import Iterable

from engine_backup.model.archive import EntryType, FileEntry, MemberInfo
from engine_backup.model.errors import HostileArchiveError
from engine_backup.model.printable import printable_name


def check_relations(members: Iterable[MemberInfo], name: str, repeated: bool) -> dict[bytes, MemberInfo]:
    """Return the members by path, when they make sense together.

    Refused with `HostileArchiveError`: a member below one that is no directory (a way to write
    through a link), a hard link to anything but an earlier file, and a path that stands there twice; with
    `repeated` a path may come again with the same type, as GNU tar writes it when its list of names
    has it twice, and the last one counts.
    """
    found: dict[bytes, MemberInfo] = {}
    for member in members:
        entry = member.entry
        earlier = found.get(entry.path)
        if entry.type is EntryType.HARDLINK:
            if repeated and earlier is not None and entry.link_target == entry.path:
                continue
            _check_hard_link(entry, found, name)
        if earlier is not None and not (repeated and earlier.entry.type is entry.type):
            raise _refusal(name, entry.path, "stands there twice")
        found[entry.path] = member
    for path in found:
        _check_parents(path, found, name)
    return found


def _check_hard_link(entry: FileEntry, found: dict[bytes, MemberInfo], name: str) -> None:
    target = found.get(entry.link_target or b"")
    if target is None or target.entry.type is EntryType.DIRECTORY or target.entry.path == entry.path:
        raise _refusal(name, entry.path, "is a hard link to something that is no earlier file")


def _check_parents(path: bytes, found: dict[bytes, MemberInfo], name: str) -> None:
    parts = path.split(b"/")
    for count in range(1, len(parts)):
        above = found.get(b"/".join(parts[:count]))
        if above is not None and above.entry.type is not EntryType.DIRECTORY:
            raise _refusal(
                name, path, f"lies below '{printable_name(above.entry.path)}', which is no directory"
            )


def _refusal(name: str, path: bytes, detail: str) -> HostileArchiveError:
    return HostileArchiveError(
        f"{name}: {printable_name(path)} {detail}",
        hint="no backup holds such a member; look where the archive comes from",
    )
