from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg2
import pytest

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.secret import Secret

AWKWARD = Secret("p\\w: $x \"y' z")


def answer(server: ScratchServer, statement: str, **login: object) -> object:
    connection = server.connect(**login)  # type: ignore[arg-type]
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            assert row is not None
            return row[0]
    finally:
        connection.close()


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture(params=postgres_programs.with_server(), ids=lambda programs: str(programs.major))
def programs(request):
    return request.param


def test_every_installed_server_starts_and_leaves_nothing(programs):
    with ScratchServer.start(programs=programs) as server:
        home, sockets, pid = server.data_directory.parent, server.socket_directory, server.pid
        assert answer(server, "SHOW server_version_num") == str(server.version_number)
        assert answer(server, "SHOW server_encoding") == "UTF8"
        assert home.stat().st_mode & 0o777 == 0o700
    assert not home.exists()
    assert not sockets.exists()
    assert not alive(pid)


def test_roles_and_databases_as_provisioned(programs):
    with ScratchServer.start(programs=programs) as server:
        server.create_role("engine", AWKWARD)
        server.create_database("engine", "engine")
        login = {"database": "engine", "user": "engine", "password": AWKWARD}
        assert answer(server, "SELECT uuid_generate_v1()::text <> uuid_generate_v4()::text", **login) is True
        assert (
            answer(server, "SELECT datdba::regrole::text FROM pg_database WHERE datname = 'engine'")
            == "engine"
        )
        assert answer(server, "SELECT rolsuper FROM pg_roles WHERE rolname = 'engine'") is False


def test_nothing_is_left_after_an_exception():
    with pytest.raises(ZeroDivisionError), ScratchServer.start() as server:
        home, pid = server.data_directory.parent, server.pid
        raise ZeroDivisionError
    assert not home.exists()
    assert not alive(pid)


def test_passwords_are_asked_for_on_both_ways(postgres_server):
    for host in (postgres_server.host, str(postgres_server.socket_directory)):
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(
                host=host, port=postgres_server.port, user="postgres", password="wrong", dbname="postgres"
            )


def test_socket_only_server_opens_no_port():
    with ScratchServer.start(Wanted(tcp=False)) as server:
        assert server.host == str(server.socket_directory)
        assert answer(server, "SHOW listen_addresses") == ""


def test_settings_reach_the_server():
    settings = {"max_connections": "17", "application_name": "a 'b' c"}
    with ScratchServer.start(Wanted(settings=settings)) as server:
        assert answer(server, "SHOW max_connections") == "17"


def test_a_setting_that_does_not_exist_is_told_by_the_server_itself():
    with (
        pytest.raises(ProgramError, match="no_such_setting"),
        ScratchServer.start(Wanted(settings={"no_such_setting": "1"})),
    ):
        pass


def test_restart_and_crash_keep_port_and_data():
    with ScratchServer.start() as server:
        port = server.port
        server.create_role("survivor", AWKWARD)
        server.restart()
        server.kill()
        with pytest.raises(psycopg2.OperationalError):
            server.connect()
        server.restart()
        assert server.port == port
        assert answer(server, "SELECT count(*) FROM pg_roles WHERE rolname = 'survivor'") == 1


def test_a_template_gives_the_same_data_on_a_new_server(tmp_path):
    with ScratchServer.start() as server:
        server.create_role("survivor", AWKWARD)
        template = server.as_template(tmp_path / "template")
        assert answer(server, "SELECT 1") == 1
    with ScratchServer.start(Wanted(template=template)) as copy:
        assert answer(copy, "SELECT count(*) FROM pg_roles WHERE rolname = 'survivor'") == 1


def test_a_deep_directory_still_gets_a_usable_socket(tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    if os.geteuid() == 0:
        with pytest.raises(EngineBackupError, match="who cannot reach"), ScratchServer.start(directory=deep):
            pass
        return
    with ScratchServer.start(Wanted(tcp=False), directory=deep) as server:
        assert len(str(server.socket_directory)) < 90
        assert answer(server, "SELECT 1") == 1


def test_a_directory_whose_name_libpq_would_take_for_two_serves():
    with tempfile.TemporaryDirectory(prefix="a, b", dir="/tmp") as odd:  # noqa: S108 - open to all
        Path(odd).chmod(0o711)
        with ScratchServer.start(Wanted(tcp=False), directory=Path(odd)) as server:
            assert server.data_directory.is_relative_to(odd)
            assert answer(server, "SELECT 1") == 1


def test_programs_out_of_reach_are_copied(tmp_path):
    embedded = [
        programs for programs in postgres_programs.with_server() if postgres_programs.embedded(programs)
    ]
    if not embedded or os.geteuid() != 0:
        pytest.skip("needs root and the embedded programs")
    # pytest's directories are closed to others, as /root is
    hidden = postgres_programs.copy_of(embedded[0], tmp_path)
    with ScratchServer.start(programs=hidden) as server:
        assert server.data_directory.parent in server.programs.directory.parents
        assert answer(server, "SELECT 1") == 1


KILLED = """
import os, signal, sys
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
with ScratchServer.start(Wanted(tcp=False)) as server:
    print(server.pid, server.data_directory.parent, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux")
def test_the_server_ends_when_its_starter_is_killed():
    program = subprocess.run([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, check=False)
    pid, home = program.stdout.split()
    deadline = time.monotonic() + 20
    while alive(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    # Another run may have swept it away already.
    shutil.rmtree(home, ignore_errors=True)
    assert not alive(int(pid))


def test_root_runs_the_server_as_somebody_else(postgres_server):
    owner = Path(f"/proc/{postgres_server.pid}").stat().st_uid
    assert owner != 0
    assert owner == (postgres_server.user.uid if postgres_server.user else os.geteuid())


def test_no_secret_in_the_process_list(postgres_server):
    arguments = Path(f"/proc/{postgres_server.pid}/cmdline").read_bytes()
    assert postgres_server.superuser_password.reveal().encode() not in arguments
