"""What an archive holds: its generations, outer members, archived files and dumps (reference 4)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

HASH_FILES: tuple[tuple[str, str], ...] = (("sha256sum", "sha256"), ("md5sum", "md5"))
FILES_MEMBER = "files"
VERSION_MEMBER = "version"
OS_VERSION_MEMBER = "os_version"
CONFIG_MEMBER = "config"
MANIFEST_MEMBER = "manifest.json"
UNKNOWN_OS = "Unknown"
# Any of these makes a tar one of ours or of stock's.
OWN_MEMBERS = frozenset(
    {FILES_MEMBER, VERSION_MEMBER, CONFIG_MEMBER, "db", *(name for name, _ in HASH_FILES)}
)

INNER_TAR = "inner tar"
DIRECTORY_TREE = "directory tree"


class Generation(Enum):
    """The shapes that archives had over the years (reference 4.1), told by content, never by version."""

    A = "A"
    B = "B"
    C = "C"
    C1 = "C1"
    D = "D"


def generation_of(names: Collection[str]) -> Generation:
    """Tell the generation by the members' names (reference 4.1).

    B without any dump cannot be told from A, and counts as A.
    """
    if CONFIG_MEMBER in names:
        if HASH_FILES[0][0] in names:
            return Generation.D
        return Generation.C1 if OS_VERSION_MEMBER in names else Generation.C
    suffixed = any(name.startswith("db/") and name.endswith(".bz2") for name in names)
    return Generation.B if suffixed else Generation.A


class EntryType(Enum):
    """What an archived path is. Devices, pipes and sockets are never archived."""

    FILE = "file"
    DIRECTORY = "dir"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"


@dataclass(frozen=True)
class FileEntry:
    """One archived path.

    `path` is relative, without a leading `./` or `/`, and any bytes but NUL.
    `stored_name` is the same name as it stands in the tar file, which GNU tar
    wants back letter by letter. `mode` holds the twelve permission bits. `size` is in
    bytes of content (holes included), 0 for all but files. `mtime` is in seconds since 1970.
    `link_target` is what a symbolic link says, or the canonical path of the
    earlier entry that a hard link shares its content with.
    """

    path: bytes
    type: EntryType
    mode: int
    uid: int
    gid: int
    uname: str
    gname: str
    mtime: int
    size: int = 0
    link_target: bytes | None = None
    stored_name: bytes = b""

    @property
    def is_set_id(self) -> bool:
        """Whether this is a file with the setuid or setgid bit, which placing drops.

        On directories setgid is a legitimate way to share a group.
        """
        return self.type is not EntryType.DIRECTORY and bool(self.mode & 0o6000)


@dataclass(frozen=True)
class MemberInfo:
    """One member of the outer tar: where its bytes lie and what its header says.

    `segments` are (offset in the member, offset in the tar, length), ascending; gaps are holes.
    """

    name: str
    entry: FileEntry
    segments: tuple[tuple[int, int, int], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of content, holes included."""
        return self.entry.size

    @property
    def mode(self) -> int:
        """Permission bits."""
        return self.entry.mode

    @property
    def mtime(self) -> int:
        """Seconds since 1970."""
        return self.entry.mtime

    @property
    def is_file(self) -> bool:
        """Whether it has content, its own or (hard link) another member's."""
        return self.entry.type in (EntryType.FILE, EntryType.HARDLINK)


@dataclass(frozen=True)
class DumpMember:
    """The dump of one component inside an archive.

    `dump_format` is "plain", "custom" or "sqlite"; `compressor` is "", "gzip",
    "bzip2", "xz" or "zstd" around it. `size` in bytes as stored; `mtime`, in
    seconds since 1970, is the time of the backup that restore tells the admin.
    """

    component_name: str
    member: str
    dump_format: str
    compressor: str
    size: int
    mtime: int


@dataclass(frozen=True)
class MemberRecord:
    """What was written for one member: its name without `./`, size in bytes, and hex digest."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ReadLimits:
    """How much an archive may ask of us before it counts as hostile.

    A compressed stream is refused when what comes out exceeds `expanded_bytes`
    and also `expansion_ratio` times what went in: real archives
    expand 5 to 20 times, bombs a thousand times and more. The same holds for holes in outer members,
    which are read; archived files, which are not, may be any size up to `sparse_bytes`.
    """

    expanded_bytes: int = 8 << 30
    expansion_ratio: int = 200
    members: int = 1_000_000
    name_bytes: int = 1 << 16
    sparse_bytes: int = 1 << 46
    sparse_segments: int = 1_000_000

    def is_bomb(self, expanded: int, taken: int) -> bool:
        """Whether so many bytes out of so many are more than an archive may ask for."""
        return expanded > self.expanded_bytes and expanded > taken * self.expansion_ratio
