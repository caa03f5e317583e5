"""How much room a backup is said to need before it begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.backup_steps import CopySqlite, DumpDatabase, Publish, SaveFiles, SaveMembers
from engine_backup.model.components import DWH, ENGINE, FILES, GRAFANA
from engine_backup.model.facts import FileFacts
from engine_backup.model.preflight import Volume
from engine_backup.model.presets import PRESETS, Encoding, Packing
from engine_backup.model.requests import STANDARD_OUTPUT
from engine_backup.plan import backup_space
from engine_backup.plan.archive_ways import Way
from engine_backup.plan.backup import plan_backup
from tests.unit.test_backup_plan import facts, login, request, sized

GIB = 1 << 30
DEFAULT = PRESETS["default"]
STEP = Publish("/backups/a", False)
IN_PLACE, PACKED_AS_A_WHOLE = Way(STEP, True, True), Way(STEP, False, True)


def volume(free: int | None, device: int = 1) -> Volume:
    return Volume("/backups", device, free)


def saving(dwh: int, engine: int = 0, at_once: int = 2, encoding: Encoding = DEFAULT.dump) -> SaveMembers:
    parts = (
        DumpDatabase(DWH, login(DWH), encoding, dwh),
        SaveFiles(FILES, DEFAULT.files),
        CopySqlite(GRAFANA),
        DumpDatabase(ENGINE, login(ENGINE), encoding, engine),
    )
    return SaveMembers(parts, at_once)


def said(free: int, step: SaveMembers, way: Way = IN_PLACE) -> tuple[bool, bool]:
    """Return whether there is a warning, and whether there is a problem."""
    seen = facts(single_files=(), archive_volume=volume(free), temporary_volume=volume(GIB, 2))
    return bool(backup_space.warnings(step, seen, way)), bool(backup_space.problems(step, seen, way))


def test_what_cannot_fit_is_a_problem_that_names_place_need_and_free_bytes():
    seen = facts(
        databases=sized(dwh=100 * GIB, engine=GIB),
        archive_volume=volume(GIB),
        temporary_volume=volume(GIB, 2),
    )
    plan = plan_backup(request(), seen)
    (problem,) = plan.problems
    assert "not enough space on the file system of /backups: " in problem.message
    assert "2285 MiB needed for the archive (estimated from the databases' sizes) and" in problem.message
    assert problem.message.endswith("1024 MiB free")
    assert "--file=FILE" in problem.hint
    assert plan.warnings == ()


def test_what_may_not_fit_is_a_warning():
    seen = facts(databases=sized(dwh=100 * GIB), archive_volume=volume(5 * GIB))
    plan = plan_backup(request(), seen)
    assert plan.problems == ()
    assert [text for text in plan.warnings if "this may fail: not enough space" in text]


@pytest.mark.parametrize("free", [None, 100 * GIB])
def test_nothing_is_said_where_there_is_room_or_nothing_tells(free):
    plan = plan_backup(request(), facts(databases=sized(dwh=100 * GIB), archive_volume=volume(free)))
    assert (plan.warnings, plan.problems) == ((), ())


def test_databases_that_hold_nothing_need_nothing():
    assert said(0, saving(8 << 20, 7 << 20)) == (False, False)


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 50), st.integers(0, 1 << 50))
def test_more_room_is_never_worse(free, dwh, engine):
    step = saving(dwh, engine)
    (warned, refused), (warned_later, refused_later) = said(free, step), said(free * 2, step)
    assert not (warned and refused)
    assert refused >= refused_later
    assert (warned or refused) >= (warned_later or refused_later)


@pytest.mark.parametrize(
    ("encoding", "usual"),
    [
        (DEFAULT.dump, 6),
        (PRESETS["classic"].dump, 3),
        (PRESETS["small-size"].dump, 8),
        (Encoding("plain", Packing("")), 1),
        (Encoding("plain", Packing("bzip2")), 6),
    ],
)
def test_each_packing_has_its_ratio(encoding, usual):
    step = saving(24 * GIB + (8 << 20), encoding=encoding, at_once=1)
    need = 24 * GIB // usual
    assert said(need + need // 20 + 1, step) == (False, False)
    assert said(need + need // 20 - (1 << 20), step) == (True, False)


def test_what_waits_beside_the_archive_counts_once_more():
    empty = 8 << 20
    alone, together = (saving(12 * GIB + empty, 6 * GIB + empty, at_once=n) for n in (1, 2))
    need = 3 * GIB
    assert said(need + need // 20 + 1, alone) == (False, False)
    assert said(need + need // 20 + 1, together) == (True, False)
    assert said(4 * GIB + 4 * GIB // 20 + 1, together) == (False, False)
    # Packed as a whole, the largest waits too.
    assert said(4 * GIB + 4 * GIB // 20 + 1, alone, PACKED_AS_A_WHOLE) == (True, False)


def test_the_copy_of_grafanas_database_is_looked_at_where_it_lies():
    seen = facts(
        single_files=(FileFacts(GRAFANA, True, True, 3 * GIB),),
        archive_volume=volume(100 * GIB),
        temporary_volume=Volume("/tmp", 2, GIB),
    )
    (problem,) = plan_backup(request(), seen).problems
    assert "file system of /tmp" in problem.message
    assert "--tmpdir" in problem.hint


@pytest.mark.parametrize(("free", "problems", "doubts"), [(3, 0, 0), (1, 0, 1), (0, 1, 0)])
def test_to_standard_output_the_largest_member_lies_in_the_temporary_directory(free, problems, doubts):
    """As it usually gets it takes 2 GiB there, and a quarter of one at the least; the others do not count."""
    seen = facts(
        target=None,
        databases=sized(dwh=12 * GIB, engine=12 * GIB, keycloak=12 * GIB),
        single_files=(),
        temporary_volume=Volume("/tmp", 2, free * GIB),
    )
    plan = plan_backup(request(file=STANDARD_OUTPUT), seen)
    assert len(plan.problems) == problems
    assert all("/tmp: 269 MiB needed for the largest member" in problem.message for problem in plan.problems)
    assert all("--tmpdir=DIR" in problem.hint and "--file" not in problem.hint for problem in plan.problems)
    assert len([text for text in plan.warnings if "this may fail" in text]) == doubts
