"""Ways back as plain data for the lines of a journal, and again as what they were.

A dataclass becomes `{"type": NAME, FIELD: …}`, and so do paths and secrets; tuples are lists. Only
known types are made when a line is read. Passwords stand there in clear: a journal is 0600 in a
directory that is 0700, and without them nothing could be taken back on a server over the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.model.server import (
    ClusterPrivileges,
    DatabaseGrant,
    Membership,
    RoleBefore,
    StoredSetting,
)
from engine_backup.model.ways_back import ReplacedFile, ServerAccess, WayBack

_PARTS: tuple[type, ...] = (
    ServerAccess,
    ReplacedFile,
    Credentials,
    RoleBefore,
    ClusterPrivileges,
    DatabaseGrant,
    StoredSetting,
    Membership,
)


def _path(text: str) -> Path:
    """Return a path, which must say where it is: what is removed must not hang on a current directory."""
    path = Path(text)
    if not path.is_absolute():
        raise TypeError(f"{text} is no absolute path")
    return path


def _secret(text: str) -> Secret:
    return Secret(text)


_MAKERS: dict[str, Callable[..., Any]] = {
    "Path": _path,
    "Secret": _secret,
    **{kind.__name__: kind for kind in (*get_args(WayBack), *_PARTS)},
}


def to_plain(value: Any) -> Any:
    """Return what `json` can write; raises `TypeError` for what no way back holds."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return {"type": "Path", "text": str(value)}
    if isinstance(value, Secret):
        return {"type": "Secret", "text": value.reveal()}
    if is_dataclass(value) and type(value).__name__ in _MAKERS:
        content = {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__, **content}
    raise TypeError(f"{type(value).__name__} cannot stand in a journal")


def from_plain(value: Any) -> Any:
    """Return what `to_plain` was given; raises `EngineBackupError` for anything else."""
    if isinstance(value, list):
        return tuple(from_plain(item) for item in value)
    if not isinstance(value, dict):
        return value
    content = {name: from_plain(item) for name, item in value.items() if name != "type"}
    try:
        return _MAKERS[value["type"]](**content)
    except (KeyError, TypeError) as error:
        raise EngineBackupError(
            f"a journal holds what this version does not know: {value.get('type')}",
            "use the version of engine-backup that wrote it",
        ) from error
