"""Runs administrators' hooks: scripts in a shell that sources them, programs with a document to read."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast

from engine_backup.drivers import process
from engine_backup.drivers.command import Command
from engine_backup.model.errors import ProgramError

OUTPUT_LIMIT = 1 << 20
NO_PROGRAM = "its first line must name its interpreter (#!/bin/sh); or take the hook away"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Fixed text: values come by descriptor, scripts as arguments. `log`, `output`,
# `die` and `logdie` stand in for stock's own functions of these names. The first
# record that is read is what the stages before defined for themselves. Each record on
# the output descriptor ends in NUL: "script" PATH before each script, "say" TEXT, then
# "value" NAME TEXT for each variable, and "own" TEXT for the next stage. `source … ||`
# would switch a script's own `set -e` off. Scripts must not inherit the input: it tells passwords.
_DRIVER = r"""
_hook_input=$1 _hook_output=$2
shift 2
log() { printf '%s\n' "$*"; }
output() { printf 'say\0%s\0' "$*" >&"$_hook_output"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
logdie() { die "$@"; }
_hook_names=() _hook_own= _hook_known=$'\n'$(compgen -v)$'\n'
IFS= read -r -d '' -u "$_hook_input" _hook_own
eval "$_hook_own"
while IFS= read -r -d '' -u "$_hook_input" _hook_name && IFS= read -r -d '' -u "$_hook_input" _hook_value; do
    _hook_names+=("$_hook_name")
    _hook_known+=$_hook_name$'\n'
    printf -v "$_hook_name" '%s' "$_hook_value"
done
exec {_hook_input}<&-
_hook_scripts=("$@")
set --
for _hook_script in "${_hook_scripts[@]}"; do
    printf 'script\0%s\0' "$_hook_script" >&"$_hook_output"
    source "$_hook_script"
    _hook_status=$?
    if [ "$_hook_status" -ne 0 ]; then exit "$_hook_status"; fi
done
set +eux
for _hook_name in "${_hook_names[@]}"; do
    printf 'value\0%s\0%s\0' "$_hook_name" "${!_hook_name-}" >&"$_hook_output"
done
_hook_own=$(
    declare -f
    while IFS= read -r _hook_name; do
        case $_hook_known$'\nPIPESTATUS\nFUNCNAME\n_\n' in
            *$'\n'"$_hook_name"$'\n'*) ;;
            *) case $_hook_name in BASH*|_hook_*) ;; *) declare -p "$_hook_name" 2>/dev/null ;; esac ;;
        esac
    done <<< "$(compgen -v)"
)
printf 'own\0%s\0end\0' "$_hook_own" >&"$_hook_output"
"""


@dataclass(frozen=True)
class ShellState:
    """What scripts of a run share: variables of ours by name, and what they defined for themselves.

    `own` is text for the shell. Both may hold passwords, and show nothing.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    own: str = field(default="", repr=False)


@dataclass(frozen=True)
class StageOutcome:
    """The variables that scripts changed, what they want people to read, and everything that they printed.

    `own` is for the `ShellState` of the next stage.
    """

    changed: Mapping[str, str] = field(default_factory=dict, repr=False)
    own: str = field(default="", repr=False)
    said: tuple[str, ...] = ()
    output: str = ""


@dataclass(frozen=True)
class _Ending:
    """How a hook ended. `status` is None when it did not end in time."""

    status: int | None
    output: str


def run_stage(scripts: Sequence[Path], state: ShellState, limit: float) -> StageOutcome:
    """Source scripts one after the other in one bash, with these variables set (not exported).

    All together may take `limit` seconds. Raises `ProgramError` naming the script that ends with a
    non-zero status, calls `exit` or takes too long; the ones after it do not run.
    """
    if not scripts:
        return StageOutcome(own=state.own)
    with _memory("given") as given, _memory("answer") as answer:
        given.write(_records(state))
        given.seek(0)
        arguments = ("--noprofile", "--norc", "-c", _DRIVER, "engine-backup-hooks")
        descriptors = (given.fileno(), answer.fileno())
        paths = tuple(str(script.absolute()) for script in scripts)
        command = Command("bash", (*arguments, *map(str, descriptors), *paths), files=descriptors)
        ending = _ended(command, limit)
        answer.seek(0)
        records = answer.read().decode("utf-8", "surrogateescape").split("\0")
    return _outcome(records, state, ending, limit)


