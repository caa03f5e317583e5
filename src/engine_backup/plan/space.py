"""How much room a restore needs, and where: needs are summed up per file system, whatever they are for.

A wrong refusal is worse than a failure that is undone, so estimates are low, and say that they are ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import fsdecode
from typing import Any

from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.errors import Problem
from engine_backup.model.facts import DumpFacts
from engine_backup.model.preflight import SpaceFact, Volume
from engine_backup.model.presets import CUSTOM

BLOCK = 4096
MEBIBYTE = 1 << 20
# What is counted is never all: directories grow, logs go on.
MARGIN_DIVISOR = 20
# PostgreSQL's default of max_wal_size, up to which a load leaves write-ahead log behind.
LOG_LIMIT = 1 << 30
# No process of a load sorts more than its whole database; estimates of small ones may be far too low.
LEAST_TEMPORARY = 1 << 30
# PostgreSQL's temp_file_limit takes 31 bits of KiB.
MOST_TEMPORARY = ((1 << 31) - 1) << 10
# Below this depth nobody mounts a disk: /var/lib/openvswitch, /etc/pki/ovirt-engine.
GROUP_DEPTH = 3

ARCHIVE, FILES, DATA = "the unpacked archive", "restored files", "databases"
TMPDIR = "--tmpdir=DIR"

# Bytes on the server's disk for each byte of a dump, rounded down: engines of 500 machines and 60 days
# gave 1.0 to 1.1 for dumps that are not compressed, 3.3 to 3.9 for pg_dump's own gzip, 7.2 to 10.8 for
# zstd. A compressor around a custom dump of stock's finds it compressed already.
PLAIN_FACTORS: Mapping[str, int] = {"": 1, "gzip": 3, "bzip2": 6, "xz": 6, "zstd": 6}
CUSTOM_FACTORS: Mapping[str, int] = {"zstd": 6}
CUSTOM_FACTOR = 3


@dataclass(frozen=True)
class DatabaseNeed:
    """What a loaded database will take on the server's disk, in bytes; `reason` when that is an estimate."""

    size: int
    reason: str = ""


def recorded_sizes(manifest: Mapping[str, Any] | None) -> dict[str, int]:
    """Return each database's size when it was backed up, by component name, as our manifest tells it.

    The manifest is as hostile as the rest; what does not look right is passed over.
    """
    listed = (manifest or {}).get("members")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    found = {str(row.get("component")): row.get("database_size") for row in rows}
    return {name: size for name, size in found.items() if type(size) is int and size >= 0}


def database_need(dump: DumpFacts, recorded: int | None) -> DatabaseNeed:
    """Return what a dump will take once it is loaded; `recorded` is its size when it was backed up."""
    if recorded is not None:
        return DatabaseNeed(recorded)
    member = dump.member
    if dump.unpacked_size is not None and (member.dump_format != CUSTOM or member.compressor):
        return DatabaseNeed(dump.unpacked_size, "estimated: as much as the dump's text")
    factors = CUSTOM_FACTORS if member.dump_format == CUSTOM else PLAIN_FACTORS
    factor = factors.get(member.compressor, CUSTOM_FACTOR)
    return DatabaseNeed(member.size * factor, f"estimated: {factor} times the size of the dump")


def database_space(volume: Volume, needs: Sequence[DatabaseNeed]) -> SpaceFact:
    """Return what databases take in a data directory, with the write-ahead log that loading them leaves."""
    total = sum(need.size for need in needs)
    reasons = dict.fromkeys(need.reason for need in needs if need.reason)
    return SpaceFact(DATA, volume, total + min(total, LOG_LIMIT), "; ".join(reasons))


def temporary_limit(databases: SpaceFact) -> int:
    """Return how many bytes of temporary files each process may write that loads or checks a database."""
    return min(MOST_TEMPORARY, max(LEAST_TEMPORARY, databases.needed))


def archive_space(volume: Volume, size: int, compressor: str) -> SpaceFact:
    """Return what an archive takes in the temporary directory, before it is opened.

    One that is compressed as a whole is unpacked there. How large it gets shows only then; it does
    not get smaller.
    """
    return SpaceFact(ARCHIVE, volume, size if compressor else 0, "at least", TMPDIR)


def sizes_by_group(entries: Iterable[FileEntry], single_files: Mapping[str, int]) -> dict[str, int]:
    """Return how many bytes are to be placed below each directory that may be a file system of its own.

    The directories are absolute, to be looked at below the root. `single_files` are absolute paths of
    databases that are files, with their sizes.
    """
    sizes: dict[str, int] = {}
    for path, size in (*_sized(entries), *single_files.items()):
        group = "/" + "/".join(path.strip("/").split("/")[:-1][:GROUP_DEPTH])
        sizes[group] = sizes.get(group, 0) + _blocks(size)
    return sizes


def _sized(entries: Iterable[FileEntry]) -> list[tuple[str, int]]:
    """A directory and a symbolic link take a block at most, a hard link none."""
    taken = {EntryType.DIRECTORY: BLOCK, EntryType.SYMLINK: BLOCK, EntryType.HARDLINK: 0}
    return [("/" + fsdecode(entry.path), taken.get(entry.type, entry.size)) for entry in entries]


def file_spaces(
    sizes: Mapping[str, int], staging: Volume, volumes: Mapping[str, Volume]
) -> tuple[SpaceFact, ...]:
    """Return what files take: all of them where they are unpacked, and again where they must be copied to.

    `sizes` are those of `sizes_by_group`, `volumes` the file systems of the same directories. On the file
    system of the staging directory files are renamed into place. What they replace is kept by
    hard links, and takes room already.
    """
    copied = [
        SpaceFact(FILES, volumes[group], size)
        for group, size in sizes.items()
        if volumes[group].device != staging.device
    ]
    return (SpaceFact(FILES, staging, sum(sizes.values())), *copied)


def problems(spaces: Iterable[SpaceFact]) -> tuple[Problem, ...]:
    """Name each file system that is too small for all that is to lie on it."""
    by_device: dict[int, list[SpaceFact]] = {}
    for space in spaces:
        if space.needed and space.volume.free is not None:
            by_device.setdefault(space.volume.device, []).append(space)
    found = (_problem(together) for together in by_device.values())
    return tuple(problem for problem in found if problem is not None)


def _problem(spaces: Sequence[SpaceFact]) -> Problem | None:
    total = sum(space.needed for space in spaces)
    needed = total + total // MARGIN_DIVISOR
    free = min(space.volume.free or 0 for space in spaces)
    if needed <= free:
        return None
    what = _and(list(dict.fromkeys(_described(space) for space in spaces)))
    return Problem(
        f"not enough space on the file system of {spaces[0].volume.directory}:"
        f" {-(-needed // MEBIBYTE)} MiB needed for {what}, {free // MEBIBYTE} MiB free",
        _hint(spaces),
    )


def _described(space: SpaceFact) -> str:
    return f"{space.place} ({space.reason})" if space.reason else space.place


def _hint(spaces: Sequence[SpaceFact]) -> str:
    options = dict.fromkeys(space.movable_by for space in spaces if space.movable_by)
    elsewhere = "".join(f", or choose another place with {option}" for option in options)
    return f"make room there{elsewhere}"


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
