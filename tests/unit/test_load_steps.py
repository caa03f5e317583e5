"""The steps that load databases, in their order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine_backup.model.archive import DumpMember
from engine_backup.model.components import BY_NAME
from engine_backup.model.divided_dumps import DividedDump, DumpEntry, Frame
from engine_backup.model.facts import (
    ArchiveFacts,
    Credentials,
    DatabaseState,
    DumpFacts,
    HostFacts,
    Origin,
    RestoreFacts,
    TargetDatabase,
)
from engine_backup.model.presets import CUSTOM
from engine_backup.model.requests import RestoreRequest, Surroundings
from engine_backup.model.secret import Secret
from engine_backup.model.server import MemorySettings
from engine_backup.model.steps import (
    AnalyzeDatabases,
    ApplyFixes,
    CreateExtensions,
    LoadDump,
    LoadDumps,
    RemoveHostedHosts,
    RemoveHostedStorage,
)
from engine_backup.plan import hosted_engine
from engine_backup.plan.load_steps import load_steps
from engine_backup.plan.provisioning import Provisioning

MIB, GIB = 1 << 20, 1 << 30
STATE = DatabaseState(
    150000, 0, 0, "UTF8", superuser=False, may_create=True, extensions=frozenset(),
    creatable_extensions=frozenset(), roles=frozenset(), functions=frozenset(),
    memory=MemorySettings(128 * MIB, 64 * MIB, 2),
)  # fmt: skip
SIZES = {"engine": GIB, "dwh": 3 * GIB, "keycloak": MIB}


def target(name: str, host: str = "localhost") -> TargetDatabase:
    return TargetDatabase(
        BY_NAME[name], Credentials(host, 5432, name, Secret("p"), name), Origin.OPTIONS, STATE
    )


def dump(name: str, **changes) -> DumpFacts:
    member = DumpMember(name, BY_NAME[name].member, changes.pop("dump_format", "custom"), "zstd", MIB, 0)
    return DumpFacts(member, extensions=("uuid-ossp",), unpacked_size=changes.pop("unpacked_size", GIB))


def facts(*names: str, host: str = "localhost", **dumps: DumpFacts) -> RestoreFacts:
    archive = ArchiveFacts(
        "D", "4.5.7", "rhel9", "engine.lab.example", has_files=True, apache_configured=False, entries=(),
        dumps={name: dump(name) for name in names} | dumps, credentials={}, recorded_sizes=SIZES,
    )  # fmt: skip
    return RestoreFacts(
        HostFacts("engine.lab.example", "rhel9", "4.5.7"), archive, tuple(target(n, host) for n in names),
        free_space=100 * GIB, cores=4, memory=16 * GIB,
    )  # fmt: skip


def request(**changes) -> RestoreRequest:
    return RestoreRequest(Surroundings(Path("/"), Path("/l"), Path("/tmp")), Path("/f"), **changes)


def loads(found: tuple[object, ...]) -> dict[str, LoadDump]:
    (step,) = [step for step in found if isinstance(step, LoadDumps)]
    return {load.component.name: load for load in step.loads}


def test_all_databases_are_loaded_between_their_extensions_and_their_fixes():
    found = load_steps(request(), facts("engine", "dwh", "keycloak"), Provisioning())
    assert [type(step) for step in found] == [
        *[CreateExtensions] * 3,
        LoadDumps,
        ApplyFixes,
        AnalyzeDatabases,
    ]
    assert list(loads(found)) == ["dwh", "engine", "keycloak"]
    assert found[3].at_once == 3


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"he_remove_hosts": True, "he_remove_storage_vm": True},
         [ApplyFixes, RemoveHostedStorage, RemoveHostedHosts]),
        ({"he_remove_hosts": True, "keep_temporary_data": True}, [RemoveHostedHosts]),
        ({"he_remove_storage_vm": True, "keep_temporary_data": True}, [RemoveHostedStorage]),
    ],
)  # fmt: skip
def test_hosted_engine_objects_go_after_the_fixes_from_the_database_that_was_loaded(asked, expected):
    passing = Credentials("localhost", 5432, "engine", Secret("p"), "engine_restoring_1")
    made = Provisioning(frozenset({"engine"}), loads={"engine": passing})
    found = load_steps(request(**asked), facts("engine", "dwh"), made)
    steps = found[[type(step) for step in found].index(LoadDumps) + 1 :]
    assert [type(step) for step in steps] == [*expected, AnalyzeDatabases]
    assert {step.credentials for step in steps[:-1]} == {passing}
    assert passing in [loaded.credentials for loaded in steps[-1].databases]


def test_statistics_are_not_gathered_when_nobody_wants_them():
    found = load_steps(request(analyze=False), facts("engine", "dwh"), Provisioning())
    assert AnalyzeDatabases not in [type(step) for step in found]


@pytest.mark.parametrize(
    ("asked", "hosted", "restored", "told"),
    [
        ({}, False, ("engine",), []),
        ({"he_remove_storage_vm": True}, True, ("engine", "dwh"), []),
        ({"he_remove_storage_vm": True}, False, ("engine",), ["nothing in the backup says"]),
        ({"he_remove_hosts": True}, False, ("engine",), []),
        ({"he_remove_hosts": True}, True, ("dwh", "files"),
         ["no engine database is restored: nothing is removed by --he-remove-hosts"]),
        ({"he_remove_hosts": True, "he_remove_storage_vm": True}, False, ("files",),
         ["removed by --he-remove-storage-vm and --he-remove-hosts"]),
    ],
)  # fmt: skip
def test_what_the_hosted_engine_options_will_not_do_is_told(asked, hosted, restored, told):
    archive = replace(facts("engine").archive, hosted_engine=hosted)
    found = hosted_engine.warnings(request(**asked), archive, [BY_NAME[name] for name in restored])
    assert len(found) == len(told)
    assert all(text in warning for text, warning in zip(told, found))


def test_nothing_is_loaded_where_there_is_nothing():
    assert load_steps(request(), facts(), Provisioning()) == ()


def test_jobs_by_size_unless_they_were_asked_for():
    found = loads(load_steps(request(), facts("engine", "dwh"), Provisioning()))
    assert {name: (load.jobs, load.unpacked) for name, load in found.items()} == {
        "dwh": (3, True),
        "engine": (1, False),
    }
    asked = request(restore_jobs={"engine": 6, "dwh": 1})
    found = loads(load_steps(asked, facts("engine", "dwh"), Provisioning()))
    assert {name: (load.jobs, load.unpacked) for name, load in found.items()} == {
        "dwh": (1, False),
        "engine": (6, True),
    }


@pytest.mark.parametrize(
    "changed",
    [dump("dwh", dump_format="plain", unpacked_size=None), dump("dwh", unpacked_size=101 * GIB),
     replace(dump("dwh"), unpacked_size=None, member=replace(dump("dwh").member, size=6 * GIB))],
    ids=["plain", "larger than the room", "of unknown size"],
)  # fmt: skip
def test_what_cannot_be_unpacked_is_streamed(changed):
    asked = request(restore_jobs={"dwh": 6})
    (load,) = loads(load_steps(asked, facts("dwh", dwh=changed), Provisioning())).values()
    assert (load.jobs, load.unpacked) == (1, False)
    why = "(streamed: no room for" if changed.member.dump_format == CUSTOM else "(streamed, without"
    assert why in str(load)


def test_a_dump_in_parts_needs_no_room():
    rows = [DumpEntry(number, "TABLE DATA", 3, (), has_rows=True) for number in (7, 8)]
    parts = DividedDump(100, tuple(rows), (Frame(0, 10, 7), Frame(10, 20, 8)))
    divided = replace(dump("dwh"), kept="7; 0 1 TABLE DATA a\n8; 0 2 TABLE DATA b\n", divided=parts)
    for kept, expected in (
        (divided.kept, "streamed in 2 parts, 4 jobs, without"),
        ("", "unpacked first, 3 jobs, "),
    ):
        found = load_steps(request(), facts("engine", "dwh", dwh=replace(divided, kept=kept)), Provisioning())
        load = loads(found)["dwh"]
        assert expected in str(load)
        assert (load.order is None) is load.unpacked


def test_settings_come_from_the_memory_that_all_share():
    """Four processes share an eighth of 16 GiB; elsewhere an eighth of four times 128 MiB is too little."""
    workers = (("max_parallel_maintenance_workers", "1"),)
    for host, memory, more in (("localhost", "524288kB", workers), ("db.lab.example", "65536kB", ())):
        found = loads(load_steps(request(), facts("engine", "dwh", host=host), Provisioning()))
        assert {load.settings for load in found.values()} == {
            (("synchronous_commit", "off"), ("maintenance_work_mem", memory), *more)
        }


def test_each_load_has_its_line():
    found = load_steps(request(), facts("engine", "dwh"), Provisioning())
    (step,) = [step for step in found if isinstance(step, LoadDumps)]
    assert str(step).splitlines() == [
        "load 2 databases, 2 at a time:",
        "     load the DWH database into localhost:5432/dwh (unpacked first, 3 jobs, without permissions)",
        "     load the Engine database into localhost:5432/engine (streamed, without permissions)",
    ]
