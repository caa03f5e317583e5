"""The archives that stock versions really made, and what their JSON says a right reader finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent.parent / "golden"
NAMES = sorted(path.stem for path in DIRECTORY.glob("*.backup"))
SINCE_C = [name for name in NAMES if not name.startswith("3.3") and not name.startswith("3.4")]
TRANSIENT_FILES = ("grafana.db",)


def archive(name: str) -> Path:
    """Return the archive's path."""
    return DIRECTORY / f"{name}.backup"


def facts(name: str) -> dict[str, Any]:
    """Return what the JSON says."""
    return json.loads((DIRECTORY / f"{name}.json").read_text())


def tables_after_restore(found: dict[str, Any], component: str) -> dict[str, tuple[int, str]]:
    """Return rows and digest of each restored table: the dump's, but for what stock changed on purpose."""
    tables = dict(found["databases"][component]["tables"])
    tables.update(found["after_stock_restore"]["tables_changed"].get(component, {}))
    return {
        f"public.{name}".replace('"', ""): (table["rows"], table["digest"]) for name, table in tables.items()
    }
