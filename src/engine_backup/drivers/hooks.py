"""Finds administrators' hooks, and says which of them can be trusted."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from engine_backup.model.hooks import HOOKS_DIRECTORY, Hook, StageHooks, Untrusted

ROOT_ONLY = frozenset({0})
NOT_EXECUTABLE = "it is not executable"
NOT_READABLE = "it cannot be read"


def discover(root: Path, stage: str, trusted_owners: frozenset[int] = ROOT_ONLY) -> StageHooks:
    """Return the hooks of a stage: scripts to source by their whole path, then programs by name.

    One is trusted when it, what it links to, and all directories up to `/`
    belong to trusted owners (user ids) and nobody else may write to them. A
    writable directory with the sticky bit (`/tmp`) lets nobody replace what is not his.
    """
    hooks, untrusted = [], []
    for path, sourced in _found(root / HOOKS_DIRECTORY.lstrip("/"), stage):
        digest = _digest(path)
        reason = _distrust(path, trusted_owners) or _uselessness(path, sourced, digest)
        if reason:
            untrusted.append(Untrusted(path, reason))
        else:
            hooks.append(Hook(stage, path, sourced, digest))
    return StageHooks(tuple(hooks), tuple(untrusted))


def _found(directory: Path, stage: str) -> Iterator[tuple[Path, bool]]:
    deep = os.walk(directory / f"engine-backup-{stage}.d")
    scripts = (Path(parent) / name for parent, _, names in deep for name in names if name.endswith(".sh"))
    yield from ((path, True) for path in sorted(scripts) if path.is_file())
    programs = sorted((directory / "hooks.d" / stage).glob("[!.]*"))
    yield from ((path, False) for path in programs if path.is_file())


def _digest(path: Path) -> str:
    """Return the digest of a file's content; nothing when it may not be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except PermissionError:
        return ""


def _uselessness(path: Path, sourced: bool, digest: str) -> str:
    """Return why a hook cannot be run, or an empty text."""
    if not digest:
        return NOT_READABLE
    return "" if sourced or path.stat().st_mode & 0o100 else NOT_EXECUTABLE


def added_paths(before: str, after: str) -> list[str]:
    """Return the paths that hooks added to the newline-separated `BACKUP_PATHS`, in order.

    A path appended to the last entry with a blank, as a well-known procedure
    does, is one as well. Entries that hooks removed are not told.
    """
    known = {entry.strip() for entry in before.split("\n")}
    added: list[str] = []
    for entry in after.split("\n"):
        pieces = re.split(r"[ \t]+(?=/)", entry.strip())
        parts = pieces if known.intersection(pieces) else [entry.strip()]
        added.extend(part for part in parts if part and part not in known and part not in added)
    return added


def _distrust(path: Path, trusted_owners: frozenset[int]) -> str:
    """Return why a hook is not trusted, or an empty text."""
    for place in _places(path.absolute()):
        facts = place.lstat()
        link = stat.S_ISLNK(facts.st_mode)
        sticky = stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX
        if facts.st_uid not in trusted_owners:
            return f"{place} belongs to user {facts.st_uid}"
        if facts.st_mode & 0o022 and not sticky and not link:
            return f"{place} can be written by others (mode {stat.S_IMODE(facts.st_mode):04o})"
    return ""


def _places(path: Path) -> list[Path]:
    """Return everything that the kernel walks through to open a file: parents, links, their targets."""
    places: dict[Path, None] = {}
    waiting = [path]
    while waiting:
        for place in (waiting[0], *waiting.pop(0).parents):
            if place not in places:
                places[place] = None
                if place.is_symlink():
                    waiting.append(place.parent / place.readlink())
    return list(places)
