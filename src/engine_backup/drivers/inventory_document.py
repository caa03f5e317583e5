"""An inventory in a JSON document: written to a manifest, and read from one with suspicion."""

from __future__ import annotations

import re
from typing import Any

from engine_backup.drivers.manifest_fields import MOST_ROWS, Fields
from engine_backup.model.inventory import (
    MOMENTS,
    OBJECT_KINDS,
    DatabaseCounts,
    Inventory,
    KindInventory,
    NamedObject,
)

# What is escaped takes up to six letters for one (`printable`).
LONGEST = 2000
_DIGEST = re.compile(r"[0-9a-f]{64}")


def counts_to_json(counts: DatabaseCounts) -> dict[str, Any]:
    """Return the fields of a database's member; empty objects where nothing could be counted."""
    return {
        "row_counts": dict(counts.rows),
        "row_estimates": dict(counts.estimates),
        "object_counts": dict(counts.objects),
    }


def inventory_to_json(found: Inventory) -> dict[str, Any]:
    """Return the field `inventory`: a kind, or a moment, that no database told is missing."""
    kinds = {
        kind.name: kind_to_json(found.kinds[kind.name]) for kind in OBJECT_KINDS if kind.name in found.kinds
    }
    return {**kinds, **found.moments}


def kind_to_json(found: KindInventory) -> dict[str, Any]:
    """Return the objects of one kind."""
    return {
        "count": found.count,
        "complete": found.complete,
        "digest": found.digest,
        "objects": [{"id": row.identity, "name": row.name} for row in found.objects],
    }


def inventory(fields: Fields | None) -> Inventory | None:
    """Return what a manifest says; None where it says nothing, or nothing that can be understood."""
    if fields is None:
        return None
    kinds = {kind.name: _kind(fields.object(kind.name)) for kind in OBJECT_KINDS}
    moments = {moment.name: fields.time(moment.name) for moment in MOMENTS}
    found = Inventory(
        kinds={name: kind for name, kind in kinds.items() if kind is not None},
        moments={name: time for name, time in moments.items() if time is not None},
    )
    return found if found.kinds or found.moments else None


def _kind(fields: Fields | None) -> KindInventory | None:
    """Return one kind; a list that is not as long as it says was not written by us."""
    if fields is None:
        return None
    count, objects = fields.number("count"), fields.take("objects", "list of names", _objects)
    if count is None or objects is None:
        return None
    if len(objects) > count or (fields.flag("complete") is True and len(objects) != count):
        fields.note("objects", "list that fits its count")
        return None
    return KindInventory(count, objects, len(objects) == count, fields.matching("digest", _DIGEST) or "")


def _objects(value: object) -> tuple[NamedObject, ...] | None:
    """Return all objects of a list, or none; there may be thousands."""
    if not isinstance(value, list) or len(value) > MOST_ROWS:
        return None
    named = tuple(filter(None, map(_object, value)))
    return named if len(named) == len(value) else None


def _object(row: object) -> NamedObject | None:
    """Return an object whose texts can be shown as they are: of names that are cut, others may be equal."""
    if not isinstance(row, dict):
        return None
    identity, name = row.get("id"), row.get("name")
    if not (isinstance(identity, str) and isinstance(name, str)):
        return None
    fits = max(len(identity), len(name)) <= LONGEST and identity.isprintable() and name.isprintable()
    return NamedObject(identity, name) if fits else None
