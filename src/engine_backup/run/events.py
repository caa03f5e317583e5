"""Telling the engine what became of a backup; never a reason for a backup to fail (contract K5)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine_backup.drivers import engine_events, postgres
from engine_backup.model.components import ENGINE, Component
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import BackupFacts, Credentials
from engine_backup.run.reporting import Reporter

STARTED, DONE, FAILED = 0, 1, -1


class Events:
    """Records started, done and failed events for components; every started one gets one of the others."""

    def __init__(self, facts: BackupFacts, reporter: Reporter, log: Path) -> None:
        self._credentials = _engine_credentials(facts)
        self._fqdn = facts.host.fqdn
        self._reporter = reporter
        self._log = log
        self._open: list[Component] = []

    def started(self, components: Iterable[Component]) -> None:
        """Say that these are being backed up."""
        self._open = list(components)
        self._send(STARTED, "Backup Started", self._open)

    def done(self, components: Iterable[Component]) -> None:
        """Say that these were saved."""
        saved, self._open = list(components), []
        self._send(DONE, "Backup Finished", saved)

    def failed(self, reason: str) -> None:
        """Say of everything started that it failed; quietly nothing when nothing was started."""
        components, self._open = self._open, []
        if components:
            self._send(FAILED, reason, components)

    def _send(self, status: int, text: str, components: list[Component]) -> None:
        if self._credentials is None:
            return
        self._reporter.say("Notifying engine")
        try:
            self._send_all(self._credentials, status, text, components)
        except EngineBackupError as error:
            self._reporter.warn(f"the engine was not notified: {error.message}")

    def _send_all(
        self, credentials: Credentials, status: int, text: str, components: list[Component]
    ) -> None:
        with postgres.session(credentials) as connection:
            for component in components:
                message = f"engine-backup: {text}, scope={component.event_scope}, log={self._log}"
                warning = engine_events.notify(
                    connection, component.event_scope, status, message, self._fqdn, str(self._log)
                )
                if warning:
                    self._reporter.warn(f"the engine was not notified of {component.event_scope}: {warning}")


def _engine_credentials(facts: BackupFacts) -> Credentials | None:
    return next((d.credentials for d in facts.databases if d.component is ENGINE), None)
