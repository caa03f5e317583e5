"""Places where drills run: the account of a scratch server must be able to enter them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults import leftovers
from tests.support.machine import Machine, Result


class DrillSite(Machine):
    """A machine for drills, with an engine's archive of the test's own choice."""

    @property
    def record(self) -> Path:
        return self.archive.with_name(self.archive.name + ".drill.json")

    @property
    def history(self) -> Path:
        return self.root / "var/lib/ovirt-engine-backup/drills.jsonl"

    def drill(self, *words: str) -> Result:
        """Drill the archive; nothing may be left of that."""
        result = self.engine_backup("drill", *words)
        self.assert_nothing_left()
        return result

    def document(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Drill the archive, and return status and document."""
        result = self.drill("--json", *words)
        return result.status, json.loads(result.stdout)

    def assert_nothing_left(self) -> None:
        assert self.leftovers() == []
        assert leftovers.processes(self.temporary, frozenset()) == []


@contextmanager
def drill_site() -> Iterator[DrillSite]:
    """Give a new site below a directory that everybody may enter."""
    directory = Path(tempfile.mkdtemp(prefix="drill-", dir="/tmp"))  # noqa: S108
    try:
        directory.chmod(0o711)
        site = DrillSite(directory)
        site.temporary.chmod(0o711)
        yield site
    finally:
        shutil.rmtree(directory)


def red(document: dict[str, Any]) -> dict[str, str]:
    """Return the checks that are red: subject and name, with all that they found."""
    return {
        f"{check['subject']}: {check['name']}": " ".join([check["detail"], *check["findings"]])
        for check in document["checks"]
        if check["outcome"] in ("fail", "could not run")
    }


def is_root() -> bool:
    return os.geteuid() == 0
