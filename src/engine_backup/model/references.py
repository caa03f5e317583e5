"""What the rows of an engine's database must refer to, or the engine that runs on it does not see them.

Each row is a rule that holds on every healthy engine of the releases that have its tables: a foreign key of
the product's own schema (they are looked at again where a database has lost the constraint), or a join that
the product's own lists of machines, hosts and storage domains are made of. Permissions have no foreign keys
to what they are for, and the product forgets to delete some: of machines of a removed data center, say.
"""

from __future__ import annotations

from dataclasses import dataclass

# Every authenticated user; no row of any table (reference: the product's global ids).
EVERYONE = "eee00000-0000-0000-0000-123456789eee"


@dataclass(frozen=True)
class Reference:
    """Rows of `table` (schema public) whose `column` is set must find it in one of the `targets`.

    `targets` are tables with their columns; `only` is a column, and the values (as text) that make a row
    fall under the rule. `identity` is the column that names a row. `finding` says what is wrong of one row:
    `{id}` is its identity, `{value}` what it refers to. `exempt` is a value that refers to no row.
    `leftovers`: healthy engines have rows that break the rule, so that it is told of, and no fault.
    """

    table: str
    column: str
    targets: tuple[tuple[str, str], ...]
    identity: str
    finding: str
    only: tuple[str, tuple[str, ...]] | None = None
    exempt: str = ""
    leftovers: bool = False

    @property
    def needs(self) -> frozenset[tuple[str, str]]:
        """Every table with each column that must be there."""
        own = {(self.table, self.column), (self.table, self.identity)}
        if self.only is not None:
            own.add((self.table, self.only[0]))
        return frozenset(own | set(self.targets))


def _to(place: str, target: str, finding: str, identity: str = "") -> Reference:
    table, column = place.split(".")
    target_table, target_column = target.split(".")
    return Reference(table, column, ((target_table, target_column),), identity or column, finding)


def _each(place: str, target: str, what: str, only: tuple[str, tuple[str, ...]] | None = None) -> Reference:
    table, column = place.split(".")
    finding = f"{what} {{id}} has no row in {target}"
    return Reference(table, column, ((target, column),), column, finding, only)


def _half(place: str, target: str) -> Reference:
    """A row that says more about one that is not there."""
    table, column = place.split(".")
    finding = f"{table} has a row for {{id}}, which {target} does not have"
    return Reference(table, column, ((target, column),), column, finding)


def _permission(kind: int, what: str, place: str, *, leftovers: bool = False) -> Reference:
    """A permission for an object; `kind` is a number of the product's VdcObjectType."""
    table, column = place.split(".")
    finding = f"permission {{id}} is for {what} {{value}}, which does not exist"
    only = ("object_type_id", (str(kind),))
    return Reference("permissions", "object_id", ((table, column),), "id", finding, only, leftovers=leftovers)


_VMS = ("entity_type", ("VM",))
_MISSING = "which does not exist"

