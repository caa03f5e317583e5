"""Where runs fail in tests, what must be true afterwards, and how a failure must be told."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import ExitStatus
from engine_backup.model.facts import Credentials
from engine_backup.sample import tree
from engine_backup.sample.compare import (
    BACKUP_EVENTS,
    DatabaseFingerprint,
    FileFingerprint,
    fingerprint_database,
    fingerprint_databases,
    fingerprint_tree,
)
from tests.support import real_process
from tests.support.machine import Machine, Result, change_options, login

OLDER = "# what stood there before\n"
OLDER_FILES = (
    "etc/ovirt-engine/engine.conf.d/10-setup-database.conf",
    "etc/ovirt-engine/engine.conf.d/12-setup-keycloak.conf",
    "etc/sysconfig/ovirt-engine",
    "var/lib/grafana/grafana.db",
    "var/lib/grafana/grafana.db-wal",
)
EVENT_SEQUENCE = "public.audit_log_audit_log_id_seq"
OWN_DIRECTORY = "var/lib/ovirt-engine-backup"
DATABASES = ("engine", "dwh", "managedblock", "keycloak")


def assert_failed(result: Result, status: int, message: str, hint: str = "") -> None:
    """Hold that a run failed with one line that names the cause, a hint below it, and no traceback."""
    told = f"status {result.status}\n{result.stdout}\n{result.stderr}"
    assert result.status == status, told
    assert "Traceback" not in result.stderr, told
    lines = result.stderr.splitlines()
    assert len(result.fatal) == 1, told
    assert message in result.fatal[0], told
    below = lines[lines.index(result.fatal[0]) + 1 :]
    assert [line[:8] for line in below] == ["  hint: "], told
    assert hint in below[0], told


def assert_refused(
    result: Result, message: str, hint: str = "", status: ExitStatus = ExitStatus.REFUSED
) -> None:
    """Hold that one of the problems of a plan is this one, and each has a hint below it."""
    told = f"status {result.status}\n{result.stdout}\n{result.stderr}"
    assert result.status == status, told
    assert "Traceback" not in result.stderr, told
    lines = result.stderr.splitlines()
    hints = [after for line, after in zip(lines, lines[1:]) if line in result.fatal]
    assert len(hints) == len(result.fatal), told
    assert all(line.startswith("  hint: ") for line in hints), told
    assert any(message in line and hint in below for line, below in zip(result.fatal, hints)), told


@dataclass(frozen=True)
class Engine:
    """An engine that is only read: its root and its databases, with what they were at first."""

    root: Path
    credentials: Mapping[str, Credentials]
    files: Mapping[str, FileFingerprint]
    databases: Mapping[str, DatabaseFingerprint]

    @classmethod
    def observed(cls, root: Path, credentials: Mapping[str, Credentials]) -> Engine:
        """Return the engine as it is now."""
        return cls(root, credentials, fingerprint_tree(root), _without_events(credentials))

    def assert_untouched(self) -> None:
        """Hold every row and every file to what they were; a backup's own events do not count."""
        assert _without_events(self.credentials) == self.databases
        assert fingerprint_tree(self.root) == self.files


def _without_events(credentials: Mapping[str, Credentials]) -> dict[str, DatabaseFingerprint]:
    """Return what the databases hold, but for the events of backups and the sequence that numbers them."""
    found = fingerprint_databases(credentials, BACKUP_EVENTS)
    return {
        name: replace(
            database, sequences={k: v for k, v in database.sequences.items() if k != EVENT_SEQUENCE}
        )
        for name, database in found.items()
    }


@dataclass(frozen=True)
class BackupSite:
    """A place for archives, logs and temporary files of its own, with an older archive there."""

    engine: Engine
    machine: Machine

    def words(self, *more: str) -> list[str]:
        """Return the command line of a backup."""
        return self.machine.words("backup", f"--root={self.engine.root}", *more)

    def back_up(self, *more: str) -> Result:
        """Back the engine up."""
        return self.machine.command(*self.words(*more))

    def assert_nothing_left(self) -> None:
        """Hold that the older archive is as it was, and nothing else is there."""
        assert self.machine.archive.read_text() == OLDER
        assert self.machine.leftovers() == []
        assert [path.name for path in self.machine.directory.glob("*.backup*")] == ["engine.backup"]


def backup_site(engine: Engine, directory: Path) -> BackupSite:
    """Prepare a place for backups of an engine."""
    machine = Machine(directory)
    machine.archive.write_text(OLDER)
    return BackupSite(engine, machine)


@dataclass(frozen=True)
class Target:
    """A machine with some older files, and empty databases, to restore onto."""

    machine: Machine
    logins: Mapping[str, Credentials]
    files: Mapping[str, FileFingerprint]

    def words(self, *more: str) -> list[str]:
        """Return the command line of a restore into these databases."""
        options = change_options(self.logins, self.machine.directory)
        return self.machine.words("restore", "--no-restore-permissions", *options, *more)

    def restore(self, *more: str) -> Result:
        """Restore the archive of the machine."""
        return self.machine.command(*self.words(*more))

    def roll_back(self, *more: str) -> Result:
        """Take back what a killed restore has left."""
        return self.machine.roll_back("rollback", *more)

    def assert_stops(self, name: str, words: Sequence[str], reached: Callable[[], bool]) -> None:
        """Send a signal to a restore as soon as it is there, and hold that it takes everything back."""
        process = real_process.start(self.words(*words))
        while not reached():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.Signals[name])
        result = real_process.result(process)
        assert_failed(result, ExitStatus.INTERRUPTED, f"stopped by {name}", "start it again")
        assert "All that was changed has been undone." in result.stdout
        self.assert_untouched()

    def assert_untouched(self) -> None:
        """Hold that databases are empty, files are as they were, and nothing is left behind."""
        for credentials in self.logins.values():
            found = fingerprint_database(credentials)
            assert (found.tables, found.sequences, found.owners) == ({}, {}, {})
        self.assert_files_untouched()

    def assert_files_untouched(self) -> None:
        """Hold that files are as they were, and nothing is left behind."""
        assert _tree(self.machine.root) == self.files
        assert self.machine.leftovers() == []


def _tree(root: Path) -> dict[str, FileFingerprint]:
    """Return what is below a root; the directory where runs keep their own things has no time that counts."""
    found = fingerprint_tree(root)
    return {**found, OWN_DIRECTORY: replace(found[OWN_DIRECTORY], mtime_ns=0)}


def target_logins(
    server: ScratchServer, prefix: str, password: str = "Te:st\\Pw 1"
) -> dict[str, Credentials]:
    """Create roles with an awkward password, and empty databases."""
    return {name: login(server, f"{prefix}_{name}", f"{prefix}_{name}", password) for name in DATABASES}


def target_machine(directory: Path, logins: Mapping[str, Credentials], archive: Path) -> Target:
    """Lay out a machine on which an engine's packages are installed and some older files lie."""
    machine = Machine(directory)
    tree.install_packages(machine.root)
    for name in OLDER_FILES:
        path = machine.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(OLDER)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    shutil.copyfile(archive, machine.archive)
    return Target(machine, logins, _tree(machine.root))
