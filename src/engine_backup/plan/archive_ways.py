"""How an archive gets to where it is wanted: a file that is renamed, or standard output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from engine_backup.model.backup_steps import HandOver, Publish
from engine_backup.model.errors import Problem
from engine_backup.model.facts import TargetFacts
from engine_backup.model.requests import BackupRequest

NOT_OVERWRITTEN = "--no-overwrite has no effect: the archive goes to standard output"


@dataclass(frozen=True)
class Way:
    """What differs between archives that go different ways.

    `last_step` makes the archive the one that was asked for. `in_place`: members stream into their places,
    and their headers are patched afterwards. `kept`: the archive takes room in the directory that was named.
    """

    last_step: Union[Publish, HandOver]
    in_place: bool
    kept: bool
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def choose(request: BackupRequest, target: TargetFacts | None, outer: str) -> Way:
    """Return the way; `target` is None for standard output, `outer` the compressor of the whole archive."""
    if target is None:
        return Way(HandOver(), False, False, (NOT_OVERWRITTEN,) if request.no_overwrite else ())
    step = Publish(target.path, target.exists)
    return Way(step, not outer, True, problems=_problems(request, target))


def _problems(request: BackupRequest, target: TargetFacts) -> tuple[Problem, ...]:
    directory = request.file.parent
    if target.exists and not target.is_regular:
        hint = "name a file that may be replaced: --file=FILE, or --file=- for standard output"
        return (Problem(f"{target.path} is no regular file", hint),)
    if target.exists and request.no_overwrite:
        return (Problem(f"{target.path} exists", "name another file, or leave --no-overwrite out"),)
    if target.directory_is_other:
        return (Problem(f"{directory} is no directory", "choose another --file=FILE"),)
    if not target.directory_exists and not target.is_default_directory:
        return (Problem(f"directory {directory} does not exist", f"create it: mkdir -p {directory}"),)
    if target.directory_exists and not target.directory_writable:
        return (Problem(f"cannot write into directory {directory}", "choose another --file=FILE"),)
    return ()
