from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from engine_backup.drivers import config_files
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.sample import compare, databases, engine, tree
from engine_backup.sample.engine import SampleEngine
from engine_backup.sample.size import TINY, Size


@pytest.fixture(scope="module")
def server() -> Iterator[ScratchServer]:
    with ScratchServer.start() as running:
        yield running


@pytest.fixture(scope="module")
def sample(server, tmp_path_factory) -> SampleEngine:
    return engine.build(tmp_path_factory.mktemp("engine") / "root", server, replace(TINY, hosted_engine=True))


@contextmanager
def cursor_of(server: ScratchServer, database: str, user: str, password: Secret) -> Iterator[Cursor]:
    """A cursor whose changes are undone."""
    with closing(server.connect(database, user, password)) as connection, connection.cursor() as cursor:
        yield cursor


def login_to(server: ScratchServer, login: Credentials) -> AbstractContextManager[Cursor]:
    return cursor_of(server, login.database, login.user, login.password)


def value(server: ScratchServer, sample: SampleEngine, component: str, statement: str) -> object:
    with login_to(server, sample.credentials[component]) as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
        assert row is not None
        return row[0]


def test_counts_follow_the_size(server, sample):
    assert value(server, sample, "engine", "SELECT count(*) FROM vm_static WHERE entity_type = 'VM'") == 12
    assert value(server, sample, "engine", "SELECT count(*) FROM vds_static") == sample.size.hosts
    assert value(server, sample, "engine", "SELECT count(*) FROM base_disks") == sample.size.disks
    assert value(server, sample, "engine", "SELECT count(*) FROM audit_log") == sample.size.events + 2
    expected = sample.size.sample_minutes * sample.size.vms
    assert value(server, sample, "dwh", "SELECT count(*) FROM vm_samples_history") == expected


def test_everything_belongs_to_the_components_own_role(sample):
    for name, found in compare.fingerprint_databases(sample.credentials).items():
        assert set(found.owners.values()) == {sample.credentials[name].user}


def test_the_same_size_gives_the_same_rows_on_another_server(sample, tmp_path):
    with ScratchServer.start() as other:
        twin = engine.describe(tmp_path, other, sample.size, sample.components)
        databases.create(other, twin)
        assert compare.fingerprint_databases(twin.credentials) == compare.fingerprint_databases(
            sample.credentials
        )


def test_names_stay_different_on_a_large_engine(tmp_path):
    with ScratchServer.start() as other:
        large = Size(vms=2100, days=1, events_a_day=1)
        twin = engine.describe(tmp_path, other, large, ("engine",))
        databases.create(other, twin)
        for table, column in (("vds_static", "vds_name"), ("vm_static", "vm_name")):
            assert value(other, twin, "engine", f"SELECT count(*) = count(DISTINCT {column}) FROM {table}")


def test_another_seed_gives_other_rows(sample, tmp_path):
    with ScratchServer.start() as other:
        twin = engine.describe(tmp_path, other, replace(sample.size, seed=2), ("engine",))
        databases.create(other, twin)
        ours = compare.fingerprint_database(sample.credentials["engine"])
        theirs = compare.fingerprint_database(twin.credentials["engine"])
        assert ours.tables["public.vm_static"] != theirs.tables["public.vm_static"]
        assert ours.definitions == theirs.definitions


@pytest.mark.parametrize(
    ("change", "undo", "field"),
    [
        (
            "UPDATE realm SET enabled = false WHERE id = 'master'",
            "UPDATE realm SET enabled = true WHERE id = 'master'",
            "tables",
        ),
        ("GRANT SELECT ON realm TO cfme_reader", "REVOKE SELECT ON realm FROM cfme_reader", "privileges"),
        (
            "ALTER TABLE realm ALTER enabled DROP DEFAULT",
            "ALTER TABLE realm ALTER enabled SET DEFAULT true",
            "definitions",
        ),
        ("CREATE SEQUENCE one_more", "DROP SEQUENCE one_more", "sequences"),
    ],
)
def test_fingerprints_see_every_change(server, sample, change, undo, field):
    login = sample.credentials["keycloak"]
    before = compare.fingerprint_database(login)
    with login_to(server, login) as cursor:
        cursor.connection.autocommit = True
        cursor.execute(change)
        changed = compare.fingerprint_database(login)
        assert getattr(changed, field) != getattr(before, field)
        cursor.execute(undo)
    assert compare.fingerprint_database(login) == before


def test_readers_have_their_grants_and_no_more(server, sample):
    with cursor_of(server, "engine", engine.READER_ROLE, sample.roles[engine.READER_ROLE]) as cursor:
        cursor.execute("SELECT count(*) FROM audit_log")
        cursor.execute("SELECT option_name FROM vdc_options LIMIT 1")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("SELECT option_value FROM vdc_options")
    password = sample.roles[engine.GRAFANA_ROLE]
    with cursor_of(server, "ovirt_engine_history", engine.GRAFANA_ROLE, password) as cursor:
        cursor.execute("SELECT count(*) FROM v4_5_latest_vm_status")


def test_the_backup_event_does_what_the_product_does(server, sample):
    with login_to(server, sample.credentials["engine"]) as cursor:
        for status in (0, 1):
            arguments = ("files", status, "text", sample.fqdn, "/log")
            cursor.execute("SELECT LogEngineBackupEvent(%s, now(), %s, %s, %s, %s)", arguments)
        cursor.execute("SELECT scope, is_passed, fqdn FROM engine_backup_log")
        assert cursor.fetchall() == [("files", True, sample.fqdn)]
        cursor.execute("SELECT count(*) FROM audit_log WHERE log_type IN (9024, 9025) AND NOT deleted")
        assert cursor.fetchone() == (2,)
        cursor.execute("SELECT deleted FROM audit_log WHERE log_type = 9022")
        assert cursor.fetchone() == (True,)


