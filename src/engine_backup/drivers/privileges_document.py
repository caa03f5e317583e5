"""`ClusterPrivileges` as it stands in an archive's manifest, read back as strictly as hostile data needs.

{"owner": "engine",
 "grants": [{"grantee": null, "privileges": ["CONNECT"], "grantable": []}],
 "settings": [{"role": null, "name": "search_path", "value": "public", "everywhere": false}],
 "memberships": [{"role": "readers", "member": "engine", "admin": false, "inherit": true, "settable": true}]}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from engine_backup.drivers.administration import LONGEST_NAME
from engine_backup.model.errors import HostileArchiveError
from engine_backup.model.server import ClusterPrivileges, DatabaseGrant, Membership, StoredSetting

PRIVILEGES = frozenset({"CREATE", "CONNECT", "TEMPORARY"})
# Far more than any engine has, and few enough for every statement to be shown to people.
MOST_ROWS = 1000
LONGEST_VALUE = 8192
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_Row = TypeVar("_Row")


def to_json(privileges: ClusterPrivileges) -> dict[str, Any]:
    """Return plain data for the manifest."""
    return asdict(privileges)


def from_json(document: object) -> ClusterPrivileges:
    """Return what a manifest says; raises `HostileArchiveError` for anything that `to_json` never makes."""
    fields = _fields(document, {"owner", "grants", "settings", "memberships"})
    grants = fields["grants"]
    return ClusterPrivileges(
        owner=_name(fields["owner"]),
        grants=None if grants is None else _rows(grants, _grant),
        settings=_rows(fields["settings"], _setting),
        memberships=_rows(fields["memberships"], _membership),
    )


def _rows(found: object, read: Callable[[object], _Row]) -> tuple[_Row, ...]:
    if not isinstance(found, (list, tuple)) or len(found) > MOST_ROWS:
        raise _hostile("a list that is none, or far too long", found)
    return tuple(read(row) for row in found)


def _grant(row: object) -> DatabaseGrant:
    fields = _fields(row, {"grantee", "privileges", "grantable"})
    privileges, grantable = _words(fields["privileges"]), _words(fields["grantable"])
    if not privileges or not set(grantable) <= set(privileges):
        raise _hostile("privileges that do not fit each other", row)
    return DatabaseGrant(_optional_name(fields["grantee"]), privileges, grantable)


def _words(found: object) -> tuple[str, ...]:
    words = _rows(found, str)
    if not set(words) <= PRIVILEGES or len(set(words)) < len(words):
        raise _hostile("unknown privileges", found)
    return words


def _setting(row: object) -> StoredSetting:
    fields = _fields(row, {"role", "name", "value", "everywhere"})
    name, value = fields["name"], fields["value"]
    if not isinstance(name, str) or not _SETTING.fullmatch(name) or len(name) > LONGEST_NAME:
        raise _hostile("a setting with an impossible name", name)
    if not isinstance(value, str) or len(value) > LONGEST_VALUE or _CONTROL.search(value):
        raise _hostile("a setting with an impossible value", value)
    role, everywhere = _optional_name(fields["role"]), _flag(fields["everywhere"])
    if role is None and everywhere:
        raise _hostile("a setting of nobody", row)
    return StoredSetting(role, name, value, everywhere)


def _membership(row: object) -> Membership:
    fields = _fields(row, {"role", "member", "admin", "inherit", "settable"})
    flags = (_flag(fields[name]) for name in ("admin", "inherit", "settable"))
    return Membership(_name(fields["role"]), _name(fields["member"]), *flags)


def _fields(found: object, names: set[str]) -> dict[str, object]:
    if not isinstance(found, dict) or set(found) != names:
        raise _hostile(f"something else than an object with {', '.join(sorted(names))}", found)
    return found


def _flag(found: object) -> bool:
    if not isinstance(found, bool):
        raise _hostile("something else than true or false", found)
    return found


def _optional_name(found: object) -> str | None:
    return None if found is None else _name(found)


def _name(found: object) -> str:
    if (
        not isinstance(found, str)
        or not found
        or _CONTROL.search(found)
        or len(found.encode()) > LONGEST_NAME
    ):
        raise _hostile("an impossible name", found)
    return found


def _hostile(what: str, found: object) -> HostileArchiveError:
    shown = ascii(found)[:80]
    return HostileArchiveError(f"the manifest's privileges of a database hold {what}: {shown}")
