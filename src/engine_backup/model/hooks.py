"""The stages of administrators' hooks, and what was found of them (reference 5.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine_backup.model.archive import (
    CONFIG_MEMBER,
    FILES_MEMBER,
    HASH_FILES,
    MANIFEST_MEMBER,
    OS_VERSION_MEMBER,
    VERSION_MEMBER,
)
from engine_backup.model.components import COMPONENTS
from engine_backup.model.modes import BACKUP, RESTORE, VERIFY

HOOKS_DIRECTORY = "/etc/ovirt-engine-backup"
CONFIG, CLEANUP = "config", "cleanup"
# These come before anything is looked at.
EARLY_STAGES = ("init", "defaults", CONFIG)
LATE_STAGE_OF_MODE: Mapping[str, str] = {BACKUP: "dobackup", RESTORE: "dorestore", VERIFY: "doverify"}
STAGES = (*EARLY_STAGES, *LATE_STAGE_OF_MODE.values(), CLEANUP)

TIME_LIMIT_SECONDS = 3600

_HOOK_FILE = re.compile(
    rb"etc/ovirt-engine-backup/(?:engine-backup-(\w+)\.d/.+\.sh|hooks\.d/(\w+)/[^/]+)", re.DOTALL
)

# What every reader of archives has its own ideas about.
_OWN_NAMES = frozenset(
    {FILES_MEMBER, VERSION_MEMBER, OS_VERSION_MEMBER, CONFIG_MEMBER, MANIFEST_MEMBER}
    | {name for name, _ in HASH_FILES}
    | {row.member for row in COMPONENTS}
    | {f"{row.member}.bz2" for row in COMPONENTS}
)


def stages_of(mode: str) -> tuple[str, ...]:
    """Return the stages that a mode has, in their order."""
    return (*EARLY_STAGES, LATE_STAGE_OF_MODE[mode], CLEANUP)


def stage_of(path: bytes) -> str | None:
    """Return the stage that an archived path is a hook of; None when it is no hook."""
    match = _HOOK_FILE.fullmatch(path)
    stage = (match[1] or match[2]).decode() if match else ""
    return stage if stage in STAGES else None


def is_own_member(name: str) -> bool:
    """Whether a member of an archive is one of the tool's own, of any release; hooks may add others."""
    return name in _OWN_NAMES or name.startswith(f"{FILES_MEMBER}/")


@dataclass(frozen=True)
class Hook:
    """A hook that may run. `sourced`: a script for the shell that all of a stage share; else a program.

    `digest` is the SHA-256 of its content, in hexadecimal.
    """

    stage: str
    path: Path
    sourced: bool
    digest: str


@dataclass(frozen=True)
class Untrusted:
    """A hook that is not run, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class StageHooks:
    """The hooks of one stage in the order in which they run, and those that are refused."""

    hooks: tuple[Hook, ...]
    untrusted: tuple[Untrusted, ...] = ()
