"""For runs whose whole result is thrown away: nothing is kept of what they replace, nothing taken back."""

from __future__ import annotations

from collections.abc import Iterable

from engine_backup.model.ways_back import WayBack


class NothingKept:
    """Stands where a restore keeps the files that it replaces."""

    def keep(self, names: Iterable[bytes], /) -> None:
        """Keep nothing."""

    def before(self, name: bytes, /) -> None:
        """Keep nothing."""

    def new(self) -> tuple[bytes, ...]:
        """Return nothing: nobody has taken note."""
        return ()


class NoWayBack:
    """Stands where a restore takes note of how to take back each change."""

    def add(self, way: WayBack, /) -> None:
        """Take no note."""

    def made_nothing(self) -> None:
        """Take no note."""

    def forget(self) -> None:
        """There is nothing to forget."""
