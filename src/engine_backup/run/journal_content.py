"""What a journal says, read from its lines (see `run.journal`)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_backup.drivers.children import Child
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.journal import JournalHead, JournalState
from engine_backup.model.ways_back import WayBack
from engine_backup.run.journal_lines import from_plain

VERSION = 1
COMPLETE, KEPT_UNDO, COMMITTED, UNDONE = "complete", "kept", "committed", "undone"
_ENDS = {KEPT_UNDO: JournalState.KEPT, COMMITTED: JournalState.COMMITTED, "": JournalState.UNFINISHED}


@dataclass
class Content:
    """What a journal says."""

    head: JournalHead
    ways: list[WayBack] = field(default_factory=list)
    taken_back: set[int] = field(default_factory=set)
    children: list[Child] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    ended: str = ""

    @property
    def state(self) -> JournalState:
        """How the run ended, or that it has not."""
        return _ENDS.get(self.ended, JournalState.ENDED)


def read(data: bytes, directory: Path) -> Content:
    """Read the lines of a journal; the last may be cut off: nothing of what it speaks of was done then.

    Raises `FileNotFoundError` when there is not even a head, else `EngineBackupError`.
    """
    lines = data.split(b"\n")[:-1]
    if not lines:
        raise FileNotFoundError(directory)
    try:
        documents = [json.loads(line) for line in lines]
        head = documents[0]
        if head.pop("journal") != VERSION:
            raise EngineBackupError(
                f"the journal in {directory} is of another version", "use the engine-backup that wrote it"
            )
        content = Content(JournalHead.from_document(head))
        for document in documents[1:]:
            _take_in(document, content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineBackupError(
            f"the journal in {directory} is damaged", "look into it; it says line by line what was changed"
        ) from error
    return content


def _take_in(document: dict[str, Any], content: Content) -> None:
    if "way_back" in document:
        content.ways.append(from_plain(document["way_back"]))
    elif "taken_back" in document:
        content.taken_back.add(int(document["taken_back"]))
    elif "child" in document:
        content.children.append(Child(document["child"], document["started"], document["program"]))
    elif "done" in document:
        content.steps.append(document["done"])
    elif "ended" in document:
        content.ended = document["ended"]
