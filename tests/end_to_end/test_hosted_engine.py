"""Hosted engines: what is taken out of the database, and what hosted-engine's deployment does itself."""

from __future__ import annotations

import re
import shlex
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2
import pytest

from engine_backup.drivers import config_files, hosted_storage
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME
from engine_backup.model.facts import Credentials
from engine_backup.run.hosted_engine import HOSTS, REDEPLOY, STORAGE
from engine_backup.sample import engine
from engine_backup.sample.compare import fingerprint_database
from engine_backup.sample.engine import SampleEngine
from engine_backup.sample.size import TINY
from tests.support import golden
from tests.support.clean_machine import clean_machine
from tests.support.failures import Target, assert_failed
from tests.support.machine import Machine, Result, change_options, login
from tests.support.pages import DOCS, block

BOTH = ("--he-remove-storage-vm", "--he-remove-hosts")
PROVISION = ("--provision-all-databases", "--restore-permissions")
PAGE = DOCS / "hosted-engine.md"


@dataclass(frozen=True)
class Gone:
    """A hosted engine that is no more, and its backup, which names a port that is free now."""

    sample: SampleEngine
    archive: Path
    port: int


@pytest.fixture(scope="module")
def gone(tmp_path_factory: pytest.TempPathFactory) -> Gone:
    machine = Machine(tmp_path_factory.mktemp("gone"))
    with ScratchServer.start() as server:
        sample = engine.build(machine.root, server, replace(TINY, hosted_engine=True))
        machine.engine_backup("backup").check()
        return Gone(sample, machine.archive, server.port)


@pytest.fixture
def machine(gone: Gone) -> Iterator[Machine]:
    with clean_machine(gone.port) as found:
        shutil.copy2(gone.archive, found.archive)
        yield found


def restored_login(machine: Machine) -> Credentials:
    """Return how the restored conf files say to log in to the engine's database."""
    found = config_files.credentials(config_files.load(machine.root), BY_NAME["engine"])
    assert found is not None
    return found


def query(credentials: Credentials, *statements: str) -> list[tuple]:
    """Run statements in one transaction, and return what the last one gives."""
    connection = psycopg2.connect(
        host=credentials.host, port=credentials.port, user=credentials.user,
        password=credentials.password.reveal(), dbname=credentials.database,
    )  # fmt: skip
    with closing(connection), connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def names(credentials: Credentials, column: str, table: str) -> set[str]:
    return {name for (name,) in query(credentials, f"SELECT {column} FROM {table}")}


def check_cleaned(credentials: Credentials) -> None:
    assert "HostedEngine" not in names(credentials, "vm_name", "vm_static")
    assert "hosted_storage" not in names(credentials, "storage_name", "storage_domain_static")
    assert "nas.lab.example:/exports/he" not in names(credentials, "connection", "storage_server_connections")
    assert names(credentials, "vds_name", "vds_static") == {"host-03"}


@pytest.mark.parametrize("more", [(), ("--keep-temporary-data",)], ids=["", "temporary data kept"])
def test_a_restore_without_the_old_machine_storage_and_hosts(more, machine: Machine):
    result = machine.engine_backup("restore", *PROVISION, *BOTH, *more).check()
    lines = result.stdout.splitlines()
    storage, hosts, redeploy = (lines.index(line) for line in (STORAGE, HOSTS, REDEPLOY))
    engine_line = next(n for n, line in enumerate(lines) if line.startswith("- Engine database '"))
    assert engine_line < storage < hosts < redeploy < lines.index("You should now run engine-setup.")
    assert [line for line in lines if "Resetting HA VM" in line] == (
        [] if more else ["  - Resetting HA VM status"]
    )
    if not more:
        assert lines.index("  - Resetting HA VM status") < storage
    assert "hosted-engine storage domain" not in result.stderr
    credentials = restored_login(machine)
    check_cleaned(credentials)
    assert query(credentials, "SELECT count(*) FROM job") == [(4 if more else 0,)]
    machine_states = query(
        credentials, "SELECT count(*), count(run_on_vds) FROM vm_dynamic WHERE exit_reason = 6"
    )
    assert machine_states[0][0] > machine_states[0][1] == 0
    assert machine.leftovers() == []


