"""What a hook that is a program reads on standard input; described in `docs/hooks.md`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine_backup import __version__
from engine_backup.model.requests import Surroundings

FORMAT = "engine-backup hook"
FORMAT_VERSION = 1
SUCCESS, FAILURE, INTERRUPTED = "success", "failure", "interrupted"


@dataclass(frozen=True)
class Moment:
    """What a run is doing when a stage comes. `result` and `error` are there in the last stage only."""

    stage: str
    mode: str
    file: str
    directory: Path
    members_directory: Path | None = None
    added_paths: tuple[str, ...] = ()
    result: str | None = None
    error: str | None = None


def document(moment: Moment, surroundings: Surroundings) -> dict[str, Any]:
    """Return the document; it holds nothing secret."""
    members = moment.members_directory
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "tool_version": __version__,
        "stage": moment.stage,
        "mode": moment.mode,
        "scopes": list(surroundings.scopes),
        "root": str(surroundings.root),
        "file": moment.file,
        "log": str(surroundings.log),
        "temporary_directory": str(moment.directory),
        "members_directory": None if members is None else str(members),
        "added_paths": list(moment.added_paths),
        "result": moment.result,
        "error": moment.error,
    }


def render(content: dict[str, Any]) -> bytes:
    """Return the text of a document, in ASCII: what it names may be in no encoding at all."""
    return (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode()
