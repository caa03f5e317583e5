"""Taking back what a failed load has put into a database that was empty before."""

from __future__ import annotations

from engine_backup.drivers.postgres import OWN_OBJECTS, session
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


def empty(credentials: Credentials) -> None:
    """Drop every object of a database, but extensions and the schema public, in one transaction.

    Raises `LoginError`, or `EngineBackupError` when an object is not ours to drop.
    """
    with session(credentials) as connection, connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '60s'")
        cursor.execute(UNLINK_LARGE_OBJECTS)
        cursor.execute(EMPTY)
