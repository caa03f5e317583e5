"""The commands of the restore guide, run as they stand there.

They run in this process, on a machine under a root directory of its own. Only this is changed in them:

* `--root` and `--tmpdir` are added, and `--log` where a command has none;
* files that an option names (`--file`, `--log`, `--…passfile`) lie below that root;
* where a command names a host, a port is added: PostgreSQL does not listen on 5432 here;
* passwords in SQL are those of the sample engine.

The server that backups call remote runs here. Its address stands in them twice: libpq tries both, and the
tool, which asks the resolver whether a host is this machine, gets no for an answer.
"""

from __future__ import annotations

import re
import shlex
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine_backup.drivers.engine_fixes import CHANGED_TABLES
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
from engine_backup.model.components import BY_NAME
from engine_backup.model.facts import Credentials
from engine_backup.sample import configuration, engine, tree
from engine_backup.sample.compare import BACKUP_EVENTS, fingerprint_database, fingerprint_databases
from engine_backup.sample.engine import GRAFANA_ROLE, READER_ROLE, SampleEngine
from engine_backup.sample.planting import Planter
from engine_backup.sample.size import TINY
from tests.end_to_end.test_provisioning import databases_of, query
from tests.support.clean_machine import clean_machine
from tests.support.machine import Machine, Result
from tests.support.pages import CHECKED, DOCS, block

PAGE = DOCS / "restore-guide.md"
CASES = ("One machine", "Data Warehouse on a machine of its own", "A remote database server", "Hosted engine")
REMOTE = "127.0.0.1,127.0.0.1"


@dataclass(frozen=True)
class Backup:
    """A backup of an engine that is no more; `port` is where its databases were, and is free now."""

    sample: SampleEngine
    archive: Path
    databases: dict
    port: int


def backup(directory: Path, host: str = "", components: tuple[str, ...] = engine.COMPONENTS) -> Backup:
    """Build an engine, save it and end it; its conf files name `host`."""
    machine = Machine(directory)
    with ScratchServer.start() as server:
        sample = engine.build(machine.root, server, TINY, components)
        if host:
            logins = {name: replace(login, host=host) for name, login in sample.credentials.items()}
            sample = replace(sample, credentials=logins)
            configuration.write_database_files(Planter(machine.root), sample)
        databases = fingerprint_databases(sample.credentials, BACKUP_EVENTS)
        machine.engine_backup("backup").check()
        return Backup(sample, machine.archive, databases, server.port)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Backup:
    return backup(tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Backup:
    return backup(tmp_path_factory.mktemp("remote"), REMOTE)


@pytest.fixture
def machine(local: Backup) -> Iterator[Machine]:
    with clean_machine(local.port) as found:
        put(found, "/root/engine.backup", local.archive)
        yield found


def put(machine: Machine, place: str, source: Path | str) -> None:
    """Put a file, or one with this text, below the machine's root."""
    path = machine.root / place.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, Path):
        shutil.copy2(source, path)
    else:
        path.write_text(source + "\n")


def run(machine: Machine, title: str, port: int) -> list[Result]:
    """Run the commands below a mark, one after the other."""
    lines = block(PAGE, title).replace("\\\n", " ").splitlines()
    return [machine.command(*translated(machine, shlex.split(line), port)) for line in lines]


def translated(machine: Machine, words: list[str], port: int) -> list[str]:
    assert words[0] == "engine-backup"
    machine.runs += 1
    log = [] if any(word.startswith("--log=") for word in words) else [f"--log={machine.log}"]
    given = (new for word in words[1:] for new in translated_option(machine, word, port))
    return [*given, f"--root={machine.root}", f"--tmpdir={machine.temporary}", *log]


def translated_option(machine: Machine, word: str, port: int) -> list[str]:
    name, _, value = word.partition("=")
    if value.startswith("/"):
        place = machine.root / value.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        return [f"{name}={place}"]
    return [word, f"{name[: -len('host')]}port={port}"] if name.endswith("db-host") else [word]


def statements(title: str, passwords: dict[str, str]) -> list[str]:
    """Return the SQL below a mark; each role gets the password that `passwords` has for it."""
    found = [text.strip() for text in block(PAGE, title).split(";") if text.strip()]
    return [
        re.sub(r"(CREATE ROLE (\w+) .*PASSWORD )'.*'", lambda m: f"{m[1]}{literal(passwords[m[2]])}", text)
        for text in found
    ]


def literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def execute(server: ScratchServer, texts: list[str]) -> None:
    with closing(server.connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for text in texts:
                cursor.execute(text)


def check(saved: Backup, logins: dict[str, Credentials] | None = None) -> None:
    """Compare all rows, owners and privileges; log in as the conf files of the backup say."""
    for name, login in (logins or saved.sample.credentials).items():
        now, before = fingerprint_database(login, BACKUP_EVENTS), saved.databases[name]
        expected = {table: rows for table, rows in before.tables.items() if table not in CHANGED_TABLES}
        assert {t: rows for t, rows in now.tables.items() if t not in CHANGED_TABLES} == expected, name
        assert (now.owners, now.privileges) == (before.owners, before.privileges), name


def check_files(machine: Machine) -> None:
    assert (machine.root / "etc/ovirt-engine/engine.conf.d/10-setup-database.conf").is_file()
    assert (machine.root / "etc/pki/ovirt-engine/ca.pem").is_file()


def test_every_block_of_the_cases_is_run_here():
    text = PAGE.read_text(encoding="utf-8")
    cases = [part for part in re.split(r"^## ", text, flags=re.MULTILINE) if part.startswith(CASES)]
    assert len(cases) == len(CASES)
    here = Path(__file__).read_text(encoding="utf-8")
    for case in cases:
        titles = [title for _, title, _ in CHECKED.findall(case)]
        assert len(titles) == len(re.findall(r"^ *```\w+$", case, re.MULTILINE)) > 0
        assert [title for title in titles if f'"{title}"' not in here] == []


def test_one_machine(machine: Machine, local: Backup):
    planned, restored = run(machine, "one machine", local.port)
    assert "initialise PostgreSQL" in planned.check().stdout
    assert "You should now run engine-setup." in restored.check().stdout
    check(local)
    check_files(machine)
    before = databases_of(machine)

    for login in local.sample.credentials.values():  # what engine-cleanup leaves
        query(machine, f"DROP DATABASE {login.database}")
        query(machine, f"CREATE DATABASE {login.database} OWNER {login.user} TEMPLATE template0")
        query(machine, f"ALTER ROLE {login.user} PASSWORD 'another'")
    run(machine, "after engine-cleanup", local.port)[0].check()
    check(local)

    run(machine, "in place of databases in use", local.port)[0].check()
    check(local)
    kept = {re.sub(r"_before_restore_\d{14}$", "", name) for name in databases_of(machine) - before}
    assert kept == before - {"postgres"}


def test_data_warehouse_on_a_machine_of_its_own(tmp_path: Path):
    cases = (
        ("the engine's machine", "/root/engine.backup", ("engine", "managedblock", "keycloak")),
        ("the machine of Data Warehouse", "/root/dwh.backup", ("dwh", "grafana")),
    )
    for title, place, components in cases:
        saved = backup(tmp_path / components[0], components=components)
        with clean_machine(saved.port) as machine:
            put(machine, place, saved.archive)
            run(machine, title, saved.port)[0].check()
            check(saved)


def test_a_database_server_for_each(remote: Backup):
    cases = (
        ("the server of the engine's database", "engine", "engine"),
        ("the server of Data Warehouse's database", "dwh", "dwh"),
    )
    for title, component, file in cases:
        login = remote.sample.credentials[component]
        with clean_machine(remote.port) as machine:
            shutil.rmtree(machine.root / "usr/share")  # no product is installed
            put(machine, "/root/engine.backup", remote.archive)
            put(machine, f"/root/{file}.password", login.password.reveal())
            result = run(machine, title, remote.port)[0].check()
            assert "are not written to any file of this machine" in result.stderr
            assert databases_of(machine) == {"postgres", login.database}
            check(remote, {component: login})
            assert not (machine.root / "etc/ovirt-engine").exists()


def test_the_engines_machine_without_its_databases(remote: Backup, tmp_path: Path):
    machine = Machine(tmp_path)
    tree.install_packages(machine.root)
    put(machine, "/root/engine.backup", remote.archive)
    run(machine, "the engine's machine without databases", remote.port)[0].check()
    check_files(machine)
    assert (machine.root / BY_NAME["grafana"].path.lstrip("/")).is_file()


def test_a_remote_server_with_an_administrator(remote: Backup, tmp_path: Path):
    machine = Machine(tmp_path)
    tree.install_packages(machine.root)
    put(machine, "/root/engine.backup", remote.archive)
    put(machine, "/root/administrator.password", "an administrator's")
    with ScratchServer.start(Wanted(port=remote.port)) as server:
        execute(server, statements("a role that may create databases", {"restorer": "an administrator's"}))
        run(machine, "a remote server with an administrator", remote.port)[0].check()
        check(remote)
    check_files(machine)


def test_no_administrators_password_goes_to_a_server_that_only_the_archive_names(
    remote: Backup, tmp_path: Path
):
    machine = Machine(tmp_path)
    tree.install_packages(machine.root)
    put(machine, "/root/engine.backup", remote.archive)
    put(machine, "/root/administrator.password", "an administrator's")
    text = block(PAGE, "a remote server with an administrator").replace("\\\n", " ")
    words = [word for word in shlex.split(text) if word != "--accept-archived-hosts"]
    with socket.create_server(("127.0.0.1", remote.port)) as listening:
        listening.setblocking(False)
        result = machine.command(*translated(machine, words, remote.port))
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert result.status == 3
    assert len([line for line in result.fatal if "names the remote database" in line]) == 4


def test_prepared_databases(remote: Backup, tmp_path: Path):
    machine = Machine(tmp_path)
    tree.install_packages(machine.root)
    put(machine, "/root/engine.backup", remote.archive)
    passwords = {name: secret.reveal() for name, secret in remote.sample.roles.items()}
    assert {GRAFANA_ROLE, READER_ROLE} <= set(passwords)
    with ScratchServer.start(Wanted(port=remote.port)) as server:
        execute(server, statements("create roles and databases", passwords))
        for result in run(machine, "prepared databases", remote.port):
            result.check()
        check(remote)
    check_files(machine)


def test_hosted_engine(local: Backup):
    with clean_machine(local.port) as machine:
        put(machine, "/root/engine_backup", local.archive)
        result = run(machine, "the call of the hosted-engine role", local.port)[0].check()
        assert result.stdout.startswith("Start of engine-backup with mode 'restore'\n")
        assert result.stdout.endswith("You should now run engine-setup.\nDone.\n")
        check(local)
        check_files(machine)
        assert LocalCluster(machine.root).observe().running
