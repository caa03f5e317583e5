"""What a drill has found out about an archive, and what is remembered of that beside the archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine_backup.model.checks import Check
from engine_backup.model.live import LiveDatabase

FORMAT = "engine-backup drill"
FORMAT_VERSION = 1
PASSED, FAILED = "passed", "failed"
# The work of a real restore, which a drill measures; what only a drill does is not among it.
HASHES, LOOKING, FILES = "hashes", "looking", "files"
PROVISIONING, LOADING, CORRECTING, ANALYZING = "provisioning", "loading", "correcting", "analyzing"
PHASES: tuple[str, ...] = (HASHES, LOOKING, FILES, PROVISIONING, LOADING, CORRECTING, ANALYZING)


@dataclass(frozen=True)
class ArchiveIdentity:
    """What tells archives apart: the size in bytes, and the SHA-256 of the member that lists all hashes."""

    size: int
    hashes: str


@dataclass(frozen=True)
class Asked:
    """What a drill was asked for by options, fit to be printed; None where it was not."""

    against: str | None = None
    pg_bindir: str | None = None
    product_version: str | None = None


@dataclass(frozen=True)
class DrillResult:
    """How a drill went. Times in seconds; `phases` by the names of `PHASES`, those that there was work for.

    `complete`: all that a restore does was done, so that the phases say how long one takes.

    `identity` is None for an archive without hashes. `postgresql` is the version of the scratch server, such
    as `15.18`. `warnings` are those that a restore would show. `live` are the databases that the archive was
    compared with; None where that was not asked for. `dumped_by` is the newest major version of PostgreSQL
    that made a dump, 0 when none tells it. Texts are fit to be printed.
    """

    path: str
    identity: ArchiveIdentity | None
    product_version: str
    started_at: datetime
    postgresql: str
    seconds: float
    checks: tuple[Check, ...]
    phases: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    complete: bool = False
    live: tuple[LiveDatabase, ...] | None = None
    asked: Asked = Asked()
    dumped_by: int = 0

    @property
    def passed(self) -> bool:
        """Whether the archive is proven."""
        return not any(check.outcome.is_red for check in self.checks)

    @property
    def restore_seconds(self) -> float | None:
        """How long a restore would take, by what was measured; None when not all of it came to its end."""
        return sum(self.phases.values()) if self.complete else None


@dataclass(frozen=True)
class Proof:
    """What is remembered of the last drill of an archive; `at` is UTC in ISO 8601."""

    at: str
    passed: bool