# Clusters were vds_groups until 3.6.
REFERENCES: tuple[Reference, ...] = (
    _each("vm_static.vm_guid", "vm_dynamic", "virtual machine", _VMS),
    _each("vm_static.vm_guid", "vm_statistics", "virtual machine", _VMS),
    _each("vds_static.vds_id", "vds_dynamic", "host"),
    _each("vds_static.vds_id", "vds_statistics", "host"),
    _each("storage_domain_static.id", "storage_domain_dynamic", "storage domain"),
    _half("vm_dynamic.vm_guid", "vm_static"),
    _half("vds_dynamic.vds_id", "vds_static"),
    _half("storage_domain_dynamic.id", "storage_domain_static"),
    _to("vm_static.vmt_guid", "vm_static.vm_guid",
        f"machine or template {{id}} is made from template {{value}}, {_MISSING}", "vm_guid"),
    _to("vm_static.cluster_id", "cluster.cluster_id",
        f"machine or template {{id}} is in cluster {{value}}, {_MISSING}", "vm_guid"),
    _to("vm_static.vds_group_id", "vds_groups.vds_group_id",
        f"machine or template {{id}} is in cluster {{value}}, {_MISSING}", "vm_guid"),
    _to("vm_dynamic.run_on_vds", "vds_static.vds_id",
        f"virtual machine {{id}} runs on host {{value}}, {_MISSING}", "vm_guid"),
    _to("vm_dynamic.migrating_to_vds", "vds_static.vds_id",
        f"virtual machine {{id}} migrates to host {{value}}, {_MISSING}", "vm_guid"),
    _to("vds_static.cluster_id", "cluster.cluster_id",
        f"host {{id}} is in cluster {{value}}, {_MISSING}", "vds_id"),
    _to("vds_static.vds_group_id", "vds_groups.vds_group_id",
        f"host {{id}} is in cluster {{value}}, {_MISSING}", "vds_id"),
    _to("vds_interface.vds_id", "vds_static.vds_id",
        f"interface {{id}} is one of host {{value}}, {_MISSING}", "id"),
    _to("vds_spm_id_map.vds_id", "vds_static.vds_id", f"vds_spm_id_map names host {{id}}, {_MISSING}"),
    _to("vds_spm_id_map.storage_pool_id", "storage_pool.id",
        f"vds_spm_id_map names data center {{id}}, {_MISSING}"),
    _to("cluster.storage_pool_id", "storage_pool.id",
        f"cluster {{id}} is in data center {{value}}, {_MISSING}", "cluster_id"),
    _to("vds_groups.storage_pool_id", "storage_pool.id",
        f"cluster {{id}} is in data center {{value}}, {_MISSING}", "vds_group_id"),
    _to("image_storage_domain_map.storage_domain_id", "storage_domain_static.id",
        f"disk image {{id}} lies on storage domain {{value}}, {_MISSING}", "image_id"),
    _to("image_storage_domain_map.image_id", "images.image_guid",
        f"image_storage_domain_map names disk image {{id}}, {_MISSING}"),
    _to("storage_pool_iso_map.storage_id", "storage_domain_static.id",
        f"data center {{id}} has storage domain {{value}}, {_MISSING}", "storage_pool_id"),
    _to("storage_pool_iso_map.storage_pool_id", "storage_pool.id",
        f"storage domain {{id}} is in data center {{value}}, {_MISSING}", "storage_id"),
    _to("disk_vm_element.disk_id", "base_disks.disk_id",
        f"virtual machine {{id}} has disk {{value}}, {_MISSING}", "vm_id"),
    _to("disk_vm_element.vm_id", "vm_static.vm_guid",
        f"disk {{id}} is one of machine {{value}}, {_MISSING}", "disk_id"),
    _to("disk_lun_map.disk_id", "base_disks.disk_id", f"disk_lun_map names disk {{id}}, {_MISSING}"),
    _to("disk_lun_map.lun_id", "luns.lun_id", f"disk {{id}} is LUN {{value}}, {_MISSING}", "disk_id"),
    _to("vm_device.vm_id", "vm_static.vm_guid",
        f"device {{id}} is one of machine {{value}}, {_MISSING}", "device_id"),
    _to("vm_device.snapshot_id", "snapshots.snapshot_id",
        f"device {{id}} is one of snapshot {{value}}, {_MISSING}", "device_id"),
    _to("vm_interface.vm_guid", "vm_static.vm_guid",
        f"interface {{id}} is one of machine {{value}}, {_MISSING}", "id"),
    _to("vm_interface.vmt_guid", "vm_static.vm_guid",
        f"interface {{id}} is one of template {{value}}, {_MISSING}", "id"),
    _to("vm_interface.vnic_profile_id", "vnic_profiles.id",
        f"interface {{id}} has vNIC profile {{value}}, {_MISSING}", "id"),
    _to("vnic_profiles.network_id", "network.id",
        f"vNIC profile {{id}} is one of network {{value}}, {_MISSING}", "id"),
    _to("network.storage_pool_id", "storage_pool.id",
        f"network {{id}} is in data center {{value}}, {_MISSING}", "id"),
    _to("network_cluster.network_id", "network.id",
        f"cluster {{id}} has network {{value}}, {_MISSING}", "cluster_id"),
    _to("network_cluster.cluster_id", "cluster.cluster_id",
        f"network {{id}} is in cluster {{value}}, {_MISSING}", "network_id"),
    _to("snapshots.vm_id", "vm_static.vm_guid",
        f"snapshot {{id}} is one of machine {{value}}, {_MISSING}", "snapshot_id"),
    _to("vm_pool_map.vm_guid", "vm_static.vm_guid",
        f"pool {{id}} has machine {{value}}, {_MISSING}", "vm_pool_id"),
    _to("vm_pool_map.vm_pool_id", "vm_pools.vm_pool_id",
        f"machine {{id}} is in pool {{value}}, {_MISSING}", "vm_guid"),
    _to("permissions.role_id", "roles.id", f"permission {{id}} gives role {{value}}, {_MISSING}", "id"),
    Reference("permissions", "ad_element_id", (("users", "user_id"), ("ad_groups", "id")), "id",
              f"permission {{id}} is given to user or group {{value}}, {_MISSING}", exempt=EVERYONE,
              leftovers=True),
    _permission(2, "virtual machine", "vm_static.vm_guid", leftovers=True),
    _permission(3, "host", "vds_static.vds_id"),
    _permission(4, "template", "vm_static.vm_guid"),
    _permission(5, "pool", "vm_pools.vm_pool_id", leftovers=True),
    _permission(9, "cluster", "cluster.cluster_id"),
    _permission(9, "cluster", "vds_groups.vds_group_id"),
    _permission(11, "storage domain", "storage_domain_static.id"),
    _permission(14, "data center", "storage_pool.id"),
    _permission(19, "disk", "base_disks.disk_id"),
    _permission(20, "network", "network.id", leftovers=True),
)  # fmt: skip
