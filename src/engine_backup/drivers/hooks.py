"""Administrators' own scripts, run at the stages that stock has (reference 5.4).

Stock sources them into its own shell. Here a child sources them with the same
variables and hands the changed ones back; what they print is kept. They speak
about the running system, so callers never run them for another root.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine_backup.drivers import process
from engine_backup.drivers.process import Command, Outcome
from engine_backup.model.errors import EngineBackupError

HOOKS_DIRECTORY = "/etc/ovirt-engine-backup"
STAGES = ("init", "defaults", "config", "dobackup", "dorestore", "doverify", "cleanup")

ROOT_ONLY = frozenset({0})

_ANY_STATUS = frozenset(range(-64, 256))
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Fixed text: values come by descriptor, scripts as arguments. `log`, `output`
# and `die` stand in for stock's own functions of these names. Each record on
# the output descriptor ends in NUL: "script" PATH before each script, then
# "value" NAME TEXT for each variable. `source … ||` would switch a script's own
# `set -e` off.
_DRIVER = r"""
_hook_input=$1 _hook_output=$2
shift 2
log() { printf '%s\n' "$*"; }
output() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
_hook_names=()
while IFS= read -r -d '' -u "$_hook_input" _hook_name && IFS= read -r -d '' -u "$_hook_input" _hook_value; do
    _hook_names+=("$_hook_name")
    printf -v "$_hook_name" '%s' "$_hook_value"
done
_hook_scripts=("$@")
set --
for _hook_script in "${_hook_scripts[@]}"; do
    printf 'script\0%s\0' "$_hook_script" >&"$_hook_output"
    source "$_hook_script"
    _hook_status=$?
    if [ "$_hook_status" -ne 0 ]; then exit "$_hook_status"; fi
done
for _hook_name in "${_hook_names[@]}"; do
    printf 'value\0%s\0%s\0' "$_hook_name" "${!_hook_name-}" >&"$_hook_output"
done
printf 'end\0' >&"$_hook_output"
"""


@dataclass(frozen=True)
class Untrusted:
    """A script that is not run, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class StageScripts:
    """The scripts of one stage in the order in which they run, and those that are refused."""

    scripts: tuple[Path, ...]
    untrusted: tuple[Untrusted, ...]


@dataclass(frozen=True)
class StageOutcome:
    """The variables that scripts changed, and everything that they printed."""

    changed: Mapping[str, str]
    output: str


def discover(root: Path, stage: str, trusted_owners: frozenset[int] = ROOT_ONLY) -> StageScripts:
    """Return the scripts of a stage, sorted by their whole path.

    One is trusted when it, what it links to, and all directories up to `/`
    belong to trusted owners (user ids) and nobody else may write to them. A
    writable directory with the sticky bit (`/tmp`) lets nobody replace what is not his.
    """
    directory = root / HOOKS_DIRECTORY.lstrip("/") / f"engine-backup-{stage}.d"
    found = (Path(parent) / name for parent, _, names in os.walk(directory) for name in names)
    scripts, untrusted = [], []
    for path in sorted(path for path in found if path.name.endswith(".sh") and path.is_file()):
        reason = _distrust(path, trusted_owners)
        if reason:
            untrusted.append(Untrusted(path, reason))
        else:
            scripts.append(path)
    return StageScripts(tuple(scripts), tuple(untrusted))


def run_stage(scripts: tuple[Path, ...], variables: Mapping[str, str]) -> StageOutcome:
    """Source scripts one after the other in one bash, with these variables set (not exported).

    Raises `EngineBackupError` naming the script that ends with a non-zero
    status or calls `exit`; the ones after it do not run.
    """
    if not scripts:
        return StageOutcome({}, "")
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer:
        given.write(_records(variables))
        given.seek(0)
        arguments = ("--noprofile", "--norc", "-c", _DRIVER, "engine-backup-hooks")
        descriptors = (given.fileno(), answer.fileno())
        paths = tuple(str(script.absolute()) for script in scripts)
        command = Command("bash", (*arguments, *map(str, descriptors), *paths), files=descriptors)
        outcome = process.run(command, accept=_ANY_STATUS)
        answer.seek(0)
        records = answer.read().decode("utf-8", "surrogateescape").split("\0")
    return StageOutcome(_changed(records, variables, outcome), _output(outcome))


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
    """Return why a script is not trusted, or an empty text."""
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


def _records(variables: Mapping[str, str]) -> bytes:
    for name, value in variables.items():
        if not _NAME.fullmatch(name) or "\0" in value:
            raise ValueError(f"not a shell variable: {name!r}")
    text = "".join(f"{name}\0{value}\0" for name, value in variables.items())
    return text.encode("utf-8", "surrogateescape")


def _changed(records: list[str], variables: Mapping[str, str], outcome: Outcome) -> dict[str, str]:
    """Return the changed variables; raise when the scripts did not all run to their ends."""
    script = ""
    values: dict[str, str] = {}
    rest = iter(records)
    for record in rest:
        if record == "script":
            script = next(rest, "")
        elif record == "value":
            name = next(rest, "")
            values[name] = next(rest, "")
        elif record == "end" and outcome.status == 0:
            return {name: value for name, value in values.items() if value != variables.get(name)}
    raise EngineBackupError(f"hook {script} {_ending(outcome)}", hint="correct the script, or take it away")


def _ending(outcome: Outcome) -> str:
    if outcome.status < 0:
        ending = f"was ended by signal {-outcome.status}"
    elif outcome.status == 0:
        ending = "ended the run with exit"
    else:
        ending = f"failed with status {outcome.status}"
    lines = [line.strip() for line in _output(outcome).splitlines() if line.strip()]
    return f"{ending}: {lines[-1]}" if lines else ending


def _output(outcome: Outcome) -> str:
    return outcome.stdout.decode("utf-8", "replace") + outcome.stderr
