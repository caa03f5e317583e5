"""The fault table: every kind of step of a restore, every fault, and how the restore must end.

A row is data. Rows are the product of kinds and faults, without the combinations that cannot be
(`IMPOSSIBLE` and the columns of `Kind` say why).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CLEAN, OLD, IN_PLACE, BESIDE = "clean", "old", "in place", "beside"
COMPLETE, UNDONE, INCOMPLETE = "complete", "undone", "incomplete"
BEFORE, RECORDED, INSIDE, AFTER = "before", "recorded", "inside", "after"

# Faults
RAISES, CRASHES, CHILD = "raises", "crashes", "child fails"
TERM, KILL = "SIGTERM", "SIGKILL"
RESTART, GONE = "server restarts", "server gone"
FULL_ROOT, FULL_UNDO, FULL_DATA = "disk full: root", "disk full: undo", "disk full: data"
LOCKED_ROOT, LOCKED_UNDO = "read-only: root", "read-only: undo"
NO_LOGIN, NO_ADMINISTRATOR = "role may not log in", "administrator shut out"

NEEDS_MOUNTS = (FULL_ROOT, FULL_UNDO, FULL_DATA, LOCKED_ROOT, LOCKED_UNDO)


@dataclass(frozen=True)
class Kind:
    """One kind of step, and what faults can meet it.

    `number`: which step of this kind, counted from 1. `recorded`: it records a way back. `child`: the
    program that it starts, as the stand-ins name it. `faults`: those that concern what it works on.
    """

    name: str
    scenario: str
    number: int = 1
    recorded: bool = False
    child: str = ""
    faults: tuple[str, ...] = ()


SERVER = (RESTART, GONE)
FILES = (FULL_ROOT, LOCKED_ROOT)
LOADS = (*SERVER, FULL_DATA, NO_LOGIN)
ADMINISTRATION = (*SERVER, FULL_DATA, NO_ADMINISTRATOR)

KINDS = (
    Kind("InitialiseServer", CLEAN, 1, True, "postgresql-setup", (FULL_DATA,)),
    Kind("StartServer", CLEAN, 1, True, "systemctl.start", (FULL_DATA,)),
    Kind("StageFiles", CLEAN, 1, False, "tar", (*SERVER, FULL_UNDO, LOCKED_UNDO)),
    Kind("StopServices", CLEAN, 1, True, "systemctl.stop", SERVER),
    Kind("ConfigureServer", CLEAN, 1, True, "systemctl.restart", ADMINISTRATION),
    Kind("ProvisionRole", CLEAN, 4, True, "", ADMINISTRATION),
    Kind("CreateExtraRoles", CLEAN, 1, True, "", ADMINISTRATION),
    Kind("ProvisionDatabase", CLEAN, 4, True, "", ADMINISTRATION),
    Kind("AllowAccess", CLEAN, 2, True, "systemctl.reload", ADMINISTRATION),
    Kind("LoadDumps", CLEAN, 1, False, "pg_restore", LOADS),
    Kind("ApplyFixes", CLEAN, 1, False, "", LOADS),
    Kind("RemoveHostedStorage", CLEAN, 1, False, "", LOADS),
    Kind("RemoveHostedHosts", CLEAN, 1, False, "", LOADS),
    Kind("AnalyzeDatabases", CLEAN, 1, False, "", (*SERVER, NO_LOGIN)),  # without room it is a warning
    Kind("LoadGrants", CLEAN, 1, False, "", ADMINISTRATION),
    Kind("RestorePrivileges", CLEAN, 2, False, "", ADMINISTRATION),
    Kind("GrantReading", CLEAN, 1, False, "", ADMINISTRATION),
    Kind("RenameDatabases", CLEAN, 1, True, "", ADMINISTRATION),
    Kind("ForgetApache", CLEAN, 1, False, "", (*SERVER, FULL_UNDO, LOCKED_UNDO)),
    Kind("EncryptPkcs12", CLEAN, 1, False, "", (*SERVER, FULL_UNDO, LOCKED_UNDO)),
    Kind("PlaceFiles", CLEAN, 1, True, "", (*SERVER, *FILES)),
    Kind("PlaceSqlite", CLEAN, 1, True, "", (*SERVER, FULL_UNDO, LOCKED_UNDO)),
    Kind("RelabelFiles", CLEAN, 1, False, "restorecon", SERVER),
    Kind("AllowAdministrator", OLD, 1, True, "systemctl.reload", (*SERVER, FULL_DATA)),
    Kind("StopServices", OLD, 1, True, "systemctl.stop", (GONE,)),
    Kind("ProvisionRole", OLD, 3, True, "", ADMINISTRATION),
    Kind("CreateExtraRoles", OLD, 1, True, "", (GONE,)),
    Kind("ProvisionDatabase", OLD, 2, True, "", (*SERVER, FULL_DATA)),
    Kind("AllowAccess", OLD, 1, True, "systemctl.reload", SERVER),
    Kind("LoadDumps", OLD, 1, False, "pg_restore", LOADS),
    Kind("ApplyFixes", OLD, 1, False, "", (GONE,)),
    Kind("RenameDatabases", OLD, 1, True, "", ADMINISTRATION),
    Kind("PlaceFiles", OLD, 1, True, "", (*SERVER, *FILES, FULL_UNDO, LOCKED_UNDO)),
    Kind("PlaceSqlite", OLD, 1, True, "", (GONE, FULL_UNDO)),
    Kind("RelabelFiles", OLD, 1, False, "restorecon", SERVER),
    Kind("CreateExtensions", IN_PLACE, 3, True, "", LOADS),
    Kind("LoadDumps", IN_PLACE, 1, True, "pg_restore", LOADS),
    Kind("ApplyFixes", IN_PLACE, 1, False, "", LOADS),
    Kind("RemoveHostedStorage", IN_PLACE, 1, False, "", (*SERVER, NO_LOGIN)),  # too little for a full disk
    Kind("RemoveHostedHosts", IN_PLACE, 1, False, "", (*SERVER, NO_LOGIN)),
    Kind("AnalyzeDatabases", IN_PLACE, 1, False, "", (*SERVER, NO_LOGIN)),
    Kind("PlaceFiles", IN_PLACE, 1, True, "", (GONE,)),
    Kind("RewriteCredentials", IN_PLACE, 2, True, "", (*SERVER, *FILES)),
    Kind("LeaveAlternatives", BESIDE, 1, False, "", ADMINISTRATION),
)

# Steps that come when all databases have their names.
AFTER_DATABASES = (
    "ForgetApache",
    "EncryptPkcs12",
    "PlaceFiles",
    "PlaceSqlite",
    "RewriteCredentials",
    "RelabelFiles",
)

# The ends that differ from the rule of `end_of`, with the reason.
ENDS: dict[tuple[str, str, str], str] = {
    # Nothing was done in the server yet.
    (OLD, "AllowAdministrator", GONE): UNDONE,
    (OLD, "StopServices", GONE): UNDONE,
    (BESIDE, "LeaveAlternatives", NO_ADMINISTRATOR): UNDONE,
    (BESIDE, "LeaveAlternatives", GONE): UNDONE,
}

# What undoing writes itself may just fit, or not: it ends undone, or incomplete and `rollback` finishes.
EITHER_END = (FULL_ROOT, FULL_UNDO, FULL_DATA, LOCKED_UNDO)

IMPOSSIBLE: dict[tuple[str, str, str], str] = {
    ("InitialiseServer", TERM, BEFORE): "the same moment as before StartServer, with less to undo",
    ("LeaveAlternatives", RESTART, BEFORE): "it then does what it always does, which is no end of a restore",
    ("LeaveAlternatives", RAISES, AFTER): "it ends every restore itself",
    ("LeaveAlternatives", TERM, AFTER): "it ends every restore itself",
    ("LeaveAlternatives", KILL, AFTER): "it ends every restore itself",
}


@dataclass(frozen=True)
class Row:
    """One case."""

    scenario: str
    kind: str
    number: int
    fault: str
    position: str
    end: str
    child: str = ""

    def __str__(self) -> str:
        return f"{self.scenario}, {self.kind} {self.number}, {self.fault} {self.position}"

    @property
    def needs_rollback(self) -> bool:
        """Whether only `rollback` can bring the state before back."""
        return self.fault == KILL or self.end == INCOMPLETE

    def allows(self, end: str) -> bool:
        """Say whether the restore may end so."""
        return end == self.end or (self.fault in EITHER_END and end == INCOMPLETE)


def rows() -> list[Row]:
    """Return the whole table."""
    return [row for kind in KINDS for row in _rows(kind)]


def _rows(kind: Kind) -> Iterator[Row]:
    for fault, position in _faults(kind):
        if (kind.name, fault, position) not in IMPOSSIBLE:
            end = end_of(kind, fault, position)
            yield Row(kind.scenario, kind.name, kind.number, fault, position, end, kind.child)


def _faults(kind: Kind) -> Iterator[tuple[str, str]]:
    """Every kind meets what can meet any; then what concerns it."""
    yield CRASHES, BEFORE
    yield RAISES, AFTER
    yield TERM, BEFORE if kind.scenario == BESIDE else AFTER
    yield KILL, BEFORE
    yield KILL, AFTER
    if kind.recorded:
        yield RAISES, RECORDED
        yield KILL, RECORDED
    if kind.child:
        yield CHILD, INSIDE
        yield KILL, INSIDE
    for fault in kind.faults:
        yield fault, BEFORE


def end_of(kind: Kind, fault: str, position: str) -> str:
    """Return how a restore must end."""
    special = ENDS.get((kind.scenario, kind.name, fault))
    if special is not None:
        return special
    if fault == RESTART:
        return COMPLETE  # every step opens connections of its own
    if fault == GONE and kind.name in AFTER_DATABASES:
        return COMPLETE  # the databases are whole by then, and nobody asks the server again
    if fault == LOCKED_ROOT:
        return INCOMPLETE  # whether something is as before is only known where it can be put back
    return INCOMPLETE if _shuts_out(kind.scenario, fault) else UNDONE


def _shuts_out(scenario: str, fault: str) -> bool:
    """Say whether what was changed in the server cannot be reached any more.

    On the clean machine it goes with the cluster, whether the server answers or not. Where databases are
    loaded in place, nobody but their role is asked to empty them.
    """
    if scenario == IN_PLACE and fault == NO_LOGIN:
        return True
    return scenario != CLEAN and fault in (GONE, NO_ADMINISTRATOR)


# The rows of every test run: each fault, over all machines, where it takes little time.
SAMPLE = (
    "clean, InitialiseServer 1, child fails inside",
    "clean, InitialiseServer 1, disk full: data before",
    "clean, StageFiles 1, disk full: undo before",
    "clean, StageFiles 1, read-only: undo before",
    "clean, StageFiles 1, server gone before",
    "clean, StopServices 1, crashes before",
    "clean, ConfigureServer 1, SIGKILL recorded",
    "clean, CreateExtraRoles 1, administrator shut out before",
    "clean, LoadDumps 1, role may not log in before",
    "clean, PlaceFiles 1, disk full: root before",
    "old, RenameDatabases 1, raises after",
    "old, PlaceSqlite 1, SIGTERM after",
    "in place, LoadDumps 1, SIGKILL after",
    "in place, RewriteCredentials 2, read-only: root before",
    "in place, RewriteCredentials 2, server restarts before",
)
