"""What belongs to a database but lies outside of it: its own privileges, settings, and memberships of roles.

A dump without --create holds none of this (PostgreSQL manual, pg_dump). Any owner may read it.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers.administration import SINCE_16
from engine_backup.drivers.postgres import rows
from engine_backup.model.server import ClusterPrivileges, DatabaseGrant, Membership, StoredSetting

_DATABASE = (
    "SELECT oid, pg_catalog.pg_get_userbyid(datdba)::text, datacl IS NULL FROM pg_catalog.pg_database"
    " WHERE datname = pg_catalog.current_database()"
)
# Who granted is left out: the same privilege by two roles is one privilege.
_GRANTS = """
    SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END,
           pg_catalog.array_agg(DISTINCT a.privilege_type ORDER BY a.privilege_type),
           coalesce(pg_catalog.array_agg(DISTINCT a.privilege_type ORDER BY a.privilege_type)
                    FILTER (WHERE a.is_grantable), '{}')
      FROM pg_catalog.pg_database d, LATERAL pg_catalog.aclexplode(d.datacl) a
     WHERE d.oid = %s GROUP BY a.grantee ORDER BY 1 NULLS FIRST
"""
# The owner, and who was given something in this database or on it (PostgreSQL manual, 53.46 pg_shdepend).
_CONCERNED = """
    SELECT datdba FROM pg_catalog.pg_database WHERE oid = %(database)s
    UNION SELECT d.refobjid FROM pg_catalog.pg_shdepend d
     WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.deptype = 'a'
       AND (d.dbid = %(database)s
            OR (d.classid = 'pg_catalog.pg_database'::regclass AND d.objid = %(database)s))
"""
# ruff: noqa: S608 - all parts are fixed texts of ours
_SETTINGS = f"""
    SELECT r.rolname::text, s.setdatabase = 0, setting
      FROM pg_catalog.pg_db_role_setting s
      LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole,
           LATERAL pg_catalog.unnest(s.setconfig) setting
     WHERE s.setdatabase = %(database)s OR (s.setdatabase = 0 AND s.setrole IN ({_CONCERNED}))
     ORDER BY 2, 1 NULLS FIRST, 3
"""
# What a superuser belongs to says nothing: he has it all anyway.
_MEMBERSHIPS = f"""
    SELECT r.rolname::text, u.rolname::text, pg_catalog.bool_or(m.admin_option),
           pg_catalog.bool_or(INHERIT), pg_catalog.bool_or(SETTABLE)
      FROM pg_catalog.pg_auth_members m
      JOIN pg_catalog.pg_roles r ON r.oid = m.roleid
      JOIN pg_catalog.pg_roles u ON u.oid = m.member AND NOT u.rolsuper
     WHERE m.roleid IN ({_CONCERNED}) OR m.member IN ({_CONCERNED})
     GROUP BY 1, 2 ORDER BY 1, 2
"""
_OPTIONS_SINCE_16 = ("m.inherit_option", "m.set_option")
_OPTIONS_BEFORE = ("u.rolinherit", "true")  # the member itself decided


def read(connection: Connection) -> ClusterPrivileges:
    """Return what belongs to the database of the connection; any role may look."""
    database, owner, untouched = rows(connection, _DATABASE)[0]
    grants = rows(connection, _GRANTS, database)
    return ClusterPrivileges(
        owner=owner,
        grants=None if untouched else tuple(DatabaseGrant(g, tuple(p), tuple(o)) for g, p, o in grants),
        settings=tuple(_settings(connection, database)),
        memberships=tuple(_memberships(connection, database)),
    )


def _settings(connection: Connection, database: int) -> Iterator[StoredSetting]:
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS, {"database": database})
        for role, everywhere, setting in cursor.fetchall():
            name, _, content = setting.partition("=")
            yield StoredSetting(role, name, content, everywhere)


def _memberships(connection: Connection, database: int) -> Iterator[Membership]:
    options = _OPTIONS_SINCE_16 if connection.server_version >= SINCE_16 else _OPTIONS_BEFORE
    query = _MEMBERSHIPS.replace("INHERIT", options[0]).replace("SETTABLE", options[1])
    with connection.cursor() as cursor:
        cursor.execute(query, {"database": database})
        for row in cursor.fetchall():
            yield Membership(*row)
