"""What a restore must leave alone when it refuses: files, and what is on the machine's own server."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from engine_backup.drivers import administrator
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.model.places import DATA
from engine_backup.sample.compare import FileFingerprint, fingerprint_tree
from tests.support.machine import Machine

# A running server writes below its data directory all the time, but not in files with this in the name.
SERVER_FILES = ".conf"

_ROLES = "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid ORDER BY 1"
_DATABASES = "SELECT datname, datdba::regrole::text, datacl::text FROM pg_database ORDER BY 1"


@dataclass(frozen=True)
class MachineState:
    """A machine at one moment; two are equal when nothing was touched between them."""

    files: dict[str, FileFingerprint]
    initialised: bool
    running: bool
    roles: list[tuple[Any, ...]]
    databases: list[tuple[Any, ...]]


def state_of(machine: Machine) -> MachineState:
    """Look at files under the root, and at roles and databases when the server lets its administrator in."""
    facts = LocalCluster(machine.root).observe()

    def counts(path: str) -> bool:
        return not (facts.initialised and path.startswith(f"{DATA}/")) or _is_configuration(path)

    files = {
        path: replace(fingerprint, mtime_ns=0) if fingerprint.kind == "directory" else fingerprint
        for path, fingerprint in fingerprint_tree(machine.root, counts).items()
    }
    roles = databases = []
    if facts.running and not administrator.asked(facts).refused:
        roles, databases = query(machine, _ROLES), query(machine, _DATABASES)
    return MachineState(files, facts.initialised, facts.running, roles, databases)


def _is_configuration(path: str) -> bool:
    """Also copies of a configuration file, which have a time behind the name."""
    return SERVER_FILES in path.rpartition("/")[2]


def query(machine: Machine, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
    """Return what the administrator of the machine's own server gets for a statement."""
    facts = LocalCluster(machine.root).observe()
    with closing(administrator.connect(facts, database)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
