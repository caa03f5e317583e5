"""Gives a database back what lies outside of it: its own privileges, settings, and memberships of roles.

What comes back comes from a manifest, so it is worth no more trust than a dump: nothing is done that
would give anybody power over more than this database.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names its class so

from engine_backup.drivers import cluster_privileges
from engine_backup.drivers.administration import (
    SINCE_16,
    belonging_to,
    checked_name,
    execute,
    explained,
    transaction,
)
from engine_backup.drivers.postgres import rows, value
from engine_backup.drivers.privileges_document import PRIVILEGES
from engine_backup.drivers.roles import POWERFUL
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.server import ClusterPrivileges, DatabaseGrant, Membership, StoredSetting

# What the server gives by itself (PostgreSQL manual, 5.8).
EVERYBODY = DatabaseGrant(None, ("CONNECT", "TEMPORARY"))

# Anybody may set these for himself, and none of them is harmless in what an administrator sets.
_NEVER_SET = frozenset({"role", "session_authorization", "local_preload_libraries"})
# Their values are lists of names; only a session can take such a value as the catalog has it (pg_dump's
# variable_is_guc_list_quote).
_LISTS = frozenset({"search_path", "temp_tablespaces"})


def apply(
    administrator: Connection, privileges: ClusterPrivileges, owner: str, created: Collection[str] = ()
) -> tuple[str, ...]:
    """Give the database of the connection back what belongs to it; return what was left out, for people.

    `owner` stands here for the owner of then. `created` are roles that this restore has made:
    only those get back what counts in other databases too. Statements of each kind succeed or fail
    one by one. Raises `EngineBackupError` when the database cannot be changed at all.
    """
    applying = _Applying(
        administrator,
        database=checked_name(value(administrator, "SELECT pg_catalog.current_database()")),
        known=_known_roles(administrator),
        created=frozenset(created),
        left_out=[],
    )
    here = _with_owner(privileges, owner)
    with explained("restore a database's own privileges"), belonging_to(administrator, (owner,)):
        if here.grants is not None:
            applying.grants(here.grants, owner)
        for setting in here.settings:
            applying.setting(setting)
        for membership in here.memberships:
            applying.membership(membership)
    return tuple(applying.left_out)


def reset(administrator: Connection, before: ClusterPrivileges, created: Collection[str] = ()) -> None:
    """Make the database of the connection what it was `before`, and of use to none of the roles in `created`.

    For undoing: those roles are new, so nothing in the database was theirs before.
    Raises `EngineBackupError`.
    """
    left_out: list[str] = []
    name = checked_name(value(administrator, "SELECT pg_catalog.current_database()"))
    applying = _Applying(administrator, name, _known_roles(administrator), frozenset(created), left_out)
    roles = (before.owner, *created)
    with explained("take back a database's privileges"), belonging_to(administrator, roles):
        for role in created:
            execute(administrator, "DROP OWNED BY {}", checked_name(role))
        applying.take_back(cluster_privileges.read(administrator), before)
    if left_out:
        raise EngineBackupError(f"cannot give a database its former privileges back: {left_out[0]}")


def _known_roles(administrator: Connection) -> dict[str, bool]:
    """Return the roles, and whether each is as good as a superuser or one of PostgreSQL's own."""
    query = f"SELECT r.rolname, r.rolname ~ '^pg_' OR {POWERFUL} FROM pg_catalog.pg_roles r"  # noqa: S608 - ours
    return dict(rows(administrator, query))


def _with_owner(privileges: ClusterPrivileges, owner: str) -> ClusterPrivileges:
    def here(name: str | None) -> str:
        return owner if name == privileges.owner else name or ""

    return replace(
        privileges,
        owner=owner,
        grants=privileges.grants
        and tuple(replace(g, grantee=here(g.grantee) if g.grantee else None) for g in privileges.grants),
        settings=tuple(replace(s, role=here(s.role) if s.role else None) for s in privileges.settings),
        memberships=tuple(
            replace(m, role=here(m.role), member=here(m.member)) for m in privileges.memberships
        ),
    )


