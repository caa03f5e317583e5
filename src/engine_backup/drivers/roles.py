"""Creating and changing the roles that the product logs in as.

The password itself never reaches the server: libpq makes of it what the server would keep
(PQencryptPasswordConn), so that no log and no statistics can hold it.
"""

from __future__ import annotations

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so
from psycopg2.extensions import encrypt_password

from engine_backup.drivers.administration import (
    checked_name,
    execute,
    explained,
    is_superuser,
    keep_out_of_log,
    transaction,
)
from engine_backup.drivers.postgres import rows
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.secret import Secret
from engine_backup.model.server import RoleBefore

# Roles that are as good as a superuser (PostgreSQL manual, 22.5). A restore must never give
# such a role a password that stands in an archive.
POWERFUL = """
    EXISTS (SELECT FROM pg_catalog.pg_roles s
             WHERE (s.rolsuper OR s.rolname IN ('pg_execute_server_program', 'pg_write_server_files',
                                                'pg_read_server_files'))
               AND pg_catalog.pg_has_role(r.oid, s.oid, 'MEMBER'))
"""
_ROLE = f"""
    SELECT r.rolcanlogin, r.rolname IN (current_user, session_user), {POWERFUL},
           CASE WHEN r.rolvaliduntil <= pg_catalog.now() THEN r.rolvaliduntil::text ELSE '' END
      FROM pg_catalog.pg_roles r WHERE r.rolname = %s
"""  # noqa: S608 - fixed texts


def create_role(administrator: Connection, name: str, password: Secret, encryption: str = "") -> None:
    """Create a role that may log in and nothing else; raises `EngineBackupError`.

    `encryption` is scram-sha-256 or md5, otherwise the server's own setting counts.
    """
    with explained(f"create role '{name}'"), transaction(administrator):
        verifier = _verifier(administrator, name, password, encryption)
        keep_out_of_log(administrator)
        execute(administrator, "CREATE ROLE {} LOGIN PASSWORD {}", checked_name(name), verifier)


def observe_role(administrator: Connection, name: str) -> RoleBefore:
    """Return what a role is before `change_role`.

    Raises `EngineBackupError`, also for a role that is a superuser or the administrator itself.
    """
    with explained(f"look at role '{name}'"), transaction(administrator):
        return _observed(administrator, name)


def change_role(administrator: Connection, name: str, password: Secret, encryption: str = "") -> RoleBefore:
    """Let a role log in with this password, and return what it was before; raises like `observe_role`."""
    with explained(f"change role '{name}'"), transaction(administrator):
        before = _observed(administrator, name)
        verifier = _verifier(administrator, name, password, encryption)
        keep_out_of_log(administrator)
        forever = " VALID UNTIL 'infinity'" if before.expired else ""
        execute(administrator, "ALTER ROLE {} LOGIN PASSWORD {}" + forever, checked_name(name), verifier)
    return before


def restore_role(administrator: Connection, before: RoleBefore) -> bool:
    """Make a role what it was before `change_role`; False when its former password is not known.

    Only a superuser can see, and so give back, what the server keeps of a password.
    """
    verifier = before.verifier.reveal() if before.verifier else None
    with explained(f"give role '{before.name}' back its former password"), transaction(administrator):
        keep_out_of_log(administrator)
        name = checked_name(before.name)
        execute(administrator, "ALTER ROLE {} " + ("LOGIN" if before.can_login else "NOLOGIN"), name)
        if before.verifier_known:
            execute(administrator, "ALTER ROLE {} PASSWORD {}", name, sql.Literal(verifier))
        if before.expired:
            execute(administrator, "ALTER ROLE {} VALID UNTIL {}", name, sql.Literal(before.expired))
    return before.verifier_known


def drop_role(administrator: Connection, name: str) -> None:
    """Drop a role if it is there; raises `EngineBackupError`, for one when something belongs to it."""
    with explained(f"drop role '{name}'"):
        execute(administrator, "DROP ROLE IF EXISTS {}", checked_name(name))


def _verifier(administrator: Connection, name: str, password: Secret, encryption: str) -> sql.Composable:
    """Return what the server keeps; it takes it as it stands (PostgreSQL manual, CREATE ROLE)."""
    if not password:
        raise EngineBackupError(f"role '{name}' has no password to log in with", "give it one")
    text = encrypt_password(password.reveal(), name, administrator, encryption or None)
    return sql.Literal(text)


def _observed(administrator: Connection, name: str) -> RoleBefore:
    """Look at a role and lock it out of our hands when it is too powerful."""
    execute(administrator, "SET LOCAL DateStyle = 'ISO'")
    found = rows(administrator, _ROLE, name)
    if not found:
        raise EngineBackupError(f"role '{name}' does not exist", "it was there when the restore was planned")
    can_login, ourselves, powerful, expired = found[0]
    if ourselves or powerful:
        message = f"role '{name}' is an administrator of the server: its password is not changed"
        raise EngineBackupError(message, "name another role for the product's database")
    if not is_superuser(administrator):
        return RoleBefore(name, can_login, verifier_known=False, expired=expired)
    ((verifier,),) = rows(
        administrator, "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = %s", name
    )
    kept = None if verifier is None else Secret(verifier)
    return RoleBefore(name, can_login, verifier_known=True, verifier=kept, expired=expired)
