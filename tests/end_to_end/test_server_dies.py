"""The machine's own server dies while databases are loaded into it."""

from __future__ import annotations

from contextlib import closing

import pytest

from engine_backup.drivers import administrator, postgres_programs
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.sample import engine
from engine_backup.sample.size import TINY
from tests.support.clean_machine import clean_machine
from tests.support.machine import Machine
from tests.support.wrapped_programs import wrapped

KILL = """
if names("--dbname"):
    pid = Path("{data}/postmaster.pid").read_text().split()[0]
    os.kill(int(pid), signal.SIGQUIT)
    while Path("/proc", pid).exists():
        time.sleep(0.01)
become_real()
"""


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int]:
    """The backup of an engine that is no more, and the port that it names."""
    machine = Machine(tmp_path_factory.mktemp("gone"))
    with ScratchServer.start() as server:
        engine.build(machine.root, server, TINY)
        machine.engine_backup("backup").check()
        return machine.archive.read_bytes(), server.port


def test_the_rest_is_undone_once_the_server_runs_again(backup):
    """Its former configuration is put back with a restart, after databases and roles could not be dropped."""
    archive, port = backup
    with clean_machine(port) as machine:
        machine.archive.write_bytes(archive)
        cluster = LocalCluster(machine.root)
        cluster.initialise()
        cluster.start()
        bindir = wrapped(
            machine.directory / "bin", postgres_programs.for_restore(0, postgres_programs.installed()),
            pg_restore=KILL.format(data=cluster.data),
        )  # fmt: skip
        result = machine.engine_backup("restore", "--provision-all-databases", f"--pg-bindir={bindir}")
        assert result.status == 1, result.stderr
        assert "All that was changed has been undone." in result.stdout
        query = "SELECT datname FROM pg_database WHERE NOT datistemplate UNION SELECT rolname FROM pg_roles"
        query += " WHERE rolcanlogin"
        with closing(administrator.connect(cluster.observe())) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            assert {name for (name,) in cursor.fetchall()} == {"postgres", cluster.observe().owner}
        assert machine.leftovers() == []
