"""The files of an archive in a root of their own, as a drill hands them to its checks; without databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from engine_backup.drivers import file_placing, file_tree, postgres_programs
from engine_backup.drivers.archive_reader import open_archive
from engine_backup.model.checks import Check
from engine_backup.model.components import GRAFANA
from engine_backup.model.facts import Credentials
from engine_backup.model.paths import SAVED_PATHS
from engine_backup.model.secret import Secret
from engine_backup.plan.file_selection import select
from engine_backup.run.archive_facts import observe_archive
from engine_backup.run.drill_files import check_files
from engine_backup.run.drilled import Drilled

NOBODY = Credentials("localhost", 5432, "nobody", Secret(""), "nothing")


@contextmanager
def restored(archive: Path, directory: Path) -> Iterator[Drilled]:
    """Give what a drill would, but for databases."""
    programs = postgres_programs.installed(None, Path("/"))
    with open_archive(archive, directory) as source:
        facts = observe_archive(source, programs, Path("/"))
        root = directory / "scratch"
        root.mkdir()
        chosen = select(facts.entries, SAVED_PATHS).restore if facts.has_files else ()
        if chosen:
            with source.open_files_tar() as tar:
                file_tree.stage(tar, directory / "staged", chosen, facts.entries)
            file_placing.place(directory / "staged", root, chosen)
        if GRAFANA.name in facts.dumps:
            place = root / GRAFANA.path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            with source.open_member(GRAFANA.member) as stream, place.open("wb") as target:
                shutil.copyfileobj(stream, target)
        yield Drilled(source, facts, root, chosen, {}, NOBODY, programs[0], directory)


def file_checks(archive: Path, directory: Path, when: datetime | None = None) -> dict[tuple[str, str], Check]:
    """Restore the files of an archive and check them; return the checks by subject and name."""
    with restored(archive, directory) as drilled:
        checks = check_files(drilled, when or datetime.now(timezone.utc))
    return {(check.subject, check.name): check for check in checks}
