"""What the dumps in an archive are: by the archive's `config`, by suffix, and by their first bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO

from engine_backup.drivers import compression
from engine_backup.model.archive import DumpMember, MemberInfo
from engine_backup.model.components import COMPONENTS, Component, Kind
from engine_backup.model.errors import DamagedArchiveError

CUSTOM_MAGIC = b"PGDMP"
SQLITE_MAGIC = b"SQLite format 3\0"
OLD_SUFFIX = ".bz2"

OpenMember = Callable[[str], BinaryIO]


def find_dumps(
    members: Mapping[str, MemberInfo], config: Mapping[str, str] | None, open_member: OpenMember
) -> dict[str, DumpMember]:
    """Return the dump of each component that has one (reference 4.4, step 6).

    A member without content counts as absent, as stock writes one on the way to a failure.
    What `config` (`None`: there is none) declares must agree with the content (`DamagedArchiveError`);
    where nothing is declared the content decides, and a name's suffix declares nothing.
    """
    dumps: dict[str, DumpMember] = {}
    for component in COMPONENTS:
        member = dump_member(component, members)
        if member is not None:
            dumps[component.name] = describe(component, member, config, open_member)
    return dumps


def dump_member(component: Component, members: Mapping[str, MemberInfo]) -> MemberInfo | None:
    """Return the member that holds a component's dump; `None` when there is none, or an empty one."""
    if component.kind is Kind.FILES or not component.member:
        return None
    found = (members.get(name) for name in (component.member, component.member + OLD_SUFFIX))
    return next((m for m in found if m is not None and m.is_file and m.size), None)


def describe(
    component: Component, member: MemberInfo, config: Mapping[str, str] | None, open_member: OpenMember
) -> DumpMember:
    """Return what one dump is; see `find_dumps`."""
    with open_member(member.name) as stream:
        head = stream.read(16)
        compressor = compression.detect(head)
        stream.seek(0)
        content = compression.open_reader(stream, compressor, member.name)
        dump_format = _format(component, content.read(16))
    _compare(member.name, "compressor", _declared_compressor(component, config), compressor)
    _compare(member.name, "format", _declared_format(component, config), dump_format)
    return DumpMember(component.name, member.name, dump_format, compressor, member.size, member.mtime)


def _format(component: Component, head: bytes) -> str:
    if component.kind is Kind.SQLITE:
        return "sqlite" if head.startswith(SQLITE_MAGIC) else "unknown"
    return "custom" if head.startswith(CUSTOM_MAGIC) else "plain"


def _declared_compressor(component: Component, config: Mapping[str, str] | None) -> str | None:
    return None if config is None else config.get(f"{component.dump_prefix}_DUMP_COMPRESSOR")


def _declared_format(component: Component, config: Mapping[str, str] | None) -> str | None:
    if component.kind is Kind.SQLITE:
        return "sqlite"
    return None if config is None else config.get(f"{component.dump_prefix}_DUMP_FORMAT")


def _compare(name: str, what: str, declared: str | None, found: str) -> None:
    if declared is not None and declared != found:
        raise DamagedArchiveError(
            f"{name}: its {what} is said to be {declared or 'none'}, but it is {found or 'none'}"
        )
