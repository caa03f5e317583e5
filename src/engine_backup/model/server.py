"""What was observed of the PostgreSQL server of this machine, before it is provisioned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SettingElsewhere:
    """A server setting that does not get its value from postgresql.conf itself.

    `value` as it could stand in that file, with its unit. `place` says to people
    where it stands. `final`: it is read after postgresql.conf (ALTER SYSTEM, the
    command line), so no line there changes it; otherwise a line at the end does.
    """

    value: str
    place: str
    final: bool


@dataclass(frozen=True)
class ServerFiles:
    """Where a running server reads its configuration from (SHOW config_file, hba_file, data_directory)."""

    configuration: Path
    access: Path
    data: Path


@dataclass(frozen=True)
class ClusterFacts:
    """The PostgreSQL cluster in one data directory.

    `major` is what PG_VERSION says, 0 when not initialised. `owner` is the OS account that owns
    the data directory, or would. `port`, `socket_directory` and `pid` (0 when not running) come
    from postmaster.pid; `ready`: the server says that it takes connections.
    """

    data: Path
    owner: str
    uid: int
    gid: int
    major: int = 0
    pid: int = 0
    port: int = 0
    socket_directory: Path | None = None
    ready: bool = False

    @property
    def initialised(self) -> bool:
        """Whether there is a cluster at all."""
        return self.major > 0

    @property
    def running(self) -> bool:
        """Whether its server runs."""
        return self.pid > 0
