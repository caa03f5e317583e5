"""Which ways back are left to be gone, and in which order."""

from __future__ import annotations

from pathlib import Path

from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.model.ways_back import DropRole, PutFilesBack, RemoveCluster, ServerAccess, StopServer
from engine_backup.plan.unfinished import order

LOGIN = Credentials("localhost", 5432, "engine", Secret("password"), "engine")
LOCAL, REMOTE = ServerAccess(LOGIN, local=True), ServerAccess(LOGIN, local=False)
CLUSTER = RemoveCluster(Path("/var/lib/pgsql/data"), (), 0)
NOTHING: frozenset[int] = frozenset()


def test_the_last_change_is_taken_back_first():
    ways = (DropRole(LOCAL, "engine"), PutFilesBack("files"))
    assert order(ways, NOTHING) == [1, 0]
    assert order(ways, frozenset({1})) == [0]


def test_what_is_in_a_new_cluster_goes_with_it():
    ways = (CLUSTER, StopServer(), DropRole(LOCAL, "engine"), DropRole(REMOTE, "dwh"), PutFilesBack("files"))
    assert order(ways, NOTHING) == [4, 3, 1, 0]


def test_nothing_of_a_cluster_that_was_removed_is_left():
    ways = (CLUSTER, StopServer(), DropRole(LOCAL, "engine"), PutFilesBack("files"))
    assert order(ways, frozenset({0, 1})) == [3]
    assert order(ways, frozenset({0, 1, 3})) == []
