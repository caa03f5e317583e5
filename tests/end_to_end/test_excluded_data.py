"""Backups without the rows of some tables: the rest is whole, and everybody is told."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from engine_backup.drivers import postgres
from engine_backup.model.errors import ExitStatus
from engine_backup.sample.compare import BACKUP_EVENTS, fingerprint_databases
from tests.support.drills import drill_site
from tests.support.machine import Machine, change_options, login
from tests.support.sample import Original
from tests.support.sample import clean_machine as clean_original

SAMPLES = {"public.vm_samples_history", "public.host_samples_history"}
WAYS = {
    "kind of history": ("--dwh-exclude=samples",),
    "pattern": ("--exclude-table-data=dwh:*_samples_history",),
    "names": (
        "--exclude-table-data=dwh:public.vm_samples_history",
        "--exclude-table-data=dwh:host_sample?_history",
    ),
}


@pytest.fixture
def again(original: Original, tmp_path: Path) -> Machine:
    """The same engine, backed up to another place."""
    machine = Machine(tmp_path / "again")
    machine.root.rmdir()
    machine.root.symlink_to(original.machine.root)
    return machine


def inspected(machine: Machine) -> dict:
    found = json.loads(machine.command("inspect", "--json", str(machine.archive)).check().stdout)
    return next(c for c in found["components"] if c["name"] == "dwh")["database"]


@pytest.mark.parametrize("dump_format", ["custom", "plain"])
@pytest.mark.parametrize("way", WAYS)
def test_rows_are_left_out_and_the_rest_is_whole(
    way: str, dump_format: str, original: Original, again: Machine, tmp_path: Path
):
    told = again.engine_backup(
        "backup", "--scope=dwhdb", f"--dwh-db-dump-format={dump_format}", *WAYS[way]
    ).check()
    assert "without the rows of public.host_samples_history, public.vm_samples_history" in told.stdout
    assert set(inspected(again)["excluded_table_data"]) == SAMPLES

    machine = clean_original(original, tmp_path / "target")
    machine.archive.write_bytes(again.archive.read_bytes())
    mark = f"left{abs(hash(str(tmp_path))) % 10**9}"
    logins = {"dwh": login(original.server, mark, mark)}
    words = ("--scope=dwhdb", "--no-restore-permissions", *change_options(logins, machine.directory))
    restored = machine.engine_backup("restore", *words).check()
    assert (
        "the backup has no rows of these tables of the DWH database: public.host_samples" in restored.stderr
    )

    before = original.databases["dwh"].tables
    now = fingerprint_databases(logins, BACKUP_EVENTS)["dwh"].tables
    assert {name for name in before if now[name] != before[name]} == SAMPLES
    assert {now[name][0] for name in SAMPLES} == {0}
    assert all(before[name][0] for name in SAMPLES)


def test_a_drill_of_it_is_green_and_says_so(original: Original, again: Machine):
    again.engine_backup("backup", "--dwh-exclude=samples", "--dwh-exclude=hourly").check()
    with drill_site() as site:
        site.archive.write_bytes(again.archive.read_bytes())
        drilled = site.drill().check()
    assert "the backup has no rows of these tables of the DWH database" in drilled.stderr
    assert "left out on purpose" in drilled.stdout


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--exclude-table-data=dwh:no_such_*", "the DWH database has no table that 'no_such_*' names"),
        (
            "--exclude-table-data=engine:vm_static",
            "rows of public.vm_static cannot be left out: public.",
        ),
    ],
)
def test_what_cannot_be_left_out_is_refused(option: str, message: str, again: Machine):
    result = again.engine_backup("backup", option)
    assert result.status is ExitStatus.REFUSED
    assert message in result.stderr
    assert not again.archive.exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--dwh-exclude=everything", "invalid history 'everything' for --dwh-exclude"),
        ("--exclude-table-data=audit_log", "invalid tables 'audit_log'"),
        ("--exclude-table-data=nobody:x", "invalid tables 'nobody:x'"),
        ("--exclude-table-data=engine:", "invalid tables 'engine:'"),
    ],
)
def test_what_makes_no_sense_is_said(option: str, message: str, again: Machine):
    result = again.engine_backup("backup", option)
    assert result.status is ExitStatus.FAILURE
    assert message in result.stderr


def test_an_option_for_a_database_that_is_not_saved_is_a_warning(again: Machine):
    result = again.engine_backup("backup", "--scope=files", "--dwh-exclude=samples").check()
    assert "--dwh-exclude=samples has no effect: the DWH database is not saved" in result.stderr


def test_names_that_look_like_patterns_are_names(original: Original, again: Machine):
    """A table `odd*` is not `odder` too, whatever pg_dump takes for a pattern."""
    credentials = original.sample.credentials["keycloak"]
    names = ("odd*", "odder", 'odd"x')
    with closing(postgres.connect(credentials)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for name in names:
            quoted = name.replace('"', '""')
            cursor.execute(f'CREATE TABLE "{quoted}" AS SELECT 1 AS one')
        try:
            option = "--exclude-table-data=keycloak:odd?"
            again.engine_backup("backup", "--scope=keycloakdb", "--keycloak-db-dump-format=plain",
                                "--keycloak-db-compressor=None", option).check()  # fmt: skip
        finally:
            for name in names:
                quoted = name.replace('"', '""')
                cursor.execute(f'DROP TABLE "{quoted}"')
    text = again.archive.read_bytes()
    assert b"COPY public.odder (one) FROM stdin;" in text
    assert b'COPY public."odd""x" (one) FROM stdin;' in text
    assert b'CREATE TABLE public."odd*"' in text
    assert b'COPY public."odd*"' not in text
