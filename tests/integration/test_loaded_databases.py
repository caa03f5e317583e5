"""Checks of databases that were loaded: a sound one passes, and every planted fault is named."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine_backup.drivers import inventory, row_counts
from engine_backup.drivers.interruption import Interruption
from engine_backup.drivers.loaded_sessions import reading
from engine_backup.drivers.postgres import session
from engine_backup.model.checks import Check, Outcome
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from tests.support import loaded
from tests.support.sample_machines import SampleMachine, SampleTemplate

ENGINE, DWH = "engine", "dwh"


@pytest.fixture(scope="module")
def machine(sample_template: SampleTemplate, tmp_path_factory) -> Iterator[SampleMachine]:
    with sample_template.machine(tmp_path_factory.mktemp("loaded") / "root") as made:
        yield made


@dataclass(frozen=True)
class Backup:
    """What a backup of the sample says is in its databases."""

    said: dict[str, dict[str, Any]]
    tables: dict[str, list[str]]


def saved(logins: dict[str, Credentials]) -> Backup:
    rows = {name: row_counts.count_rows(login) for name, login in logins.items()}
    said: dict[str, dict[str, Any]] = {}
    for name, login in logins.items():
        with session(login, "-c search_path=pg_catalog") as connection:
            said[name] = {"row_counts": rows[name], "object_counts": inventory.object_counts(connection)}
    return Backup(said, {name: list(found) for name, found in rows.items()})


@pytest.fixture(scope="module")
def backup(machine: SampleMachine) -> Backup:
    return saved(dict(machine.sample.credentials))


@pytest.fixture
def broken(machine: SampleMachine, backup: Backup) -> Iterator[Breaker]:
    """A copy of a database, to be broken; one for each test."""
    breaker = Breaker(machine, backup)
    yield breaker
    breaker.drop()


class Breaker:
    """Copies of the sample's databases under other names, of the same owners."""

    def __init__(self, machine: SampleMachine, backup: Backup) -> None:
        self._machine = machine
        self._backup = backup
        self._copies: dict[str, Credentials] = {}

    def red(self, statements: str, component: str = ENGINE, **fields: Any) -> dict[str, Check]:
        """Break a copy as the superuser; returns its checks that are red. `fields` go into the manifest."""
        found = self.checks(statements, component, **fields)
        return {name: check for name, check in found.items() if check.outcome.is_red}

    def checks(self, statements: str, component: str = ENGINE, **fields: Any) -> dict[str, Check]:
        login = self._copy(component)
        loaded.execute(self._machine.server, login.database, statements)
        found = loaded.drilled(
            self._machine.server,
            {component: login},
            said={component: {**self._backup.said[component], **fields}},
            tables={component: self._backup.tables[component]},
        )
        return {name: check for (_, name), check in loaded.checks(found).items()}

    def _copy(self, component: str) -> Credentials:
        login = self._machine.sample.credentials[component]
        copy = loaded.renamed(login, f"copy_of_{component}")
        self._copies[component] = copy
        loaded.execute_alone(
            self._machine.server,
            f'CREATE DATABASE {copy.database} TEMPLATE "{login.database}" OWNER "{login.user}"',
        )
        return copy

    def drop(self) -> None:
        for copy in self._copies.values():
            loaded.execute_alone(self._machine.server, f"DROP DATABASE {copy.database} WITH (FORCE)")


def test_a_sound_engine_passes(machine, backup):
    found = loaded.checks(loaded.drilled(machine.server, machine.sample.credentials, said=backup.said))
    assert {one.outcome for one in found.values()} == {Outcome.PASS}
    assert {name for _, name in found} >= {
        "tables", "objects", "row counts", "constraints", "indexes", "sequences", "owner",
        "references", "schema version",
    }  # fmt: skip


def test_without_counts_nothing_is_compared(machine):
    found = loaded.checks(loaded.drilled(machine.server, machine.sample.credentials))
    outcomes = {name: one.outcome for (_, name), one in found.items()}
    assert outcomes["row counts"] is outcomes["objects"] is Outcome.NOT_IN_ARCHIVE
    assert set(outcomes.values()) == {Outcome.PASS, Outcome.NOT_IN_ARCHIVE}


