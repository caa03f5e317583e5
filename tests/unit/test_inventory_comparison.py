"""Inventories are compared object by object, as far as both of them name their objects."""

from __future__ import annotations

import json
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from engine_backup.drivers import engine_fixes
from engine_backup.model.checks import Outcome
from engine_backup.model.inventory import MOMENTS, OBJECT_KINDS, Inventory, KindInventory, NamedObject
from engine_backup.plan.inventory_comparison import MOST_FINDINGS, differences, inventory_checks

TIME = "2026-11-22T11:19:37+00:00"


def listed(names: dict[str, str], most: int = 1000) -> KindInventory:
    """Return the inventory of objects, as the driver makes it."""
    rows = sorted(names.items())
    digest = sha256("".join(json.dumps(row) + "\n" for row in rows).encode()).hexdigest()
    objects = tuple(NamedObject(*row) for row in rows[:most])
    return KindInventory(len(rows), objects, len(rows) <= most, digest)


NAMES = st.dictionaries(
    st.integers(0, 30).map(lambda n: f"{n:02}"), st.sampled_from(["", "one", "two"]), max_size=25
)


@given(NAMES, NAMES)
def test_whole_lists_differ_as_their_contents(then, now):
    found = differences(listed(then), listed(now))
    assert found.complete
    assert found.same is (then == now)
    assert {row.identity for row in found.gone} == then.keys() - now.keys()
    assert {row.identity for row in found.new} == now.keys() - then.keys()
    renamed = {row.identity for row, _ in found.renamed}
    assert renamed == {key for key in then.keys() & now.keys() if then[key] != now[key]}


@given(NAMES, NAMES, st.integers(1, 10), st.integers(1, 10))
def test_lists_that_were_cut_name_only_what_is_true(then, now, most_then, most_now):
    found = differences(listed(then, most_then), listed(now, most_now))
    assert found.same is (then == now)
    assert {row.identity for row in found.gone} <= then.keys() - now.keys()
    assert {row.identity for row in found.new} <= now.keys() - then.keys()
    for row, other in found.renamed:
        assert (row.name, other.name) == (then[row.identity], now[row.identity])
        assert row.name != other.name
    assert found.complete is (len(then) <= most_then and len(now) <= most_now)


@given(st.dictionaries(st.sampled_from([kind.name for kind in OBJECT_KINDS]), NAMES), NAMES)
def test_the_same_passes_and_anything_else_is_named(kinds, others):
    recorded = Inventory({name: listed(names) for name, names in kinds.items()}, {"last_event_at": TIME})
    checks = inventory_checks("engine", recorded, recorded)
    assert len(checks) == len(kinds) + 1
    assert {check.outcome for check in checks} == {Outcome.PASS}
    for name, names in kinds.items():
        restored = Inventory({**recorded.kinds, name: listed(others)}, recorded.moments)
        failed = [
            check for check in inventory_checks("engine", recorded, restored) if check.outcome is Outcome.FAIL
        ]
        assert len(failed) == (names != others)
        assert all(check.findings and len(check.findings) <= MOST_FINDINGS + 1 for check in failed)


def test_findings_name_the_object():
    then, now = {"1": "web", "2": "db", "3": ""}, {"2": "database", "4": "new"}
    (check,) = inventory_checks("engine", Inventory({"vms": listed(then)}), Inventory({"vms": listed(now)}))
    assert (check.subject, check.name, check.outcome) == ("engine", "virtual machines", Outcome.FAIL)
    assert check.detail == "2; the archive says 3"
    assert check.findings == (
        "virtual machines: 'web' (1) is missing",
        "virtual machines: 3 is missing",
        "virtual machines: 'new' (4) was not there when it was saved",
        "virtual machines: 'db' (2) is called 'database'",
    )


def test_many_findings_are_cut():
    then = {f"{n:03}": "x" for n in range(100)}
    (check,) = inventory_checks(
        "engine", Inventory({"hosts": listed(then)}), Inventory({"hosts": listed({})})
    )
    assert len(check.findings) == MOST_FINDINGS + 1
    assert check.findings[-1] == f"and {100 - MOST_FINDINGS} more"


def test_a_difference_among_those_that_are_not_named_is_found():
    then = {f"{n:03}": "x" for n in range(100)}
    now = {**then, "099": "y"}
    (check,) = inventory_checks(
        "engine", Inventory({"hosts": listed(then, 5)}), Inventory({"hosts": listed(now, 5)})
    )
    assert check.outcome is Outcome.FAIL
    assert check.findings == ("hosts: others than those that the archive names are missing, new or changed",)


def test_a_table_that_is_gone_fails():
    (check,) = inventory_checks("engine", Inventory({"disks": listed({"1": "d"})}), Inventory())
    assert check.outcome is Outcome.FAIL
    assert "table of its 1 disks" in check.findings[0]


def test_another_last_sample_fails():
    checks = inventory_checks("dwh", Inventory({}, {"dwh_last_sample_at": TIME}), Inventory({}, {}))
    assert [(check.subject, check.outcome) for check in checks] == [("dwh", Outcome.FAIL)]
    assert TIME in checks[0].findings[0]


def test_what_was_left_out_on_purpose_is_not_in_the_archive():
    recorded = Inventory({"vms": listed({"1": "a"}), "users": listed({"2": "b"})}, {"last_event_at": TIME})
    restored = Inventory({"vms": listed({"1": "a"}), "users": listed({})})
    excluded = ("public.users", "public.audit_log")
    checks = inventory_checks("engine", recorded, restored, excluded)
    assert {check.name: check.outcome for check in checks} == {
        "virtual machines": Outcome.PASS,
        "users": Outcome.NOT_IN_ARCHIVE,
        "last event": Outcome.NOT_IN_ARCHIVE,
    }


def test_archives_without_an_inventory_are_not_red():
    restored = Inventory({"vms": listed({"1": "a"})}, {"last_event_at": TIME})
    (check,) = inventory_checks("engine", None, restored)
    assert check.outcome is Outcome.NOT_IN_ARCHIVE
    (check,) = inventory_checks("engine", Inventory(), restored)
    assert (check.name, check.outcome) == ("virtual machines", Outcome.NOT_IN_ARCHIVE)


def test_a_database_without_anything_to_count_has_no_check():
    recorded = Inventory({"vms": listed({"1": "a"})}, {"last_event_at": TIME})
    for known in (None, recorded):
        assert inventory_checks("keycloak", known, Inventory()) == ()
    assert [check.outcome for check in inventory_checks("dwh", None, Inventory())] == [Outcome.NOT_IN_ARCHIVE]
    assert inventory_checks("dwh", recorded, Inventory()) == ()


def test_what_a_restore_corrects_is_in_no_inventory():
    tables = {source.table for kind in OBJECT_KINDS for source in kind.sources}
    tables |= {table for moment in MOMENTS for table in moment.tables}
    assert not {f"public.{table}" for table in tables} & engine_fixes.CHANGED_TABLES
