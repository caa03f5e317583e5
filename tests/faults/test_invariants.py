"""The checker of invariants itself: every difference that is planted is reported, by its name."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, contextmanager

import pytest

from tests.faults.bench import Bench
from tests.faults.ground import OLD, Ground
from tests.faults.invariants import as_complete, differences, leftovers, snapshot

NOTES = "etc/ovirt-engine/engine.conf.d/99-mine.conf"
CONTENT = "var/lib/ovirt-engine/content/original"


def _keeping_times(bench: Bench, name: str, change: Callable[[object], object]) -> None:
    """Change a file, and give it its times back."""
    path = bench.places.root / name
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _link_elsewhere(bench: Bench) -> None:
    path = bench.places.root / "etc/ovirt-engine/notifier/notifier.conf.d/20-lab.conf"
    before = path.lstat()
    path.unlink()
    path.symlink_to("nowhere")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns), follow_symlinks=False)


FILE_CHANGES: dict[str, tuple[str, Callable[[Bench], object]]] = {
    "content": (NOTES, lambda b: _keeping_times(b, NOTES, lambda p: p.write_text("MINE=2\n"))),
    "mode": (NOTES, lambda b: (b.places.root / NOTES).chmod(0o604)),
    "owner": (NOTES, lambda b: os.chown(b.places.root / NOTES, 7, 7)),
    "time": (NOTES, lambda b: os.utime(b.places.root / NOTES, ns=(1, 1))),
    "second name": (CONTENT, lambda b: (b.places.root / "var/lib/ovirt-engine/content/hard-link").unlink()),
    "link's target": ("20-lab.conf", _link_elsewhere),
    "gone": (NOTES, lambda b: (b.places.root / NOTES).unlink()),
    "new": ("etc/new-file", lambda b: (b.places.root / "etc/new-file").touch()),
    "directory's mode": ("etc/ovirt-engine", lambda b: (b.places.root / "etc/ovirt-engine").chmod(0o700)),
    "directory's time": ("etc/ovirt-engine", lambda b: os.utime(b.places.root / "etc/ovirt-engine", (1, 1))),
    "the server's file": ("pg_hba.conf", lambda b: (b.places.data / "pg_hba.conf").chmod(0o640)),
    "a copy of the server's file": ("pg_hba.conf.2", lambda b: (b.places.data / "pg_hba.conf.2").touch()),
    "a service stopped": ("grafana-server", lambda b: (b.places.units / "grafana-server.active").unlink()),
    "a server disabled": ("postgresql", lambda b: (b.places.units / "postgresql.enabled").unlink()),
}


SERVER_CHANGES = {
    "row": ("engine", "UPDATE mine.notes SET note = 'changed'", "mine.notes"),
    "new table": ("engine", "CREATE TABLE public.new_table ()", "new_table"),
    "object's owner": ("engine", "ALTER TABLE mine.notes OWNER TO cfme_reader", "mine.notes"),
    "object's ACL": ("engine", "REVOKE SELECT ON mine.notes FROM cfme_reader", "mine.notes"),
    "column": ("engine", "ALTER TABLE mine.notes ALTER number SET NOT NULL", "mine.notes"),
    "schema": ("engine", "ALTER SCHEMA mine OWNER TO cfme_reader", "schema"),
    "sequence": ("engine", "SELECT nextval('public.vdc_options_option_id_seq')", "vdc_options_option_id_seq"),
    "large object": ("engine", "SELECT lo_unlink(4711)", "4711"),
    "extension": ("engine", 'DROP EXTENSION "uuid-ossp" CASCADE', "uuid-ossp"),
    "default ACL": (
        "engine",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO cfme_reader",
        "default privilege",
    ),
    "comment": ("engine", "COMMENT ON TABLE mine.notes IS 'a comment'", "comment"),
    "database's owner": ("postgres", "ALTER DATABASE engine OWNER TO keeper", "database engine"),
    "database's ACL": ("postgres", "REVOKE TEMPORARY ON DATABASE engine FROM PUBLIC", "database engine"),
    "database's setting": ("postgres", "ALTER DATABASE engine RESET work_mem", "setting engine"),
    "database's name": (
        "postgres",
        "ALTER DATABASE ovirt_managedblock RENAME TO other",
        "ovirt_managedblock",
    ),
    "new database": ("postgres", "CREATE DATABASE engine_restoring_1", "engine_restoring_1"),
    "password": ("postgres", "ALTER ROLE engine PASSWORD 'another'", "role engine"),
    "log-in": ("postgres", "ALTER ROLE ovirt_engine_history_grafana LOGIN", "ovirt_engine_history_grafana"),
    "role's limit": ("postgres", "ALTER ROLE ovirt_engine_keycloak CONNECTION LIMIT -1", "keycloak"),
    "role's setting": ("postgres", "ALTER ROLE cfme_reader IN DATABASE engine RESET ALL", "cfme_reader"),
    "membership": ("postgres", "REVOKE auditor FROM cfme_reader", "auditor of cfme_reader"),
    "new role": ("postgres", "CREATE ROLE newcomer", "newcomer"),
}


pytestmark = pytest.mark.faults


@pytest.fixture
def bench(ground: Ground) -> Bench:
    """The old engine; each test breaks it."""
    return ground.take(OLD)


def test_nothing_is_reported_when_nothing_has_changed(bench: Bench, ground: Ground):
    assert differences(bench.before, snapshot(bench)) == []
    assert leftovers(bench) == []
    ground.give_back(OLD)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_every_change_of_a_file_is_reported(bench: Bench):
    for title, (name, change) in FILE_CHANGES.items():
        before = snapshot(bench)
        change(bench)
        found = differences(before, snapshot(bench))
        assert any(name in line for line in found), (title, found)


def test_every_change_in_the_server_is_reported(bench: Bench):
    for title, (database, statement, name) in SERVER_CHANGES.items():
        before = snapshot(bench)
        with closing(bench.connect(database)) as connection:
            connection.cursor().execute(statement)
        found = differences(before, snapshot(bench))
        assert any(name in line for line in found), (title, found)


def test_a_database_that_was_made_again_is_not_the_same(bench: Bench):
    with closing(bench.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("ALTER DATABASE ovirt_managedblock RENAME TO other")
        cursor.execute("CREATE DATABASE ovirt_managedblock TEMPLATE other OWNER ovirt_managedblock")
        cursor.execute("DROP DATABASE other")
    assert [x for x in differences(bench.before, snapshot(bench)) if "database ovirt_managedblock" in x]


def test_a_server_that_is_down_is_reported(bench: Bench):
    bench.stop_server()
    assert [line for line in differences(bench.before, snapshot(bench)) if line.startswith("server: running")]


@pytest.mark.parametrize(
    "name",
    [
        "root/etc/.engine-backup-0123",
        "root/var/lib/pgsql/data/.pg_hba.conf.x.new",
        "root/var/lib/ovirt-engine-backup/restore/anything",
        "root/var/lib/ovirt-engine-backup/x.partial",
        "tmp/engine-backup.abc",
        "tmp/anything",
    ],
)
def test_names_that_are_left_are_reported(name: str, bench: Bench, ground: Ground):
    path = bench.places.directory / name
    made = [place for place in path.parents if not place.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert any(path.name in line for line in leftovers(bench))
    path.unlink()
    for place in made:
        place.rmdir()


@contextmanager
def _running(bench: Bench, *words: str):
    process = subprocess.Popen([*words], stdout=subprocess.PIPE, cwd=bench.places.directory)
    process.stdout.readline()
    yield
    process.kill()
    process.communicate()


def test_a_process_that_is_left_is_reported(bench: Bench, ground: Ground):
    with _running(bench, sys.executable, "-c", "print('on', flush=True); import time; time.sleep(60)"):
        assert any(line.startswith("process ") for line in leftovers(bench))
    assert leftovers(bench) == []
    ground.give_back(OLD)


def test_a_lock_that_is_left_is_reported(bench: Bench):
    path = bench.places.root / "var/lib/ovirt-engine-backup/lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert f"lock on {path}" in leftovers(bench)
    assert leftovers(bench) == []


def test_sessions_and_what_they_hold_are_reported(bench: Bench, ground: Ground):
    with closing(bench.connect("engine")) as other:
        other.cursor().execute("BEGIN; LOCK TABLE mine.notes")
        found = leftovers(bench)
        assert any(line.startswith("session ") for line in found), found
        assert any("AccessExclusiveLock" in line for line in found), found
    ground.give_back(OLD)


def test_complete_machines_are_compared_without_what_differs_by_nature(bench: Bench, ground: Ground):
    state = as_complete(bench.before, bench.born_ns)
    assert differences(state, as_complete(snapshot(bench), bench.born_ns)) == []
    with closing(bench.connect("engine")) as connection:
        connection.cursor().execute("UPDATE mine.notes SET note = 'changed'")
    assert differences(state, as_complete(snapshot(bench), bench.born_ns))
