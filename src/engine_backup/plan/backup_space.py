"""How much room a backup needs, and where: told before it begins when there is not enough.

How small a database gets shows only when it is packed. So there are two estimates: what it usually comes to,
of which a lack is a warning, and what it cannot well be below, of which a lack is a problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine_backup.model.backup_steps import CopySqlite, DumpDatabase, Part, SaveMembers
from engine_backup.model.errors import Problem
from engine_backup.model.facts import BackupFacts
from engine_backup.model.preflight import SpaceFact
from engine_backup.model.presets import Encoding
from engine_backup.plan import space
from engine_backup.plan.archive_ways import Way

ARCHIVE, SPOOL = "the archive", "members that wait for their place in it"
COPY, FILE = "a copy of Grafana's database", "--file=FILE"
LARGEST = "the largest member, which waits there until its size is known"
REASON = "estimated from the databases' sizes"

# What a database takes on its server when nothing is in it: catalogs, which no dump holds.
EMPTY_DATABASE = 8 << 20


@dataclass(frozen=True)
class _Ratio:
    """How many bytes on a server's disk come to one byte of a dump: usually, and at the most."""

    usual: int
    most: int


# Engines of 300 to 1000 machines gave 1.0 to 1.1 for dumps as they are, 3.3 to 3.9 for gzip, 7.2 to 10.8 for
# zstd, 11 to 13 for xz. Tables that were just emptied of old rows, and indexes, make real ones higher.
_PLAIN = _Ratio(1, 8)
_RATIOS: Mapping[str, _Ratio] = {
    "": _PLAIN, "gzip": _Ratio(3, 24), "bzip2": _Ratio(6, 48), "zstd": _Ratio(6, 48), "xz": _Ratio(8, 64),
}  # fmt: skip


def warnings(step: SaveMembers, facts: BackupFacts, way: Way) -> tuple[str, ...]:
    """Say where there may be too little room. What is a problem anyway is not warned of."""
    if problems(step, facts, way):
        return ()
    found = space.problems(_spaces(step, facts, way, usual=True))
    return tuple(f"this may fail: {problem.message}; {problem.hint}" for problem in found)


def problems(step: SaveMembers, facts: BackupFacts, way: Way) -> tuple[Problem, ...]:
    """Name the file systems that are too small for the backup, however well it packs."""
    return space.problems(_spaces(step, facts, way, usual=False))


def _spaces(step: SaveMembers, facts: BackupFacts, way: Way, usual: bool) -> tuple[SpaceFact, ...]:
    """Return what is needed beside the archive, and in the temporary directory."""
    sizes = [_size(part, facts, usual) for part in step.parts]
    waiting = _waiting(sizes, step.at_once, way.in_place)
    spaces = []
    if way.kept and facts.archive_volume is not None:
        spaces.append(SpaceFact(ARCHIVE, facts.archive_volume, sum(sizes), REASON, FILE))
        spaces.append(SpaceFact(SPOOL, facts.archive_volume, waiting, movable_by=FILE))
    if not way.kept and facts.temporary_volume is not None:
        spaces.append(SpaceFact(LARGEST, facts.temporary_volume, waiting, REASON, space.TMPDIR))
    copies = sum(file.size for file in facts.single_files if CopySqlite(file.component) in step.parts)
    if facts.temporary_volume is not None:
        spaces.append(SpaceFact(COPY, facts.temporary_volume, copies, movable_by=space.TMPDIR))
    return tuple(spaces)


def _waiting(sizes: Sequence[int], at_once: int, in_place: bool) -> int:
    """Return what lies there twice for a moment: one member, in its place and where it has waited.

    Before that, those that wait take no more than the archive does in the end.
    """
    if not in_place:
        return max(sizes)
    return max(sizes[1:], default=0) if at_once > 1 else 0


def _size(part: Part, facts: BackupFacts, usual: bool) -> int:
    """Return how large a member gets, in bytes; files, which nobody has measured, count as nothing."""
    if isinstance(part, DumpDatabase):
        ratio = _ratio(part.encoding)
        return max(0, part.size - EMPTY_DATABASE) // (ratio.usual if usual else ratio.most)
    return next((file.size for file in facts.single_files if file.component is part.component), 0)


def _ratio(encoding: Encoding) -> _Ratio:
    packed_by_itself = encoding.own_level > 0 and not encoding.packing.compressor
    return _RATIOS["gzip" if packed_by_itself else encoding.packing.compressor]