def run_program(program: Path, document: bytes, limit: float) -> str:
    """Run a program with a document on standard input, and return everything that it printed.

    Raises `ProgramError` when its exit status is not 0, or when it takes more than `limit` seconds.
    """
    with _memory("document") as given:
        given.write(document)
        given.seek(0)
        try:
            ending = _ended(Command(str(program)), limit, given)
        except ProgramError as error:
            raise ProgramError(
                f"hook {program}: {error.message}", error.exit_status, hint=NO_PROGRAM
            ) from error
    if ending.status != 0:
        raise _failure(str(program), ending, limit)
    return ending.output


@contextmanager
def _memory(name: str) -> Iterator[BinaryIO]:
    """Give a file that never reaches a disk: values may be passwords."""
    with os.fdopen(os.memfd_create(f"engine-backup {name}"), "w+b") as file:
        yield cast(BinaryIO, file)


def _ended(command: Command, limit: float, stdin: IO[bytes] | None = None) -> _Ending:
    """Run to the end; what it leaves running holds nobody up, since output goes to a file."""
    with tempfile.TemporaryFile() as printed:
        with process.serving(command, printed, stdin) as running:
            try:
                status = running.ended_within(limit)
            except BaseException:
                running.stop_all()
                raise
            if status is None:
                running.stop_all()
            errors = running.error_output()
        size = printed.seek(0, os.SEEK_END)
        printed.seek(max(0, size - OUTPUT_LIMIT))
        return _Ending(status, printed.read().decode("utf-8", "replace") + errors)


def _records(state: ShellState) -> bytes:
    for name, value in state.variables.items():
        if not _NAME.fullmatch(name) or "\0" in value:
            raise ValueError(f"not a shell variable: {name!r}")
    text = "".join(f"{name}\0{value}\0" for name, value in state.variables.items())
    return f"{state.own}\0{text}".encode("utf-8", "surrogateescape")


def _outcome(records: list[str], state: ShellState, ending: _Ending, limit: float) -> StageOutcome:
    """Return what came back; raise when the scripts did not all run to their ends."""
    script, own = "", ""
    values: dict[str, str] = {}
    said: list[str] = []
    rest = iter(records)
    for record in rest:
        if record == "script":
            script = next(rest, "")
        elif record == "say":
            said.append(next(rest, ""))
        elif record == "value":
            name = next(rest, "")
            values[name] = next(rest, "")
        elif record == "own":
            own = next(rest, "")
        elif record == "end" and ending.status == 0:
            changed = {name: value for name, value in values.items() if value != state.variables.get(name)}
            return StageOutcome(changed, own, tuple(said), ending.output)
    raise _failure(script, ending, limit)


def _failure(hook: str, ending: _Ending, limit: float) -> ProgramError:
    told = f"hook {hook} {_how(ending, limit)}"
    lines = [line.strip() for line in ending.output.splitlines() if line.strip()]
    told = f"{told}: {lines[-1]}" if lines else told
    hint = "correct the hook, or take it away"
    if ending.status is None:
        hint = f"see the log; give hooks more time with --hook-timeout=SECONDS, or {hint}"
    return ProgramError(told, ending.status or 0, ending.output, hint)


def _how(ending: _Ending, limit: float) -> str:
    if ending.status is None:
        return f"did not end within {limit:g} seconds, and was ended"
    if ending.status < 0:
        return f"was ended by signal {-ending.status}"
    if ending.status == 0:
        return "ended the run with exit"
    return f"failed with status {ending.status}"
