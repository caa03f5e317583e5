"""One machine at the bench: looking at it, running the command on it, setting it up from its template."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers import administrator
from engine_backup.drivers.local_cluster import LocalCluster
from tests.faults.namespace import Namespace
from tests.faults.programs import Places
from tests.support import real_process
from tests.support.machine import Machine, Result

# A superuser of ours beside the administrator, who may be locked out.
KEEPER, KEEPERS_PASSWORD = "keeper", "kept for looking"
REPOSITORY = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 60.0


@dataclass
class Bench:
    """A machine of a scenario. `namespace`: where its small or read-only disks are mounted, if it has any.

    `cluster_from_start`: the scenario begins with a running server, where `KEEPER` may log in.
    """

    places: Places
    machine: Machine
    cluster_from_start: bool
    words: Callable[[Bench], list[str]]
    namespace: Namespace | None = None
    born_ns: int = field(default_factory=time.time_ns)
    before: Any = None
    complete: Any = None

    @property
    def view(self) -> Path:
        """The root as it is seen where the machine's disks are mounted."""
        return self.namespace.seen(self.places.root) if self.namespace else self.places.root

    # Running

    def run(self, words: Sequence[str], spec: str = "") -> Result:
        """Run the command to its end, with a fault when `spec` tells one."""
        return self.wait(self.start(words, spec))

    def start(self, words: Sequence[str], spec: str = "") -> subprocess.Popen[bytes]:
        """Start the command; its output goes to files: orphans of a killed run must not hold us up."""
        module = ["tests.faults.faulty", spec, "--"] if spec else ["engine_backup"]
        inside = self.namespace.enter() if self.namespace else []
        with self._output("stdout").open("wb") as out, self._output("stderr").open("wb") as err:
            return subprocess.Popen(
                [*inside, sys.executable, "-m", *module, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                # What goes astray with relative names must not go astray here.
                cwd=self.working,
                env=self._environment(),
            )

    def wait(self, process: subprocess.Popen[bytes]) -> Result:
        """Wait for the command and return what it did."""
        status = process.wait(timeout=PATIENCE_SECONDS * 3)
        out, err = (self._output(name).read_text("utf-8", "replace") for name in ("stdout", "stderr"))
        return Result(status, out, err)

    @property
    def working(self) -> Path:
        """The directory that the command is started in; it has no business there."""
        return self.places.directory / "working"

    def _output(self, name: str) -> Path:
        return self.places.directory / name

    def _environment(self) -> dict[str, str]:
        path = f"{self.places.programs}:{os.environ.get('PATH', '')}"
        source = f"{real_process.SOURCE}:{REPOSITORY}"
        return {**os.environ, "PYTHONPATH": source, "PATH": path}

    def restore(self, spec: str = "", *more: str) -> Result:
        """Restore the scenario's archive."""
        return self.run(self.restore_words(*more), spec)

    def restore_words(self, *more: str) -> list[str]:
        """Return the scenario's command line."""
        return self.machine.words("restore", f"--pg-bindir={self.places.programs}", *self.words(self), *more)

    def roll_back(self) -> Result:
        """Run `rollback`."""
        self.machine.runs += 1
        return self.run(self.journal_words("rollback"))

    def journal_words(self, name: str) -> list[str]:
        """Return the command line of a command that works on the journal."""
        machine = self.machine
        return [name, f"--root={machine.root}", f"--log={machine.log}", f"--tmpdir={machine.temporary}"]

    def shell(self, script: str) -> None:
        """Run shell commands where the machine's disks are mounted."""
        inside = self.namespace.enter() if self.namespace else []
        done = subprocess.run([*inside, "sh", "-c", script], capture_output=True, check=False, text=True)
        assert done.returncode == 0, f"{script}: {done.stdout} {done.stderr}"

    # The server

    def server_pid(self) -> int:
        """Return the postmaster's process id; 0 when it does not run."""
        return LocalCluster(self.view).observe().pid

    def connect(self, database: str = "postgres") -> Connection:
        """Log in as a superuser, in autocommit mode; the caller closes."""
        if not self.cluster_from_start:
            return administrator.connect(LocalCluster(self.view).observe(), database)
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.places.port,
            user=KEEPER,
            password=KEEPERS_PASSWORD,
            dbname=database,
            application_name="checker",
        )
        connection.autocommit = True
        return connection

    def start_server(self) -> None:
        """Start the server, if it does not run."""
        self.shell(f"{self.places.root}/usr/bin/systemctl start postgresql")

    def stop_server(self) -> None:
        """End the server at once, whatever state it is in."""
        pid = self.server_pid()
        if pid:
            os.kill(pid, signal.SIGQUIT)
            await_end(pid)

    def spared_processes(self) -> frozenset[int]:
        """Return the processes near the machine that are no leftovers: its server and our mounts' keeper."""
        holder = {self.namespace.pid} if self.namespace else set()
        return frozenset({self.server_pid(), *holder} - {0})

    # The template

    def keep_as_template(self) -> None:
        """Stop the server and keep everything as it is now."""
        if self.server_pid():
            self.shell(f"{self.places.root}/usr/bin/systemctl stop postgresql")
        for place in (self.places.root, self.places.units):
            _copy(place, _template(place))

    def set_up(self) -> None:
        """Make the machine what its template is, on its own disks."""
        self.tear_down()
        for place in (self.places.root, self.places.units):
            _copy(_template(place), place)
        shutil.rmtree(self.machine.temporary)
        self.machine.temporary.mkdir()

    def tear_down(self) -> None:
        """End the server, and leave the mounts."""
        self.stop_server()
        if self.namespace is not None:
            self.namespace.close()
            self.namespace = None


def _template(place: Path) -> Path:
    return place.with_name(place.name + ".template")


def _copy(source: Path, target: Path) -> None:
    """Copy a tree with everything that tells one from another; cp(1) keeps hard links and holes."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--sparse=auto", source, target], check=True)


def await_end(pid: int) -> None:
    """Wait until a process is gone, or is only waited for by its parent."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(ProcessLookupError, FileNotFoundError, ChildProcessError):
            state = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":
                time.sleep(0.02)
                continue
        return
    raise AssertionError(f"process {pid} does not end")
