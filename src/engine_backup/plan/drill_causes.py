"""What a drill that has failed may have failed of, if not of the archive: what it was asked for besides."""

from __future__ import annotations

from engine_backup.model.drill import HASHES, DrillResult
from engine_backup.model.live import LIVE


def other_causes(result: DrillResult) -> tuple[str, ...]:
    """Return the options, with their values, that a failure may lie in; none: it tells of the archive alone.

    Hashes that are wrong are so whatever was asked.
    """
    red = {check.name for check in result.checks if check.outcome.is_red}
    if not red or HASHES in red:
        return ()
    if red == {LIVE}:
        return (f"--against={result.asked.against}",)
    return tuple(_rehearsed(result))


def _rehearsed(result: DrillResult) -> list[str]:
    """Return what makes a drill a rehearsal on another machine than the archive's.

    Programs that were named and are of the release which made the dumps make none.
    """
    asked = result.asked
    found = []
    if asked.pg_bindir is not None and result.postgresql.split(".")[0] != str(result.dumped_by):
        found.append(f"--pg-bindir={asked.pg_bindir}")
    if asked.product_version not in (None, result.product_version):
        found.append(f"--product-version={asked.product_version}")
    return found
