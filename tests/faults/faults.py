"""How each fault of the table is made: what is planted, what disks there are, and how its cause goes away."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.faults import table
from tests.faults.bench import Bench
from tests.faults.namespace import fill, limited_disk, lock, lockable, make_room, unlock
from tests.faults.programs import Places, pg_ctl
from tests.faults.table import INSIDE, Row

UNDO_DIRECTORY = "var/lib/ovirt-engine-backup"
# Where files are restored to, the places of undo, and the server's data; sizes in MiB.
LIMITED = {
    table.FULL_ROOT: ("etc", 8),
    table.FULL_UNDO: (UNDO_DIRECTORY, 24),
    table.FULL_DATA: ("var/lib/pgsql", 400),
}
LOCKABLE = {table.LOCKED_ROOT: "etc", table.LOCKED_UNDO: UNDO_DIRECTORY}
STATUS = {table.TERM: 130, table.KILL: -signal.SIGKILL}


@dataclass(frozen=True)
class Planted:
    """`spec` for the faulty command; `repair` (shell) and `repair_sql` take the cause away."""

    spec: str
    repair: str
    repair_sql: str = ""


def mounts(row: Row) -> tuple[str, ...]:
    """Return mount commands with `{root}`."""
    if row.fault in LIMITED:
        place, size = LIMITED[row.fault]
        return (limited_disk(Path("{root}", place), size),)
    if row.fault in LOCKABLE:
        return (lockable(Path("{root}", LOCKABLE[row.fault])),)
    return ()


def planted(row: Row, bench: Bench) -> Planted:
    """Return what makes this row's fault on a machine."""
    places = bench.places
    act, argument, repair = _act(row, places)
    reached = places.directory / "reached"
    reached.unlink(missing_ok=True)
    position = row.position
    if position == INSIDE:
        # The program meets its snippet when it is started.
        snippet = places.failing / row.child
        act, argument = "run", f"printf '%s\\n' '{argument}' > {snippet}.new && mv {snippet}.new {snippet}"
        position = table.BEFORE
    spec = {
        "root": str(places.root),
        "kind": row.kind,
        "number": row.number,
        "position": position,
        "act": act,
        "argument": argument,
        "reached": str(reached),
    }
    back = (
        _each_role("LOGIN", "^given")
        if row.fault == table.NO_LOGIN and row.scenario == table.IN_PLACE
        else ""
    )
    return Planted(json.dumps(spec), repair, back)


def came_to_pass(row: Row, bench: Bench) -> bool:
    """Say whether the fault was met at all; one that was not proves nothing."""
    if row.position == INSIDE:
        return (bench.places.failing / f"{row.child}.taken").exists()
    return (bench.places.directory / "reached").exists()


def _act(row: Row, places: Places) -> tuple[str, object, str]:
    """Return act, argument and repair."""
    simple: dict[str, tuple[str, object, str]] = {
        table.RAISES: ("raise", None, ""),
        table.CRASHES: ("crash", None, ""),
        table.TERM: ("signal", int(signal.SIGTERM), ""),
        table.CHILD: ("run", "exit 3", ""),
        table.NO_LOGIN: ("sql", _each_role("NOLOGIN"), ""),
    }
    if row.fault == table.KILL:
        if row.position == INSIDE:
            return "run", "kill -KILL $PPID; sleep 1", ""
        return "signal", int(signal.SIGKILL), ""
    return simple.get(row.fault) or ("run", *_surroundings(row, places))


def _each_role(attribute: str, names: str = "^(engine|ovirt|given)") -> str:
    """Return SQL for all roles that restores load as."""
    return (
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT rolname FROM pg_roles"
        f" WHERE rolname ~ '{names}' LOOP"
        f" EXECUTE format('ALTER ROLE %I {attribute}', name); END LOOP; END $$"
    )


def _surroundings(row: Row, places: Places) -> tuple[str, str]:
    """Return the shell commands that make the fault, and those that take its cause away."""
    if row.fault in LIMITED:
        place = places.root / LIMITED[row.fault][0]
        return fill(place), make_room(place)
    if row.fault in LOCKABLE:
        place = places.root / LOCKABLE[row.fault]
        return lock(place), unlock(place)
    if row.fault == table.RESTART:
        return f"{pg_ctl(places)} --wait --mode=immediate --log={places.data}/server.log restart", ""
    if row.fault == table.GONE:
        return f"{pg_ctl(places)} --wait --mode=immediate stop", ""
    return (
        f"stat -c %u:%g {places.sockets} > {places.directory}/owner"
        f" && chown 0:0 {places.sockets} && chmod 0 {places.sockets}",
        f"chmod 700 {places.sockets} && chown $(cat {places.directory}/owner) {places.sockets}",
    )
