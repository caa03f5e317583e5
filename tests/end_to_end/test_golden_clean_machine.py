"""Archives of the stock tool, restored on a machine where nothing is prepared.

Their conf files name localhost:5432, so each restore has a network of its own:
nothing but a loopback interface, and a PostgreSQL that the restore starts in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing

import pytest

from engine_backup.drivers import administrator
from engine_backup.drivers.engine_fixes import CHANGED_TABLES
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.model.components import BY_NAME, Kind
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.sample.compare import fingerprint_database
from tests.support import golden, real_process
from tests.support.clean_machine import clean_machine
from tests.support.machine import Machine, Result

PORT = 5432
OWN_NETWORK = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
HOSTED_ENGINE_CALL = ("--provision-all-databases", "--restore-permissions")
ACCEPTED_BY_4_5_7 = [
    "4.3.10.4-default",
    pytest.param("4.4.10.7-default", marks=pytest.mark.thorough),
    "4.5.7-default",
    pytest.param("4.5.7-small-size", marks=pytest.mark.thorough),
    pytest.param("4.5.7-uncompressed", marks=pytest.mark.thorough),
]
OF_THEIR_OWN_TIME = ["3.3.5-default", "3.4.4-default", "3.6.3.4-default", "4.0.6.3-default"]
WITH_REPORTS = [pytest.param("3.4.4-default", marks=pytest.mark.thorough), "3.6.3.4-default"]
REPORTS = "reports"
PROPERTIES = "var/lib/ovirt-engine-reports/build-conf/master.properties"

_GRANTED = (
    "SELECT DISTINCT grantee FROM information_schema.role_table_grants"
    " WHERE table_schema = 'public' AND grantee <> ALL (%s)"
)
_DATABASE_OWNER = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()"
# What a process in the restore's network does with log-ins on its standard input.
LOG_IN = """
import json, sys
import psycopg2
for login in json.load(sys.stdin):
    psycopg2.connect(
        host=login["host"], port=login["port"], user=login["user"], password=login["password"],
        dbname=login["database"],
    ).close()
"""


def _may_have_its_own_network() -> bool:
    try:
        return subprocess.run([*OWN_NETWORK, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(
    not _may_have_its_own_network(), reason="a network of our own takes unshare(1), ip(8) and root's rights"
)


@pytest.fixture
def machine() -> Iterator[Machine]:
    with clean_machine(PORT) as found:
        yield found


def restore(machine: Machine, name: str, *words: str) -> Result:
    """Restore an archive by a process that sees only its own network."""
    shutil.copy2(golden.archive(name), machine.archive)
    return real_process.run(machine.words("restore", *words), before=OWN_NETWORK).check()


def databases_in(name: str) -> list[str]:
    """Name the components whose database an archive's restore makes without further options."""
    found = golden.facts(name)["databases"]
    return [c for c in found if BY_NAME[c].kind is Kind.POSTGRES and c != REPORTS]


def logins(machine: Machine, name: str, components: Iterable[str]) -> dict[str, Credentials]:
    """Return ways to the databases from outside of the network: by the socket, which now trusts all."""
    cluster = LocalCluster(machine.root)
    facts = cluster.observe()
    (facts.data / "pg_hba.conf").write_text("local all all trust\n")
    cluster.reload()
    archived = golden.facts(name)["credentials"]
    return {
        c: Credentials(
            str(facts.socket_directory), PORT, archived[c]["user"], Secret(""), archived[c]["database"]
        )
        for c in components
    }


def query(machine: Machine, database: str, statement: str, *values: object) -> set[str]:
    facts = LocalCluster(machine.root).observe()
    with closing(administrator.connect(facts, database)) as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return {row[0] for row in cursor.fetchall()}


