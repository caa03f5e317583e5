"""A PostgreSQL server of our own: private, throw-away, never one of the machine's clusters.

It lives in one private directory, runs as a direct child of this process
under an account that owns no real cluster, and vanishes with the `with` block.
For the demo, tests and drills; its settings trade durability for speed.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.command import Command, OsUser, failure
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.drivers.process import Running
from engine_backup.drivers.scratch_cluster import (
    ACCOUNTS,
    SUPERUSER,
    UUID_FUNCTIONS,
    Cluster,
    ClusterTemplate,
    create_cluster,
    private_directory,
    reachable_programs,
    server_account,
    short_directory,
    write_extension,
)
from engine_backup.drivers.scratch_postmaster import LOOPBACK, SETTINGS, free_port, postmaster_command, served
from engine_backup.model.errors import ProgramError
from engine_backup.model.secret import Secret

START_SECONDS = 60.0
POLL_SECONDS = 0.02
QUIT_SECONDS = 5.0
PORT_ATTEMPTS = 10


@dataclass(frozen=True)
class Wanted:
    """What a scratch server is to be like.

    `settings` are lines of postgresql.conf. Without `tcp` the server answers on its socket only.
    `port` 0 takes a free one. `template` is a stopped cluster to copy instead of running initdb.
    Started by root, the server runs as the first of `accounts` that exists.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    tcp: bool = True
    port: int = 0
    template: ClusterTemplate | None = None
    accounts: Sequence[str] = ACCOUNTS


_ORDINARY = Wanted()


