"""A machine where nothing is prepared: packages, no cluster, no files of an engine.

The root is open to the server's account. Stand-in programs under it do what the
system's do (design, "Test ground"): they drive a real PostgreSQL.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.scratch_cluster import private_directory, server_account, short_directory
from engine_backup.sample import tree
from tests.support.machine import Machine

DATA = "var/lib/pgsql/data"


@contextmanager
def clean_machine(port: int) -> Iterator[Machine]:
    """Give a clean machine whose PostgreSQL, once initialised, listens on `port`; stopped afterwards."""
    user = server_account()
    with ExitStack() as stack:
        home = stack.enter_context(private_directory(None, user))
        sockets = stack.enter_context(short_directory(home, user))
        home.chmod(0o711)
        machine = Machine(home)
        machine.root.chmod(0o755)
        tree.install_packages(machine.root)
        _open(machine.root)
        data = machine.root / DATA
        data.mkdir(parents=True)
        for directory in (data, data.parent):
            directory.chmod(0o700)
            if user is not None:
                os.chown(directory, user.uid, user.gid)
        _setup_program(machine.root, port, sockets)
        try:
            yield machine
        finally:
            # A stand-in of a test may not know how to stop.
            (machine.root / "usr/bin/systemctl").unlink(missing_ok=True)
            cluster = LocalCluster(machine.root)
            if cluster.observe().running:
                cluster.stop()


def _open(root: Path) -> None:
    for directory in (root / "var", root / "var/lib"):
        directory.chmod(0o755)


def _setup_program(root: Path, port: int, sockets: Path) -> None:
    """`postgresql-setup --initdb`, but for a free port and a private socket."""
    user = server_account()
    data = root / DATA
    initdb = postgres_programs.for_server().path("initdb")
    drop = f"setpriv --reuid={user.uid} --regid={user.gid} --clear-groups" if user else ""
    path = root / "usr/bin/postgresql-setup"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""#!/bin/sh
set -e
[ "$1" = --initdb ]
cd {data}
{drop} {initdb} --pgdata={data} --auth-local=peer --auth-host=scram-sha-256 --no-sync \\
    $PGSETUP_INITDB_OPTIONS
cat >> {data}/postgresql.conf <<END
port = {port}
unix_socket_directories = '{sockets}'
fsync = off
END
"""
    )
    path.chmod(0o755)


def remove_engine(machine: Machine) -> None:
    """Take the restored files away, as if the machine were new; the cluster stays."""
    for name in ("etc/ovirt-engine", "etc/ovirt-engine-dwh", "etc/pki"):
        shutil.rmtree(machine.root / name, ignore_errors=True)
