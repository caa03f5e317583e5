"""Removal of the hosted-engine storage domain, all its entities and the hosted-engine VM (reference 3, -R).

What goes, and in which order, is that of the product's own procedures. Two things differ: iSCSI connections
of the domain go too (stock looks for them when the way to them is gone), and what another storage domain or
disk uses as well stays: a LUN of another volume group, a connection with other LUNs behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from engine_backup.drivers.hosted_engine import EngineTables, engine_tables, failed
from engine_backup.model.facts import Credentials

NEEDED = (
    "vdc_options.option_name", "vdc_options.option_value", "vdc_options.version",
    "vm_static.vm_guid", "vm_static.vm_name", "vm_static.vmt_guid", "vm_static.entity_type",
    "vm_device.device_id", "vm_device.vm_id", "vm_device.type", "vm_device.snapshot_id",
    "base_disks.disk_id",
    "images.image_guid", "images.image_group_id", "images.active",
    "image_storage_domain_map.image_id", "image_storage_domain_map.storage_domain_id",
    "storage_domain_static.id", "storage_domain_static.storage", "storage_domain_static.storage_name",
)  # fmt: skip

# In this order: the column, and which of the sets of `_Found` its rows belong to.
REMOVALS = (
    ("luns.lun_id", "luns"),
    ("storage_server_connections.id", "connections"),
    ("permissions.object_id", "machines"),
    ("snapshots.vm_id", "machines"),
    ("image_storage_domain_map.storage_domain_id", "domain"),
    ("images.image_guid", "images"),
    ("vm_interface.vmt_guid", "templates"),
    ("vm_interface.vm_guid", "templates"),
    ("permissions.object_id", "templates"),
    ("vm_static.vm_guid", "machines"),
    ("vm_device.device_id", "disks"),
    ("snapshots.vm_id", "based"),
    ("vm_static.vm_guid", "based"),
    ("vm_static.vm_guid", "templates"),
    ("base_disks.disk_id", "disks"),
    ("permissions.object_id", "disks"),
    ("permissions.object_id", "domain"),
    ("storage_domain_dynamic.id", "domain"),
    ("storage_domain_static.id", "domain"),
)
CHANGED_TABLES = frozenset(f"public.{name.partition('.')[0]}" for name, _ in REMOVALS)

_NAME = """
    SELECT option_value FROM public.vdc_options
     WHERE option_name = 'HostedEngineVmName' AND version = 'general'
"""
_MACHINE = "SELECT vm_guid FROM public.vm_static WHERE vm_name = %(name)s AND entity_type = 'VM'"
# A disk of another machine's snapshot that is attached for a backup is no disk of this machine.
_DISK = """
    SELECT DISTINCT d.device_id
      FROM public.vm_device d JOIN public.base_disks b ON b.disk_id = d.device_id
     WHERE d.vm_id = %(machine)s AND d.type = 'disk' AND d.snapshot_id IS NULL
"""
_DOMAIN = """
    SELECT DISTINCT s.id, s.storage_name
      FROM public.images i
      JOIN public.image_storage_domain_map m ON m.image_id = i.image_guid
      JOIN public.storage_domain_static s ON s.id = m.storage_domain_id
     WHERE i.image_group_id = %(disk)s
"""
# Machines and templates with disks on the domain: whether an active one, and whether on no other domain.
_HOLDERS = """
    SELECT v.vm_guid, v.vm_name, v.entity_type,
           bool_or(m.storage_domain_id = %(domain)s AND i.active), bool_and(m.storage_domain_id = %(domain)s)
      FROM public.vm_static v
      JOIN public.vm_device d ON d.vm_id = v.vm_guid AND d.type = 'disk' AND d.snapshot_id IS NULL
      JOIN public.images i ON i.image_group_id = d.device_id
      JOIN public.image_storage_domain_map m ON m.image_id = i.image_guid
     GROUP BY v.vm_guid, v.vm_name, v.entity_type
    HAVING bool_or(m.storage_domain_id = %(domain)s)
     ORDER BY v.vm_name, v.vm_guid
"""
_BASED = """
    SELECT vm_guid, vm_name FROM public.vm_static
     WHERE vmt_guid = ANY (%(templates)s) AND vm_guid <> ALL (%(machines)s) AND entity_type = 'VM'
     ORDER BY vm_name, vm_guid
"""
_IMAGES = """
    SELECT m.image_id
      FROM public.image_storage_domain_map m
     WHERE m.storage_domain_id = %(domain)s
       AND NOT EXISTS (SELECT FROM public.image_storage_domain_map o
                        WHERE o.image_id = m.image_id AND o.storage_domain_id <> %(domain)s)
"""
_DISKS = """
    SELECT i.image_group_id
      FROM public.images i JOIN public.image_storage_domain_map m ON m.image_id = i.image_guid
     WHERE i.image_group_id IS NOT NULL
     GROUP BY i.image_group_id
    HAVING bool_and(m.storage_domain_id = %(domain)s)
"""
# For domains on block devices `storage` is a volume group; LUNs of FC have no connection.
_LUNS = """
    SELECT DISTINCT l.lun_id
      FROM public.luns l
      JOIN public.storage_domain_static s ON s.storage = l.volume_group_id AND s.storage <> ''
      JOIN public.lun_storage_server_connection_map c ON c.lun_id = l.lun_id
     WHERE s.id = %(domain)s
