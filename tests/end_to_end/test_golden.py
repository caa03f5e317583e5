"""Archives of the stock tool: verified, and restored into a real server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_backup.drivers import java_properties, postgres_programs
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME, Kind
from engine_backup.model.secret import Secret
from engine_backup.sample.compare import fingerprint_database
from tests.support import golden, golden_restored
from tests.support.machine import Machine, change_options, login

# Every row, file and grant is compared; Reports is asked for by name, because the product has it no more.
SCOPES = ("--scope=all", "--scope=reportsdb")


@pytest.mark.parametrize("name", golden.NAMES)
def test_verifies_and_is_left_as_it_was(name: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    shutil.copy2(golden.archive(name), machine.archive)
    before = machine.archive.stat()
    version = golden.facts(name)["version"].strip()
    result = machine.engine_backup("verify", f"--product-version={version}").check()
    after = machine.archive.stat()
    assert "Done." in result.stdout
    for component in golden.facts(name)["databases"]:
        assert f"- {BY_NAME[component].label} database" in result.stdout
    assert (before.st_mtime_ns, before.st_mode, before.st_size) == (
        after.st_mtime_ns,
        after.st_mode,
        after.st_size,
    )
    assert machine.leftovers() == []


@pytest.fixture(scope="module", params=postgres_programs.with_server(), ids=lambda found: str(found.major))
def server(request: pytest.FixtureRequest) -> Iterator[ScratchServer]:
    """A server of each version that is installed: dumps of PostgreSQL 8.4 and later must load into all."""
    with ScratchServer.start(programs=request.param) as found:
        for role in ("cfme_reader", "ovirt_engine_history_grafana"):
            found.create_role(role, Secret("reader"))
        yield found


@pytest.mark.parametrize("name", golden.NAMES)
def test_restores_completely(name: str, tmp_path: Path, server: ScratchServer) -> None:
    found = golden.facts(name)
    machine = Machine(tmp_path)
    machine.install()
    there_before = golden_restored.files_below(machine.root)
    shutil.copy2(golden.archive(name), machine.archive)
    databases = [c for c in found["databases"] if BY_NAME[c].kind is Kind.POSTGRES]
    prefix = "g" + name.replace(".", "").replace("-", "_")
    logins = {c: login(server, f"{prefix}_{c}", f"{prefix}_{c}") for c in databases}
    exact = () if golden.corrected_as_today(found) else ("--keep-temporary-data",)

    machine.engine_backup(
        "restore",
        f"--product-version={found['version'].strip()}",
        "--restore-permissions",
        *SCOPES,
        *exact,
        *change_options(logins, tmp_path),
    ).check()

    for component, credentials in logins.items():
        golden_restored.check_database(found, component, fingerprint_database(credentials))
    golden_restored.check_files(found, machine.root)
    golden_restored.check_as_stock(found, machine.root, there_before)
    golden_restored.check_apache(found, machine.root)
    if "grafana" in found["databases"]:
        golden_restored.check_grafana(found, machine.root, machine.archive)
    assert machine.leftovers() == []


OLD_REPORTS = "3.4.4-default"
PROPERTIES = "var/lib/ovirt-engine-reports/build-conf/master.properties"


def test_changed_credentials_of_reports_stand_in_its_properties(
    tmp_path: Path, postgres_server: ScratchServer
) -> None:
    machine = Machine(tmp_path)
    machine.install()
    shutil.copy2(golden.archive(OLD_REPORTS), machine.archive)
    logins = {"reports": login(postgres_server, "other reports", "other reports", " b\\s=#!:€ ")}
    words = ("--product-version=3.4.4", "--scope=files", *change_options(logins, tmp_path))
    machine.engine_backup("restore", *words, "--scope=reportsdb", "--no-restore-permissions").check()
    golden_restored.check_database(
        golden.facts(OLD_REPORTS), "reports", fingerprint_database(logins["reports"])
    )
    text = (machine.root / PROPERTIES).read_text()
    values = java_properties.parse(text, "")
    assert (values["dbUsername"], values["dbPassword"]) == ("other reports", " b\\s=#!:€ ")
    assert (values["js.dbName"], values["dbPort"]) == ("other reports", str(postgres_server.port))
    # The other lines stay, in their order.
    assert text.splitlines()[:3] == [
        "# connection of the reports server",
        "reportsHome=/var/lib/ovirt-engine-reports",
        "dbType=postgresql",
    ]
    copies = list((machine.root / PROPERTIES).parent.glob("master.properties.2*"))
    assert ["dbPassword=RepPw-9aZ" in copy.read_text() for copy in copies] == [True]


def test_changed_credentials_of_reports_where_it_is_not_set_up(
    tmp_path: Path, postgres_server: ScratchServer
) -> None:
    machine = Machine(tmp_path)
    machine.install()
    shutil.copy2(golden.archive(OLD_REPORTS), machine.archive)
    logins = {"reports": login(postgres_server, "reports_alone", "reports_alone")}
    words = ("--product-version=3.4.4", "--scope=reportsdb", *change_options(logins, tmp_path))
    result = machine.engine_backup("restore", *words).check()
    assert f"there is no /{PROPERTIES} here" in result.stderr
    assert "what the Reports database grants to postgres is not restored" in result.stderr
    assert not (machine.root / PROPERTIES).exists()
    golden_restored.check_database(
        golden.facts(OLD_REPORTS), "reports", fingerprint_database(logins["reports"])
    )