VM_3 = "(SELECT vm_guid FROM vm_static WHERE entity_type = 'VM' ORDER BY vm_name LIMIT 1)"
NOWHERE = "00000000-dead-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("statements", "check", "finding"),
    [
        ("DROP TABLE public.tags_vds_map", "tables", "public.tags_vds_map is missing"),
        (
            "DROP TABLE public.tags_vds_map; CREATE VIEW public.tags_vds_map AS SELECT 1 AS a;"
            " ALTER VIEW public.tags_vds_map OWNER TO engine",
            "tables",
            "public.tags_vds_map is a view, and no table",
        ),
        ("DROP INDEX public.idx_audit_log_vm_name", "objects", "indexes: "),
        ("ALTER TABLE public.users DROP CONSTRAINT users_pkey", "objects", "constraints: "),
        ("DROP VIEW public.vms_summary", "objects", "views: "),
        ("DELETE FROM vdc_options WHERE option_name = 'MultiLine'", "row counts", "public.vdc_options: "),
        ("INSERT INTO public.custom_blobs VALUES (-1, '', '')", "row counts", "public.custom_blobs: "),
        (
            "ALTER TABLE public.permissions ADD CONSTRAINT later FOREIGN KEY (ad_element_id)"
            " REFERENCES public.vm_static NOT VALID",
            "constraints",
            "foreign key later of public.permissions: broken by 16 rows",
        ),
        (
            "ALTER TABLE public.vm_static ADD CONSTRAINT small CHECK (mem_size_mb < 2048) NOT VALID",
            "constraints",
            "check small of public.vm_static: ",
        ),
        (
            "SELECT setval('public.audit_log_audit_log_id_seq', 5)",
            "sequences",
            "audit_log_audit_log_id_seq goes on with 6, but public.audit_log.audit_log_id has",
        ),
        (
            "ALTER VIEW public.vms_summary OWNER TO cfme_reader",
            "owner",
            "view public.vms_summary belongs to cfme_reader",
        ),
        ("ALTER FUNCTION touch_vm() OWNER TO postgres", "owner", "function public.touch_vm belongs to"),
        ("CREATE SCHEMA other AUTHORIZATION postgres", "owner", "schema other belongs to postgres"),
        (f"DELETE FROM vm_dynamic WHERE vm_guid = {VM_3}", "references", "has no row in vm_dynamic"),
        (
            "ALTER TABLE image_storage_domain_map"
            " DROP CONSTRAINT image_storage_domain_map_storage_domain_id_fkey;"
            f" UPDATE image_storage_domain_map SET storage_domain_id = '{NOWHERE}'",
            "references",
            f"lies on storage domain {NOWHERE}, which does not exist",
        ),
        (
            f"UPDATE permissions SET object_id = '{NOWHERE}' WHERE object_type_id = 3",
            "references",
            f"is for host {NOWHERE}, which does not exist",
        ),
        (
            f"UPDATE permissions SET role_id = '{NOWHERE}'",
            "references",
            f"gives role {NOWHERE}, which does not exist",
        ),
        ("UPDATE schema_version SET current = false", "schema version", "has 0 current rows"),
        ("UPDATE schema_version SET version = '04060010' WHERE current", "schema version", "newer than"),
        ("UPDATE schema_version SET version = 'x' WHERE current", "schema version", "version is 'x'"),
        (
            "ALTER TABLE schema_version RENAME TO other; CREATE VIEW schema_version AS"
            " SELECT '1' AS version, true AS current FROM (SELECT generate_series(1, 1000000000000)) AS g;"
            " GRANT SELECT ON schema_version TO PUBLIC",
            "schema version",
            "has 100 current rows",
        ),
    ],
)  # fmt: skip
def test_a_planted_fault_is_named(broken, statements, check, finding):
    red = broken.red(statements)
    assert any(finding in line for line in red[check].findings)


def test_nothing_else_turns_red_with_a_fault_that_changes_no_number(broken):
    assert set(broken.red(f"UPDATE permissions SET object_id = '{NOWHERE}' WHERE object_type_id = 3")) == {
        "references"
    }


