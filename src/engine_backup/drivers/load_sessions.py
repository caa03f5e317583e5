"""How a load logs in: as whom, with which settings, and how it is ended before its time."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine_backup.drivers.interruption import Interruption
from engine_backup.model.facts import Credentials


@dataclass(frozen=True)
class LoadSession:
    """`settings` are names and values that count in this session only; they are ours, never the archive's."""

    credentials: Credentials
    settings: tuple[tuple[str, str], ...] = ()
    interruption: Interruption = field(default_factory=Interruption)

    @property
    def options(self) -> str:
        """The settings as libpq passes them to the server (PostgreSQL manual, 34.1.2, `options`)."""
        return " ".join(f"-c {name}={value}" for name, value in self.settings)
