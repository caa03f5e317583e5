"""Stand-in programs of a machine: they drive a real PostgreSQL, remember services, and fail when told to.

A program with a snippet in `failing/` takes it away and runs it, once, before it does its work.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.scratch_cluster import server_account
from tests.support.wrapped_programs import wrapped

DATA = "var/lib/pgsql/data"

# `$name` is set before; the snippet may exit, or go on to the program's own work.
SNIPPET = """
snippet={failing}/$name
if [ -e "$snippet" ]; then mv "$snippet" "$snippet.taken"; . "$snippet.taken"; fi
"""

SYSTEMCTL = """#!/bin/sh
[ "$1" = --quiet ] && shift
verb=$1 unit=$2
name=systemctl.$verb
{snippet}
units={units}
if [ "$unit" = postgresql ]; then
    runs() {{ {pg_ctl} status > {units}/.status 2>&1; }}
    case $verb in
        start) runs || {pg_ctl} --wait --log={data}/server.log start && exit
               tail -n 5 {data}/server.log >&2; exit 1 ;;
        stop) if runs; then {pg_ctl} --wait --mode=fast stop; fi; exit ;;
        restart) {pg_ctl} --wait --mode=fast --log={data}/server.log restart; exit ;;
        reload) {pg_ctl} reload; exit ;;
    esac
fi
case $verb in
    is-active) if [ -e "$units/$unit.active" ]; then echo active; else echo inactive; exit 3; fi ;;
    is-enabled) [ -e "$units/$unit.enabled" ] ;;
    enable) touch "$units/$unit.enabled" ;;
    disable) rm -f "$units/$unit.enabled" ;;
    start) touch "$units/$unit.active" ;;
    stop) rm -f "$units/$unit.active" ;;
    show) echo LoadState=loaded ;;
    *) exit 1 ;;
esac
"""

SETUP = """#!/bin/sh
set -e
name=postgresql-setup
{snippet}
[ "$1" = --initdb ]
cd {data}
{drop} {initdb} --pgdata={data} --auth-local=peer --auth-host=scram-sha-256 --no-sync $PGSETUP_INITDB_OPTIONS
cat >> {data}/postgresql.conf <<END
port = {port}
unix_socket_directories = '{sockets}'
fsync = off
END
"""

RESTORECON = """#!/bin/sh
name=restorecon
{snippet}
exit 0
"""

TAR = """#!/bin/sh
name=tar
{snippet}
exec /bin/tar "$@"
"""

PG_RESTORE = """
snippet = Path({failing!r}, "pg_restore")
if names("--dbname") and snippet.exists():
    taken = snippet.rename(str(snippet) + ".taken")
    # `exec`, so that $PPID is the command's own process.
    os.execv("/bin/sh", ["/bin/sh", "-c", taken.read_text() + '\\nexec "$0" "$@"', REAL, *sys.argv[1:]])
become_real()
"""


@dataclass(frozen=True)
class Places:
    """Where the stand-ins keep what they remember; all below the machine's directory, beside its root."""

    directory: Path
    sockets: Path
    port: int

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def data(self) -> Path:
        return self.root / DATA

    @property
    def units(self) -> Path:
        return self.directory / "units"

    @property
    def failing(self) -> Path:
        return self.directory / "failing"

    @property
    def programs(self) -> Path:
        """The directory for PATH and for --pg-bindir."""
        return self.directory / "bin"


def pg_ctl(places: Places) -> str:
    """Return the shell's words for pg_ctl on the machine's cluster, as its owner."""
    program = shlex.quote(postgres_programs.for_server().path("pg_ctl"))
    return f"{_drop()} {program} --silent --pgdata={places.data}".strip()


def _drop() -> str:
    user = server_account()
    return f"setpriv --reuid={user.uid} --regid={user.gid} --clear-groups" if user else ""


def install(places: Places) -> None:
    """Write all stand-ins."""
    for directory in (places.units, places.failing, places.root / "usr/bin"):
        directory.mkdir(parents=True, exist_ok=True)
    snippet = SNIPPET.format(failing=places.failing)
    words = {
        "snippet": snippet,
        "units": places.units,
        "pg_ctl": pg_ctl(places),
        "data": places.data,
        "drop": _drop(),
        "initdb": shlex.quote(postgres_programs.for_server().path("initdb")),
        "port": places.port,
        "sockets": places.sockets,
    }
    system = places.root / "usr/bin"
    _write(system / "systemctl", SYSTEMCTL.format(**words))
    _write(system / "postgresql-setup", SETUP.format(**words))
    _write(system / "selinuxenabled", "#!/bin/sh\nexit 0\n")
    _write(system / "restorecon", RESTORECON.format(**words))
    real = postgres_programs.for_restore(0, postgres_programs.installed())
    wrapped(places.programs, real, pg_restore=PG_RESTORE.format(failing=str(places.failing)))
    _write(places.programs / "tar", TAR.format(**words))


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