def check_databases(
    machine: Machine, name: str, uncompared: Collection[str] = (), components: Iterable[str] | None = None
) -> None:
    """Compare content, owners and grants with the JSON."""
    found = golden.facts(name)
    for component, login in logins(machine, name, components or databases_in(name)).items():
        expected = found["databases"][component]
        restored = fingerprint_database(login)
        tables = golden.tables_after_restore(found, component)
        assert _without(restored.tables, uncompared) == _without(tables, uncompared), component
        assert set(restored.owners.values()) == {login.user}
        assert expected["owners"] in ([], [login.user])
        assert query(machine, login.database, _DATABASE_OWNER) == {login.user}
        granted = query(machine, login.database, _GRANTED, [login.user, "PUBLIC"])
        # Plain dumps of old grant schema public to the administrator, no table.
        assert granted == set(expected["granted_roles"]) - {"postgres"}, component


def _without(tables: Mapping[str, tuple[int, str]], names: Collection[str]) -> dict[str, tuple[int, str]]:
    return {table: content for table, content in tables.items() if table not in names}


def check_roles_log_in(machine: Machine, name: str) -> None:
    """Each role that was made gets in over TCP with its password of the conf files, Grafana's reader too."""
    found = golden.facts(name)
    granted = {role for facts in found["databases"].values() for role in facts.get("granted_roles", [])}
    archived = found["credentials"].items()
    present = [login for c, login in archived if c in databases_in(name) or login["user"] in granted]
    network = ("nsenter", f"--target={LocalCluster(machine.root).observe().pid}", "--net", "--")
    subprocess.run([*network, sys.executable, "-c", LOG_IN], input=json.dumps(present), text=True, check=True)


@pytest.mark.parametrize("name", ACCEPTED_BY_4_5_7)
def test_restores_with_the_hosted_engine_call(name: str, machine: Machine):
    result = restore(machine, name, *HOSTED_ENGINE_CALL)
    assert "You should now run engine-setup." in result.stdout
    check_roles_log_in(machine, name)
    check_databases(machine, name)
    assert machine.leftovers() == []


@pytest.mark.parametrize("name", OF_THEIR_OWN_TIME)
def test_restores_where_its_release_is_installed(name: str, machine: Machine):
    version = golden.facts(name)["version"].strip()
    result = restore(machine, name, *HOSTED_ENGINE_CALL, f"--product-version={version}")
    # Those releases changed less of what they had restored.
    check_databases(machine, name, CHANGED_TABLES)
    left_out = REPORTS in golden.facts(name)["databases"]
    assert ("is restored only with --scope=reports" in result.stderr) == left_out
    assert not (machine.root / PROPERTIES).exists()


@pytest.mark.parametrize("name", WITH_REPORTS)
def test_reports_is_restored_when_its_scope_is_named(name: str, machine: Machine):
    version = golden.facts(name)["version"].strip()
    words = (*HOSTED_ENGINE_CALL, f"--product-version={version}", "--scope=all", "--scope=reportsdb")
    result = restore(machine, name, *words)
    assert "The product has no Reports any more: it is restored all the same" in result.stderr
    check_databases(machine, name, CHANGED_TABLES, [*databases_in(name), REPORTS])
    assert "dbPassword=RepPw-9aZ" in (machine.root / PROPERTIES).read_text()


def test_reports_alone(machine: Machine):
    """Its log-in stands in the archive only, because no release can write it any more."""
    name, words = "3.6.3.4-default", ("--scope=reportsdb", "--provision-reports-db")
    result = restore(machine, name, *words, "--product-version=3.6.3.4", "--restore-permissions")
    assert "- Reports database 'ovirt_engine_reports'" in result.stdout
    check_databases(machine, name, components=[REPORTS])
    assert not (machine.root / PROPERTIES).exists()


def test_an_option_for_reports_is_enough_to_ask_for_it(machine: Machine):
    name, words = "3.6.3.4-default", ("--provision-db", "--provision-dwh-db", "--provision-reports-db")
    restore(machine, name, *words, "--product-version=3.6.3.4", "--restore-permissions")
    check_databases(machine, name, CHANGED_TABLES, [*databases_in(name), REPORTS])
    assert (machine.root / PROPERTIES).exists()


def test_a_plain_restore_makes_the_databases_too(machine: Machine):
    restore(machine, "4.5.7-default")
    check_roles_log_in(machine, "4.5.7-default")
    check_databases(machine, "4.5.7-default")