"""
# For domains on files `storage` is a connection.
_CONNECTIONS = """
    SELECT c.id, c.connection,
           EXISTS (SELECT FROM public.storage_domain_static o
                    WHERE o.storage = c.id AND o.id <> %(domain)s)
           OR EXISTS (SELECT FROM public.lun_storage_server_connection_map o
                       WHERE o.storage_server_connection = c.id AND o.lun_id <> ALL (%(luns)s))
      FROM public.storage_server_connections c
     WHERE c.id IN (SELECT storage FROM public.storage_domain_static WHERE id = %(domain)s)
        OR c.id IN (SELECT storage_server_connection FROM public.lun_storage_server_connection_map
                     WHERE lun_id = ANY (%(luns)s))
     ORDER BY c.connection
"""
_NEEDED_FOR_CONNECTIONS = (
    "luns.lun_id", "luns.volume_group_id",
    "lun_storage_server_connection_map.lun_id",
    "lun_storage_server_connection_map.storage_server_connection",
    "storage_server_connections.id", "storage_server_connections.connection",
)  # fmt: skip


@dataclass(frozen=True)
class StorageRemoval:
    """What was removed, by its names.

    `is_active_there`: the hosted-engine VM had an active disk on the domain. `others`: other VMs that had
    all their disks there and went with it. `losing`: VMs that stay and have lost a disk. `templates` went;
    `based` are VMs that went since their template did. `shared`: connections that stay, others use them too.
    `passed_over`: tables that this database does not have. `counts`: rows deleted, by column.
    """

    machine: str
    domain: str
    is_active_there: bool
    others: tuple[str, ...] = ()
    losing: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    based: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class _Machine:
    """The hosted-engine VM and its storage domain."""

    name: str
    machine: UUID
    domain: UUID
    domain_name: str


@dataclass(frozen=True)
class _Holder:
    """A machine or template with a disk on the domain."""

    id: UUID
    name: str
    type: str
    is_active: bool
    is_only_there: bool


def remove_storage(credentials: Credentials) -> StorageRemoval:
    """Remove all of it in one transaction.

    Raises `EngineBackupError`, with nothing changed, when it is not clear what the hosted-engine VM is.
    """
    with engine_tables(credentials) as tables:
        tables.demand(*NEEDED)
        found = _find(tables)
        holders = [_Holder(*row) for row in tables.rows(_HOLDERS, domain=found.domain)]
        sets, based = _machine_sets(tables, holders)
        sets |= _storage_sets(tables, found.domain)
        shared = _connection_sets(tables, found.domain, sets)
        counts = [(name, tables.delete(name, sets[what])) for name, what in REMOVALS]
        return StorageRemoval(
            found.name,
            found.domain_name,
            any(holder.id == found.machine and holder.is_active for holder in holders),
            _names(h for h in holders if h.is_only_there and h.type == "VM" and h.id != found.machine),
            _names(h for h in holders if not h.is_only_there and h.type == "VM"),
            _names(h for h in holders if h.is_only_there and h.type == "TEMPLATE"),
            based,
            shared,
            tuple(tables.passed_over),
            tuple(counts),
        )


def _names(holders: Iterable[_Holder]) -> tuple[str, ...]:
    return tuple(holder.name for holder in holders)


def _find(tables: EngineTables) -> _Machine:
    names = [name for (name,) in tables.rows(_NAME)]
    if not names or not names[0]:
        raise failed(
            "vdc_options has no HostedEngineVmName", "no hosted engine? Leave --he-remove-storage-vm out"
        )
    name = names[0]
    machine = _the_one(tables.rows(_MACHINE, name=name), f"VM {name}")
    (disk,) = _the_one(tables.rows(_DISK, machine=machine[0]), f"VM {name} disk")
    domain, domain_name = _the_one(tables.rows(_DOMAIN, disk=disk), f"storage domain of the VM {name} disk")
    return _Machine(name, machine[0], domain, domain_name)


def _the_one(rows: Sequence[tuple[Any, ...]], what: str) -> tuple[Any, ...]:
    """Return the only row; which of several is meant, only a person can say."""
    if len(rows) == 1:
        return rows[0]
    state = "not unique" if rows else "not found"
    raise failed(f"{what} {state}", "leave --he-remove-storage-vm out, and remove it in the restored engine")


def _machine_sets(
    tables: EngineTables, holders: Sequence[_Holder]
) -> tuple[dict[str, list[Any]], tuple[str, ...]]:
    machines = [h.id for h in holders if h.is_only_there and h.type == "VM"]
    templates = [h.id for h in holders if h.is_only_there and h.type == "TEMPLATE"]
    based = tables.rows(_BASED, templates=templates, machines=machines)
    sets = {"machines": machines, "templates": templates, "based": [machine for machine, _ in based]}
    return sets, tuple(name for _, name in based)


def _storage_sets(tables: EngineTables, domain: UUID) -> dict[str, list[Any]]:
    return {
        "domain": [domain],
        "images": [image for (image,) in tables.rows(_IMAGES, domain=domain)],
        "disks": [disk for (disk,) in tables.rows(_DISKS, domain=domain)],
    }


def _connection_sets(tables: EngineTables, domain: UUID, sets: dict[str, list[Any]]) -> tuple[str, ...]:
    """Add LUNs and connections that only this domain uses; return the connections that stay."""
    sets |= {"luns": [], "connections": []}
    if not tables.has(*_NEEDED_FOR_CONNECTIONS):
        return ()
    sets["luns"] = [lun for (lun,) in tables.rows(_LUNS, domain=domain)]
    connections = tables.rows(_CONNECTIONS, domain=domain, luns=sets["luns"])
    sets["connections"] = [connection for connection, _, is_shared in connections if not is_shared]
    return tuple(address for _, address, is_shared in connections if is_shared)
