"""Where the contenders do their jobs, and what all of them are told of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workload import Engine
from engine_backup.drivers.scratch_server import ScratchServer


@dataclass(frozen=True)
class Ground:
    """A private directory, the server that jobs talk to, and the root directory that they read or write."""

    directory: Path
    engine: Engine
    server: ScratchServer
    root: Path

    @property
    def temporary(self) -> Path:
        """What `--tmpdir` and TMPDIR name."""
        return self.directory / "tmp"

    @property
    def logs(self) -> Path:
        """Where logs go, so that they count as no temporary files."""
        return self.directory / "logs"

    def archives(self, contender: str) -> Path:
        """The directory of a contender's archive, and of what it spools beside that."""
        return self.directory / "archives" / contender

    def archive(self, contender: str) -> Path:
        """A contender's archive."""
        return self.archives(contender) / "engine.backup"

    def prepare(self, contender: str) -> None:
        """Make the directories of a contender; bring to the disk what others have left to write."""
        for directory in (self.temporary, self.logs, self.archives(contender)):
            directory.mkdir(parents=True, exist_ok=True)
        os.sync()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that all programs get: PostgreSQL's own directory first in the path."""
        programs = self.server.programs.directory
        kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        return {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(self.temporary), **kept}