def test_a_hosted_engine_has_its_machine_on_its_own_domain(server, sample):
    with login_to(server, sample.credentials["engine"]) as cursor:
        cursor.execute(
            "SELECT d.storage_id, s.storage_name FROM all_disks_for_vms d"
            " JOIN vm_static v ON v.vm_guid = d.vm_id JOIN storage_domain_static s ON s.id = d.storage_id"
            " WHERE v.vm_name = 'HostedEngine'"
        )
        rows = cursor.fetchall()
        assert [name for _, name in rows] == ["hosted_storage"]
        cursor.execute("SELECT Force_Delete_storage_domain(%s)", (rows[0][0],))
        cursor.execute("SELECT count(*) FROM vm_static WHERE vm_name = 'HostedEngine'")
        assert cursor.fetchone() == (0,)
        cursor.execute("UPDATE vm_dynamic SET run_on_vds = NULL, migrating_to_vds = NULL")
        cursor.execute(
            "SELECT deletevds(vds_id) FROM vds_statistics WHERE ha_score IS NOT NULL AND ha_configured"
        )
        assert cursor.rowcount == 2


def test_conf_files_say_the_credentials_to_the_products_own_rules(sample):
    configuration = config_files.load(sample.root)
    for name, login in sample.credentials.items():
        read = config_files.credentials(configuration, BY_NAME[name])
        assert read is not None
        assert (read.user, read.password, read.database) == (login.user, login.password, login.database)
        assert (read.host, read.port) == (login.host, login.port)


def test_pointing_to_another_server_changes_only_the_conf_files(sample):
    before = compare.fingerprint_tree(sample.root)
    with ScratchServer.start() as other:
        moved = tree.point_to(sample, other)
    after = compare.fingerprint_tree(sample.root)
    changed = {name for name in before if before[name].content != after[name].content}
    assert changed
    assert all(name.endswith(".conf") for name in changed)
    assert moved.credentials["engine"].port == other.port


def test_the_tree_holds_what_breaks_tools(sample):
    found = compare.fingerprint_tree(sample.root)
    content = tree.CONTENT
    assert found[content + "setgid-dir"].mode == 0o2775
    assert found[content + "unreadable"].mode == (0 if os.geteuid() == 0 else 0o400)
    assert found[content + "hard-link"].links == 2
    assert found[content + "dangling"].content == "/nonexistent/target"
    assert os.fsdecode(os.fsencode(content) + b"odd/caf\xe9-latin1") in found
    sparse = Path(sample.root, content, "sparse/disk.img").stat()
    assert sparse.st_blocks * 512 < sparse.st_size
    assert all(name in found for name in tree.NEVER_SAVED)
    if os.geteuid() == 0:
        assert found[content + "original"].uid == 108


def test_trees_of_one_size_are_equal_but_for_certificates_and_ports(sample, server, tmp_path):
    twin = replace(sample, root=tmp_path / "twin")
    tree.create(twin)
    ours, theirs = compare.fingerprint_tree(sample.root), compare.fingerprint_tree(twin.root)
    assert set(ours) == set(theirs)
    assert {name: entry.mode for name, entry in ours.items()} == {
        name: entry.mode for name, entry in theirs.items()
    }
    tree.point_to(sample, server)


def test_certificates_and_stores_fit_together(sample):
    from cryptography.hazmat.primitives.serialization import pkcs12
    from cryptography.x509 import load_pem_x509_certificate

    pki = sample.root / "etc/pki/ovirt-engine"
    authority = load_pem_x509_certificate((pki / "ca.pem").read_bytes())
    certificate = load_pem_x509_certificate((pki / "certs/engine.cer").read_bytes())
    certificate.verify_directly_issued_by(authority)
    store = pkcs12.load_pkcs12((pki / "keys/engine.p12").read_bytes(), b"mypass")
    assert store.cert is not None
    assert store.cert.certificate == certificate
    assert store.cert.friendly_name == b"1"


@pytest.mark.parametrize("components", [("engine",), ("engine", "dwh", "cinderlib")])
def test_only_the_asked_components_are_there(tmp_path, components):
    with ScratchServer.start() as other:
        small = engine.build(tmp_path / "root", other, Size(vms=5, days=1), components)
    answers = (small.root / "etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf").read_text()
    assert set(small.credentials) == set(components)
    assert not (small.root / "var/lib/grafana").exists()
    for name in ("engine", "dwh", "cinderlib", "managedblock", "keycloak", "grafana"):
        assert (f"{BY_NAME[name].enabled_key}=bool:True" in answers) == (name in components)


def test_copies_of_a_machine_are_equal_and_their_own(sample_template, sample_machine, tmp_path):
    with sample_template.machine(tmp_path / "twin") as twin:
        ours = compare.fingerprint_databases(sample_machine.sample.credentials)
        theirs = compare.fingerprint_databases(twin.sample.credentials)
        assert twin.server.port != sample_machine.server.port
    assert ours == theirs
    assert all(found.tables for found in ours.values())


def test_a_clean_machine_has_the_passwords_and_nothing_else(restore_target):
    assert not restore_target.root.exists()
    for found in compare.fingerprint_databases(restore_target.sample.credentials).values():
        assert not found.tables
        assert not found.owners
