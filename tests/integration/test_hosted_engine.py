"""Taking hosted-engine objects out of an engine database: what goes, in which order, and what stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count

import pytest

from engine_backup.drivers import hosted_hosts, hosted_storage
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.run.hosted_engine import MOST_NAMES, names, storage_warnings
from engine_backup.sample import databases, engine
from engine_backup.sample.compare import DatabaseFingerprint, fingerprint_database
from engine_backup.sample.size import TINY

NUMBERS = count()


@dataclass(frozen=True)
class Database:
    """A copy of the sample's hosted engine, which the test may change."""

    server: ScratchServer
    login: Credentials

    def execute(self, *statements: str) -> None:
        with closing(self.server.connect(self.login.database, self.login.user, self.login.password)) as found:
            with found.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            found.commit()

    def rows(self, query: str) -> list[tuple]:
        with closing(self.server.connect(self.login.database, self.login.user, self.login.password)) as found:
            with found.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall()

    def column(self, query: str) -> set:
        return {value for (value,) in self.rows(query)}

    def fingerprint(self) -> DatabaseFingerprint:
        return fingerprint_database(self.login)


@pytest.fixture(scope="module")
def filled() -> Iterator[Database]:
    with ScratchServer.start() as server:
        sample = engine.describe(".", server, replace(TINY, hosted_engine=True), ("engine",))
        databases.create(server, sample)
        yield Database(server, sample.credentials["engine"])