def test_one_without_the_other(machine: Machine, gone: Gone):
    result = machine.engine_backup("restore", *PROVISION, "--he-remove-hosts").check()
    assert STORAGE not in result.stdout
    credentials = restored_login(machine)
    assert names(credentials, "vds_name", "vds_static") == {"host-03"}
    assert "HostedEngine" in names(credentials, "vm_name", "vm_static")


def test_the_plan_names_it_and_connects_there(machine: Machine):
    result = machine.engine_backup("restore", *PROVISION, *BOTH, "--dry-run").check()
    lines = result.stdout.splitlines()
    order = [next(n for n, line in enumerate(lines) if text in line) for text in (
        "clean up temporary data in the Engine database",
        "remove the hosted-engine storage domain, all its entities and the hosted-engine VM from",
        "remove all hosted-engine hosts from",
        "put ",
    )]  # fmt: skip
    assert order == sorted(order)


class TestUndone:
    def test_an_engine_that_is_not_hosted(self, target: Target):
        """The target of these tests is empty databases, which must be empty again."""
        result = target.restore(*BOTH)
        assert_failed(
            result, 1, "Failed cleaning hosted-engine: VM HostedEngine not found", "--he-remove-storage-vm"
        )
        assert "nothing in the backup says that it is one of a hosted engine" in result.stderr
        target.assert_untouched()

    def test_a_clean_machine(self, machine: Machine, gone: Gone):
        """Storage is gone already when the hosts cannot go: none of the databases gets its name."""
        with ScratchServer.start() as server:
            directory = machine.directory / "older"
            older = Machine(directory)
            sample = engine.build(older.root, server, TINY, ("engine",))
            query(
                sample.credentials["engine"],
                "UPDATE vm_static SET vm_name = 'HostedEngine' WHERE vm_guid = (SELECT vm_id FROM vm_device"
                " WHERE type = 'disk' GROUP BY vm_id HAVING count(*) = 1 LIMIT 1)",
                "ALTER TABLE vds_statistics DROP COLUMN ha_configured",
            )
            older.engine_backup("backup").check()
            port = server.port
        with clean_machine(port) as found:
            shutil.copy2(older.archive, found.archive)
            result = found.engine_backup("restore", *PROVISION, *BOTH)
            message = "this engine database has no vds_statistics.ha_configured"
            assert_failed(result, 1, message, "leave --he-remove-* out")
            assert STORAGE in result.stdout
            assert "held the disks of other VMs too" in result.stderr
            assert not LocalCluster(found.root).observe().initialised
            assert not (found.root / "etc/ovirt-engine").exists()
            assert found.leftovers() == []


@pytest.mark.parametrize("scope", ["dwhdb", "files"])
def test_without_the_engines_database_it_is_only_a_warning(scope: str, target: Target):
    result = target.machine.engine_backup("restore", f"--scope={scope}", *BOTH, "--dry-run", *change_options(
        {"dwh": target.logins["dwh"]} if scope == "dwhdb" else {}, target.machine.directory
    ), "--no-restore-permissions").check()  # fmt: skip
    text = (
        "no engine database is restored: nothing is removed by --he-remove-storage-vm and --he-remove-hosts"
    )
    assert text in result.stderr
    assert "hosted-engine hosts from" not in result.stdout


