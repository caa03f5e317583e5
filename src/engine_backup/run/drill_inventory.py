"""Whether a restored database holds the objects that the backup counted in its snapshot."""

from __future__ import annotations

from collections.abc import Iterable

from engine_backup.drivers import inventory, manifest_reading
from engine_backup.model.checks import Check
from engine_backup.plan.inventory_comparison import inventory_checks
from engine_backup.run.drilled import Drilled, DrilledDatabase


def inventory_agrees(drilled: Drilled, database: DrilledDatabase) -> Iterable[Check]:
    """Read the restored database as its owner; raises `EngineBackupError` when that cannot be done."""
    manifest = drilled.archive.manifest
    recorded = None if manifest is None else manifest_reading.read(manifest).inventory
    found = inventory.observe(database.credentials, database.component)
    return inventory_checks(database.component.name, recorded, found.inventory, database.dump.excluded)
