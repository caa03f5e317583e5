"""What a PostgreSQL server holds: settings of roles and databases, and every object and row."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.sample.databases import script

Rows = list[tuple[Any, ...]]

# Object ids tell a database that was there all the time from one that was made again.
CLUSTER = {
    "role": "SELECT rolname, oid, to_jsonb(r) - 'rolname' - 'oid' FROM pg_authid r ORDER BY 1",
    "membership": (
        "SELECT roleid::regrole::text || ' of ' || member::regrole::text, grantor::regrole::text,"
        " admin_option FROM pg_auth_members ORDER BY 1"
    ),
    "database": (
        "SELECT datname, oid, pg_get_userbyid(datdba), datacl::text, encoding, datcollate, datconnlimit,"
        " datallowconn, datistemplate FROM pg_database ORDER BY 1"
    ),
    "setting": (
        "SELECT coalesce(datname, '*') || ' ' || coalesce(rolname, '*'), setconfig FROM pg_db_role_setting"
        " LEFT JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole ORDER BY 1"
    ),
    "tablespace": "SELECT spcname, pg_get_userbyid(spcowner), spcacl::text FROM pg_tablespace ORDER BY 1",
    "server setting": (
        "SELECT name, setting FROM pg_settings"
        " WHERE source IN ('configuration file', 'database', 'user', 'database user') ORDER BY 1"
    ),
    "line of pg_hba.conf": (
        "SELECT line_number::text, type, database, user_name, address, auth_method FROM pg_hba_file_rules"
    ),
}
OBJECTS = {
    "owner": "SELECT * FROM pg_temp.owners",
    "privilege": "SELECT object || ' ' || part || ' ' || grantee || ' ' || privilege_type, is_grantable"
    " FROM pg_temp.privileges",
    "definition": "SELECT concat_ws(' ', kind, object, part, type), definition FROM pg_temp.definitions",
    "schema": "SELECT nspname, pg_get_userbyid(nspowner), nspacl::text FROM pg_namespace"
    " WHERE nspname !~ '^pg_(temp|toast_temp)_'",
    "extension": "SELECT extname, extversion, pg_get_userbyid(extowner) FROM pg_extension",
    "default privilege": "SELECT concat_ws(' ', defaclrole::regrole, defaclnamespace, defaclobjtype),"
    " defaclacl::text FROM pg_default_acl",
    "large object": "SELECT oid::text, pg_get_userbyid(lomowner), lomacl::text FROM pg_largeobject_metadata",
    "type": "SELECT t.oid::regtype::text, pg_get_userbyid(typowner) FROM pg_type t"
    " JOIN pg_namespace n ON n.oid = typnamespace"
    " WHERE nspname !~ '^(pg_|information_schema)' AND typtype <> 'b' AND typrelid = 0",
    "comment": "SELECT pg_describe_object(classoid, objoid, objsubid), description FROM pg_description"
    " WHERE objoid >= 16384",
}
# What runs besides the server itself; the session that asks does not count.
SESSIONS = (
    "SELECT pid::text || ' ' || coalesce(application_name, '') || ' in ' || coalesce(datname, '-')"
    " || ' as ' || coalesce(usename, '-') FROM pg_stat_activity"
    " WHERE backend_type IN ('client backend', 'parallel worker') AND pid <> pg_backend_pid()"
)
# A database whose DROP was cut off takes no connections; its row is among those of the cluster.
CONNECTABLE = "SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2"
PREPARED = "SELECT gid FROM pg_prepared_xacts"
LOCKS = (
    "SELECT locktype || ' ' || mode || ' of ' || pid FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@dataclass(frozen=True)
class ServerState:
    """By kind and name of a thing, what it is."""

    things: dict[tuple[str, str], object]
    running: tuple[str, ...] = ()


def observe(connect: Any) -> ServerState:
    """Look at the whole server; `connect(database)` gives a superuser's connection."""
    things: dict[tuple[str, str], object] = {}
    with closing(connect("postgres")) as connection:
        for kind, query in CLUSTER.items():
            for name, *values in rows(connection, query):
                things[kind, name] = repr(values)
        names = [n for (n,) in rows(connection, CONNECTABLE)]
    for name in names:
        with closing(connect(name)) as connection:
            for (kind, thing), content in _database(connection).items():
                things[kind, f"{name}: {thing}"] = content
    return ServerState(things, running(connect))


def running(connect: Any) -> tuple[str, ...]:
    """Name sessions, prepared transactions and locks of others."""
    with closing(connect("postgres")) as connection:
        found = [f"session {n}" for (n,) in rows(connection, SESSIONS)]
        found += [f"prepared transaction {n}" for (n,) in rows(connection, PREPARED)]
        return tuple(found + [f"lock {n}" for (n,) in rows(connection, LOCKS)])


def _database(connection: Connection) -> dict[tuple[str, str], object]:
    things: dict[tuple[str, str], object] = {}
    with connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'; SET search_path = pg_catalog")
        cursor.execute(script("compare.sql"))
    for kind, query in OBJECTS.items():
        for name, *values in rows(connection, query):
            things[kind, name] = repr(values)
    for schema, name in rows(connection, "SELECT * FROM pg_temp.tables"):
        things["rows of table", f"{schema}.{name}"] = _digest(connection, schema, name)
    for schema, name in rows(connection, "SELECT * FROM pg_temp.sequences"):
        query = sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name))
        things["sequence", f"{schema}.{name}"] = repr(rows(connection, query))
    return things


def _digest(connection: Connection, schema: str, name: str) -> str:
    statement = sql.SQL(
        "SELECT count(*), md5(coalesce(string_agg(md5(x::text), '' ORDER BY md5(x::text) COLLATE \"C\"), ''))"
        " FROM {} x"
    )
    return repr(rows(connection, statement.format(sql.Identifier(schema, name))))


def rows(connection: Connection, query: str | sql.Composable) -> Rows:
    """Return what a query gives."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()
