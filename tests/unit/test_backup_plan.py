"""What a backup does, decided from facts alone, over every row of the component table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.backup_steps import (
    AnnounceEnd,
    AnnounceStart,
    Describe,
    DumpDatabase,
    HandOver,
    Publish,
    SaveFiles,
    SaveMembers,
)
from engine_backup.model.components import COMPONENTS, DATABASES, FILES, GRAFANA
from engine_backup.model.errors import Problem
from engine_backup.model.facts import (
    BackupFacts,
    Credentials,
    DatabaseFacts,
    FileFacts,
    HostFacts,
    TargetFacts,
)
from engine_backup.model.presets import PRESETS
from engine_backup.model.requests import STANDARD_OUTPUT, BackupRequest, DumpWish, Surroundings
from engine_backup.model.secret import Secret
from engine_backup.plan.backup import plan_backup

TARGET = TargetFacts("/backups/a", True, True, False, False, False)
WRITTEN = [component for component in DATABASES if component.written]


def login(component) -> Credentials:
    return Credentials(
        "localhost", 5432, component.default_user, Secret("pw"), component.default_database, source="conf"
    )


def facts(**changes) -> BackupFacts:
    everything = BackupFacts(
        host=HostFacts("engine.lab.example", "rhel9", "4.5.7"),
        target=TARGET,
        databases=tuple(DatabaseFacts(c, True, login(c)) for c in DATABASES),
        single_files=(FileFacts(GRAFANA, True, True, 4096),),
    )
    return replace(everything, **changes)


def request(**changes) -> BackupRequest:
    surroundings = Surroundings(Path("/"), Path("/log"), Path("/tmp"), changes.pop("scopes", ("all",)))
    return BackupRequest(surroundings, changes.pop("file", Path("/backups/a")), **changes)


def announced(plan) -> list[str]:
    return next([c.name for c in s.components] for s in plan.steps if isinstance(s, AnnounceStart))


def saving(plan) -> SaveMembers:
    return next(step for step in plan.steps if isinstance(step, SaveMembers))


def dumps_of(plan) -> list[DumpDatabase]:
    return [part for part in saving(plan).parts if isinstance(part, DumpDatabase)]


def one(component, **changes) -> tuple[DatabaseFacts, ...]:
    return tuple(
        replace(DatabaseFacts(c, True, login(c)), **(changes if c is component else {})) for c in DATABASES
    )


def test_everything_that_is_there_is_saved_in_the_order_of_the_table():
    plan = plan_backup(request(), facts())
    assert announced(plan) == [c.name for c in COMPONENTS if c.written]
    assert plan.problems == ()


@pytest.mark.parametrize("component", [c for c in COMPONENTS if c.written], ids=lambda c: c.name)
def test_a_scope_saves_its_component_only(component):
    plan = plan_backup(request(scopes=(component.scope,)), facts())
    assert announced(plan) == [component.name]
    assert plan.problems == ()


@pytest.mark.parametrize("component", WRITTEN, ids=lambda c: c.name)
class TestOneDatabase:
    def test_not_enabled_is_a_warning(self, component):
        plan = plan_backup(request(), facts(databases=one(component, enabled=False)))
        assert component.name not in announced(plan)
        assert any(component.label in warning for warning in plan.warnings)

    def test_never_mentioned_and_not_configured_is_nothing(self, component):
        plan = plan_backup(request(), facts(databases=one(component, enabled=None, credentials=None)))
        assert component.name not in announced(plan)
        assert plan.warnings == ()

    def test_out_of_reach_is_a_problem(self, component):
        error = Problem("cannot connect", "")
        plan = plan_backup(request(), facts(databases=one(component, error=error)))
        assert [p.message for p in plan.problems] == ["cannot connect"]
        assert component.scope in plan.problems[0].hint

    def test_out_of_reach_and_out_of_scope_is_nothing(self, component):
        error = Problem("cannot connect", "")
        plan = plan_backup(request(scopes=("files",)), facts(databases=one(component, error=error)))
        assert plan.problems == ()

    def test_no_credentials_is_a_problem(self, component):
        plan = plan_backup(request(), facts(databases=one(component, credentials=None)))
        assert component.label in plan.problems[0].message

    def test_wishes_refine_the_preset(self, component):
        wish = {component.name: DumpWish("plain", "gzip")}
        plan = plan_backup(request(preset="small-size", dumps=wish), facts())
        assert dumps_of(plan)
        for step in dumps_of(plan):
            packed = (step.encoding.dump_format, step.encoding.packing.compressor)
            assert packed == (("plain", "gzip") if step.component is component else ("plain", "xz"))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_reaches_every_component(preset):
    plan = plan_backup(request(preset=preset), facts())
    dumps = dumps_of(plan)
    assert {step.encoding for step in dumps} == {PRESETS[preset].dump}
    files = next(part for part in saving(plan).parts if isinstance(part, SaveFiles))
    assert files.packing == PRESETS[preset].files


def sized(**sizes: int) -> tuple[DatabaseFacts, ...]:
    return tuple(DatabaseFacts(c, True, login(c), size=sizes.get(c.name, 0)) for c in DATABASES)


@given(st.lists(st.integers(0, 1 << 50), min_size=len(WRITTEN), max_size=len(WRITTEN)))
def test_the_largest_database_begins_and_files_are_saved_at_its_moment(sizes):
    databases = sized(**dict(zip([c.name for c in WRITTEN], sizes)))
    parts = saving(plan_backup(request(), facts(databases=databases))).parts
    assert {part.component for part in parts} == {c for c in COMPONENTS if c.written}
    assert [part.component for part in parts[1:3]] == [FILES, GRAFANA]
    dumped = [part.size for part in parts if isinstance(part, DumpDatabase)]
    assert dumped == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("cores", "changes", "at_once"),
    [
        (1, {}, 2),
        (2, {}, 2),
        (4, {}, 4),
        (64, {}, 7),
        (4, {"jobs": 1}, 1),
        (1, {"jobs": 3}, 3),
        (1, {"jobs": 99}, 7),
        (4, {"archive_compressor": "gzip"}, 1),
        (4, {"archive_compressor": ""}, 4),
        (4, {"scopes": ("files",)}, 1),
    ],
)
def test_how_many_are_saved_at_the_same_time(cores, changes, at_once):
    plan = plan_backup(request(**changes), facts(cores=cores))
    assert saving(plan).at_once == at_once


@pytest.mark.parametrize(
    "hosted",
    [
        {"host": HostFacts("e", "rhel9", "4.5.7", hosted_engine=True)},
        {"databases": tuple(DatabaseFacts(c, True, login(c), hosted_engine=True) for c in DATABASES)},
    ],
    ids=["by its answers", "by its database"],
)
def test_a_hosted_engine_is_packed_for_the_stock_tool(hosted):
    plan = plan_backup(request(), facts(**hosted))
    dumps = dumps_of(plan)
    assert {step.encoding for step in dumps} == {PRESETS["classic"].dump}
    assert "classic" in plan.notes[0]
    asked = plan_backup(request(preset="fast-backup"), facts(**hosted))
    assert "fast-backup" in asked.notes[0]


@pytest.mark.parametrize(
    ("target", "changes", "said"),
    [
        (replace(TARGET, exists=True), {}, "is no regular file"),
        (replace(TARGET, exists=True, is_regular=True), {"no_overwrite": True}, "exists"),
        (replace(TARGET, directory_exists=False), {}, "does not exist"),
        (replace(TARGET, directory_exists=False, directory_is_other=True), {}, "is no directory"),
        (replace(TARGET, directory_writable=False), {}, "cannot write into"),
    ],
)
def test_places_that_cannot_be_written(target, changes, said):
    plan = plan_backup(request(**changes), facts(target=target))
    assert len(plan.problems) == 1
    assert said in plan.problems[0].message
    assert plan.problems[0].hint


def test_an_unknown_version_is_a_problem_that_names_the_option():
    plan = plan_backup(request(), facts(host=HostFacts("e", "rhel9", None)))
    assert "--product-version" in plan.problems[0].hint


def test_passwords_never_show_in_a_plan():
    secret = "xyzzy-4711"
    databases = tuple(DatabaseFacts(c, True, replace(login(c), password=Secret(secret))) for c in DATABASES)
    plan = plan_backup(request(), facts(databases=databases))
    assert secret not in repr(plan) + "".join(str(step) for step in plan.steps)


@pytest.mark.parametrize("preset", [None, *PRESETS])
@pytest.mark.parametrize("compressor", [None, "", "gzip", "zstd"])
def test_to_standard_output_one_member_is_made_at_a_time_and_nothing_is_published(preset, compressor):
    asked = request(file=STANDARD_OUTPUT, preset=preset, archive_compressor=compressor, jobs=8)
    plan = plan_backup(asked, facts(target=None, cores=8))
    assert saving(plan).at_once == 1
    assert [type(step) for step in plan.steps[-3:]] == [Describe, HandOver, AnnounceEnd]
    assert not any(isinstance(step, Publish) for step in plan.steps)
    assert "not re-read" in str(plan.steps[-2])
    assert (plan.problems, plan.warnings) == ((), ())


def test_to_standard_output_nothing_can_be_overwritten():
    plan = plan_backup(request(file=STANDARD_OUTPUT, no_overwrite=True), facts(target=None))
    assert plan.warnings == ("--no-overwrite has no effect: the archive goes to standard output",)
    assert plan.problems == ()
