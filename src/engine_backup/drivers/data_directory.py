"""What a data directory of PostgreSQL tells from outside: owner and version, and whether a server runs."""

from __future__ import annotations

import os
import pwd
import sys
from contextlib import suppress
from pathlib import Path

from engine_backup.drivers.server_observation import seen_from_outside
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.server import ClusterFacts

ACCOUNT = "postgres"
_SERVER_NAMES = ("postgres", "postmaster")
# Lines of postmaster.pid, from 0 (pidfile.h)
_PID, _PORT, _SOCKET_DIRECTORY, _STATUS = 0, 3, 4, 7
_TAKES_CONNECTIONS = ("ready", "standby")


def observe(data: Path, root: Path) -> ClusterFacts:
    """Return what is there now; nothing is changed. An unreadable data directory counts as none.

    The server may live in a chroot at `root`. Raises `EngineBackupError` where there is neither a
    directory nor an account that would own it.
    """
    owner = _owner(data)
    lines = _pid_file(data)
    pid = _number(lines[_PID])
    if not pid or not _is_server(pid, data):
        return ClusterFacts(data, *owner, major=_major(data), obstacle=_obstacle(data))
    port = _number(lines[_PORT])
    return ClusterFacts(
        data,
        *owner,
        major=_major(data),
        pid=pid,
        port=port,
        socket_directory=_socket_directory(lines[_SOCKET_DIRECTORY], port, root),
        ready=lines[_STATUS] in _TAKES_CONNECTIONS,
    )


def initialised_at(data: Path) -> int:
    """Return when initdb made a cluster, in seconds since 1970; 0 when it was cut off before it could say so.

    The file begins with the system identifier, whose upper half is that time (xlog.c, BootStrapXLOG).
    """
    try:
        return int.from_bytes((data / "global/pg_control").read_bytes()[:8], sys.byteorder) >> 32
    except OSError:
        return 0


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


def _socket_directory(told: str, port: int, root: Path) -> Path | None:
    """Return the directory as we reach it; a server in a chroot tells its own view."""
    if not told.startswith("/"):
        return None
    name = f".s.PGSQL.{port}"
    return seen_from_outside(Path(told, name), root).parent


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


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0