def test_what_healthy_engines_leave_behind_is_told_and_no_fault(broken):
    statements = f"UPDATE permissions SET object_id = '{NOWHERE}' WHERE object_type_id = 2"
    check = broken.checks(statements)["references"]
    assert check.outcome is Outcome.PASS
    assert "12 rows left behind" in check.detail
    assert f"is for virtual machine {NOWHERE}, which does not exist" in check.detail


def test_a_database_that_nobody_can_log_in_to_is_not_proven(machine, backup):
    login = machine.sample.credentials["keycloak"]
    found = loaded.drilled(machine.server, {"keycloak": login}, said=backup.said)
    loaded.execute(machine.server, "postgres", f"ALTER ROLE {login.user} NOLOGIN")
    try:
        made = loaded.checks(found)
    finally:
        loaded.execute(machine.server, "postgres", f"ALTER ROLE {login.user} LOGIN")
    assert {name: check.outcome for name, check in made.items()} == {
        ("keycloak", "tables"): Outcome.COULD_NOT_RUN
    }


LYING = """
    CREATE FUNCTION lie(name text) RETURNS text IMMUTABLE LANGUAGE plpgsql
        AS 'BEGIN RETURN pg_catalog.clock_timestamp()::text; END';
    ALTER FUNCTION lie(text) OWNER TO engine;
    CREATE INDEX lying ON users (lie(name))
"""
FORGETFUL = """
    CREATE FUNCTION look_up(id uuid) RETURNS text IMMUTABLE LANGUAGE plpgsql
        AS 'BEGIN RETURN (SELECT r.name FROM roles r WHERE r.id = look_up.id); END';
    ALTER FUNCTION look_up(uuid) OWNER TO engine;
    CREATE INDEX forgetful ON permissions (look_up(role_id))
"""


def test_an_index_on_a_function_that_lies_is_found(broken):
    check = broken.red(LYING, object_counts={})["indexes"]
    assert check.outcome is Outcome.FAIL
    assert any("index public.lying of public.users: heap tuple" in line for line in check.findings)


def test_an_index_that_cannot_be_read_is_not_proven(broken):
    check = broken.red(FORGETFUL, object_counts={})["indexes"]
    assert check.outcome is Outcome.COULD_NOT_RUN
    (finding,) = check.findings
    assert finding.startswith("index public.forgetful of public.permissions could not be looked at: ")


def test_an_index_that_is_not_complete_is_found(broken):
    check = broken.red(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_audit_log_vm_name'::regclass"
    )["indexes"]
    assert "index public.idx_audit_log_vm_name of public.audit_log is not complete" in check.findings


def test_without_a_working_amcheck_indexes_are_not_proven_and_the_rest_is(broken):
    red = broken.red(
        "CREATE EXTENSION IF NOT EXISTS amcheck;"
        " ALTER EXTENSION amcheck DROP FUNCTION bt_index_check(regclass, boolean);"
        " DROP FUNCTION bt_index_check(regclass, boolean)"
    )
    assert {name: check.outcome for name, check in red.items()} == {"indexes": Outcome.COULD_NOT_RUN}
    assert "amcheck could not be used: " in red["indexes"].findings[0]


GREEDY = """
    CREATE FUNCTION public.grab(name text) RETURNS text LANGUAGE plpgsql AS '
        BEGIN
            BEGIN SET SESSION AUTHORIZATION postgres; EXCEPTION WHEN OTHERS THEN NULL; END;
            BEGIN RESET ROLE; EXCEPTION WHEN OTHERS THEN NULL; END;
            BEGIN ALTER ROLE engine SUPERUSER; EXCEPTION WHEN OTHERS THEN NULL; END;
            BEGIN COPY (SELECT 1) TO ''{mark}''; EXCEPTION WHEN OTHERS THEN NULL; END;
            RETURN name;
        END';
    CREATE FUNCTION public.greedy(name text) RETURNS text IMMUTABLE LANGUAGE plpgsql
        AS 'BEGIN RETURN public.grab(name); END';
    ALTER FUNCTION public.grab(text) OWNER TO engine;
    ALTER FUNCTION public.greedy(text) OWNER TO engine;
    SET SESSION AUTHORIZATION engine;
    CREATE INDEX greedy ON public.users (public.greedy(name));
    RESET SESSION AUTHORIZATION;
    ALTER TABLE public.users ADD CONSTRAINT greedy CHECK (public.greedy(name) IS NOT NULL) NOT VALID
"""


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that the server's account can write to."""
    with tempfile.TemporaryDirectory(prefix="loaded-", dir="/tmp") as directory:  # noqa: S108
        Path(directory).chmod(0o777)
        yield Path(directory)


