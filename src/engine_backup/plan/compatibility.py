"""Whether an installed product version can take a backup of another version (reference 2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from engine_backup.model.errors import EngineBackupError, IncompatibleArchiveError

_FORM = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6}){2,7})(?:_([A-Za-z0-9][A-Za-z0-9._~+-]{0,63}))?")


@total_ordering
@dataclass(frozen=True, eq=False)
class Version:
    """A product version `X.Y.Z[.N…][_milestone]`, such as `4.4.10.7` or `4.5.0_master`.

    A milestone stands before the release that it leads to: `4.5.0_beta` <
    `4.5.0_master` < `4.5.0` < `4.5.0.1`.
    """

    numbers: tuple[int, ...]
    milestone: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read a version. Raises `EngineBackupError` for anything else."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise EngineBackupError(
                f"not a product version: {text[:40]!r}", hint="a version looks like 4.5.7"
            )
        return cls(tuple(int(part) for part in match.group(1).split(".")), match.group(2) or "")

    @property
    def line(self) -> tuple[int, int]:
        """The first two numbers, such as (4, 5)."""
        return self.numbers[0], self.numbers[1]

    @property
    def patch(self) -> int:
        """The third number."""
        return self.numbers[2]

    def _order(self) -> tuple[tuple[int, ...], bool, tuple[tuple[int, str], ...]]:
        numbers = self.numbers
        while len(numbers) > 3 and numbers[-1] == 0:
            numbers = numbers[:-1]
        parts = re.findall(r"[0-9]{1,9}|[^0-9]+", self.milestone)
        milestone = tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)
        return numbers, not self.milestone, milestone

    def __eq__(self, other: object) -> bool:
        return self._order() == other._order() if isinstance(other, Version) else NotImplemented

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def __hash__(self) -> int:
        return hash(self._order())


@dataclass(frozen=True)
class Verdict:
    """Whether a backup may be restored; `message` (stock's words) and `reason` say why not."""

    accepted: bool
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Older:
    """Backups of an older line that are taken, from this third number on."""

    line: tuple[int, int]
    from_patch: int = 0


@dataclass(frozen=True)
class Rule:
    """What a range of installed versions takes, from `since` to the next rule.

    `newer_patches`: a backup of the same line may be newer than what is installed.
    `lines_since`: all older lines from this one on are taken too.
    """

    since: tuple[int, ...]
    newer_patches: bool
    older: tuple[Older, ...] = ()
    lines_since: tuple[int, int] | None = None


# Backups of 4.3 before 4.3.10 lack the Cinderlib dump: restoring one would
# leave a broken system. Since 4.4.7 a newer backup's schema is known to be
# beyond what an older engine-setup can handle.
_SINCE_4_3_10 = Older((4, 3), from_patch=10)

RULES: tuple[Rule, ...] = (
    Rule(since=(0,), newer_patches=True),
    Rule(since=(4, 0), newer_patches=True, older=(Older((3, 6)),)),
    Rule(since=(4, 1), newer_patches=True),
    Rule(since=(4, 4, 0), newer_patches=True, older=(Older((4, 3)),)),
    Rule(since=(4, 4, 3, 4), newer_patches=True, older=(_SINCE_4_3_10,)),
    Rule(since=(4, 4, 7), newer_patches=False, older=(_SINCE_4_3_10,)),
    Rule(since=(4, 5), newer_patches=False, older=(Older((4, 4)), _SINCE_4_3_10)),
    # Not released yet. Each line so far took at least the one before it; from
    # 4.4 on every line brings its own path for the databases of its predecessors.
    Rule(since=(4, 6), newer_patches=False, lines_since=(4, 4)),
)


def accepts(installed: str, backup: str) -> Verdict:
    """Say whether the installed version may restore a backup of the other version.

    Raises `EngineBackupError` when the installed version, and
    `IncompatibleArchiveError` when the backup's version, is none.
    """
    target = Version.parse(installed)
    try:
        source = Version.parse(backup)
    except EngineBackupError as error:
        raise IncompatibleArchiveError(f"the backup's version is {error.message}", error.hint) from None
    reason = _objection(target, source)
    if not reason:
        return Verdict(accepted=True)
    message = (
        f"Backup was created by version '{backup.strip()}' and can not be restored "
        f"using the installed version {installed.strip()}"
    )
    return Verdict(accepted=False, reason=reason, message=message)


def _objection(target: Version, source: Version) -> str:
    """Return why a backup is refused, or an empty text."""
    rule = next(rule for rule in reversed(RULES) if target.numbers >= rule.since)
    name = ".".join(map(str, source.line))
    if source.line == target.line:
        newer = source > target and not rule.newer_patches
        return "the backup is newer than the installed version" if newer else ""
    older = next((entry for entry in rule.older if entry.line == source.line), None)
    if older is not None:
        least = f"{name}.{older.from_patch}"
        return "" if source.patch >= older.from_patch else f"of {name} only {least} and later can be restored"
    if rule.lines_since is not None and rule.lines_since <= source.line < target.line:
        return ""
    direction = "newer" if source.line > target.line else "older"
    return f"backups of the {direction} {name} cannot be restored by {'.'.join(map(str, target.line))}"
