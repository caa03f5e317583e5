"""An inspection as a JSON document for programs; every field is described in docs/inspect.md."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine_backup.drivers import certificates, configuration_summary, inventory_document
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.inspection import InspectedComponent, Inspection, Need
from engine_backup.model.printable import printable

FORMAT = "engine-backup inspection"
FORMAT_VERSION = 1


def document(found: Inspection) -> dict[str, Any]:
    """Return the document of an archive that could be read."""
    configuration = found.configuration
    return {
        **_head(found.path),
        "size": found.size,
        "compressor": found.compressor,
        "generation": found.generation,
        "tool_version": found.tool_version,
        "converted": found.converted,
        "product_version": found.product_version,
        "os_version": found.os_version,
        "made_at": found.made_at,
        "fqdn": found.fqdn,
        "hosted_engine": found.hosted_engine,
        "drill": None if found.drill is None else asdict(found.drill),
        "hash_kind": found.hash_kind,
        "hashes_checked": False,
        "components": [_component(row) for row in found.components],
        "certificates": None
        if found.certificates is None
        else [certificates.to_json(fact) for fact in found.certificates],
        "host_certificates": found.host_certificates,
        "configuration": None if configuration is None else configuration_summary.to_json(configuration),
        "inventory": None
        if found.inventory is None
        else inventory_document.inventory_to_json(found.inventory),
        "needs": [_need(row) for row in found.needs],
        "notes": list(found.notes),
        "error": None,
    }


def failure(file: Path, error: EngineBackupError) -> dict[str, Any]:
    """Return the document of a file that could not be read."""
    return {
        **_head(printable(str(file))),
        "error": {
            "message": printable(error.message),
            "hint": printable(error.hint),
            "status": int(error.status),
            "status_name": error.status.name,
        },
    }


def render(content: dict[str, Any]) -> str:
    """Return the text of a document, in ASCII."""
    return json.dumps(content, indent=1, ensure_ascii=True)


def _head(path: str) -> dict[str, Any]:
    return {"format": FORMAT, "format_version": FORMAT_VERSION, "path": path}


def _component(row: InspectedComponent) -> dict[str, Any]:
    return {
        "name": row.component.name,
        "label": row.component.label,
        "member": row.member,
        "size": row.size,
        "raw_size": row.raw_size,
        "compressor": row.compressor,
        "dump_format": row.dump_format,
        "paths": row.paths,
        "extra_paths": None if row.extra_paths is None else list(row.extra_paths),
        "database": None if row.database is None else asdict(row.database),
    }


def _need(row: Need) -> dict[str, Any]:
    return {**asdict(row), "kind": row.kind.value}
