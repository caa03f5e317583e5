"""Letting the cluster's owner in on the socket for a while, where pg_hba.conf wants everybody's password."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine_backup.drivers import administrator, server_files
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.plan.access_rules import with_administrator_access, without_administrator_access

ACCESS_FILE = "pg_hba.conf"
# A reload takes effect a moment later.
PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.05


def withdraw(cluster: LocalCluster) -> None:
    """Take away what lets the owner in, if it is there; raises `EngineBackupError`."""
    facts = cluster.observe()
    path = facts.data / ACCESS_FILE
    text = server_files.read(path)
    former = without_administrator_access(text, facts.owner)
    server_files.remove_passing(path)
    if former != text:
        server_files.rewrite(path, former)
        if facts.running:
            cluster.reload()


@contextmanager
def let_in(cluster: LocalCluster) -> Iterator[None]:
    """Let the owner in while the block lasts, if the server runs and refuses; raises `EngineBackupError`."""
    facts = cluster.observe()
    if facts.initialised and facts.running and administrator.asked(facts).refused:
        path = facts.data / ACCESS_FILE
        server_files.rewrite(path, with_administrator_access(server_files.read(path), facts.owner))
        cluster.reload()
        _wait(cluster)
    try:
        yield
    finally:
        if (cluster.data / ACCESS_FILE).exists():
            withdraw(cluster)


def _wait(cluster: LocalCluster) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while administrator.asked(cluster.observe()).refused and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
