"""A drill as a JSON document: for programs, and beside the archive; every field is in docs/drill.md."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from engine_backup import __version__
from engine_backup.model.checks import Check
from engine_backup.model.drill import FAILED, FORMAT, FORMAT_VERSION, PASSED, DrillResult
from engine_backup.model.errors import EngineBackupError, RefusedError
from engine_backup.model.inventory import NamedObject
from engine_backup.model.live import LiveDatabase, LiveKind
from engine_backup.model.printable import printable
from engine_backup.plan.drill_causes import other_causes


def document(result: DrillResult) -> dict[str, Any]:
    """Return the document of a drill that came to its end."""
    return {
        **summary(result),
        "product_version": result.product_version,
        "phases": {name: round(seconds, 3) for name, seconds in result.phases.items()},
        "checks": [_check(check) for check in result.checks],
        "live": None if result.live is None else [_live(row) for row in result.live],
        "warnings": list(result.warnings),
        "error": None,
    }


def summary(result: DrillResult) -> dict[str, Any]:
    """Return what one line of the history says."""
    identity = result.identity
    seconds = result.restore_seconds
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "path": result.path,
        "archive": None if identity is None else {"size": identity.size, "hashes": identity.hashes},
        "started_at": result.started_at.isoformat(timespec="seconds"),
        "outcome": PASSED if result.passed else FAILED,
        "tool_version": __version__,
        "postgresql": result.postgresql,
        "seconds": round(result.seconds, 3),
        "restore_seconds": None if seconds is None else round(seconds, 3),
        "asked": asdict(result.asked),
        "other_causes": list(other_causes(result)),
        "failed_checks": sum(check.outcome.is_red for check in result.checks),
    }


def failure(path: str, error: EngineBackupError) -> dict[str, Any]:
    """Return the document of a drill that could not begin."""
    hint = error.problems[0].hint if isinstance(error, RefusedError) else error.hint
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "path": printable(path),
        "error": {
            "message": printable(error.message),
            "hint": printable(hint),
            "status": int(error.status),
            "status_name": error.status.name,
        },
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "subject": check.subject,
        "name": check.name,
        "outcome": check.outcome.value,
        "detail": check.detail,
        "findings": list(check.findings),
    }


def _live(found: LiveDatabase) -> dict[str, Any]:
    content = asdict(found)
    content["kinds"] = [_kind(row) for row in found.kinds]
    return content


def _kind(found: LiveKind) -> dict[str, Any]:
    return {
        "name": found.name,
        "saved": found.saved,
        "live": found.live,
        "only_live": [_named(row) for row in found.only_live],
        "only_saved": [_named(row) for row in found.only_saved],
        "renamed": [{**_named(now), "saved_name": then.name} for then, now in found.renamed],
        "same": found.same,
        "complete": found.complete,
    }


def _named(row: NamedObject) -> dict[str, Any]:
    return {"id": row.identity, "name": row.name}


def render(content: dict[str, Any], indent: int | None = 1) -> str:
    """Return the text of a document, in ASCII."""
    return json.dumps(content, indent=indent, ensure_ascii=True)
