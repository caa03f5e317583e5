"""Keeping a database that is only looked at from asking other servers.

Without an extension for it no function of a role without privileges can reach the network, or another
server's socket (PostgreSQL manual, F.12: dblink; foreign servers need a privilege on their wrapper).
"""

from __future__ import annotations

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.administration import execute, explained
from engine_backup.drivers.postgres import rows

EXTENSIONS = ("dblink", "http", "pg_net")
# With `search_path` pg_catalog the names of functions come with their schemas, quoted.
_FUNCTIONS = """
    SELECT d.objid::pg_catalog.regprocedure::pg_catalog.text
      FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = ANY (%s)
     WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
       AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
"""


def close(administrator: Connection) -> None:
    """Let nobody but superusers call what asks other servers, in the database of the connection.

    To be called before anything else is in it. Raises `EngineBackupError`.
    """
    with explained("keep a database from asking other servers"):
        execute(administrator, "SET search_path = pg_catalog")
        for (function,) in rows(administrator, _FUNCTIONS, list(EXTENSIONS)):
            execute(administrator, sql.SQL("REVOKE ALL ON FUNCTION " + function + " FROM PUBLIC"))
