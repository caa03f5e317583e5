"""A drill for people, or for programs."""

from __future__ import annotations

from collections.abc import Iterable

from engine_backup.model.checks import Check, Outcome
from engine_backup.model.drill import PHASES, DrillResult
from engine_backup.model.requests import DrillRequest
from engine_backup.model.sheet import Cell, CellOrText, Section, Sheet, Style
from engine_backup.run import drill_document, drill_live_sheet
from engine_backup.run.reporting import Reporter

STYLES = {
    Outcome.PASS: Style.GOOD,
    Outcome.FAIL: Style.BAD,
    Outcome.COULD_NOT_RUN: Style.BAD,
    Outcome.NOT_IN_ARCHIVE: Style.FAINT,
}
ESTIMATE = "measured on a server that does not wait for its disk; engine-setup is not in it"


def show(result: DrillResult, request: DrillRequest, reporter: Reporter) -> None:
    """Show how a drill went, and log it."""
    for line in _lines(result):
        reporter.note(line)
    if request.surroundings.json:
        reporter.show(drill_document.render(drill_document.document(result)))
        return
    for warning in result.warnings:
        reporter.console.warn(warning)
    reporter.console.settle()
    reporter.console.show(sheet(result))
    reporter.console.say(_restore_time(result))
    reporter.console.say(verdict(result))


def sheet(result: DrillResult) -> Sheet:
    """Return the table of checks, and one for each live database that was compared."""
    checks = Section("", tuple(row for check in result.checks for row in _rows(check)))
    return (checks, *map(drill_live_sheet.section, result.live or ()))


def _rows(check: Check) -> Iterable[tuple[CellOrText, ...]]:
    yield check.subject, check.name, Cell(check.outcome.value, STYLES[check.outcome]), check.detail
    for finding in check.findings:
        yield "", "", "", Cell(finding, STYLES[check.outcome])


def _lines(result: DrillResult) -> Iterable[str]:
    for check in result.checks:
        yield f"{check.subject}: {check.name}: {check.outcome.value}: {check.detail}"
        for finding in check.findings:
            yield f"  {finding}"
    yield _restore_time(result)
    yield verdict(result)


def _restore_time(result: DrillResult) -> str:
    if result.restore_seconds is None:
        return "How long a restore would take is not known, since not all of it came to its end."
    parts = ", ".join(f"{name} {result.phases[name]:.1f}" for name in PHASES if name in result.phases)
    return f"A real restore would take about {result.restore_seconds:.0f} s ({parts}): {ESTIMATE}."


def verdict(result: DrillResult) -> str:
    """Return the last line."""
    red = [check for check in result.checks if check.outcome.is_red]
    looked = sum(check.outcome is not Outcome.NOT_IN_ARCHIVE for check in result.checks)
    if not red:
        return f"The archive is proven: {looked} checks passed, in {result.seconds:.1f} s."
    names = ", ".join(dict.fromkeys(f"{check.subject}: {check.name}" for check in red))
    return f"The drill has failed: {len(red)} of {looked} checks ({names}), in {result.seconds:.1f} s."
