"""The PostgreSQL cluster of this machine: initialised, started, stopped, and taken away again.

The machine's own programs do it (`postgresql-setup`, `systemctl`), looked for
under the root first; PostgreSQL's (`initdb`, `pg_ctl`) where there are none.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from engine_backup.drivers import administrator, data_directory, postgres_programs
from engine_backup.drivers.command import Command, OsUser
from engine_backup.drivers.host import find_program
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.drivers.process import run
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.places import DATA
from engine_backup.model.server import ClusterFacts

SERVICE = "postgresql"
LOCALES = ("en_US.UTF-8", "C.UTF-8")
START_SECONDS = 60.0
POLL_SECONDS = 0.1

# sd_booted(3)
_SYSTEMD_RUNS = Path("/run/systemd/system")
_START_LOG = "pgstartup.log"
# What initdb and a server make at the top (PostgreSQL manual, 73.1), and copies of configuration files.
_OF_A_CLUSTER = re.compile(
    r"base|global|log|pg_\w+|PG_VERSION|postmaster\.\w+|current_logfiles(\.tmp)?|[\w.-]*log(file)?"
    r"|\.?(postgresql(\.auto)?|pg_hba|pg_ident)\.conf(\..+)?"
)


class LocalCluster:
    """One cluster: its data directory under a root, and the service that runs it."""

    def __init__(self, root: Path, data: Path | None = None, service: str = SERVICE) -> None:
        self.root = root
        self.data = data or root / DATA
        self.service = service

    def observe(self) -> ClusterFacts:
        """Return what is there now; nothing is changed. An unreadable data directory counts as none."""
        return data_directory.observe(self.data, self.root)

    def locales(self) -> tuple[str, ...]:
        """Return the locales of the machine, as `locale -a` names them."""
        program = find_program("locale", self.root) or "locale"
        try:
            listed = run(Command(program, ("-a",))).stdout
        except ProgramError:
            return ()
        return tuple(listed.decode("ascii", "replace").split())

    def missing_directories(self) -> tuple[Path, ...]:
        """Return the directories that `initialise` would make, the outermost first.

        Raises `EngineBackupError` when the data directory holds something, which `remove` would take away.
        """
        facts = self.observe()
        if facts.initialised or facts.obstacle:
            reason = facts.obstacle or f"there is a cluster in {self.data}"
            raise EngineBackupError(f"cannot initialise PostgreSQL: {reason}", f"look into {self.data}")
        places = (self.data.parent.parent, self.data.parent, self.data)
        return tuple(place for place in places if not place.exists())

    def initialise(self) -> None:
        """Make the cluster, in UTF-8 and the engine's locale where the machine has it.

        Raises `ProgramError`. Nothing is started.
        """
        options = ("--encoding=UTF8", f"--locale={_best_locale(self.locales())}")
        setup = find_program("postgresql-setup", self.root)
        if setup is not None:
            run(Command(setup, ("--initdb",), {"PGSETUP_INITDB_OPTIONS": " ".join(options)}))
        else:
            self._initdb(options)

    def remove(self, made: tuple[Path, ...], before: float = math.inf) -> None:
        """Undo `initialise`; `made` is what `missing_directories` said before, and goes too.

        Raises `EngineBackupError` when its server runs, when there is anything that no cluster has, or when
        the cluster was initialised after `before`, in seconds since 1970: then it is another one.
        """
        if self.observe().running:
            raise EngineBackupError(
                f"the cluster in {self.data} is in use and stays", f"stop it: systemctl stop {self.service}"
            )
        paths = list(self.data.iterdir()) if self.data.is_dir() else []
        if data_directory.initialised_at(self.data) > before:
            raise EngineBackupError(
                f"the cluster in {self.data} was made later by somebody else, and stays",
                "move it away if it is not needed",
            )
        strange = sorted(path.name for path in paths if not _OF_A_CLUSTER.fullmatch(path.name))
        if strange:
            raise EngineBackupError(
                f"{self.data} holds what no cluster has, and stays: {strange[0]}",
                "look into it, and remove it",
            )
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        for directory in reversed(made):
            with suppress(OSError):  # something else lies there now
                directory.rmdir()

    def start(self) -> ClusterFacts:
        """Start the server and wait until it takes connections; raises `EngineBackupError`."""
        return self._started("start")

    def restart(self) -> ClusterFacts:
        """Restart the server and wait until it takes connections; raises `EngineBackupError`."""
        return self._started("restart")

    def stop(self) -> None:
        """Stop the server if it runs, ending its sessions; raises `ProgramError`."""
        if self._systemctl() is not None or self.observe().running:
            self._control("stop", "--mode=fast")

    def reload(self) -> None:
        """Have the server read its files again; it does so a moment later. Raises `ProgramError`."""
        self._control("reload")

    def enabled(self) -> bool:
        """Say whether the machine starts the server when it boots."""
        systemctl = self._systemctl()
        if systemctl is None:
            return False
        try:
            run(Command(systemctl, ("--quiet", "is-enabled", self.service)))
        except ProgramError:
            return False
        return True

    def enable(self) -> None:
        """Have the machine start the server when it boots; without systemd there is nothing to do."""
        self._service("enable")

    def disable(self) -> None:
        """Undo `enable`."""
        self._service("disable")

    def _service(self, verb: str) -> bool:
        systemctl = self._systemctl()
        if systemctl is not None:
            run(Command(systemctl, (verb, self.service)))
        return systemctl is not None

    def _systemctl(self) -> str | None:
        """Find systemctl; the running system's own is of no use where systemd does not run."""
        if os.path.realpath(self.root) == "/" and not _SYSTEMD_RUNS.is_dir():
            return None
        return find_program("systemctl", self.root)

    def _control(self, verb: str, *options: str) -> None:
        if self._service(verb):
            return
        facts = self.observe()
        words = (
            verb,
            f"--pgdata={self.data}",
            "--wait",
            f"--timeout={START_SECONDS:.0f}",
            "--silent",
            *options,
        )
        run(Command(self._programs(facts.major).path("pg_ctl"), words, user=_account(facts)))

    def _started(self, verb: str) -> ClusterFacts:
        # Without a log of its own the server would hold our pipes.
        log = f"--log={self.data / _START_LOG}"
        try:
            self._control(verb, *(("--mode=fast",) if verb == "restart" else ()), log)
        except ProgramError as error:
            raise ProgramError(
                f"cannot {verb} PostgreSQL in {self.data}: {error.message}",
                error.exit_status,
                error.error_output,
                hint=f"see 'journalctl --unit={self.service}' and the logs in {self.data}",
            ) from error
        return self._ready()

    def _ready(self) -> ClusterFacts:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            facts = self.observe()
            if facts.ready and (facts.socket_directory is None or administrator.asked(facts).answered):
                return facts
            time.sleep(POLL_SECONDS)
        raise EngineBackupError(
            f"PostgreSQL in {self.data} does not take connections after {START_SECONDS:.0f} s",
            f"see 'journalctl --unit={self.service}' and the logs in {self.data}",
        )

    def _initdb(self, options: tuple[str, ...]) -> None:
        facts = self.observe()
        self.data.parent.parent.mkdir(parents=True, exist_ok=True)
        for directory in (self.data.parent, self.data):
            if not directory.exists():
                directory.mkdir(mode=0o700)
                os.chown(directory, facts.uid, facts.gid)
        words = (f"--pgdata={self.data}", "--auth-local=peer", "--auth-host=scram-sha-256", *options)
        run(Command(self._programs().path("initdb"), words, user=_account(facts)))

    def _programs(self, major: int = 0) -> Programs:
        """Return the programs of this major version, or the newest."""
        found = postgres_programs.with_server(postgres_programs.installed(root=self.root))
        fitting = [programs for programs in found if major in (0, programs.major)]
        if major and not fitting:
            raise ProgramError(
                f"the programs of PostgreSQL {major} are not there, which {self.data} belongs to",
                127,
                hint="install the package postgresql-server of this version",
            )
        return postgres_programs.for_server(fitting)


def _account(facts: ClusterFacts) -> OsUser | None:
    """Return whom PostgreSQL's programs run as; None: we are that account (or can be no other)."""
    return OsUser(facts.owner, facts.uid, facts.gid) if os.geteuid() == 0 else None


def _best_locale(there: tuple[str, ...]) -> str:
    names = {name.lower().replace("-", "") for name in there}
    return next((name for name in LOCALES if name.lower().replace("-", "") in names), "C")