def test_strangers_code_does_not_run_as_the_superuser(broken, machine, open_directory):
    red = broken.red(GREEDY.format(mark=open_directory / "mark"), object_counts={})
    assert list(open_directory.iterdir()) == []
    with closing(machine.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolsuper")
        assert cursor.fetchall() == [(machine.server.superuser,)]
    assert not red


def test_names_mean_what_postgresql_means_by_them(broken):
    """Everything is equal to everything, where the database's own settings count."""
    statements = f"""
        CREATE SCHEMA evil AUTHORIZATION engine;
        CREATE FUNCTION evil.yes(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR evil.= (FUNCTION = evil.yes, LEFTARG = uuid, RIGHTARG = uuid);
        ALTER FUNCTION evil.yes(uuid, uuid) OWNER TO engine;
        ALTER DATABASE copy_of_engine SET search_path = evil, pg_catalog;
        ALTER ROLE engine IN DATABASE copy_of_engine SET search_path = evil, pg_catalog;
        DELETE FROM vm_dynamic WHERE vm_guid = {VM_3}
    """
    assert "references" in broken.red(statements)


STUBBORN = (
    "CREATE FUNCTION stubborn() RETURNS int LANGUAGE plpgsql AS $$BEGIN LOOP BEGIN PERFORM pg_sleep(100);"
    " EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END$$"
)


@pytest.mark.parametrize("longest", [1.0, 100.0], ids=["too long", "interrupted"])
def test_what_catches_its_cancellation_ends_all_the_same(machine, longest):
    owner = machine.sample.credentials[DWH]
    loaded.execute(machine.server, owner.database, STUBBORN)
    interruption = Interruption()
    interrupter = threading.Timer(0.5, interruption.trigger)
    try:
        if longest == 100.0:
            interrupter.start()
        with (
            pytest.raises(EngineBackupError, match=r"terminating connection|closed the connection"),
            reading(owner, interruption, longest) as connection,
        ):
            connection.cursor().execute("SELECT public.stubborn()")
    finally:
        interrupter.cancel()
        loaded.execute(machine.server, owner.database, "DROP FUNCTION stubborn()")


def test_policies_on_rows_hide_nothing(broken):
    statements = """
        CREATE POLICY few ON permissions USING (false);
        ALTER TABLE permissions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY
    """
    with pytest.raises(EngineBackupError, match="row-level security"):
        broken.red(statements)


def test_rows_that_were_left_out_on_purpose_are_not_missed(broken):
    left_out = broken.checks("TRUNCATE audit_log", excluded_table_data=["public.audit_log"])["row counts"]
    assert left_out.outcome is Outcome.PASS
    assert "the rows of 1 table were left out on purpose" in left_out.detail


@pytest.mark.parametrize(("locked", "outcome"), [("false", Outcome.PASS), ("true", Outcome.FAIL)])
def test_the_change_log_of_keycloak_must_not_be_locked(broken, locked, outcome):
    lock = f"""
        CREATE TABLE databasechangeloglock (id integer PRIMARY KEY, locked boolean NOT NULL);
        ALTER TABLE databasechangeloglock OWNER TO ovirt_engine_keycloak;
        INSERT INTO databasechangeloglock VALUES (1, {locked})
    """
    assert broken.checks(lock, "keycloak", object_counts={})["change log"].outcome is outcome


def test_many_findings_are_cut(broken):
    red = broken.red(
        "ALTER TABLE vm_dynamic DISABLE TRIGGER ALL; DELETE FROM vm_dynamic; TRUNCATE vm_statistics"
    )
    assert len(red["references"].findings) <= 21
    assert any(line.startswith("and ") for line in red["references"].findings)