@pytest.mark.parametrize("name", [n for n in golden.NAMES if "engine" in golden.facts(n)["databases"]])
def test_archives_of_stock(name: str, tmp_path: Path, postgres_server: ScratchServer):
    """Their hosted-engine VM has two disks, so nobody can say what is its storage domain."""
    machine = Machine(tmp_path)
    machine.install()
    shutil.copy2(golden.archive(name), machine.archive)
    role = "he" + re.sub(r"\W", "_", name)
    credentials = login(postgres_server, role, role)

    def restore(*words: str) -> Result:
        version = golden.facts(name)["version"].strip()
        return machine.engine_backup(
            "restore", "--scope=db", f"--product-version={version}", "--no-restore-permissions",
            *words, *change_options({"engine": credentials}, tmp_path),
        )  # fmt: skip

    assert_failed(restore(*BOTH), 1, "Failed cleaning hosted-engine: VM HostedEngine disk not unique")
    assert fingerprint_database(credentials).tables == {}
    restore("--he-remove-hosts").check()
    before = golden.tables_of_dump(golden.facts(name), "engine")["public.vds_static"][0]
    assert fingerprint_database(credentials).tables["public.vds_static"][0] < before


def test_deployment_with_a_backup(machine: Machine, gone: Gone):
    """What hosted-engine's deployment does with a backup, step by step (docs/hosted-engine.md)."""
    assert fqdn_as_deployment_reads_it(machine.archive) == gone.sample.fqdn
    log = machine.root / "var/log/ovirt-engine/setup/restore-backup-20261122112038.log"
    log.parent.mkdir(parents=True)
    result = machine.command(*(role_word(word, machine) for word in role_words()), *machine_words(machine))
    result.check()
    assert result.stderr.count("FATAL") == 0
    assert log.is_file()
    assert STORAGE not in result.stdout
    credentials = restored_login(machine)
    unique, host = query(
        credentials, "SELECT vds_unique_id, vds_id FROM vds_static WHERE vds_name = 'host-01'"
    )[0]
    # Nothing runs on the host that is deployed.
    query(credentials, f"UPDATE vm_dynamic SET run_on_vds = NULL WHERE run_on_vds = '{host}'")
    query(credentials, "UPDATE vm_dynamic SET migrating_to_vds = NULL")
    query(credentials, block(PAGE, "what the role changes").replace("ID OF THE HOST", unique))
    assert query(credentials, "SELECT count(*) FROM vm_static WHERE origin = 6") == [(0,)]
    assert names(credentials, "vds_name", "vds_static") == {"host-02", "host-03"}
    storage = names(credentials, "storage_name", "storage_domain_static")
    assert "hosted_storage" not in storage
    assert any(name.startswith("hosted_storage_old_") for name in storage)
    fence = "SELECT option_value FROM vdc_options WHERE option_name = 'DisableFenceAtStartupInSec'"
    assert query(credentials, fence) == [("86400",)]


def fqdn_as_deployment_reads_it(archive: Path) -> str:
    """Return the last name in the sorted conf files, read by nothing but tarfile (reference 11)."""
    found = []
    with tarfile.open(archive, "r") as outer, tarfile.open(fileobj=outer.extractfile("./files")) as inner:
        confs = (m for m in inner if re.match(r"^etc/ovirt-engine/engine.conf.d/.*conf$", m.name))
        for member in sorted(confs, key=lambda m: m.name):
            text = inner.extractfile(member).read().decode()
            found += re.findall(r"^ENGINE_FQDN=(\S+)$", text, re.MULTILINE)
    return found[-1]


def role_words() -> list[str]:
    command, *words = shlex.split(block(PAGE, "the call of the role").replace("\\\n", " "))
    assert command == "engine-backup"
    return words


def role_word(word: str, machine: Machine) -> str:
    """Return a word of the call with its file below the machine's root."""
    option, _, value = word.partition("=")
    if option == "--file":
        return f"--file={machine.archive}"
    return f"{option}={machine.root}{value}" if value.startswith("/") else word


def machine_words(machine: Machine) -> list[str]:
    return [f"--root={machine.root}", f"--tmpdir={machine.temporary}"]


def test_the_guide_names_each_message():
    text = PAGE.read_text(encoding="utf-8")
    for name, _ in hosted_storage.REMOVALS:
        assert f"`{name.partition('.')[0]}`" in text, name
    for message in (
        "not found",
        "not unique",
        "this engine database has no",
        "vdc_options has no HostedEngineVmName",
    ):
        assert message in text
    assert REDEPLOY.strip(" -") in text.replace("\n", " ")