class ScratchServer:
    """A running server; made by `ScratchServer.start`.

    Restarting keeps `port`, so that conf files which name it stay true.
    """

    superuser = SUPERUSER

    def __init__(self, cluster: Cluster, sockets: Path, tcp: bool, settings: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._sockets = sockets
        self._tcp = tcp
        self._settings = {**SETTINGS, **settings}
        self._child: Running | None = None
        self._stack = ExitStack()
        self.port = 5432

    @classmethod
    @contextmanager
    def start(
        cls, wanted: Wanted = _ORDINARY, *, directory: Path | None = None, programs: Programs | None = None
    ) -> Iterator[ScratchServer]:
        """Start a server in a new private directory below `directory`, and remove both afterwards.

        `directory` (default: the system's directory for temporary files) must
        exist and be open to the account that runs the server. Raises `ProgramError`
        with the server's last words when it does not come up.
        """
        user = server_account(wanted.accounts)
        template = wanted.template
        chosen = programs or (template.programs if template else postgres_programs.for_server())
        with private_directory(directory, user) as home, short_directory(home, user) as sockets:
            usable = reachable_programs(chosen, home, user)
            cluster = create_cluster(home, usable, user, template)
            settings = {**write_extension(home, usable), **wanted.settings}
            server = cls(cluster, sockets, wanted.tcp, settings)
            try:
                server._start_somewhere(wanted.port)
                yield server
            finally:
                server._abandon()

    @property
    def host(self) -> str:
        """The address in `host`: loopback, or the socket's directory without TCP."""
        return LOOPBACK if self._tcp else str(self.socket_directory)

    @property
    def socket_directory(self) -> Path:
        """The private directory of the Unix socket."""
        return self._sockets

    @property
    def data_directory(self) -> Path:
        """PostgreSQL's PGDATA."""
        return self._cluster.data

    @property
    def programs(self) -> Programs:
        """The programs that this server runs with."""
        return self._cluster.programs

    @property
    def superuser_password(self) -> Secret:
        """The random password of `superuser`."""
        return self._cluster.superuser_password

    @property
    def user(self) -> OsUser | None:
        """The account that the server runs as; None: our own."""
        return self._cluster.user

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return self._running.pid

    @property
    def version_number(self) -> int:
        """`server_version_num`, such as 150018."""
        major, minor = self.programs.version
        return major * 10000 + minor

    def log(self) -> str:
        """What the server has written since its last start (at most its last MiB)."""
        return self._running.error_output()

    def connect(
        self, database: str = "postgres", user: str = "", password: Secret | None = None
    ) -> Connection:
        """Open a connection, as the superuser unless told otherwise. The caller closes it."""
        secret = password if password is not None else self.superuser_password
        return psycopg2.connect(
            host=self.host,
            port=self.port,
            dbname=database,
            user=user or self.superuser,
            password=secret.reveal(),
            connect_timeout=10,
            # The environment of whoever runs us may hold PGSSLMODE, PGOPTIONS and the like.
            sslmode="disable",
            gssencmode="disable",
            options="-c client_min_messages=warning",
        )

    def create_role(self, name: str, password: Secret) -> None:
        """Create a role that may log in and nothing else."""
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        self._execute("postgres", statement.format(sql.Identifier(name), sql.Literal(password.reveal())))

    def limit_temporary_files(self, size: int) -> None:
        """Let no process of later sessions write more than `size` bytes; only superusers may raise that."""
        limit = sql.Literal(f"{size // 1024}kB")
        self._execute("postgres", sql.SQL("ALTER ROLE ALL SET temp_file_limit = {}").format(limit))

    def create_database(self, name: str, owner: str) -> None:
        """Create an empty UTF-8 database as `ovirt-engine-provisiondb` does: from template0, with uuid-ossp.

        Where uuid-ossp cannot be had, the functions that the engine calls stand in for it.
        """
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'")
        self._execute("postgres", statement.format(sql.Identifier(name), sql.Identifier(owner)))
        self._execute(name, sql.SQL(self._uuid_statement(name)))

    def stop(self) -> None:
        """Stop the server quickly and in good order; its data stay until the block is left."""
        self._child = None
        self._stack.close()

    def kill(self) -> None:
        """Kill the postmaster as a crash would; `restart` recovers."""
        self._running.child.kill()
        self._running.child.wait()

    def restart(self) -> None:
        """Stop the server if it runs, and start it again on the same port."""
        self.stop()
        deadline = time.monotonic() + START_SECONDS
        while not self._launch(deadline):
            if time.monotonic() > deadline:
                raise self._start_failure()
            self.stop()
            time.sleep(POLL_SECONDS)  # after a crash, old backends may still hold the shared memory

    def as_template(self, directory: Path) -> ClusterTemplate:
        """Copy this server's data, stopped in good order, to `directory`; other servers start from it."""
        self.stop()
        try:
            return self._cluster.copied_to(directory)
        finally:
            self.restart()

    def _abandon(self) -> None:
        """Stop the server at once: what it would still write goes away with it.

        QUIT is an immediate shutdown (PostgreSQL manual, Shutting Down the Server).
        """
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.child.send_signal(signal.SIGQUIT)
            self._child.ended_within(QUIT_SECONDS)
        self.stop()

    @property
    def _running(self) -> Running:
        if self._child is None:
            raise ProgramError("the scratch server is not running", 1)
        return self._child

    def _execute(self, database: str, statement: sql.Composable) -> None:
        connection = self.connect(database)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def _uuid_statement(self, database: str) -> str:
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'uuid-ossp'")
                available = cursor.fetchone() is not None
        finally:
            connection.close()
        return 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"' if available else UUID_FUNCTIONS

    def _start_somewhere(self, port: int) -> None:
        """Start on a free port; between finding and binding it somebody else may take it."""
        deadline = time.monotonic() + START_SECONDS
        for _ in range(PORT_ATTEMPTS if self._tcp and not port else 1):
            self.port = port or (free_port() if self._tcp else self.port)
            if self._launch(deadline):
                return
            if "in use" not in self.log():
                break
            self.stop()
        raise self._start_failure()

    def _launch(self, deadline: float) -> bool:
        """Start the postmaster and wait until it takes connections; False when it ends instead."""
        self._child = self._stack.enter_context(served(self._command()))
        while self._child.child.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def _start_failure(self) -> ProgramError:
        running = self._running
        status = running.child.poll()
        if status is None:
            return ProgramError(
                f"the scratch server did not answer within {START_SECONDS:.0f} s", 1, self.log()
            )
        return failure(running.command, status, self.log())

    def _command(self) -> Command:
        options = {
            **self._settings,
            "listen_addresses": LOOPBACK if self._tcp else "",
            "unix_socket_directories": str(self.socket_directory),
            "unix_socket_permissions": "0700",
            "port": str(self.port),
        }
        return postmaster_command(self._cluster, options)
