"""Playing one row of the table: the fault, the end, and what must hold then."""

from __future__ import annotations

from contextlib import closing

from tests.faults import faults, table
from tests.faults.bench import Bench
from tests.faults.ground import Ground
from tests.faults.invariants import State, as_complete, differences, leftovers, snapshot
from tests.faults.table import Row
from tests.support.machine import Result

INCOMPLETE_STATUS = 8


class BrokenError(AssertionError):
    """What must hold does not; the message tells all there is to know."""

    def __init__(self, title: str, found: list[str], result: Result) -> None:
        told = "\n".join(f"  {line[:600]}" for line in found[:20])
        said = f"status {result.status}\n{result.stdout[-2500:]}\n{result.stderr[-2500:]}"
        super().__init__(f"{title} ({len(found)}):\n{told}\n{said}")


def play(row: Row, ground: Ground) -> str:
    """Return how the restore ended; raises `BrokenError` when it is not as it must be."""
    reference = ground.complete(row.scenario) if row.end == table.COMPLETE else None
    bench = ground.take(
        row.scenario, *(m.replace("{root}", str(_root(row, ground))) for m in faults.mounts(row))
    )
    fault = faults.planted(row, bench)
    result = bench.restore(fault.spec)
    if not faults.came_to_pass(row, bench):
        raise BrokenError("the fault did not come to pass", [], result)
    end = ended(result)
    if reference is not None and end == table.COMPLETE:
        if row.fault == table.GONE:
            bench.start_server()
        hold_complete(bench, reference, result)
        return end
    repair(bench, fault)
    if not row.allows(end) or result.status not in _statuses(row):
        raise BrokenError(f"ended {end}, not {row.end}", _found(bench), result)
    if row.needs_rollback or end == table.INCOMPLETE:
        result = bench.roll_back()
        if result.status != 0:
            raise BrokenError("rollback failed", _found(bench), result)
    hold_undone(bench, result)
    ground.give_back(row.scenario)
    return end


def _root(row: Row, ground: Ground) -> object:
    return ground.take(row.scenario).places.root


def ended(result: Result) -> str:
    """Return what a run says about its end; killed ones say nothing, and `rollback` is to undo them."""
    if result.status == 0:
        return table.COMPLETE
    return table.INCOMPLETE if result.status == INCOMPLETE_STATUS else table.UNDONE


def _statuses(row: Row) -> tuple[int, ...]:
    if row.end == table.INCOMPLETE:
        return (INCOMPLETE_STATUS,)
    if row.fault in table.EITHER_END:
        return (1, INCOMPLETE_STATUS)
    if row.fault in faults.STATUS:
        return (faults.STATUS[row.fault],)
    return (1,)


def repair(bench: Bench, fault: faults.Planted) -> None:
    """Take the cause away, as an administrator would before `rollback`."""
    if fault.repair:
        bench.shell(fault.repair)
    if not bench.server_pid():
        # A server that was stopped while it could not reach them has left them, and its number may
        # still be that of a process that nobody has reaped.
        for stale in bench.places.sockets.glob(".s.PGSQL.*"):
            stale.unlink()
    if bench.cluster_from_start and not bench.server_pid():
        bench.start_server()
    if fault.repair_sql:
        with closing(bench.connect()) as connection:
            connection.cursor().execute(fault.repair_sql)


def hold_undone(bench: Bench, result: Result) -> None:
    """Hold the machine to its state before."""
    found = _found(bench)
    if found:
        raise BrokenError("not the state before", found, result)


def hold_complete(bench: Bench, reference: State, result: Result) -> None:
    """Hold the machine to what a restore without faults makes of it."""
    now = as_complete(snapshot(bench), bench.born_ns)
    found = differences(reference, now) + leftovers(bench)
    if found:
        raise BrokenError("not complete", found, result)


def _found(bench: Bench) -> list[str]:
    return differences(bench.before, snapshot(bench)) + leftovers(bench)
