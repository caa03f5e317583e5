"""`drill` and the databases of an archive: each planted fault turns it red, with a line that names it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.drills import DrillSite, drill_site, red
from tests.support.planted_rows import broken_archive
from tests.support.rebuilt_archives import taken_apart
from tests.support.sample import Original

RED = 10
NOWHERE = "00000000-dead-0000-0000-000000000000"
VM = "(SELECT vm_guid FROM vm_static WHERE entity_type = 'VM' ORDER BY vm_name LIMIT 1)"
DATABASE_CHECKS = {
    "tables", "objects", "row counts", "constraints", "indexes", "sequences", "owner",
}  # fmt: skip


@pytest.fixture
def site() -> Iterator[DrillSite]:
    with drill_site() as made:
        yield made


def checks(document: dict[str, Any]) -> dict[str, str]:
    return {f"{c['subject']} {c['name']}": c["outcome"] for c in document["checks"]}


def test_a_backup_of_the_sample_passes_every_check(original: Original, site: DrillSite):
    shutil.copy2(original.machine.archive, site.archive)
    status, document = site.document()
    assert status == 0, red(document)
    found = checks(document)
    for component in original.sample.credentials:
        assert {found[f"{component} {name}"] for name in DATABASE_CHECKS} == {"pass"}
    for which in ("engine references", "engine schema version", "dwh schema version"):
        assert found[which] == "pass"


def test_rows_that_were_left_out_on_purpose_are_not_missed(original: Original, site: DrillSite):
    words = ("--exclude-table-data=engine:audit_log", f"--file={site.archive}")
    original.machine.engine_backup("backup", *words).check()
    status, document = site.document()
    assert status == 0, red(document)
    details = {f"{c['subject']} {c['name']}": c["detail"] for c in document["checks"]}
    assert "the rows of 1 table were left out on purpose" in details["engine row counts"]


FAULTS = {
    "a missing table": (
        "DROP TABLE public.tags_vds_map",
        "engine: tables",
        "public.tags_vds_map is missing",
    ),
    "a row short": (
        "DELETE FROM public.custom_blobs WHERE blob_id = 7",
        "engine: row counts",
        "public.custom_blobs: 19 rows, the backup had 20",
    ),
    "an orphan under a foreign key": (
        f"SET session_replication_role = replica; UPDATE cluster SET storage_pool_id = '{NOWHERE}'",
        "engine: load",
        "violates foreign key constraint",
    ),
    "an orphan under a foreign key that nobody looks at": (
        "ALTER TABLE permissions ADD CONSTRAINT unseen FOREIGN KEY (object_id)"
        " REFERENCES vds_static NOT VALID",
        "engine: constraints",
        "foreign key unseen of public.permissions: broken by 13 rows",
    ),
    "an index on a function that lies": (
        "CREATE FUNCTION lie(name text) RETURNS text IMMUTABLE LANGUAGE plpgsql"
        " AS 'BEGIN RETURN pg_catalog.clock_timestamp()::text; END';"
        " CREATE INDEX lying ON users (lie(name))",
        "engine: indexes",
        "index public.lying of public.users: heap tuple",
    ),
    "an index that is not there": (
        "DROP INDEX public.idx_audit_log_vm_name",
        "engine: objects",
        "indexes: ",
    ),
    "a primary key that is not there": (
        "ALTER TABLE public.audit_log DROP CONSTRAINT audit_log_pkey",
        "engine: objects",
        "constraints: ",
    ),
    "a machine that is only half there": (
        f"DELETE FROM vm_dynamic WHERE vm_guid = {VM}",
        "engine: references",
        "has no row in vm_dynamic",
    ),
    "a disk on a storage domain that is missing": (
        "ALTER TABLE image_storage_domain_map"
        " DROP CONSTRAINT image_storage_domain_map_storage_domain_id_fkey;"
        f" UPDATE image_storage_domain_map SET storage_domain_id = '{NOWHERE}'",
        "engine: references",
        f"lies on storage domain {NOWHERE}, which does not exist",
    ),
    "a permission on something that is missing": (
        f"UPDATE permissions SET object_id = '{NOWHERE}' WHERE object_type_id = 3",
        "engine: references",
        f"is for host {NOWHERE}, which does not exist",
    ),
    "a sequence behind its table": (
        "SELECT setval('public.audit_log_audit_log_id_seq', 5)",
        "engine: sequences",
        "sequence public.audit_log_audit_log_id_seq goes on with 6",
    ),
    "a schema of a later release": (
        "UPDATE schema_version SET version = '04060010' WHERE current",
        "engine: schema version",
        "the schema is 04_06_0010, newer than release 4.5",
    ),
}


# One makes the load fail, so that nothing else is found; one forbids what another does; and where a column
# has no index, nobody looks whether its sequence is behind.
ALONE = (
    "an orphan under a foreign key",
    "an orphan under a foreign key that nobody looks at",
    "a primary key that is not there",
)


def test_planted_faults_are_named_all_at_once(original: Original, site: DrillSite):
    together = [found for fault, found in FAULTS.items() if fault not in ALONE]
    broken_archive(original, "engine", "; ".join(statements for statements, _, _ in together), site.archive)
    status, document = site.document()
    assert status == RED
    for _, which, finding in together:
        assert finding in red(document)[which]


@pytest.mark.parametrize(
    "fault",
    [fault if fault in ALONE else pytest.param(fault, marks=pytest.mark.thorough) for fault in FAULTS],
)
def test_a_planted_fault_is_named(fault: str, original: Original, site: DrillSite):
    statements, which, finding = FAULTS[fault]
    broken_archive(original, "engine", statements, site.archive)
    status, document = site.document()
    assert status == RED
    assert finding in red(document)[which]


def test_a_fault_in_a_plain_dump_of_old_is_named(site: DrillSite):
    parts = taken_apart("3.3.5-default")
    dump = parts.members["db/engine_backup.db"]
    at = dump.index(b"\nCOPY vm_dynamic ")
    row = dump.index(b"\n", at + 1)
    end = dump.index(b"\n", row + 1)
    site.archive.write_bytes(parts.but({"db/engine_backup.db": dump[:row] + dump[end:]}).content())
    status, document = site.document("--product-version=3.3.5")
    assert status == RED
    assert "has no row in vm_dynamic" in red(document)["engine: references"]
