"""What the product needs of postgresql.conf, and the smallest edit that gives it (reference 1.5).

Unlike stock, units are understood, as are lines without `=`, duplicates, and
values that stand elsewhere (quirk 47).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from engine_backup.model.server import SettingElsewhere
from engine_backup.plan.postgresql_conf import (
    INCLUDES,
    Line,
    current_name,
    line_end,
    lines_of,
    number,
    quoted,
    settings,
)

LOCALE = "en_US.UTF-8"
SCRAM = "scram-sha-256"
NO_LOCALE = (
    f"lc_messages stays as it is: this machine has no locale {LOCALE}; "
    "to have messages in English, install glibc-langpack-en"
)

_ALWAYS = 10_000  # no major version of PostgreSQL
_NEVER = 0


class Comparison(Enum):
    """Which values of a setting are good."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    SAME = "exactly"
    SAME_WORD = "the value"
    SAME_LOCALE = "the locale"


@dataclass(frozen=True)
class Requirement:
    """One row of the table. `unit` is what a bare number counts; it changes
    with a reload in servers of major version `reload_since` or newer, else by a restart.
    """

    name: str
    value: str
    comparison: Comparison = Comparison.SAME
    unit: str = ""
    reload_since: int = _NEVER

    @property
    def reason(self) -> str:
        """Why the value is changed."""
        return f"the product needs {self.comparison.value} {self._written}"

    @property
    def line(self) -> str:
        """The line that says it."""
        return f"{self.name} = {self._written}"

    @property
    def _written(self) -> str:
        """The value as stock writes it: numbers and the name of a method stand bare."""
        bare = self.comparison in (Comparison.AT_LEAST, Comparison.AT_MOST) or self.value == SCRAM
        return self.value if bare else quoted(self.value)

    def accepts(self, value: str) -> bool:
        """Say whether a value is good enough to be left."""
        if self.comparison is Comparison.SAME:
            return value == self.value
        if self.comparison is Comparison.SAME_WORD:
            return value.strip().lower() == self.value.lower()
        if self.comparison is Comparison.SAME_LOCALE:
            return _comparable(value) == _comparable(self.value)
        return self._fits(number(value, self.unit), float(self.value))

    def _fits(self, amount: float | None, limit: float) -> bool:
        if amount is None:
            return False
        return amount >= limit if self.comparison is Comparison.AT_LEAST else amount <= limit


REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement("max_connections", "150", Comparison.AT_LEAST, reload_since=_ALWAYS),
    Requirement("listen_addresses", "*", Comparison.SAME_WORD, reload_since=_ALWAYS),
    Requirement("lc_messages", LOCALE, Comparison.SAME_LOCALE),
    Requirement("autovacuum_vacuum_scale_factor", "0.01", Comparison.AT_MOST),
    Requirement("autovacuum_analyze_scale_factor", "0.075", Comparison.AT_MOST),
    Requirement("autovacuum_max_workers", "6", Comparison.AT_LEAST, reload_since=18),
    Requirement("maintenance_work_mem", "65536", Comparison.AT_LEAST, unit="kB"),
    Requirement("work_mem", "8192", Comparison.AT_LEAST, unit="kB"),
    Requirement("log_line_prefix", "%m "),
    Requirement("log_filename", "postgresql-%m.log"),
    Requirement("log_timezone", "UTC"),
    Requirement("password_encryption", SCRAM),
)


@dataclass(frozen=True)
class Conditions:
    """What decides which rows count: the server's major version, how its roles log in, this
    machine's locales (as `locale -a` names them).
    """

    major: int
    method: str = SCRAM
    locales: Collection[str] = frozenset()


@dataclass(frozen=True)
class Change:
    """A setting that changes; `old` is None when it was not set."""

    name: str
    old: str | None
    new: str
    reason: str
    restart: bool


@dataclass(frozen=True)
class Overridden:
    """A setting that is not good enough and that no line of postgresql.conf can change."""

    name: str
    value: str
    new: str
    place: str


