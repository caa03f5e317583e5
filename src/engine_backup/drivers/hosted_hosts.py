"""Removal of all hosted-engine hosts (reference 3, -M)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine_backup.drivers.hosted_engine import EngineTables, engine_tables
from engine_backup.model.facts import Credentials

NEEDED = (
    "vds_static.vds_id", "vds_static.vds_name",
    "vds_statistics.vds_id", "vds_statistics.ha_score", "vds_statistics.ha_configured",
)  # fmt: skip

# What the engine shall believe of machines that ran on these hosts: down, as an administrator wanted it.
_DOWN = {"run_on_vds": None, "status": 0, "exit_status": 0, "exit_reason": 6}
_BEFORE_ALERTS = ("tags_vds_map.vds_id",)
_AFTER_ALERTS = ("vds_statistics.vds_id", "vds_dynamic.vds_id", "vds_static.vds_id", "permissions.object_id")
CHANGED_TABLES = frozenset(
    f"public.{name.partition('.')[0]}"
    for name in (*_BEFORE_ALERTS, *_AFTER_ALERTS, "audit_log.", "vm_dynamic.", "vds_spm_id_map.")
)

_HOSTS = """
    SELECT s.vds_id, coalesce(h.vds_name, s.vds_id::text)
      FROM public.vds_statistics s LEFT JOIN public.vds_static h ON h.vds_id = s.vds_id
     WHERE s.ha_score IS NOT NULL AND s.ha_configured
     ORDER BY 2
"""
_ALERTS = """
    UPDATE public.audit_log SET deleted = true
     WHERE vds_id = ANY (%(hosts)s) AND severity >= 10 AND log_type BETWEEN 9000 AND 9005
"""
_NEEDED_FOR_ALERTS = ("audit_log.vds_id", "audit_log.severity", "audit_log.log_type", "audit_log.deleted")
# A new hosted-engine host takes 1, and two hosts with one id lock each other out of the storage.
_FREE_FIRST_ID = """
    UPDATE public.vds_spm_id_map m
       SET vds_spm_id = 1 + (SELECT max(o.vds_spm_id) FROM public.vds_spm_id_map o
                              WHERE o.storage_pool_id = m.storage_pool_id)
     WHERE m.vds_spm_id = 1
"""
_NEEDED_FOR_IDS = ("vds_spm_id_map.vds_spm_id", "vds_spm_id_map.storage_pool_id")


@dataclass(frozen=True)
class HostsRemoval:
    """The removed hosts, by name; VMs that are down now, and hosts that got another SPM id, by number.

    `passed_over`: tables that this database does not have.
    """

    hosts: tuple[str, ...]
    machines_down: int
    ids_changed: int
    passed_over: tuple[str, ...]


def remove_hosts(credentials: Credentials) -> HostsRemoval:
    """Remove them in one transaction; raises `EngineBackupError`, with nothing changed."""
    with engine_tables(credentials) as tables:
        tables.demand(*NEEDED)
        hosts = tables.rows(_HOSTS)
        ids = [host for host, _ in hosts]
        tables.update("vm_dynamic.migrating_to_vds", ids, {"migrating_to_vds": None})
        down = tables.update("vm_dynamic.run_on_vds", ids, _DOWN)
        _delete(tables, ids)
        changed = tables.execute(_FREE_FIRST_ID) if tables.has(*_NEEDED_FOR_IDS) else 0
        return HostsRemoval(tuple(name for _, name in hosts), down, changed, tuple(tables.passed_over))


def _delete(tables: EngineTables, hosts: Sequence[Any]) -> None:
    for name in _BEFORE_ALERTS:
        tables.delete(name, hosts)
    if tables.has(*_NEEDED_FOR_ALERTS):
        tables.execute(_ALERTS, hosts=hosts)
    for name in _AFTER_ALERTS:
        tables.delete(name, hosts)
