"""What the journal of a restore says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

# Beside the names of components: this machine's PostgreSQL, which a run sets up for itself.
SERVER = "postgresql"


@dataclass(frozen=True)
class JournalHead:
    """What a run is about.

    `run` is its name, `started` UTC in ISO 8601. `components` are the names of what it restores, and `SERVER`
    when it sets up databases. `made` are the directories that its own directory needed, the deepest first.
    `tmpdir` holds its private temporary directory. `boot` names the time since the machine was started.
    """

    run: str
    started: str
    archive: str
    components: tuple[str, ...]
    pid: int
    boot: str
    tmpdir: str
    made: tuple[str, ...] = ()

    def with_made(self, made: tuple[str, ...]) -> JournalHead:
        """Return the same with the directories that were made for it."""
        return replace(self, made=made)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> JournalHead:
        """Return what a journal's first line says; raises `TypeError` for what is no head."""
        lists = {name: tuple(document[name]) for name in ("components", "made") if name in document}
        return cls(**{**document, **lists})


class JournalState(Enum):
    """How a run ended, or that it has not.

    `KEPT`: well, and what was before is kept. `COMMITTED`: that is being dropped.
    `ENDED`: only its directory is left.
    """

    RUNNING = "running"
    UNFINISHED = "unfinished"
    KEPT = "kept"
    COMMITTED = "committed"
    ENDED = "ended"


@dataclass(frozen=True)
class JournalFacts:
    """A journal that was found in `directory`.

    `ways_back` say what it can take back, in the order of the changes; of these, the numbers in
    `taken_back` are done with. `steps` are those that were completed.
    """

    head: JournalHead
    directory: str
    state: JournalState
    ways_back: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    taken_back: tuple[int, ...] = ()