@dataclass
class _Applying:
    """What is known while privileges come back. `known` tells of each role whether it is a powerful one."""

    administrator: Connection
    database: sql.Identifier
    known: dict[str, bool]
    created: frozenset[str]
    left_out: list[str]

    def grants(self, grants: tuple[DatabaseGrant, ...], owner: str) -> None:
        """Let these replace what everybody may by default. The owner keeps all his rights."""
        with transaction(self.administrator):
            execute(self.administrator, "REVOKE ALL ON DATABASE {} FROM PUBLIC", self.database)
        for grant in grants:
            if grant.grantee != owner:
                for statement in self._grant_statements(grant):
                    self._try(statement, self._role_problem(grant.grantee))

    def take_back(self, now: ClusterPrivileges, before: ClusterPrivileges) -> None:
        """Change what is not as before: privileges of others than the owner, and settings in the database."""
        grants, former = now.grants or (EVERYBODY,), before.grants or (EVERYBODY,)
        for grant in grants:
            if grant not in former and grant.grantee != before.owner:
                grantee = sql.SQL("PUBLIC") if grant.grantee is None else checked_name(grant.grantee)
                execute(self.administrator, "REVOKE ALL ON DATABASE {} FROM {}", self.database, grantee)
        for grant in former:
            if grant not in grants and grant.grantee != before.owner:
                for statement in self._grant_statements(grant):
                    self._try(statement, "")
        for setting in now.settings:
            if not setting.everywhere and setting not in before.settings:
                reset = sql.SQL("{} RESET {}").format(self._whose(setting), sql.Identifier(setting.name))
                execute(self.administrator, reset)
        for setting in before.settings:
            if not setting.everywhere and setting not in now.settings:
                self.setting(setting)

    def _grant_statements(self, grant: DatabaseGrant) -> Iterator[sql.Composable]:
        grantee = sql.SQL("PUBLIC") if grant.grantee is None else checked_name(grant.grantee)
        plain = [word for word in grant.privileges if word not in grant.grantable]
        for words, option in ((plain, ""), (grant.grantable, " WITH GRANT OPTION")):
            chosen = [sql.SQL(word) for word in words if word in PRIVILEGES]
            if chosen:
                statement = sql.SQL("GRANT {} ON DATABASE {} TO {}" + option)
                yield statement.format(sql.SQL(", ").join(chosen), self.database, grantee)

    def setting(self, setting: StoredSetting) -> None:
        """Give the database, or a role, a setting that any role might make for itself."""
        name = sql.Identifier(setting.name)
        content = sql.SQL("SET {} TO {}").format(name, sql.Literal(setting.value))
        statement = sql.SQL("{} {}").format(self._whose(setting), content)
        problem = self._setting_problem(setting)
        if problem or setting.name.lower() not in _LISTS:
            self._try(statement, problem)
            return
        current = sql.SQL("{} SET {} FROM CURRENT").format(self._whose(setting), name)
        self._try(statement, "", lambda: self._take(setting), current)

    def _take(self, setting: StoredSetting) -> None:
        """Have a value in this transaction, so that FROM CURRENT finds it."""
        value(self.administrator, "SELECT pg_catalog.set_config(%s, %s, true)", setting.name, setting.value)

    def _whose(self, setting: StoredSetting) -> sql.Composable:
        if setting.role is None:
            return sql.SQL("ALTER DATABASE {}").format(self.database)
        role = sql.SQL("ALTER ROLE {}").format(checked_name(setting.role))
        return role if setting.everywhere else sql.SQL("{} IN DATABASE {}").format(role, self.database)

    def _setting_problem(self, setting: StoredSetting) -> str:
        name = setting.name.lower()
        query = "SELECT context FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) = %s"
        contexts = rows(self.administrator, query, name)
        if not contexts and name not in _NEVER_SET:
            return "this server has no such setting"
        if name in _NEVER_SET or contexts != [("user",)]:
            return "it could give power over more than this database"
        if setting.everywhere and setting.role not in self.created:
            return self._role_problem(setting.role) or "the role was here before this restore"
        return self._role_problem(setting.role)

    def membership(self, membership: Membership) -> None:
        """Make a role a member of one that this restore has made."""
        modern = self.administrator.server_version >= SINCE_16
        names = checked_name(membership.role), checked_name(membership.member)
        statement = sql.SQL("GRANT {} TO {}" + _membership_options(membership, modern)).format(*names)
        problem = self._membership_problem(membership)
        if not problem and not membership.settable and not modern:
            problem = "only PostgreSQL 16 and newer can do without SET ROLE"
        if not (problem and self._is_member(membership)):
            self._try(statement, problem)

    def _membership_problem(self, membership: Membership) -> str:
        problem = self._role_problem(membership.role) or self._role_problem(membership.member)
        if not problem and membership.role not in self.created:
            return f"role '{membership.role}' was here before this restore"
        return problem

    def _is_member(self, membership: Membership) -> bool:
        query = (
            "SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid"
            " JOIN pg_catalog.pg_roles u ON u.oid = m.member WHERE r.rolname = %s AND u.rolname = %s"
        )
        return bool(rows(self.administrator, query, membership.role, membership.member))

    def _role_problem(self, role: str | None) -> str:
        if role is None:
            return ""
        if role not in self.known:
            return f"there is no role '{role}'"
        return f"role '{role}' is an administrator or a part of PostgreSQL" if self.known[role] else ""

    def _try(
        self,
        statement: sql.Composable,
        problem: str,
        before: Callable[[], None] = lambda: None,
        instead: sql.Composable | None = None,
    ) -> None:
        """Run a statement (or what does the same), or note why not."""
        try:
            if not problem:
                with transaction(self.administrator):
                    before()
                    execute(self.administrator, instead or statement)
        except psycopg2.Error as error:
            if self.administrator.closed:
                raise
            problem = (error.diag.message_primary or str(error)).split("\n")[0]
        if problem:
            self.left_out.append(f"{statement.as_string(self.administrator)}: {problem}")


def _membership_options(membership: Membership, modern: bool) -> str:
    if not modern:
        return " WITH ADMIN OPTION" if membership.admin else ""
    options = {"ADMIN": membership.admin, "INHERIT": membership.inherit, "SET": membership.settable}
    return " WITH " + ", ".join(f"{word} {str(flag).upper()}" for word, flag in options.items())
