"""The machines that restores fail on.

clean      no cluster, no engine: everything is made
old        a living engine is in the way, and comes back exactly: `--on-existing=replace`
in place   empty databases of other names are given, nothing is made
beside     the old engine again, and nobody says what to do about it: databases are made beside those in use
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine_backup.drivers.postgres import value
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.sample import tree
from engine_backup.sample.engine import SampleEngine
from tests.faults.bench import KEEPER, KEEPERS_PASSWORD, Bench
from tests.faults.programs import Places, install
from tests.support.machine import OS_RELEASE, Machine, change_options

PROVISION = ("--provision-all-databases", "--restore-permissions")
REPLACE = (*PROVISION, "--on-existing=replace", "--yes")
CLEANING = ("--he-remove-storage-vm", "--he-remove-hosts")
# Another system than the archive's, so that Apache's answers are to be forgotten.
OTHER_SYSTEM = OS_RELEASE.replace("AlmaLinux", "Rocky Linux").replace("almalinux", "rocky")
OLD_ACCESS = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
OLD_TIME = 1_600_000_000
OLD_FILES = {
    "etc/ovirt-engine/engine.conf.d/10-setup-database.conf": (0o640, "# the old engine's\n"),
    "etc/ovirt-engine/engine.conf.d/99-mine.conf": (0o600, "MINE=1\n"),
    "etc/sysconfig/ovirt-engine-notifier": (0o644, "OLD=1\n"),
    "var/lib/grafana/grafana.db-wal": (0o600, "of the old database\n"),
    "var/lib/ovirt-engine/content/only-here": (0o664, "not in the archive\n"),
}
OLD_ENGINE = (
    "DELETE FROM public.job",
    "DELETE FROM public.audit_log WHERE audit_log_id % 3 = 0",
    "CREATE SCHEMA mine AUTHORIZATION engine",
    "CREATE TABLE mine.notes AS SELECT 1 AS number, 'kept'::text AS note",
    "GRANT SELECT ON mine.notes TO cfme_reader WITH GRANT OPTION",
    "SELECT lo_from_bytea(4711, 'a large object')",
)
OLD_CLUSTER = (
    "ALTER DATABASE engine SET work_mem = '7MB'",
    "ALTER ROLE cfme_reader IN DATABASE engine SET statement_timeout = '3s'",
    "REVOKE CONNECT ON DATABASE ovirt_engine_history FROM PUBLIC",
    "CREATE ROLE auditor NOLOGIN; GRANT auditor TO cfme_reader WITH ADMIN OPTION",
    "ALTER ROLE ovirt_engine_keycloak CONNECTION LIMIT 20",
    "ALTER ROLE ovirt_engine_history_grafana NOLOGIN",
)


def new_bench(directory: Path, sockets: Path, port: int, words: Callable[[Bench], list[str]]) -> Bench:
    """Lay out a machine with packages and stand-ins, but no cluster yet."""
    directory.mkdir()
    directory.chmod(0o711)
    machine = Machine(directory)
    machine.root.chmod(0o755)
    tree.install_packages(machine.root)
    for name in ("var", "var/lib"):
        (machine.root / name).chmod(0o755)
    (machine.root / "etc/os-release").write_text(OTHER_SYSTEM)
    places = Places(directory, sockets, port)
    data = places.data
    data.mkdir(parents=True)
    for place in (data, data.parent):
        place.chmod(0o700)
        _give_to_server(place)
    install(places)
    (directory / "working").mkdir()
    (directory / "working/bystander").touch()
    for unit in ("grafana-server", "ovirt-engine-notifier"):
        (places.units / f"{unit}.active").touch()
    return Bench(places, machine, cluster_from_start=False, words=words)


def _give_to_server(place: Path) -> None:
    from engine_backup.drivers.scratch_cluster import server_account

    user = server_account()
    if user is not None:
        os.chown(place, user.uid, user.gid)


def clean(bench: Bench, sample: SampleEngine) -> None:
    """Nothing more: the archive is all there is."""
    _age_directories(bench.places.root)


def old(bench: Bench, sample: SampleEngine) -> None:
    """Restore once, then let years pass."""
    first = bench.run(bench.machine.words("restore", f"--pg-bindir={bench.places.programs}", *PROVISION))
    first.check()
    _add_keeper(bench)
    _execute(bench, "engine", *OLD_ENGINE)
    _execute(bench, "postgres", *OLD_CLUSTER)
    for login in sample.credentials.values():
        _execute(bench, "postgres", f"ALTER ROLE {login.user} PASSWORD 'of the old engine'")
    for name, (mode, text) in OLD_FILES.items():
        path = bench.places.root / name
        path.write_text(text)
        path.chmod(mode)
        os.utime(path, (OLD_TIME, OLD_TIME))
    (bench.places.root / "etc/sysconfig/ovirt-engine").unlink()
    _replace_by_link(bench.places.root / "etc/ovirt-engine/notifier/notifier.conf.d/20-lab.conf")
    (bench.places.data / "pg_hba.conf").write_text(OLD_ACCESS)
    for unit in ("grafana-server", "ovirt-engine-notifier"):
        (bench.places.units / f"{unit}.active").touch()
    _age_directories(bench.places.root)


def in_place(bench: Bench, sample: SampleEngine) -> None:
    """A cluster with roles and empty databases."""
    _start_new_cluster(bench)
    for login in given_logins(bench, sample).values():
        password = login.password.reveal()
        _execute(bench, "postgres", f"CREATE ROLE {login.user} LOGIN PASSWORD '{password}'")
        _execute(bench, "postgres", f"CREATE DATABASE {login.database} OWNER {login.user} TEMPLATE template0")
    for role in ("cfme_reader", "ovirt_engine_history_grafana", '"Deputy Admin"'):
        _execute(bench, "postgres", f"CREATE ROLE {role}")
    _age_directories(bench.places.root)


def given_logins(bench: Bench, sample: SampleEngine) -> dict[str, Credentials]:
    """Return the databases of `in_place`."""
    return {
        name: replace(login, user=f"given_{name}", database=f"given_{name}", password=Secret(f"Given:{name}"))
        for name, login in sample.credentials.items()
    }


def in_place_words(sample: SampleEngine) -> Callable[[Bench], list[str]]:
    """Return what makes the options of a restore into the given databases."""

    def words(bench: Bench) -> list[str]:
        logins = given_logins(bench, sample)
        return ["--no-restore-permissions", *CLEANING, *change_options(logins, bench.places.directory)]

    return words


def _start_new_cluster(bench: Bench) -> None:
    bench.shell(
        f"PGSETUP_INITDB_OPTIONS='--encoding=UTF8 --locale=C.UTF-8'"
        f" {bench.places.root}/usr/bin/postgresql-setup --initdb"
    )
    bench.start_server()
    (bench.places.units / "postgresql.enabled").touch()
    _add_keeper(bench)


def _add_keeper(bench: Bench) -> None:
    """Make the superuser that looks at the machine; from now on it is the one that logs in."""
    bench.cluster_from_start = False
    _execute(bench, "postgres", f"CREATE ROLE {KEEPER} SUPERUSER LOGIN PASSWORD '{KEEPERS_PASSWORD}'")
    bench.cluster_from_start = True


def _execute(bench: Bench, database: str, *statements: str) -> None:
    connection = bench.connect(database)
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        assert value(connection, "SELECT 1") == 1
    finally:
        connection.close()


def _replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")
    os.utime(path, (OLD_TIME, OLD_TIME), follow_symlinks=False)


def _age_directories(root: Path) -> None:
    """Give every directory a time of its own, so that a changed one shows."""
    for number, (top, _, _) in enumerate(os.walk(root)):
        if not top.startswith(f"{root}/var/lib/pgsql/"):
            os.utime(top, (OLD_TIME + number, OLD_TIME + number))
    time.sleep(0.01)
