"""The steps of a backup; each has one handler in `run`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

from engine_backup.model.components import Component
from engine_backup.model.excluded_data import ExcludedData
from engine_backup.model.facts import Credentials
from engine_backup.model.presets import Encoding, Packing


def packing_text(packing: Packing) -> str:
    """`zstd level 3`, `xz`, or `not compressed`."""
    level = "" if packing.level is None else f" level {packing.level}"
    return f"{packing.compressor}{level}" if packing.compressor else "not compressed"


@dataclass(frozen=True)
class AnnounceStart:
    """Record the started event of each component in the engine."""

    components: tuple[Component, ...]

    def __str__(self) -> str:
        return f"notify the engine of the start: {', '.join(c.event_scope for c in self.components)}"


@dataclass(frozen=True)
class TakeSnapshots:
    """Hold a consistent view of every database, taken at the same moment."""

    databases: tuple[tuple[Component, Credentials], ...]

    def __str__(self) -> str:
        places = ", ".join(credentials.address for _, credentials in self.databases)
        return f"take a snapshot of each database: {places}"


@dataclass(frozen=True)
class SaveFiles:
    """Save the files of the path table that exist, and extra paths."""

    component: Component
    packing: Packing
    extra_paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        extra = f", also {', '.join(self.extra_paths)}" if self.extra_paths else ""
        return f"save the files ({packing_text(self.packing)}){extra}"


@dataclass(frozen=True)
class DumpDatabase:
    """Dump one PostgreSQL database, of `size` bytes on its server, from its snapshot.

    `excluded` are tables whose rows are left out; they do not count in `size`.
    """

    component: Component
    credentials: Credentials
    encoding: Encoding
    size: int = 0
    excluded: ExcludedData = field(default_factory=ExcludedData)

    def __str__(self) -> str:
        how = f"{self.encoding.dump_format}, {packing_text(self.encoding.packing)}"
        if self.excluded.tables:
            how += f", without rows of {', '.join(self.excluded.names)}"
        return f"dump the {self.component.label} database {self.credentials.address} ({how})"


@dataclass(frozen=True)
class CopySqlite:
    """Copy one SQLite database while it is in use."""

    component: Component

    def __str__(self) -> str:
        return f"copy the {self.component.label} database {self.component.path}"


Part = Union[SaveFiles, DumpDatabase, CopySqlite]


@dataclass(frozen=True)
class SaveMembers:
    """Make members, begun in this order, `at_once` of them at the same time; the first that fails ends all.

    The first streams into its place in the archive. So do the others when they come one after the other;
    else they wait beside the archive until the first is whole.
    """

    parts: tuple[Part, ...]
    at_once: int = 1

    def __str__(self) -> str:
        if len(self.parts) == 1:
            return str(self.parts[0])
        lines = "".join(f"\n     {part}" for part in self.parts)
        return f"save {len(self.parts)} components, {self.at_once} at a time:{lines}"


@dataclass(frozen=True)
class Describe:
    """Write version, os_version, config, manifest and hashes."""

    def __str__(self) -> str:
        return "write version, os_version, config, manifest.json and sha256sum"


@dataclass(frozen=True)
class Publish:
    """Make the whole archive safe on disk, read it again, and give it its name."""

    path: str
    replaces: bool

    def __str__(self) -> str:
        return f"{'replace' if self.replaces else 'write'} {self.path} once it is whole and re-read"


@dataclass(frozen=True)
class HandOver:
    """Bring the last bytes of the archive to standard output. What went there cannot be read again."""

    def __str__(self) -> str:
        return (
            "hand the archive over on standard output; it is not re-read: let whoever receives it run verify"
        )


@dataclass(frozen=True)
class AnnounceEnd:
    """Record the finished event of each component that was saved."""

    components: tuple[Component, ...]

    def __str__(self) -> str:
        return f"notify the engine of the end: {', '.join(c.event_scope for c in self.components)}"
