"""What a running server says of its own configuration files; the administrator's connection is needed."""

from __future__ import annotations

import os
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers.postgres import rows, value
from engine_backup.model.server import ServerFiles, SettingElsewhere

AUTOMATIC_FILE = "postgresql.auto.conf"
# Sources that no file can outdo (enum GucSource in guc.h).
_STRONGER_THAN_FILES = {
    "environment variable": "the environment of the server",
    "command line": "the command line of the server",
}

_PLACES = "SELECT pg_catalog.current_setting('config_file'), pg_catalog.current_setting('data_directory')"
# The last line with a name counts, over all files, in the order in which they were read.
_IN_FILES = """
    SELECT DISTINCT ON (pg_catalog.lower(name)) name, setting, sourcefile, sourceline
      FROM pg_catalog.pg_file_settings
     WHERE name IS NOT NULL AND setting IS NOT NULL AND sourcefile IS NOT NULL
     ORDER BY pg_catalog.lower(name), seqno DESC
"""
_STRONGER = """
    SELECT name, setting || coalesce(unit, ''), source FROM pg_catalog.pg_settings
     WHERE source IN ('environment variable', 'command line')
"""
_BROKEN = """
    SELECT f.sourcefile || ' line ' || f.sourceline || ': ' || f.error
      FROM pg_catalog.pg_file_settings f
      LEFT JOIN pg_catalog.pg_settings s ON pg_catalog.lower(s.name) = pg_catalog.lower(f.name)
     WHERE f.error IS NOT NULL AND f.sourcefile IS NOT NULL AND s.context IS DISTINCT FROM 'postmaster'
    UNION ALL
    SELECT 'pg_hba.conf line ' || coalesce(line_number, 0) || ': ' || error FROM pg_catalog.pg_hba_file_rules
     WHERE error IS NOT NULL
"""


def configuration_files(connection: Connection, root: Path = Path("/")) -> ServerFiles:
    """Return where the server's configuration really is, wherever a distribution keeps it.

    A server that lives in a chroot at `root` tells its own view, which is corrected.
    """
    configuration, data = rows(connection, _PLACES)[0]
    access = value(connection, "SHOW hba_file")
    return ServerFiles(*(seen_from_outside(Path(path), root) for path in (configuration, access, data)))


def settings_elsewhere(connection: Connection) -> dict[str, SettingElsewhere]:
    """Return the settings that do not get their value from postgresql.conf itself."""
    found = {}
    own, data = rows(connection, _PLACES)[0]
    for name, setting, path, line in rows(connection, _IN_FILES):
        if path != own:
            final = path == f"{data}/{AUTOMATIC_FILE}"
            found[name.lower()] = SettingElsewhere(setting, f"{path} line {line}", final)
    for name, setting, source in rows(connection, _STRONGER):
        found[name.lower()] = SettingElsewhere(setting, _STRONGER_THAN_FILES[source], final=True)
    return found


def broken_configuration(connection: Connection) -> tuple[str, ...]:
    """Return what is wrong in the files as they are now, before the server is told to read them.

    Values of settings that only a restart applies are not judged: the server reports all that differ.
    """
    return tuple(text for (text,) in rows(connection, _BROKEN))


def pending_restart(connection: Connection) -> tuple[str, ...]:
    """Return the settings that the files have changed and that wait for a restart (since the last reload)."""
    query = "SELECT name FROM pg_catalog.pg_settings WHERE pending_restart ORDER BY name"
    return tuple(name for (name,) in rows(connection, query))


def seen_from_outside(path: Path, root: Path) -> Path:
    """Return the path of a thing that a program under `root` calls `path`."""
    below = root / path.relative_to("/")
    return below if os.path.lexists(below) else path
