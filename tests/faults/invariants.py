"""What must hold after a run: the machine is what it was, in every respect that a restore could touch.

`snapshot` takes a machine down, `differences` compares two, `leftovers` names what lies or runs about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine_backup.sample.compare import FileFingerprint, fingerprint_tree
from tests.faults import leftovers as left
from tests.faults import server_state
from tests.faults.bench import Bench
from tests.faults.namespace import FILLER
from tests.faults.programs import DATA
from tests.faults.server_state import ServerState
from tests.support.old_pkcs12 import KEYS, OLD_NAME

# Directories whose time changes by what comes and goes in them; nothing else of them may.
UNTIMED = (DATA, "var/lib/ovirt-engine-backup", "var/lib/ovirt-engine-backup/restore")
_TIME = re.compile(r"\d{14,20}")
_COPY = re.compile(r"\.(conf|backup)\.\d{14}")
_OBJECT_ID = re.compile(r"^\[\d+, ")
_VERIFIER = re.compile(r"SCRAM-SHA-256\$[^'\"]+")


@dataclass(frozen=True)
class State:
    """A machine at one moment. `units`: marks of services that run or are enabled."""

    files: Mapping[str, FileFingerprint]
    units: frozenset[str]
    running: bool
    server: ServerState | None


def snapshot(bench: Bench) -> State:
    """Take down what there is. The server's own files count only as far as people write them."""
    running = bench.server_pid() > 0
    files = {
        path: replace(found, mtime_ns=0) if path in UNTIMED else found
        for path, found in fingerprint_tree(bench.view, _counts).items()
    }
    units = frozenset(path.name for path in bench.places.units.iterdir() if not path.name.startswith("."))
    return State(files, units, running, server_state.observe(bench.connect) if running else None)


def _counts(path: str) -> bool:
    name = path.rpartition("/")[2]
    if name == FILLER or path == "var/lib/ovirt-engine-backup/restore":
        return False
    return not path.startswith(f"{DATA}/") or ".conf" in name or path == f"{DATA}/PG_VERSION"


def differences(before: State, after: State) -> list[str]:
    """Return a line for each thing that is not the same."""
    found = compared("file", before.files, after.files)
    found += [f"service {name}: gone" for name in sorted(before.units - after.units)]
    found += [f"service {name}: new" for name in sorted(after.units - before.units)]
    if before.running != after.running:
        found.append(f"server: running was {before.running}, is {after.running}")
    if before.server is not None and after.server is not None:
        things = [{f"{k} {n}": v for (k, n), v in s.things.items()} for s in (before.server, after.server)]
        found += compared("server's", *things)
    return found


def compared(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return a line for each key that is gone, new, or has another value."""
    found = [f"{what} {key}: gone" for key in sorted(before.keys() - after.keys())]
    found += [f"{what} {key}: new" for key in sorted(after.keys() - before.keys())]
    return found + [
        f"{what} {key}: was {before[key]}, is {after[key]}"
        for key in sorted(before.keys() & after.keys())
        if before[key] != after[key]
    ]


def leftovers(bench: Bench) -> list[str]:
    """Return a line for each thing that a run has left behind, on disks, as process, or in the server."""
    view, temporary = bench.view, bench.machine.temporary
    found = left.names(view, temporary)
    if [path.name for path in bench.working.iterdir()] != ["bystander"]:
        found.append("the directory where the command was started is not what it was")
    found += left.content(temporary, view / left.RESTORE_DIRECTORY)
    found += left.processes(bench.places.directory, bench.spared_processes())
    found += left.locks(view / "var/lib/ovirt-engine-backup", temporary)
    if bench.server_pid():
        found += server_state.running(bench.connect)
    return found


def as_complete(state: State, since_ns: int) -> State:
    """Return what two complete restores have in common: without times of the run, ids and random texts."""
    files = {
        _TIME.sub("TIME", path): _masked(path, found, since_ns)
        for path, found in state.files.items()
        # How many copies a run leaves of a conf file, and what is in them, depends on seconds.
        if not _COPY.search(path)
    }
    server = state.server and ServerState(
        {
            (kind, _TIME.sub("TIME", name)): _plain(str(value))
            for (kind, name), value in state.server.things.items()
            # A server that crashes skips up to 32 numbers of a sequence (PostgreSQL manual, nextval).
            if kind != "sequence"
        }
    )
    return State(files, state.units, state.running, server)


def _masked(path: str, found: FileFingerprint, since_ns: int) -> FileFingerprint:
    if path == f"{KEYS}/{OLD_NAME}":
        # Encrypted anew, with random salts.
        found = replace(found, content="")
    return replace(found, mtime_ns=0) if found.mtime_ns >= since_ns else found


def _plain(value: str) -> str:
    return _TIME.sub("TIME", _VERIFIER.sub("VERIFIER", _OBJECT_ID.sub("[", value)))
