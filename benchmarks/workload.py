"""The engine that is backed up and restored: built once for a size, kept, and copied for each run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg2 import sql

from engine_backup.drivers.file_tree import find_paths
from engine_backup.drivers.postgres_programs import for_server
from engine_backup.drivers.scratch_cluster import ClusterTemplate
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
from engine_backup.model.components import BY_NAME
from engine_backup.model.paths import LEFT_OUT_OF_BACKUP, SAVED_PATHS
from engine_backup.model.secret import Secret
from engine_backup.run import drill_server
from engine_backup.sample import databases, engine, tree
from engine_backup.sample.engine import SampleEngine
from engine_backup.sample.size import Size

# About 205 MB of engine and 530 MB of Data Warehouse on disk; larger sites have more machines, not more days.
MACHINES, DAYS, EVENTS_A_DAY = 300, 40, 45
LARGEST_KEPT = 4.0
# A production server in small: everything durable, which scratch servers otherwise are not.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "jit": "on",
    "shared_buffers": "256MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_connections": "150",
    "autovacuum_max_workers": "6",
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_analyze_scale_factor": "0.075",
}


@dataclass(frozen=True)
class Engine:
    """A sample engine on a running server."""

    server: ScratchServer
    sample: SampleEngine
    directory: Path

    @property
    def names(self) -> Path:
        """The list of all files to save, relative to the root, ended by zero bytes."""
        return self.directory / "names"

    @property
    def databases(self) -> Path:
        """Lines `component member database user`, in stock's order."""
        return self.directory / "databases"

    @property
    def passwords(self) -> Path:
        """The file for PGPASSFILE."""
        return self.directory / "pgpass"


def size_of(scale: float, machines: int = 0, days: int = 0) -> Size:
    """Return the size of an engine at a scale; machines and days may be named instead."""
    wanted = machines or max(12, round(MACHINES * scale))
    return Size(vms=wanted, days=days or DAYS, events_a_day=EVENTS_A_DAY, full_history=True)


@contextmanager
def running_engine(directory: Path, private: Path, size: Size, keep: bool) -> Iterator[Engine]:
    """Run an engine of this size below `private`; `keep` leaves a copy of its databases for the next run.

    The server can be stopped within the block, when only its archives are needed any more.
    """
    kept = directory / "kept" / _stamp(size)
    template = _template(kept) if kept.exists() else None
    with ScratchServer.start(Wanted(settings=SETTINGS, template=template), directory=private) as server:
        sample = engine.describe(private / "engine", server, size, engine.COMPONENTS)
        found = Engine(server, sample, private)
        tree.create(found.sample)
        _write_lists(found)
        if template is None:
            databases.create(server, found.sample)
            _settle(server, found.sample)
            if keep:
                _keep(server, kept)
        yield found


@contextmanager
def empty_server(directory: Path, source: Engine, port: int) -> Iterator[ScratchServer]:
    """Run a server with the same settings, the same roles and no databases, on the port of the conf files."""
    with ScratchServer.start(Wanted(settings=SETTINGS, port=port), directory=directory) as server:
        for name, password in source.sample.roles.items():
            server.create_role(name, password)
        yield server


@contextmanager
def scratch_server(directory: Path, source: Engine) -> Iterator[ScratchServer]:
    """Run a server of the kind that drills load into, with the roles of the engine and no databases."""
    with ScratchServer.start(Wanted(settings=drill_server.settings()), directory=directory) as server:
        for name, password in source.sample.roles.items():
            server.create_role(name, password)
        yield server


def fresh_databases(server: ScratchServer, sample: SampleEngine) -> None:
    """Make the empty databases of a restore, in place of those that an earlier one filled."""
    with closing(server.connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for login in sample.credentials.values():
                drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                cursor.execute(drop.format(sql.Identifier(login.database)))
            cursor.execute("CHECKPOINT")
    for login in sample.credentials.values():
        server.create_database(login.database, login.user)


def bytes_on_disk(engine_: Engine) -> dict[str, int]:
    """Return the size of each database, by component."""
    found = {}
    with closing(engine_.server.connect()) as connection, connection.cursor() as cursor:
        for name, login in engine_.sample.credentials.items():
            cursor.execute("SELECT pg_database_size(%s)", (login.database,))
            row = cursor.fetchone()
            found[name] = int(row[0]) if row else 0
    return found


def _write_lists(found: Engine) -> None:
    """Write down for shell scripts what there is to save and how to log in."""
    saved = find_paths(found.sample.root, SAVED_PATHS, LEFT_OUT_OF_BACKUP)
    found.names.write_bytes(b"".join(name + b"\0" for name in saved.names))
    lines, logins = [], []
    for name, login in found.sample.credentials.items():
        member = Path(BY_NAME[name].member).name
        lines.append(f"{name} {member} {login.database} {login.user}\n")
        password = login.password.reveal().replace("\\", "\\\\").replace(":", "\\:")
        logins.append(f"*:*:*:{login.user}:{password}\n")
    found.databases.write_text("".join(lines))
    found.passwords.write_text("".join(logins))
    found.passwords.chmod(0o600)


def _settle(server: ScratchServer, sample: SampleEngine) -> None:
    """Do what autovacuum would have done long ago, so that no round has to."""
    for login in sample.credentials.values():
        with closing(server.connect(login.database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("VACUUM (FREEZE, ANALYZE)")
                cursor.execute("CHECKPOINT")


def _stamp(size: Size) -> str:
    """Name what a kept cluster was made from."""
    texts = [databases.script(name) for names in databases.SCRIPTS.values() for name in names]
    texts += [databases.script(name) for names in databases.FULL_HISTORY_SCRIPTS.values() for name in names]
    texts += [databases.script(databases.SETTINGS_SCRIPT), str(for_server().version), repr(size)]
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    return f"{size.vms}-machines-{digest[:12]}"


def _keep(server: ScratchServer, kept: Path) -> None:
    kept.parent.mkdir(exist_ok=True)
    partial = kept.with_name(kept.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o755)
    server.as_template(partial / "data")
    password = partial / "password"
    password.touch(0o600)
    password.write_text(json.dumps(server.superuser_password.reveal()))
    partial.replace(kept)


def _template(kept: Path) -> ClusterTemplate:
    password = Secret(json.loads((kept / "password").read_text()))
    return ClusterTemplate(kept / "data", for_server(), password)
