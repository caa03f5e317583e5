"""What a machine would need: every kind of need, met and not met and not known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.components import DWH, ENGINE, FILES
from engine_backup.model.inspection import InspectedComponent, InspectedDatabase, Inspection, NeedKind
from engine_backup.model.preflight import PackageFact, Volume
from engine_backup.plan.restore_needs import MachineFacts, restore_needs, size_text, stock_programs
from engine_backup.plan.space import DatabaseNeed

ARCHIVE = Inspection(
    path="/a", size=1, compressor="", generation="D", tool_version=None, product_version="4.5.7",
    os_version="rhel9", made_at=None, fqdn=None, hosted_engine=None, hash_kind="sha256",
    components=(
        InspectedComponent(FILES, "files", 10, 1000, "xz"),
        InspectedComponent(ENGINE, "db/engine_backup.db", 10, 20, "zstd", "custom",
                           database=InspectedDatabase(pg_dump_version="15.18")),
        InspectedComponent(DWH, "db/dwh_backup.db", 10, 20, "xz", "plain", database=InspectedDatabase()),
    ),
    certificates=(), configuration=None,
)  # fmt: skip
MACHINE = MachineFacts(
    product_version="4.5.7", majors=(15,), packages=(), programs={},
    data=Volume("/data", 1, 5000), staging=Volume("/staging", 1, 5000), temporary=Volume("/tmp", 1, 5000),
)  # fmt: skip


def met(kind: NeedKind, archive: Inspection = ARCHIVE, machine: MachineFacts = MACHINE) -> list[bool | None]:
    needs = restore_needs(archive, machine, [DatabaseNeed(1500), DatabaseNeed(500, "estimated")], 4000)
    return [need.met for need in needs if need.kind is kind]


@pytest.mark.parametrize(
    ("installed", "expected"),
    [("4.5.7", True), ("4.5.8", True), ("4.5.6", False), ("4.4.10", False), (None, None), ("x", None)],
)
def test_product_version(installed, expected):
    assert met(NeedKind.PRODUCT, machine=replace(MACHINE, product_version=installed)) == [expected]


def test_a_product_version_that_is_none():
    assert met(NeedKind.PRODUCT, replace(ARCHIVE, product_version="rubbish")) == [False]


def made_by(version: str | None) -> Inspection:
    engine = replace(ARCHIVE.components[1], database=InspectedDatabase(pg_dump_version=version))
    return replace(ARCHIVE, components=(engine,))


@pytest.mark.parametrize(
    ("version", "majors", "expected"),
    [
        ("15.18", (15,), True), ("15.18", (13, 18), True), ("15.18", (13,), False), ("15.18", (), False),
        ("9.6.24", (10,), True), (None, (15,), None), (None, (), False), ("²", (15,), None),
    ],
)  # fmt: skip
def test_postgresql(version, majors, expected):
    assert met(NeedKind.POSTGRESQL, made_by(version), replace(MACHINE, majors=majors)) == [expected]


def test_plain_dumps_need_no_program():
    assert met(NeedKind.POSTGRESQL, replace(ARCHIVE, components=ARCHIVE.components[2:])) == []


def test_space():
    # Databases and the log that loading them leaves: twice 2000 bytes.
    assert met(NeedKind.DATABASE_SPACE) == [True]
    small = replace(MACHINE, data=Volume("/data", 1, 3999), staging=Volume("/staging", 2, 999))
    assert met(NeedKind.DATABASE_SPACE, machine=small) == met(NeedKind.FILE_SPACE, machine=small) == [False]
    silent = replace(MACHINE, data=Volume("/data", 1, None))
    assert met(NeedKind.DATABASE_SPACE, machine=silent) == [None]
    assert met(NeedKind.FILE_SPACE) == [True]
    assert met(NeedKind.TEMPORARY_SPACE) == []
    assert met(NeedKind.TEMPORARY_SPACE, replace(ARCHIVE, compressor="gzip")) == [True]
    full = replace(MACHINE, temporary=Volume("/tmp", 1, 3999))
    assert met(NeedKind.TEMPORARY_SPACE, replace(ARCHIVE, compressor="gzip"), full) == [False]


def test_packages_and_programs():
    facts = tuple(PackageFact(ENGINE, f"package{here}", here) for here in (True, False, None))
    machine = replace(MACHINE, packages=facts, programs={"xz": True, "zstd": False})
    assert met(NeedKind.PACKAGE, machine=machine) == [True, False, None]
    assert met(NeedKind.STOCK_PROGRAM, machine=machine) == [True, False]
    assert stock_programs(ARCHIVE.components, "") == ("xz", "zstd")
    assert stock_programs(ARCHIVE.components[:1], "bzip2") == ("bzip2", "xz")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1 << 20, "1.0 MiB"),
        (5 << 30, "5.0 GiB"), (3 << 40, "3.0 TiB"), (3 << 50, "3072.0 TiB"),
    ],
)  # fmt: skip
def test_sizes(size, text):
    assert size_text(size) == text


@given(st.integers(0, 1 << 60), st.integers(0, 1 << 60))
def test_larger_sizes_never_read_as_smaller_ones(one, other):
    def value(text: str) -> float:
        number, unit = text.split()
        return float(number) * 1024 ** ("B", "KiB", "MiB", "GiB", "TiB").index(unit)

    small, large = sorted((one, other))
    assert value(size_text(small)) <= value(size_text(large))
