"""Taking back what a run has changed, the last change first: when it fails, or long after it was killed."""

from __future__ import annotations

from collections.abc import Iterable

from engine_backup.model.errors import EngineBackupError
from engine_backup.model.ways_back import WayBack
from engine_backup.plan.unfinished import order, waits_for
from engine_backup.run.journal import Journal
from engine_backup.run.reporting import Reporter
from engine_backup.run.taking_back import Place, take_back


class Undo:
    """The ways back of a run; each handler that changes the machine adds one before it begins.

    A way back may be gone twice, or although nothing was changed.
    """

    def __init__(self, journal: Journal, place: Place, reporter: Reporter) -> None:
        self._journal = journal
        self._place = place
        self._reporter = reporter
        self.add = journal.add
        self.made_nothing = journal.made_nothing
        self.forget = journal.forget

    def unwind(self) -> list[str]:
        """Take everything back; returns a line for each part that could not be."""
        content = self._journal.content
        numbers = order(content.ways, frozenset(content.taken_back))
        if not numbers:
            return []
        self._journal.release()
        failures = self._go(numbers)
        # What was in the way may be gone: with its former configuration a server was restarted.
        left = self._go(list(failures))
        if not left:
            self._reporter.say("All that was changed has been undone.")
        # The first pass knows better why: the second may meet what the first has put back.
        return [f"{content.ways[number]}: {failures[number]}" for number in left]

    def _go(self, numbers: list[int]) -> dict[int, Exception]:
        """Go these ways back, and return those that failed."""
        failures: dict[int, Exception] = {}
        for number in numbers:
            way = self._journal.content.ways[number]
            self._reporter.say(f"Undoing: {way}")
            try:
                self._demand_order(way, failures)
                take_back(way, self._place)
            except Exception as error:  # noqa: BLE001 - one failure must not keep the others from being undone
                self._reporter.note(f"undoing failed: {error!r}")
                failures[number] = error
            else:
                self._journal.taken_back(number)
        return failures

    def _demand_order(self, way: WayBack, failures: Iterable[int]) -> None:
        """Refuse to take away what must still be there when a failure is tried again."""
        needed = waits_for(way, [self._journal.content.ways[number] for number in failures])
        if needed is not None:
            raise EngineBackupError(f"it is still needed, see: {needed}")