@dataclass(frozen=True)
class Edit:
    """The new text, identical when all is well. `broken` are numbers of lines the server does not take."""

    text: str
    changes: tuple[Change, ...] = ()
    overridden: tuple[Overridden, ...] = ()
    notes: tuple[str, ...] = ()
    broken: tuple[int, ...] = ()
    includes: tuple[str, ...] = ()

    @property
    def restart(self) -> bool:
        """Whether the changes need a restart; otherwise a reload is enough."""
        return any(change.restart for change in self.changes)


def edited(text: str, effective: Mapping[str, SettingElsewhere], conditions: Conditions) -> Edit:
    """Return postgresql.conf with what the product needs, comments kept, and what could not be had.

    `effective` are the settings that get their value elsewhere. A wrong line is commented out and
    followed by the right one; a setting that only stands in a comment follows the first such; others
    go to the end, as does one that an included file had the last word on.
    """
    draft = _Draft(lines_of(text))
    elsewhere = {current_name(name): setting for name, setting in effective.items()}
    for requirement in REQUIREMENTS:
        if requirement.name != "password_encryption" or conditions.method == SCRAM:
            draft.require(requirement, elsewhere.get(requirement.name), conditions)
    return draft.edit()


def elsewhere_in(text: str, place: str) -> dict[str, SettingElsewhere]:
    """Return what ALTER SYSTEM has set, from the text of postgresql.auto.conf, for a stopped server."""
    return {name: SettingElsewhere(value, place, final=True) for name, value in settings(text).items()}


@dataclass
class _Draft:
    """The lines of the file and what has been decided so far, by line number from 0."""

    lines: tuple[Line, ...]
    wrong: set[int] = field(default_factory=set)
    following: dict[int, str] = field(default_factory=dict)
    last: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    overridden: list[Overridden] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def require(
        self, requirement: Requirement, elsewhere: SettingElsewhere | None, conditions: Conditions
    ) -> None:
        name = requirement.name
        active = [place for place, line in enumerate(self.lines) if line.name == name]
        old = elsewhere.value if elsewhere else self.lines[active[-1]].value if active else None
        if old is not None and requirement.accepts(old):
            return
        if requirement.comparison is Comparison.SAME_LOCALE and not _exists(conditions.locales):
            self.notes.append(NO_LOCALE)
        elif elsewhere is not None and elsewhere.final:
            self.overridden.append(Overridden(name, elsewhere.value, requirement.value, elsewhere.place))
        else:
            self._write(requirement, active, at_end=elsewhere is not None)
            restart = conditions.major < requirement.reload_since
            self.changes.append(Change(name, old, requirement.value, requirement.reason, restart))

    def _write(self, requirement: Requirement, active: list[int], at_end: bool) -> None:
        """Comment out the wrong lines; a good one before them stays, it was without effect already."""
        self.wrong.update(place for place in active if not requirement.accepts(self.lines[place].value))
        commented = [place for place, line in enumerate(self.lines) if line.commented == requirement.name]
        if at_end or not (active or commented):
            self.last.append(requirement.line)
        else:
            self.following[active[-1] if active else commented[0]] = requirement.line

    def edit(self) -> Edit:
        return Edit(
            "".join(self._texts()),
            tuple(self.changes),
            tuple(self.overridden),
            tuple(self.notes),
            tuple(place + 1 for place, line in enumerate(self.lines) if line.broken),
            tuple(line.value for line in self.lines if line.name in INCLUDES),
        )

    def _texts(self) -> list[str]:
        ending = line_end(self.lines)
        texts = []
        for place, line in enumerate(self.lines):
            texts.append(f"# {line.text}" if place in self.wrong else line.text)
            more_to_come = place in self.following or (self.last and place == len(self.lines) - 1)
            if more_to_come and not line.ending:
                texts.append(ending)
            if place in self.following:
                texts.append(self.following[place] + ending)
        return texts + [text + ending for text in self.last]


def _exists(locales: Collection[str]) -> bool:
    return _comparable(LOCALE) in {_comparable(name) for name in locales}


def _comparable(name: str) -> str:
    """Make one of `en_US.UTF-8`, `en_US.utf8` and the like, which are one locale to the C library."""
    return name.strip().lower().replace("-", "")
