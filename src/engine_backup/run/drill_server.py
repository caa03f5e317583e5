"""The scratch server of a drill, made and started while the archive is still being read.

It belongs to an account that owns no real cluster, answers on a socket in a private directory only, and
forgets everything; nothing of this machine's own servers is asked or touched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from engine_backup.drivers import host, postgres_programs
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.facts import Credentials
from engine_backup.model.places import DATA

# `postgres` may own a real cluster, whose files a server of the same account could read.
ACCOUNTS = ("ovirt-engine-backup", "nobody")
MEBIBYTE = 1 << 20
LARGEST_CACHE = 1024 * MEBIBYTE
PART_OF_MEMORY = 8
SETTINGS = {
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "1GB",
    "max_connections": "60",
    "logging_collector": "off",
    "huge_pages": "off",
}

Wait = Callable[[], ScratchServer]


def choose_programs(found: Sequence[Programs], oldest_major: int) -> Programs:
    """Return the installation that is nearest to the one which made the dumps, and can load them.

    The system's own come before the embedded ones. Raises `ProgramError` that says what to install.
    """
    able = postgres_programs.with_server(found)
    if not able:
        return postgres_programs.for_server(able)
    fitting = [programs for programs in able if programs.major >= oldest_major]
    if not fitting:
        there = ", ".join(str(programs.major) for programs in able)
        raise ProgramError(
            f"the dumps were made by PostgreSQL {oldest_major}, and no server here is as new; found: {there}",
            127,
            hint=f"install postgresql{oldest_major}-server (dnf, PGDG) or postgresql-{oldest_major} (apt),"
            " or name newer programs with --pg-bindir=DIR",
        )
    return min(fitting, key=lambda p: (postgres_programs.embedded(p), p.major, -p.version[1]))


@contextmanager
def server_beside(programs: Programs, directory: Path) -> Iterator[Wait]:
    """Start a server below `directory` in another thread; the block gets what waits for it.

    That raises `EngineBackupError` when the server does not come up. After the block it is gone.
    """
    starting = _Starting(programs, directory, _accounts())
    # The kernel ends a server when the thread that started it ends, so this one lives as long.
    thread = threading.Thread(target=starting.serve, name="scratch server")
    thread.start()
    try:
        yield starting.ready.result
    finally:
        starting.enough.set()
        thread.join()


class _Starting:
    """A server that is being started, runs, and ends when there is `enough` of it."""

    def __init__(self, programs: Programs, directory: Path, accounts: tuple[str, ...]) -> None:
        self._programs = programs
        self._directory = directory
        self._accounts = accounts
        self.ready: Future[ScratchServer] = Future()
        self.enough = threading.Event()

    def serve(self) -> None:
        """Run the server; what it raises before it is ready is for who waits."""
        try:
            wanted = Wanted(settings=settings(), tcp=False, accounts=self._accounts)
            with ScratchServer.start(wanted, directory=self._directory, programs=self._programs) as server:
                self.ready.set_result(server)
                self.enough.wait()
        except BaseException as error:
            if self.ready.done():
                raise
            self.ready.set_exception(_explained(error))


def _explained(error: BaseException) -> BaseException:
    if isinstance(error, ProgramError):
        hint = "see the log; name other programs with --pg-bindir=DIR, or another place with --tmpdir=DIR"
        message = f"the scratch server cannot be started: {error.message}"
        return ProgramError(message, error.exit_status, error.error_output, hint)
    return error


def settings() -> dict[str, str]:
    """Return the settings of the server of a drill on this machine."""
    cache = min(LARGEST_CACHE, host.memory() // PART_OF_MEMORY)
    own = {"shared_buffers": f"{cache // MEBIBYTE}MB"} if cache >= 128 * MEBIBYTE else {}
    return {**SETTINGS, **own}


def _accounts() -> tuple[str, ...]:
    """Return whom root lets the server run as; raises `EngineBackupError` where we are a cluster's owner.

    A server of the same account could read the files of that cluster.
    """
    data = Path("/", DATA)
    try:
        owner = data.stat().st_uid
    except OSError:
        return ACCOUNTS
    if os.geteuid() == owner != 0:
        message = f"a drill must not run as the account that owns the database server in {data}"
        raise EngineBackupError(message, "run it as root, or as another account")
    return tuple(name for name in ACCOUNTS if host.account_number(name) != owner)


def administrator(server: ScratchServer) -> Credentials:
    """Return the log-in of the scratch server's superuser."""
    return Credentials(
        host=str(server.socket_directory),
        port=server.port,
        user=server.superuser,
        password=server.superuser_password,
        database="postgres",
        source="the scratch server",
    )
