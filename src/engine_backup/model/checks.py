"""What a drill finds out: one check each, with one of four outcomes (design section 9)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """How a check ended; the values are those of JSON documents."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    COULD_NOT_RUN = "could not run"
    NOT_IN_ARCHIVE = "not in this archive"

    @property
    def is_red(self) -> bool:
        """Whether a drill with such a check has failed: what could not be looked at is not proven."""
        return self in (Outcome.FAIL, Outcome.COULD_NOT_RUN)


@dataclass(frozen=True)
class Check:
    """One check and how it ended.

    `subject` is the name of a component, or "archive" for what concerns more than one; `name` one or two
    words, such as "row counts". `detail` says in one line what was looked at ("212 tables, 41,233 rows").
    `findings` are what is wrong, one line each that names the thing; printable, and none is a secret.
    """

    subject: str
    name: str
    outcome: Outcome
    detail: str = ""
    findings: tuple[str, ...] = ()