@pytest.fixture
def database(filled: Database) -> Iterator[Database]:
    name = f"engine_{next(NUMBERS)}"
    with closing(filled.server.connect("postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE engine OWNER engine")
        yield Database(filled.server, replace(filled.login, database=name))
        cursor.execute(f"DROP DATABASE {name}")


def changed_tables(before: DatabaseFingerprint, after: DatabaseFingerprint) -> set[str]:
    assert before.tables.keys() == after.tables.keys()
    return {name.partition(".")[2] for name in before.tables if before.tables[name] != after.tables[name]}


HOSTED = "'HostedEngine'"
HOSTED_MACHINE = f"(SELECT vm_guid FROM vm_static WHERE vm_name = {HOSTED})"
HOSTED_DOMAIN = "(SELECT id FROM storage_domain_static WHERE storage_name = 'hosted_storage')"
DATA_DOMAIN = "(SELECT id FROM storage_domain_static WHERE storage_name = 'data-01')"


def gid(number: int) -> str:
    return f"'00000000-0000-4000-8000-{number:012d}'"


def machine(number: int, name: str, kind: str = "VM", template: str | None = None) -> str:
    blank = "'00000000-0000-0000-0000-000000000000'"
    return (
        "INSERT INTO vm_static (vm_guid, vm_name, mem_size_mb, vmt_guid, entity_type)"
        f" VALUES ({gid(number)}, '{name}', 1, {template or blank}, '{kind}');"
        f"INSERT INTO permissions VALUES ({gid(number + 10)}, {gid(9)}, {gid(9)}, {gid(number)}, 2);"
        f"INSERT INTO snapshots VALUES ({gid(number + 20)}, {gid(number)}, 'ACTIVE', 'OK', '', now(), '');"
    )


def disk(number: int, domains: tuple[str, ...], holder: int | None = None, active: bool = True) -> str:
    text = (
        f"INSERT INTO base_disks VALUES ({gid(number)}, 'disk {number}');"
        f"INSERT INTO images VALUES ({gid(number + 1)}, now(), 1, {gid(9)}, 1, {gid(number)}, {active});"
        f"INSERT INTO permissions VALUES ({gid(number + 2)}, {gid(9)}, {gid(9)}, {gid(number)}, 19);"
    )
    text += "".join(
        f"INSERT INTO image_storage_domain_map VALUES ({gid(number + 1)}, {domain});" for domain in domains
    )
    if holder is not None:
        text += (
            "INSERT INTO vm_device (device_id, vm_id, type, device)"
            f" VALUES ({gid(number)}, {gid(holder)}, 'disk', 'disk');"
        )
    return text


# A domain that has been used for more than the hosted engine.
CROWD = (
    machine(100, "only-there") + disk(1100, (HOSTED_DOMAIN,), 100),
    machine(200, "on-both") + disk(1200, (HOSTED_DOMAIN,), 200) + disk(1210, (DATA_DOMAIN,), 200),
    machine(300, "template-there", "TEMPLATE") + disk(1300, (HOSTED_DOMAIN,), 300),
    machine(400, "template-copied", "TEMPLATE") + disk(1400, (HOSTED_DOMAIN, DATA_DOMAIN), 400),
    machine(500, "pool-1", template=gid(300)) + disk(1500, (DATA_DOMAIN,), 500),
    machine(600, "of-the-copied", template=gid(400)) + disk(1600, (DATA_DOMAIN,), 600),
    machine(700, "elsewhere") + disk(1700, (DATA_DOMAIN,), 700),
    disk(1800, (HOSTED_DOMAIN,)),
    f"INSERT INTO vm_interface (id, vmt_guid, name) VALUES ({gid(301)}, {gid(300)}, 'nic1')",
    f"INSERT INTO permissions VALUES ({gid(41)}, {gid(9)}, {gid(9)}, {HOSTED_DOMAIN}, 11)",
    f"INSERT INTO permissions VALUES ({gid(42)}, {gid(9)}, {gid(9)}, {DATA_DOMAIN}, 11)",
)
# Connection a is that domain's only, b has a LUN of the data domain too, c leads elsewhere.
ISCSI = (
    "DELETE FROM storage_server_connections WHERE id = (SELECT storage FROM storage_domain_static"
    " WHERE storage_name = 'hosted_storage')",
    "UPDATE storage_domain_static SET storage = 'vg-he', storage_type = 3"
    " WHERE storage_name = 'hosted_storage'",
    "UPDATE storage_domain_static SET storage = 'vg-data', storage_type = 3 WHERE storage_name = 'data-01'",
    "INSERT INTO storage_server_connections (id, connection, iqn, storage_type)"
    " VALUES ('a', '192.0.2.1', 'iqn:a', 3), ('b', '192.0.2.2', 'iqn:b', 3), ('c', '192.0.2.3', 'iqn:c', 3)",
    "INSERT INTO luns VALUES ('he', 'vg-he', 's'), ('data', 'vg-data', 's'), ('direct', '', 's')",
    "INSERT INTO lun_storage_server_connection_map"
    " VALUES ('he', 'a'), ('he', 'b'), ('data', 'b'), ('direct', 'c')",
)


class TestStorage:
    def test_the_machine_and_its_domain_go_and_nothing_else(self, database: Database):
        before = database.fingerprint()
        removal = hosted_storage.remove_storage(database.login)
        assert (removal.machine, removal.domain, removal.is_active_there) == (
            "HostedEngine", "hosted_storage", True,
        )  # fmt: skip
        assert storage_warnings(removal) == []
        assert removal.passed_over == ()
        after = database.fingerprint()
        one_less = {
            "base_disks", "disk_vm_element", "image_storage_domain_map", "images", "storage_domain_dynamic",
            "storage_domain_static", "storage_pool_iso_map", "storage_server_connections", "vm_dynamic",
            "vm_interface", "vm_static", "vm_statistics",
        }  # fmt: skip
        assert changed_tables(before, after) == one_less | {"permissions", "snapshots", "vm_device"}
        for name in one_less:
            assert after.tables[f"public.{name}"][0] == before.tables[f"public.{name}"][0] - 1, name
        assert database.rows(f"SELECT FROM vm_static WHERE vm_name = {HOSTED}") == []
        assert database.rows("SELECT FROM storage_server_connections WHERE connection LIKE '%/he'") == []

    def test_only_what_has_no_other_place_goes_with_a_domain_that_others_use(self, database: Database):
        database.execute(*CROWD)
        removal = hosted_storage.remove_storage(database.login)
        assert removal.others == ("only-there",)
        assert removal.losing == ("on-both",)
        assert removal.templates == ("template-there",)
        assert removal.based == ("pool-1",)
        assert len(storage_warnings(removal)) == 4
        planted = "::text LIKE '00000000-0000-4000-8000-%'"
        stay = {"on-both", "template-copied", "of-the-copied", "elsewhere"}
        assert database.column(f"SELECT vm_name FROM vm_static WHERE vm_guid{planted}") == stay
        snapshots = "SELECT vm_name FROM snapshots JOIN vm_static ON vm_guid = vm_id"
        assert database.column(f"{snapshots} WHERE vm_id{planted}") == stay
        disks = {f"disk {number}" for number in (1210, 1400, 1500, 1600, 1700)}
        assert database.column(f"SELECT disk_alias FROM base_disks WHERE disk_id{planted}") == disks
        attached = "SELECT disk_alias FROM vm_device JOIN base_disks ON disk_id = device_id"
        # The machine of pool-1 is gone, its disk on the other domain is still there, and free.
        assert database.column(f"{attached} WHERE device_id{planted}") == disks - {"disk 1500"}
        assert database.column(f"SELECT id::text FROM vm_interface WHERE id{planted}") == set()
        kept = database.column(f"SELECT object_id::text FROM permissions WHERE id{planted}")
        gone = database.column("SELECT id::text FROM storage_domain_static WHERE storage_name = 'data-01'")
        numbers = (200, 400, 600, 700, 1210, 1400, 1500, 1600, 1700)
        # What is left of a machine that went with its template is its permission (reference 3).
        assert kept == gone | {gid(number).strip("'") for number in (*numbers, 500)}
        on_domain = f"SELECT FROM image_storage_domain_map WHERE storage_domain_id = {DATA_DOMAIN}"
        assert len(database.rows(f"{on_domain} AND image_id = {gid(1401)}")) == 1

    def test_connections_of_iscsi_go_unless_others_use_them(self, database: Database):
        database.execute(*ISCSI)
        removal = hosted_storage.remove_storage(database.login)
        assert removal.shared == ("192.0.2.2",)
        assert "192.0.2.2" in storage_warnings(removal)[0]
        iscsi = "SELECT id FROM storage_server_connections WHERE id IN ('a', 'b', 'c')"
        assert database.column(iscsi) == {"b", "c"}
        assert database.column("SELECT lun_id FROM luns WHERE lun_id IN ('he', 'data', 'direct')") == {
            "data", "direct",
        }  # fmt: skip

    def test_a_connection_of_a_share_that_two_domains_use_stays(self, database: Database):
        database.execute(
            "UPDATE storage_domain_static SET storage = (SELECT storage FROM storage_domain_static"
            " WHERE storage_name = 'hosted_storage') WHERE storage_name = 'data-01'"
        )
        removal = hosted_storage.remove_storage(database.login)
        assert removal.shared == ("nas.lab.example:/exports/he",)

    def test_fibre_channel_has_no_connection(self, database: Database):
        database.execute(
            "UPDATE storage_domain_static SET storage = 'vg-he', storage_type = 2"
            " WHERE storage_name = 'hosted_storage'",
            "INSERT INTO luns VALUES ('fc', 'vg-he', 's')",
        )
        before = database.fingerprint()
        hosted_storage.remove_storage(database.login)
        after = database.fingerprint()
        assert not {"luns", "storage_server_connections"} & changed_tables(before, after)

    def test_a_disk_that_is_not_active_there_is_told(self, database: Database):
        database.execute(
            "UPDATE images SET active = false WHERE image_group_id IN (SELECT device_id FROM vm_device"
            f" WHERE vm_id = {HOSTED_MACHINE})"
        )
        removal = hosted_storage.remove_storage(database.login)
        assert storage_warnings(removal) == [
            "VM HostedEngine is not on the hosted-engine storage domain hosted_storage:"
            " its disk there is not active"
        ]

    def test_snapshots_of_a_disk_do_not_make_it_two(self, database: Database):
        """And another machine's disk that is attached for a backup is none of its own."""
        attached = "SELECT device_id FROM vm_device JOIN base_disks ON disk_id = device_id"
        his_disk = f"({attached} WHERE vm_id = {HOSTED_MACHINE})"
        database.execute(
            f"INSERT INTO images VALUES ({gid(1)}, now(), 1, {gid(9)}, 1, {his_disk}, false);"
            f"INSERT INTO image_storage_domain_map VALUES ({gid(1)}, {HOSTED_DOMAIN});",
            machine(100, "backup-appliance") + disk(1100, (DATA_DOMAIN,)),
            "INSERT INTO vm_device (device_id, vm_id, type, device, snapshot_id)"
            f" SELECT {his_disk}, {gid(100)}, 'disk', 'disk', {gid(2)};"
            "INSERT INTO vm_device (device_id, vm_id, type, device, snapshot_id)"
            f" SELECT {gid(1100)}, {HOSTED_MACHINE}, 'disk', 'disk', {gid(3)}",
        )
        removal = hosted_storage.remove_storage(database.login)
        assert (removal.others, removal.losing) == ((), ())
        assert database.rows("SELECT FROM vm_static WHERE vm_name = 'backup-appliance'") != []

    def test_the_order_is_that_of_the_product(self, database: Database):
        watch(database, *(name.partition(".")[0] for name, _ in hosted_storage.REMOVALS))
        hosted_storage.remove_storage(database.login)
        assert watched(database) == [
            "luns", "storage_server_connections", "permissions", "snapshots", "image_storage_domain_map",
            "images", "vm_interface", "vm_interface", "permissions", "vm_static", "vm_device", "snapshots",
            "vm_static", "vm_static", "base_disks", "permissions", "permissions", "storage_domain_dynamic",
            "storage_domain_static",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("statement", "message"),
        [
            (f"UPDATE vm_static SET vm_name = 'other' WHERE vm_name = {HOSTED}", "VM HostedEngine not found"),
            (
                f"UPDATE vm_static SET entity_type = 'TEMPLATE' WHERE vm_name = {HOSTED}",
                "VM HostedEngine not found",
            ),
            (machine(100, "HostedEngine"), "VM HostedEngine not unique"),
            (
                f"DELETE FROM vm_device WHERE type = 'disk' AND vm_id = {HOSTED_MACHINE}",
                "VM HostedEngine disk not found",
            ),
            (
                disk(1100, (HOSTED_DOMAIN,)) + "INSERT INTO vm_device (device_id, vm_id, type, device)"
                f" SELECT {gid(1100)}, vm_guid, 'disk', 'disk' FROM vm_static WHERE vm_name = {HOSTED}",
                "VM HostedEngine disk not unique",
            ),
            (
                f"DELETE FROM image_storage_domain_map WHERE storage_domain_id = {HOSTED_DOMAIN}",
                "storage domain of the VM HostedEngine disk not found",
            ),
            (
                "INSERT INTO image_storage_domain_map SELECT image_id, id FROM image_storage_domain_map,"
                " storage_domain_static WHERE storage_name = 'data-01'"
                f" AND storage_domain_id = {HOSTED_DOMAIN}",
                "storage domain of the VM HostedEngine disk not unique",
            ),
            (
                "DELETE FROM vdc_options WHERE option_name = 'HostedEngineVmName'",
                "vdc_options has no HostedEngineVmName",
            ),
            (
                "UPDATE vdc_options SET version = '4.2' WHERE option_name = 'HostedEngineVmName'",
                "vdc_options has no HostedEngineVmName",
            ),
        ],
    )
    def test_what_is_not_clear_is_refused_and_nothing_changes(self, statement, message, database: Database):
        database.execute(statement)
        before = database.fingerprint()
        with pytest.raises(EngineBackupError) as refused:
            hosted_storage.remove_storage(database.login)
        assert refused.value.message == f"Failed cleaning hosted-engine: {message}"
        assert "--he-remove-storage-vm" in refused.value.hint
        assert database.fingerprint() == before

    def test_the_name_of_the_machine_is_the_engines(self, database: Database):
        name = 'it\'s "mine" %s ☃'
        quoted = name.replace("'", "''")
        database.execute(
            f"UPDATE vm_static SET vm_name = '{quoted}' WHERE vm_name = {HOSTED}",
            f"UPDATE vdc_options SET option_value = '{quoted}' WHERE option_name = 'HostedEngineVmName'",
        )
        assert hosted_storage.remove_storage(database.login).machine == name

    @pytest.mark.parametrize("table", sorted({name.partition(".")[0] for name in hosted_storage.NEEDED}))
    def test_without_a_table_that_finds_the_machine_nothing_is_removed(self, table, database: Database):
        database.execute(f"DROP TABLE {table} CASCADE")
        before = database.fingerprint()
        with pytest.raises(EngineBackupError, match=rf"this engine database has no {table}\."):
            hosted_storage.remove_storage(database.login)
        assert database.fingerprint() == before

    @pytest.mark.parametrize(
        "tables",
        [
            ("permissions",), ("snapshots",), ("vm_interface",), ("storage_domain_dynamic",),
            ("lun_storage_server_connection_map",), ("luns", "lun_storage_server_connection_map"),
            ("storage_server_connections", "lun_storage_server_connection_map"),
        ],
        ids=",".join,
    )  # fmt: skip
    def test_a_table_that_a_release_does_not_have_is_passed_over(self, tables, database: Database):
        database.execute(*(f"DROP TABLE {table} CASCADE" for table in tables))
        removal = hosted_storage.remove_storage(database.login)
        assert set(removal.passed_over) == set(tables)
        assert database.rows(f"SELECT FROM vm_static WHERE vm_name = {HOSTED}") == []

    def test_a_column_of_another_release_is_none_of_ours(self, database: Database):
        database.execute("ALTER TABLE vm_interface DROP COLUMN vmt_guid")
        assert hosted_storage.remove_storage(database.login).passed_over == ()

    def test_all_or_nothing(self, database: Database):
        database.execute(
            "CREATE TABLE mine (domain uuid REFERENCES storage_domain_static)",
            f"INSERT INTO mine VALUES ({HOSTED_DOMAIN})",
        )
        before = database.fingerprint()
        with pytest.raises(EngineBackupError) as failed:
            hosted_storage.remove_storage(database.login)
        assert failed.value.message.startswith("Failed cleaning hosted-engine: database 'engine_")
        assert database.fingerprint() == before


HA_HOSTS = "(SELECT vds_id FROM vds_statistics WHERE ha_configured AND ha_score IS NOT NULL)"


class TestHosts:
    def test_hosts_go_and_their_machines_are_down(self, database: Database):
        database.execute(
            f"UPDATE vm_dynamic SET migrating_to_vds = (SELECT min(vds_id::text)::uuid FROM {HA_HOSTS} h)"
            " WHERE run_on_vds NOT IN (SELECT vds_id FROM vds_statistics WHERE ha_configured)",
            f"INSERT INTO audit_log (vds_id, log_time, log_type, severity, message)"
            f" SELECT vds_id, now(), type, severity, 'planted' FROM {HA_HOSTS} h,"
            " (VALUES (9000, 10), (9005, 11), (9006, 10), (9000, 2)) v (type, severity)",
        )
        hosts = database.column(
            "SELECT vds_name FROM vds_static JOIN vds_statistics USING (vds_id) WHERE ha_configured"
        )
        running = database.column(f"SELECT vm_guid FROM vm_dynamic WHERE run_on_vds IN {HA_HOSTS}")
        others = database.rows(
            "SELECT vm_guid, status, run_on_vds FROM vm_dynamic"
            f" WHERE run_on_vds NOT IN {HA_HOSTS} ORDER BY 1"
        )
        assert len(hosts) == 2
        assert running
        assert others
        before = database.fingerprint()
        removal = hosted_hosts.remove_hosts(database.login)
        assert set(removal.hosts) == hosts
        assert removal.machines_down == len(running)
        down = "SELECT vm_guid FROM vm_dynamic WHERE run_on_vds IS NULL AND status = 0 AND exit_status = 0"
        assert running <= database.column(f"{down} AND exit_reason = 6 AND migrating_to_vds IS NULL")
        assert others == database.rows(
            "SELECT vm_guid, status, run_on_vds FROM vm_dynamic WHERE run_on_vds IS NOT NULL ORDER BY 1"
        )
        assert (
            database.rows(
                "SELECT FROM vm_dynamic WHERE migrating_to_vds IS NOT NULL AND run_on_vds IS NOT NULL"
            )
            == []
        )
        alerts = "SELECT log_type, severity FROM audit_log WHERE message = 'planted' AND deleted"
        assert set(database.rows(alerts)) == {(9000, 10), (9005, 11)}
        assert database.column("SELECT vds_name FROM vds_static") == {"host-03"}
        for table in ("vds_dynamic", "vds_statistics", "vds_spm_id_map"):
            assert len(database.rows(f"SELECT FROM {table}")) == 1, table
        assert len(database.rows("SELECT FROM permissions WHERE object_type_id = 3")) == 1
        changed = changed_tables(before, database.fingerprint())
        assert changed == {
            "audit_log", "permissions", "tags_vds_map", "vds_dynamic", "vds_interface", "vds_spm_id_map",
            "vds_static", "vds_statistics", "vm_dynamic",
        }  # fmt: skip

    def test_no_host_keeps_the_first_id(self, database: Database):
        """A host that stays has it here, in two pools."""
        database.execute(
            "DELETE FROM vds_spm_id_map",
            f"INSERT INTO storage_pool VALUES ({gid(1)}, 'second', '', 1, NULL, '4.7', false)",
            "INSERT INTO vds_spm_id_map SELECT p.id, 1, h.vds_id FROM storage_pool p, vds_static h"
            " WHERE h.vds_name = 'host-03'",
            "INSERT INTO vds_spm_id_map SELECT p.id, 7, h.vds_id FROM storage_pool p, vds_static h"
            " WHERE h.vds_name = 'host-02' AND p.name = 'Default'",
        )
        assert hosted_hosts.remove_hosts(database.login).ids_changed == 2
        # The numbers of hosts that are gone are free again.
        assert database.column("SELECT vds_spm_id FROM vds_spm_id_map") == {2}

    def test_the_order_is_that_of_the_product(self, database: Database):
        tables = ("tags_vds_map", "audit_log", "vds_statistics", "vds_dynamic", "vds_static", "permissions")
        watch(database, "vm_dynamic", *tables, "vds_spm_id_map")
        hosted_hosts.remove_hosts(database.login)
        assert watched(database) == ["vm_dynamic", "vm_dynamic", *tables, "vds_spm_id_map"]

    def test_without_such_hosts_none_goes(self, database: Database):
        database.execute("UPDATE vds_statistics SET ha_configured = false")
        before = database.fingerprint()
        removal = hosted_hosts.remove_hosts(database.login)
        assert (removal.hosts, removal.machines_down, removal.ids_changed) == ((), 0, 1)
        assert changed_tables(before, database.fingerprint()) == {"vds_spm_id_map"}

    @pytest.mark.parametrize(
        "statement",
        ["ALTER TABLE vds_statistics DROP COLUMN ha_configured", "DROP TABLE vds_statistics CASCADE"],
    )
    def test_a_release_without_hosted_engines_is_refused(self, statement, database: Database):
        database.execute(statement)
        before = database.fingerprint()
        with pytest.raises(
            EngineBackupError, match=r"this engine database has no vds_statistics\."
        ) as refused:
            hosted_hosts.remove_hosts(database.login)
        assert "--he-remove-" in refused.value.hint
        assert database.fingerprint() == before

    @pytest.mark.parametrize(
        "table", ["tags_vds_map", "audit_log", "vds_dynamic", "permissions", "vds_spm_id_map", "vm_dynamic"]
    )
    def test_a_table_that_a_release_does_not_have_is_passed_over(self, table, database: Database):
        database.execute(f"DROP TABLE {table} CASCADE")
        removal = hosted_hosts.remove_hosts(database.login)
        assert removal.passed_over == (table,)
        assert database.column("SELECT vds_name FROM vds_static") == {"host-03"}

    def test_an_old_database_knows_no_reason_for_a_machines_end(self, database: Database):
        database.execute("ALTER TABLE vm_dynamic DROP COLUMN exit_reason")
        assert hosted_hosts.remove_hosts(database.login).machines_down > 0

    def test_all_or_nothing(self, database: Database):
        database.execute(
            "CREATE TABLE mine (host uuid REFERENCES vds_static)",
            f"INSERT INTO mine SELECT vds_id FROM {HA_HOSTS} h",
        )
        before = database.fingerprint()
        with pytest.raises(EngineBackupError, match="Failed cleaning hosted-engine: database"):
            hosted_hosts.remove_hosts(database.login)
        assert database.fingerprint() == before


def test_names_are_not_told_without_end():
    many = tuple(f"vm-{number}" for number in range(MOST_NAMES + 3))
    assert names(many).endswith("vm-19 and 3 more")
    assert names(("a\x1b[2J", "b")) == "a\\x1b[2J, b"


def watch(database: Database, *tables: str) -> None:
    """Have the server note each statement that changes one of these tables, but not what cascades."""
    database.execute(
        "CREATE TABLE noted (number serial, name text)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN"
        " IF pg_trigger_depth() = 1 THEN INSERT INTO noted (name) VALUES (TG_TABLE_NAME); END IF;"
        " RETURN NULL; END'",
        *(
            f"CREATE TRIGGER note BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH STATEMENT EXECUTE PROCEDURE note()"
            for table in dict.fromkeys(tables)
        ),
    )


def watched(database: Database) -> list[str]:
    return [name for (name,) in database.rows("SELECT name FROM noted ORDER BY number")]
