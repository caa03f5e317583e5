"""Running the whole command in this process, with an environment of the test's own."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine_backup.cli.environment import Environment
from engine_backup.cli.main import run
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME
from engine_backup.model.facts import Credentials
from engine_backup.model.options import option_name
from engine_backup.model.secret import Secret

OS_RELEASE = 'NAME="AlmaLinux"\nID="almalinux"\nVERSION_ID="9.6"\n'


@dataclass(frozen=True)
class Result:
    """What a command line did."""

    status: int
    stdout: str
    stderr: str

    def check(self) -> Result:
        """Return itself, or fail with everything that was said."""
        assert self.status == 0, f"status {self.status}\n{self.stdout}\n{self.stderr}"
        return self

    @property
    def fatal(self) -> list[str]:
        """The lines that say why it failed."""
        return [line for line in self.stderr.splitlines() if line.startswith("FATAL: ")]


@dataclass
class Machine:
    """A root directory, and a place for archives, logs and temporary files."""

    directory: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    prompt: Callable[[str], str] = lambda question: ""
    runs: int = 0

    def __post_init__(self) -> None:
        for place in (self.root, self.temporary):
            place.mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def temporary(self) -> Path:
        return self.directory / "tmp"

    @property
    def archive(self) -> Path:
        return self.directory / "engine.backup"

    @property
    def log(self) -> Path:
        return self.directory / f"log-{self.runs}"

    def install(self, os_release: str = OS_RELEASE) -> None:
        """Put there what a machine has before a restore."""
        (self.root / "etc").mkdir(exist_ok=True)
        (self.root / "etc/os-release").write_text(os_release)

    def command(self, *words: str) -> Result:
        """Run words as they are."""
        stdout, stderr = io.StringIO(), io.StringIO()
        environment = Environment(
            variables=self.variables, stdin=io.StringIO(), stdout=stdout, stderr=stderr, prompt=self.prompt
        )
        status = run(words, environment)
        return Result(status, stdout.getvalue(), stderr.getvalue())

    def words(self, mode: str, *more: str) -> list[str]:
        """Return the command line of a mode on this machine's root, with a log of its own."""
        self.runs += 1
        return [
            f"--mode={mode}",
            f"--root={self.root}",
            f"--file={self.archive}",
            f"--log={self.log}",
            f"--tmpdir={self.temporary}",
            *more,
        ]

    def engine_backup(self, mode: str, *words: str) -> Result:
        """Run a mode on this machine's root, with a log of its own."""
        return self.command(*self.words(mode, *words))

    def roll_back(self, mode: str = "rollback", *more: str) -> Result:
        """Run `rollback`, `commit` or `journal` on this machine's root."""
        return self.command(*self.journal_words(mode, *more))

    def journal_words(self, mode: str, *more: str) -> list[str]:
        """Return the command line of `rollback`, `commit` or `journal` on this machine's root."""
        self.runs += 1
        return [mode, f"--root={self.root}", f"--log={self.log}", f"--tmpdir={self.temporary}", *more]

    def leftovers(self) -> list[str]:
        """Name what runs must not leave behind."""
        found = [str(path) for path in self.temporary.iterdir()]
        found += [str(path) for path in self.directory.glob("*.partial")]
        staging = self.root / "var/lib/ovirt-engine-backup/restore"
        return found + ([str(path) for path in staging.iterdir()] if staging.exists() else [])


def login(server: ScratchServer, user: str, database: str, password: str = "Te:st\\Pw 1") -> Credentials:
    """Create a role and an empty database on a server, and return how to log in."""
    secret = Secret(password)
    server.create_role(user, secret)
    server.create_database(database, user)
    return Credentials(server.host, server.port, user, secret, database)


def change_options(logins: Mapping[str, Credentials], directory: Path) -> list[str]:
    """Return the options that restore into these databases; passwords go into files."""
    words = []
    for name, credentials in logins.items():
        component = BY_NAME[name]
        passfile = directory / f"{name}.password"
        passfile.write_text(credentials.password.reveal() + "\n")
        words.append(option_name("change", component))
        values = {
            "host": credentials.host,
            "port": str(credentials.port),
            "user": credentials.user,
            "name": credentials.database,
            "passfile": str(passfile),
        }
        words += [f"{option_name(field, component)}={value}" for field, value in values.items()]
    return words
