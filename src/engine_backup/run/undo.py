"""Taking back what a failed run has changed, in reverse order."""

from __future__ import annotations

from collections.abc import Callable

from engine_backup.run.reporting import Reporter


class Undo:
    """A list of ways back; each handler that changes the machine adds one before it begins."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._steps: list[tuple[str, Callable[[], None]]] = []

    def add(self, title: str, action: Callable[[], None]) -> None:
        """Remember how to take back what is about to be done; `title` says it to people."""
        self._steps.append((title, action))

    def forget(self) -> None:
        """Keep all that was done: the run succeeded."""
        self._steps.clear()

    def unwind(self) -> list[str]:
        """Take everything back; returns a line for each part that could not be."""
        failures: list[str] = []
        if not self._steps:
            return failures
        while self._steps:
            title, action = self._steps.pop()
            self._reporter.say(f"Undoing: {title}")
            try:
                action()
            except Exception as error:  # noqa: BLE001 - one failure must not keep the others from being undone
                self._reporter.note(f"undoing failed: {error!r}")
                failures.append(f"{title}: {error}")
        if not failures:
            self._reporter.say("All that was changed has been undone.")
        return failures
