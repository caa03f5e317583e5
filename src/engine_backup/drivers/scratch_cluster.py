"""The directory and the data of a scratch server, before it is started.

Everything lies in one directory of mode 0700 that belongs to the account which
runs the server, so that nobody else on the machine sees data or socket.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine_backup.drivers import private_directories
from engine_backup.drivers.command import Command, OsUser
from engine_backup.drivers.postgres_programs import Programs, copy_of
from engine_backup.drivers.process import run
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.secret import Secret

SUPERUSER = "postgres"
# `nobody` owns no cluster; `postgres` may own a real one, so it is the second choice.
ACCOUNTS = ("nobody", "postgres")
LOCALES = ("en_US.UTF-8", "C.UTF-8")
LAST_LOCALE = "C"
SOCKET_PATH_LIMIT = 107  # sockaddr_un.sun_path has 108 bytes with the final zero, unix(7)
LONGEST_SOCKET_NAME = len("/.s.PGSQL.65535.lock")
EXTENSION_PATH_SINCE = 18  # setting extension_control_path, PostgreSQL 18 release notes

UUID_FUNCTIONS = """
CREATE FUNCTION uuid_nil() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$SELECT '00000000-0000-0000-0000-000000000000'::uuid$$;
CREATE FUNCTION uuid_generate_v1() RETURNS uuid LANGUAGE sql PARALLEL SAFE AS $$SELECT gen_random_uuid()$$;
CREATE FUNCTION uuid_generate_v1mc() RETURNS uuid LANGUAGE sql PARALLEL SAFE AS $$SELECT gen_random_uuid()$$;
CREATE FUNCTION uuid_generate_v4() RETURNS uuid LANGUAGE sql PARALLEL SAFE AS $$SELECT gen_random_uuid()$$;
"""
_UUID_CONTROL = """comment = 'stand-in for uuid-ossp over gen_random_uuid()'
default_version = '1.1'
relocatable = true
trusted = true
"""


@dataclass(frozen=True)
class ClusterTemplate:
    """A stopped, complete cluster to copy from, with the programs that fit it."""

    data: Path
    programs: Programs
    superuser_password: Secret


@dataclass(frozen=True)
class Cluster:
    """An initialised cluster of our own."""

    data: Path
    programs: Programs
    superuser_password: Secret
    user: OsUser | None

    def copied_to(self, directory: Path) -> ClusterTemplate:
        """Copy the (stopped) cluster into a new `directory`."""
        _copy_cluster(self.data, directory, self.user)
        return ClusterTemplate(directory, self.programs, self.superuser_password)


def server_account(accounts: Sequence[str] = ACCOUNTS) -> OsUser | None:
    """Say which of the accounts a server of ours runs as; None: we are an ordinary user, it runs as us.

    PostgreSQL refuses to run as root, and initdb needs an entry in the account database.
    """
    if os.geteuid() != 0:
        return None
    for name in accounts:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return OsUser(name, entry.pw_uid, entry.pw_gid)
    raise EngineBackupError(
        f"no account to run a scratch server as: none of {', '.join(accounts)} exists",
        hint="run as an ordinary user, or create the account `nobody`",
    )


@contextmanager
def private_directory(parent: Path | None, user: OsUser | None) -> Iterator[Path]:
    """Give a new directory of mode 0700 that belongs to `user`, and remove it with its content.

    Also when this process is killed: then the next server beside it does so.
    """
    where = Path(parent or tempfile.gettempdir()).absolute()
    if not _reachable(where, user):
        raise EngineBackupError(
            f"the scratch server runs as {user.name}, who cannot reach {where}"
            if user
            else f"{where} cannot be reached",
            hint="choose another directory, whose parents are open to all: --tmpdir=DIR, else TMPDIR",
        )
    with private_directories.private_directory(where, user) as home:
        yield home


@contextmanager
def short_directory(home: Path, user: OsUser | None) -> Iterator[Path]:
    """Give a private directory for a Unix socket, whose path must be short, and without a comma."""
    for parent in (home, Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - mkdtemp makes it private
        with private_directory(parent, user) as directory:
            if _may_hold_socket(directory):
                yield directory
                return
    raise EngineBackupError("no directory with a path short enough for a socket", hint="set TMPDIR to /tmp")


def _may_hold_socket(directory: Path) -> bool:
    """A comma ends a host in libpq, and a directory in `unix_socket_directories`."""
    path = os.fsencode(directory)
    return len(path) + LONGEST_SOCKET_NAME <= SOCKET_PATH_LIMIT and b"," not in path


def reachable_programs(programs: Programs, home: Path, user: OsUser | None) -> Programs:
    """Return the programs, or a copy of them in `home` when `user` cannot reach them."""
    if _reachable(programs.directory, user):
        return programs
    return copy_of(programs, home / "programs")


def create_cluster(
    home: Path, programs: Programs, user: OsUser | None, template: ClusterTemplate | None = None
) -> Cluster:
    """Make a cluster in `home`, by initdb or as a copy of `template`."""
    data = home / "data"
    if template is not None:
        _copy_cluster(template.data, data, user)
        return Cluster(data, programs, template.superuser_password, user)
    password = Secret(secrets.token_urlsafe(24))
    _initialise(data, programs, user, password)
    return Cluster(data, programs, password, user)


def write_extension(home: Path, programs: Programs) -> Mapping[str, str]:
    """Lay out a stand-in for uuid-ossp where PostgreSQL can take it; return the setting that says so.

    No embedded PostgreSQL has uuid-ossp. A real one, where installed, comes first in the path.
    """
    if programs.major < EXTENSION_PATH_SINCE:
        return {}
    directory = home / "extensions" / "extension"
    directory.mkdir(parents=True)
    for path in (directory.parent, directory):
        path.chmod(0o755)
    _write_readable(directory / "uuid-ossp.control", _UUID_CONTROL)
    _write_readable(directory / "uuid-ossp--1.1.sql", UUID_FUNCTIONS)
    return {"extension_control_path": f"$system:{directory.parent}"}


def _write_readable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def _initialise(data: Path, programs: Programs, user: OsUser | None, password: Secret) -> None:
    with _password_file(data.parent, user, password) as password_file:
        arguments = (
            f"--pgdata={data}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--encoding=UTF8",
            f"--locale={_best_locale()}",
            "--auth-host=scram-sha-256",
            "--auth-local=scram-sha-256",
            "--no-sync",
        )
        run(Command(programs.path("initdb"), arguments, user=user))


@contextmanager
def _password_file(home: Path, user: OsUser | None, password: Secret) -> Iterator[Path]:
    path = home / "password"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w") as file:
            file.write(password.reveal() + "\n")
        if user is not None:
            os.chown(path, user.uid, user.gid)
        yield path
    finally:
        path.unlink()


def _best_locale() -> str:
    """The engine's own locale where the system has it (reference 1.4), else the nearest that is there."""
    try:
        listed = run(Command("locale", ("-a",))).stdout.decode("ascii", "replace").split()
    except ProgramError:
        return LAST_LOCALE
    there = {_comparable(name) for name in listed}
    return next((name for name in LOCALES if _comparable(name) in there), LAST_LOCALE)


def _comparable(name: str) -> str:
    return name.lower().replace("-", "")


def _copy_cluster(source: Path, target: Path, user: OsUser | None) -> None:
    shutil.copytree(source, target, symlinks=True)
    if user is None:
        return
    os.chown(target, user.uid, user.gid)
    for top, directories, files in os.walk(target):
        for name in directories + files:
            os.chown(Path(top, name), user.uid, user.gid, follow_symlinks=False)


def _reachable(path: Path, user: OsUser | None) -> bool:
    """Say whether `user` may walk to `path` by the modes of the directories on the way."""
    if user is None:
        return os.access(path, os.X_OK)
    real = Path(os.path.realpath(path))
    return all(_may_enter(directory.stat(), user) for directory in (real, *real.parents))


def _may_enter(status: os.stat_result, user: OsUser) -> bool:
    if status.st_uid == user.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == user.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
