"""How the process of a scratch server is started: where it listens, what it may skip, and when it ends."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from engine_backup.drivers.command import Command
from engine_backup.drivers.process import Running, serving
from engine_backup.drivers.scratch_cluster import Cluster
from engine_backup.model.errors import EngineBackupError

LOOPBACK = "127.0.0.1"
FIRST_PORT, PORTS = 20_000, 12_000
PORT_ATTEMPTS = 100
# What a server that dies with its data does not need, and what makes its answers the same everywhere.
SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] %u@%d ",
}


def postmaster_command(cluster: Cluster, settings: Mapping[str, str]) -> Command:
    """Return the command that serves `cluster`; it ends when this process does, however that ends."""
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    words = (*_dying_with_us(), cluster.programs.path("postgres"), "-D", str(cluster.data), *options)
    return Command(words[0], words[1:], user=cluster.user)


@contextmanager
def served(command: Command) -> Iterator[Running]:
    """Run a server that says all it has to say on standard error."""
    with Path(os.devnull).open("wb") as silence, serving(command, silence) as running:
        yield running


def free_port() -> int:
    """Return a loopback port that is free now; before it is used, another program may take it.

    Chosen by chance from those that the kernel does not hand out by itself (ip(7),
    ip_local_port_range), so that a port which is to be used again later stays free meanwhile.
    """
    for _ in range(PORT_ATTEMPTS):
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise EngineBackupError(f"no free port from {FIRST_PORT} on", "end programs that listen there")


def _dying_with_us() -> tuple[str, ...]:
    """Return the words that make the kernel stop a server whose starter was killed.

    `setpriv` (util-linux) sets PR_SET_PDEATHSIG, prctl(2), and becomes the
    server itself. SIGINT is a fast shutdown (PostgreSQL manual, Shutting Down
    the Server).
    """
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "INT", "--") if setpriv else ()
