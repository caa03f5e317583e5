"""How many processes load each database of a restore, and how many databases are loaded at the same time.

What an option says counts. Else the processors are shared out by size, rounded up: a load
waits for the disk now and then, and the largest database should not be loaded alone in the end.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

# Each is a connection to a server that other programs use too (`max_connections` of PostgreSQL is 100).
MOST_JOBS = 8
LEAST_AT_ONCE = 2
NO_ROOM = "no room for {:,} MiB of it unpacked in the temporary directory"


@dataclass(frozen=True)
class Work:
    """A database to load.

    `size` is what it takes on the server, `unpacked_size` the file that several processes read, both
    in bytes; None for a plain dump, which only one process can load. `asked`: as many were asked for.
    `divided`: several processes can load it from its parts, without such a file, and in any order.
    """

    name: str
    size: int
    unpacked_size: int | None = None
    asked: int | None = None
    divided: bool = False


@dataclass(frozen=True)
class Share:
    """How one database is loaded: `divided` from its parts, else more than one process needs it `unpacked`.

    `reason`: why it is not, as far as that is not what anybody would expect.
    """

    jobs: int
    unpacked: bool
    reason: str = ""
    divided: bool = False


def at_once(shares: Collection[Share], cores: int) -> int:
    """Return how many loads go on at the same time, by so many processors.

    One is a part of a database, or all of one that has no parts. No more parts than processors: on two, three
    loads at a time took as long as two.
    """
    parts = [share.jobs for share in shares if share.divided]
    wanted = sum(parts) + len(shares) - len(parts)
    return max(1, min(wanted, max(cores, LEAST_AT_ONCE, *parts)))


def share_out(works: Sequence[Work], cores: int, free_space: int) -> dict[str, Share]:
    """Return how each database is loaded, by name, the largest first.

    `free_space` in bytes: all unpacked dumps must fit there together. One that does not is
    streamed to a single process.
    """
    shares: dict[str, Share] = {}
    for work in sorted(works, key=lambda work: work.size, reverse=True):
        jobs = _jobs(work, works, cores)
        room = work.unpacked_size is not None and work.unpacked_size < free_space
        # A single process loads the tables in the dump's own order.
        divided = jobs > 1 and work.divided
        unpacked = jobs > 1 and room and not divided
        if unpacked:
            free_space -= work.unpacked_size or 0
        several = unpacked or divided
        reason = NO_ROOM.format((work.unpacked_size or 0) >> 20) if jobs > 1 and not several else ""
        shares[work.name] = Share(jobs if several else 1, unpacked, reason, divided)
    return shares


def _jobs(work: Work, works: Sequence[Work], cores: int) -> int:
    """Return how many processes one database should have, if its dump can be unpacked."""
    if work.unpacked_size is None:
        return 1
    if work.asked is not None:
        return work.asked
    if work.divided:
        # Parts of all databases wait for the same processors.
        return min(MOST_JOBS, cores)
    fixed = [_fixed(other) for other in works]
    rest = max(1, cores - sum(fixed))
    total = sum(other.size for other, jobs in zip(works, fixed) if not jobs)
    wanted = -(-rest * work.size // total) if total else 1
    return max(1, min(MOST_JOBS, wanted))


def processes(shares: Collection[Share], cores: int) -> int:
    """Return how many processes load at the same time, at the most."""
    whole = sum(share.jobs for share in shares if not share.divided)
    return whole + (at_once(shares, cores) if any(share.divided for share in shares) else 0)


def _fixed(work: Work) -> int:
    """Return how many processes a database has in any case; 0 when its share depends on the others."""
    return work.asked or 0 if work.unpacked_size is not None else 1
