"""Taking back what a failed load has put into a database that was empty before."""

from __future__ import annotations

from time import monotonic, sleep

from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.postgres import OWN_OBJECTS, rows, session
from engine_backup.model.facts import Credentials

# The server itself names and quotes each object (pg_identify_object); schemas go first, with their content.
# fmt: off
# ruff: noqa: S608 - both parts are fixed texts of ours
EMPTY = (
    """
    DO $$
    DECLARE
        statements text[];
        statement text;
    BEGIN
        SELECT pg_catalog.array_agg(
                   pg_catalog.format('DROP %s IF EXISTS %s CASCADE', i.type, i.identity)
                   ORDER BY own.classid <> 'pg_catalog.pg_namespace'::regclass,
                            own.classid <> 'pg_catalog.pg_class'::regclass, own.objid)
          INTO statements
          FROM (""" + OWN_OBJECTS + """) own,
               LATERAL pg_catalog.pg_identify_object(own.classid, own.objid, 0) i;
        FOREACH statement IN ARRAY COALESCE(statements, '{}') LOOP
            EXECUTE statement;
        END LOOP;
    END;
    $$
    """
)
# fmt: on
UNLINK_LARGE_OBJECTS = "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata"


# What a load that was cut off has left running on the server: it would go on making objects.
END_LOADS = """
    SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
     WHERE datname = pg_catalog.current_database() AND usename = current_user
       AND pid <> pg_catalog.pg_backend_pid()
"""
PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.05


def empty(credentials: Credentials) -> None:
    """Drop every object of a database, but extensions and the schema public, in one transaction.

    Other sessions of the same role in this database, which was empty when the load began, are ended first.

    Raises `LoginError`, or `EngineBackupError` when an object is not ours to drop.
    """
    with session(credentials) as connection, connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '60s'")
        _end_loads(connection)
        cursor.execute(UNLINK_LARGE_OBJECTS)
        cursor.execute(EMPTY)


def _end_loads(connection: Connection) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    while rows(connection, END_LOADS) and monotonic() < deadline:
        sleep(POLL_SECONDS)
