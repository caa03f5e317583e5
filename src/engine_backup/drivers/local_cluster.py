"""The PostgreSQL cluster of this machine: observed, initialised, started, stopped.

The machine's own programs do it (`postgresql-setup`, `systemctl`), looked for
under the root first; PostgreSQL's (`initdb`, `pg_ctl`) where there are none.
"""

from __future__ import annotations

import math
import os
import pwd
import re
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from engine_backup.drivers import administrator, postgres_programs
from engine_backup.drivers.host import find_program
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.drivers.process import Command, OsUser, run
from engine_backup.drivers.server_observation import seen_from_outside
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.places import DATA
from engine_backup.model.server import ClusterFacts

SERVICE = "postgresql"
ACCOUNT = "postgres"
LOCALES = ("en_US.UTF-8", "C.UTF-8")
START_SECONDS = 60.0
POLL_SECONDS = 0.1

# sd_booted(3)
_SYSTEMD_RUNS = Path("/run/systemd/system")
_SERVER_NAMES = ("postgres", "postmaster")
# Lines of postmaster.pid, from 0 (pidfile.h)
_PID, _PORT, _SOCKET_DIRECTORY, _STATUS = 0, 3, 4, 7
_TAKES_CONNECTIONS = ("ready", "standby")
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
        owner = _owner(self.data)
        lines = _pid_file(self.data)
        pid = _number(lines[_PID])
        if not pid or not _is_server(pid, self.data):
            return ClusterFacts(self.data, *owner, major=_major(self.data), obstacle=_obstacle(self.data))
        port = _number(lines[_PORT])
        return ClusterFacts(
            self.data,
            *owner,
            major=_major(self.data),
            pid=pid,
            port=port,
            socket_directory=self._socket_directory(lines[_SOCKET_DIRECTORY], port),
            ready=lines[_STATUS] in _TAKES_CONNECTIONS,
        )

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
        if _initialised_at(self.data) > before:
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

    def _socket_directory(self, told: str, port: int) -> Path | None:
        """Return the directory as we reach it; a server in a chroot tells its own view."""
        if not told.startswith("/"):
            return None
        name = f".s.PGSQL.{port}"
        return seen_from_outside(Path(told, name), self.root).parent

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


def _owner(data: Path) -> tuple[str, int, int]:
    """Return name and numbers of the account that owns the data directory, or is to own it."""
    try:
        status = data.stat()
    except OSError:
        return _future_owner()
    try:
        return pwd.getpwuid(status.st_uid).pw_name, status.st_uid, status.st_gid
    except KeyError:
        return str(status.st_uid), status.st_uid, status.st_gid


def _future_owner() -> tuple[str, int, int]:
    try:
        entry = pwd.getpwnam(ACCOUNT) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise EngineBackupError(
            f"there is no account '{ACCOUNT}' on this machine", "install the package postgresql-server"
        ) from error
    return entry.pw_name, entry.pw_uid, entry.pw_gid


def _account(facts: ClusterFacts) -> OsUser | None:
    """Return whom PostgreSQL's programs run as; None: we are that account (or can be no other)."""
    return OsUser(facts.owner, facts.uid, facts.gid) if os.geteuid() == 0 else None


def _major(data: Path) -> int:
    try:
        return _number((data / "PG_VERSION").read_text("ascii").partition(".")[0])
    except (OSError, UnicodeDecodeError):
        return 0


def _obstacle(data: Path) -> str:
    """Say what keeps initdb from making a cluster here."""
    try:
        there = next(place for place in (data, *data.parents) if place.exists())
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            return f"{data} is on a file system that is read-only"
        if not _major(data) and data.exists() and any(data.iterdir()):
            return f"{data} holds no PostgreSQL cluster, but is not empty"
    except OSError as error:
        return f"cannot look into {data}: {error.strerror}"
    return ""


def _pid_file(data: Path) -> list[str]:
    lines: list[str] = []
    with suppress(OSError):
        lines = (data / "postmaster.pid").read_text("utf-8", "surrogateescape").split("\n")
    return [line.strip() for line in lines] + [""] * (_STATUS + 1)


def _is_server(pid: int, data: Path) -> bool:
    """Say whether a process is the server of a data directory, which is its working directory."""
    process = Path("/proc", str(pid))
    try:
        return (process / "cwd").samefile(data)
    except PermissionError:  # of another account: its name must do
        return _name_of(process) in _SERVER_NAMES
    except OSError:  # no such process, or no such directory
        return False


def _name_of(process: Path) -> str:
    """Return a process's name; none when it has just ended."""
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def _initialised_at(data: Path) -> int:
    """Return when initdb made a cluster, in seconds since 1970; 0 when it was cut off before it could say so.

    The file begins with the system identifier, whose upper half is that time (xlog.c, BootStrapXLOG).
    """
    try:
        return int.from_bytes((data / "global/pg_control").read_bytes()[:8], sys.byteorder) >> 32
    except OSError:
        return 0


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0


def _best_locale(there: tuple[str, ...]) -> str:
    names = {name.lower().replace("-", "") for name in there}
    return next((name for name in LOCALES if name.lower().replace("-", "") in names), "C")
