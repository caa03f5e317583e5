"""What is left to do by hand after a restore."""

from __future__ import annotations

from collections.abc import Collection

from engine_backup.model.activation import ACTIVATIONS


def closing_notes(restored: Collection[bytes]) -> tuple[str, ...]:
    """Return what to know about restored paths (relative names) that are not in force by themselves."""
    return tuple(
        row.text for row in ACTIVATIONS if any(path.covers(name) for name in restored for path in row.paths)
    )
