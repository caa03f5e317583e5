"""One handler for each kind of way back."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine_backup.drivers import (
    emptying,
    postgres,
    privileges_restoring,
    provisioning,
    roles,
    server_files,
    services,
)
from engine_backup.drivers.durable import sync_directory
from engine_backup.drivers.kept_files import KeptFiles
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.ways_back import (
    DisableServer,
    DropAddedExtensions,
    DropDatabase,
    DropExtensions,
    DropRole,
    EmptyDatabase,
    GiveDatabaseBack,
    PutFilesBack,
    PutNamesBack,
    PutRoleBack,
    PutServerFileBack,
    RemoveCluster,
    RemovePasswordNotes,
    ServerAccess,
    StartUnit,
    StopServer,
    WayBack,
)
from engine_backup.run.servers import Server

# Programs may take their time before initdb begins.
INITDB_SECONDS = 600


@dataclass(frozen=True)
class Place:
    """Where a run has changed something.

    `kept` holds the files that it replaced; `warn` tells of what stays because it is somebody else's.
    """

    root: Path
    kept: KeptFiles
    warn: Callable[[str], None]

    @property
    def cluster(self) -> LocalCluster:
        """The cluster of this machine."""
        return LocalCluster(self.root)


def take_back(way: WayBack, place: Place) -> None:
    """Go a way back; raises `EngineBackupError`, or `OSError`, when something is in the way."""
    _HANDLERS[type(way)](way, place)


def _start_unit(way: StartUnit, place: Place) -> None:
    services.start(way.unit, place.root)


def _remove_cluster(way: RemoveCluster, place: Place) -> None:
    LocalCluster(place.root, way.data).remove(way.made, way.begun + INITDB_SECONDS)
    _sync(way.data.parent)


def _disable_server(_way: DisableServer, place: Place) -> None:
    place.cluster.disable()


def _stop_server(_way: StopServer, place: Place) -> None:
    place.cluster.stop()


def _put_server_file_back(way: PutServerFileBack, place: Place) -> None:
    server_files.restore(way.replaced)
    if way.restart:
        place.cluster.restart()
    elif place.cluster.observe().running:
        place.cluster.reload()


def _drop_role(way: DropRole, place: Place) -> None:
    _as_administrator(way.access, place, roles.drop_role, way.name)


def _put_role_back(way: PutRoleBack, place: Place) -> None:
    with closing(Server.reached_by(way.access, place.root).connect()) as administrator:
        if not roles.restore_role(administrator, way.before):
            raise EngineBackupError("only a superuser could have seen the former password")


def _drop_database(way: DropDatabase, place: Place) -> None:
    _as_administrator(way.access, place, provisioning.drop_database, way.name)


def _give_database_back(way: GiveDatabaseBack, place: Place) -> None:
    """Make a database that was taken over somebody else's again; roles that are new can then be dropped."""
    _as_administrator(way.access, place, provisioning.set_owner, way.name, way.before.owner)
    with closing(Server.reached_by(way.access, place.root).connect(way.name)) as administrator:
        privileges_restoring.reset(administrator, way.before, way.created)


def _put_names_back(way: PutNamesBack, place: Place) -> None:
    _as_administrator(way.access, place, provisioning.restore_names, way.pairs)


def _drop_extensions(way: DropExtensions, _place: Place) -> None:
    with postgres.session(way.credentials) as connection:
        postgres.drop_extensions(connection, way.names)


def _drop_added_extensions(way: DropAddedExtensions, place: Place) -> None:
    with closing(Server.reached_by(way.access, place.root).connect(way.database)) as administrator:
        postgres.drop_extensions(administrator, way.names)


def _empty_database(way: EmptyDatabase, _place: Place) -> None:
    emptying.empty(way.credentials)


def _remove_password_notes(way: RemovePasswordNotes, _place: Place) -> None:
    way.path.unlink(missing_ok=True)
    _sync(way.path.parent)


def _put_files_back(_way: PutFilesBack, place: Place) -> None:
    for name in place.kept.restore():
        place.warn(f"/{os.fsdecode(name)} stays: others have put something there")


def _sync(directory: Path) -> None:
    if directory.is_dir():
        sync_directory(directory)


def _as_administrator(
    access: ServerAccess, place: Place, action: Callable[..., object], *arguments: object
) -> None:
    with closing(Server.reached_by(access, place.root).connect()) as administrator:
        action(administrator, *arguments)


_HANDLERS: dict[type, Callable[[Any, Place], None]] = {
    StartUnit: _start_unit,
    RemoveCluster: _remove_cluster,
    DisableServer: _disable_server,
    StopServer: _stop_server,
    PutServerFileBack: _put_server_file_back,
    DropRole: _drop_role,
    PutRoleBack: _put_role_back,
    DropDatabase: _drop_database,
    GiveDatabaseBack: _give_database_back,
    PutNamesBack: _put_names_back,
    DropExtensions: _drop_extensions,
    DropAddedExtensions: _drop_added_extensions,
    EmptyDatabase: _empty_database,
    RemovePasswordNotes: _remove_password_notes,
    PutFilesBack: _put_files_back,
}
