"""Which journals keep a restore from beginning, which ones a rollback or a commit means, and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine_backup.model.errors import Problem, UsageError
from engine_backup.model.facts import Credentials
from engine_backup.model.journal import SERVER, JournalFacts, JournalState
from engine_backup.model.ways_back import (
    DropDatabase,
    DropExtensions,
    DropRole,
    EmptyDatabase,
    GiveDatabaseBack,
    PutNamesBack,
    PutRoleBack,
    PutServerFileBack,
    RemoveCluster,
    WayBack,
)

_SAID = {SERVER: "PostgreSQL of this machine"}


def problems(components: tuple[str, ...], journals: Sequence[JournalFacts], root: Path) -> list[Problem]:
    """Return a problem for each journal that speaks of one of the components."""
    found = []
    for journal in journals:
        shared = [name for name in components if name in journal.head.components]
        if shared and journal.state is not JournalState.ENDED:
            found.append(_problem(journal, ", ".join(_SAID.get(name, name) for name in shared), root))
    return found


def _problem(journal: JournalFacts, shared: str, root: Path) -> Problem:
    run, started = journal.head.run, journal.head.started
    if journal.state is JournalState.RUNNING:
        hint = f"wait until it has ended (process {journal.head.pid})"
        return Problem(f"another restore of {shared} is going on since {started}", hint)
    if journal.state is JournalState.COMMITTED:
        return Problem(f"the old state of {shared} is not dropped yet", command("commit", root))
    if journal.state is JournalState.KEPT:
        hint = f"keep it: {command('commit', root)}; or bring the old one back: {command('rollback', root)}"
        return Problem(f"the old state of {shared} is still kept since the restore {run}", hint)
    hint = f"{command('rollback', root)}; what it would do says: {command('journal', root)}"
    return Problem(f"the restore of {shared} that began at {started} was neither finished nor undone", hint)


def command(mode: str, root: Path) -> str:
    """Return what to type."""
    return f"engine-backup {mode}" + ("" if root == Path("/") else f" --root={root}")


def to_roll_back(run: str | None, journals: Sequence[JournalFacts]) -> list[JournalFacts]:
    """Return what a rollback means: the named run, or all that are unfinished, newest first, or the kept one.

    Raises `UsageError` when that cannot be told.
    """
    found = [journal for journal in journals if run in (None, journal.head.run)]
    if not found and run is not None:
        return _unknown(run)
    if any(journal.state is JournalState.COMMITTED for journal in found):
        raise UsageError(
            "the old state is being dropped: it cannot come back", "engine-backup commit finishes it"
        )
    open_ones = [j for j in found if j.state in (JournalState.UNFINISHED, JournalState.RUNNING)]
    return list(reversed(open_ones)) or _only_one("rollback", found)


def to_commit(run: str | None, journals: Sequence[JournalFacts]) -> list[JournalFacts]:
    """Return the kept journal that a commit means; raises `UsageError` when that cannot be told."""
    found = [journal for journal in journals if run in (None, journal.head.run)]
    if run is not None and not found:
        return _unknown(run)
    for journal in found:
        if journal.state in (JournalState.UNFINISHED, JournalState.RUNNING):
            message = f"the restore {journal.head.run} is {journal.state.value}: there is nothing to commit"
            raise UsageError(message, "engine-backup journal shows what there is")
    return [j for j in found if j.state is JournalState.COMMITTED] or _only_one("commit", found)


def _unknown(run: str) -> list[JournalFacts]:
    raise UsageError(f"there is no journal of a run {run}", "engine-backup journal lists them")


def _only_one(mode: str, journals: Sequence[JournalFacts]) -> list[JournalFacts]:
    kept = [journal for journal in journals if journal.state is JournalState.KEPT]
    if len(kept) > 1:
        names = ", ".join(journal.head.run for journal in kept)
        raise UsageError(f"several restores can be meant: {names}", f"engine-backup {mode} --run=NAME")
    return kept


def order(ways: Sequence[WayBack], taken_back: frozenset[int]) -> list[int]:
    """Return the numbers of the ways back that are to be gone, the last change first.

    What was changed inside of a cluster goes away with it, so that no server needs to run for it; when it is
    gone already, nothing of that is left.
    """
    left = [number for number in range(len(ways)) if number not in taken_back]
    removed = next((way.data for way in ways if isinstance(way, RemoveCluster)), None)
    return [n for n in reversed(left) if removed is None or not _goes_with(ways[n], removed)]


def waits_for(way: WayBack, failed: Sequence[WayBack]) -> WayBack | None:
    """Return which of the ways back that have failed needs what this one would take away.

    A database that still has its later name would be thought to be gone; and to empty one takes its
    role with the later password, its owner, and the lines in pg_hba.conf.
    """
    for other in failed:
        if isinstance(other, PutNamesBack) and isinstance(way, DropDatabase):
            if way.name in dict(other.pairs):
                return other
        elif isinstance(other, (EmptyDatabase, DropExtensions)) and _lets_in(way, other.credentials):
            return other
    return None


def _lets_in(way: WayBack, login: Credentials) -> bool:
    """Say whether a login works no longer when this change is taken back; a restart may be what it needs."""
    if isinstance(way, PutRoleBack):
        return way.before.name == login.user
    if isinstance(way, DropRole):
        return way.name == login.user
    if isinstance(way, GiveDatabaseBack):
        return way.name == login.database
    return isinstance(way, PutServerFileBack) and not way.restart


def needs_administrator(ways: Sequence[WayBack], taken_back: frozenset[int]) -> bool:
    """Say whether any way back that is left leads through the socket of this machine's server."""
    return any(_is_inside(ways[number]) for number in order(ways, taken_back))


def _goes_with(way: WayBack, data: Path) -> bool:
    if isinstance(way, PutServerFileBack):
        return data in way.replaced.path.parents
    return _is_inside(way)


def _is_inside(way: WayBack) -> bool:
    access = getattr(way, "access", None)
    return access is not None and bool(access.local)
