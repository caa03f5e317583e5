"""Taking back what a failed run has changed, in reverse order."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine_backup.run.reporting import Reporter

_Step = tuple[str, Callable[[], None]]


class Undo:
    """A list of ways back; each handler that changes the machine adds one before it begins.

    A way back may be gone twice, or although nothing was changed.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._steps: list[_Step] = []

    def add(self, title: str, action: Callable[[], None]) -> None:
        """Remember how to take back what is about to be done; `title` says it to people."""
        self._steps.append((title, action))

    def forget(self) -> None:
        """Keep all that was done: the run succeeded."""
        self._steps.clear()

    def unwind(self) -> list[str]:
        """Take everything back; returns a line for each part that could not be."""
        if not self._steps:
            return []
        failures = self._take_back(reversed(self._steps))
        if failures:
            # What was in the way may be gone: with its former configuration a server was restarted.
            failures = self._take_back([step for step, _ in failures])
        self._steps.clear()
        if not failures:
            self._reporter.say("All that was changed has been undone.")
        return [f"{title}: {error}" for (title, _), error in failures]

    def _take_back(self, steps: Iterable[_Step]) -> list[tuple[_Step, Exception]]:
        """Try each of them, and return those that failed."""
        failures: list[tuple[_Step, Exception]] = []
        for title, action in steps:
            self._reporter.say(f"Undoing: {title}")
            try:
                action()
            except Exception as error:  # noqa: BLE001 - one failure must not keep the others from being undone
                self._reporter.note(f"undoing failed: {error!r}")
                failures.append(((title, action), error))
        return failures
