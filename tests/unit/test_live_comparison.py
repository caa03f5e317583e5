"""How far a backup is behind what is live, as data and in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.inventory import Inventory
from engine_backup.model.live import LiveTable, Seen
from engine_backup.plan.live_comparison import compare, sentence, span
from tests.unit.test_inventory_comparison import NAMES, listed

SAVED = datetime(2026, 11, 22, 11, 19, 37, tzinfo=timezone.utc)
ROWS = st.dictionaries(st.sampled_from(["public.a", "public.b", "x.c", "x.d"]), st.integers(0, 50))


def seen(after: float | None = 0, rows=None, kinds=None, estimates=None) -> Seen:
    at = None if after is None else (SAVED + timedelta(seconds=after)).isoformat()
    inventory = Inventory({name: listed(names) for name, names in (kinds or {}).items()})
    return Seen(at, rows or {}, inventory, estimates or {})


@given(NAMES, NAMES, ROWS, ROWS, st.integers(-100, 10**7))
def test_everything_that_differs_is_there(then, now, rows, live_rows, after):
    found = compare("engine", "h:1/d", seen(0, rows, {"vms": then}), seen(after, live_rows, {"vms": now}))
    (kind,) = found.kinds
    assert (kind.saved, kind.live, not kind.same) == (len(then), len(now), then != now)
    assert {row.identity for row in kind.only_live} == now.keys() - then.keys()
    assert {row.identity for row in kind.only_saved} == then.keys() - now.keys()
    assert found.seconds_behind == max(0, after)
    differing = {name: count for name, count in live_rows.items() if rows.get(name) != count}
    assert {table.name: table.live for table in found.tables} == differing
    assert all(table.saved == rows.get(table.name) and not table.estimated for table in found.tables)
    assert found.tables_compared == len(rows.keys() & live_rows.keys())
    assert ("virtual machines" in sentence(found)) is (then != now)


def test_the_same_is_told_in_few_words():
    one = seen(0, {"public.a": 1}, {"vms": {"1": "a"}})
    assert sentence(compare("engine", "h:1/d", one, one)) == "0 s behind"


def test_differences_are_told_in_one_line():
    saved = seen(
        0, {"public.a": 1, "public.b": 2}, {"vms": {"1": "a", "2": "b"}, "hosts": {"1": "h"}, "disks": {}}
    )
    live = seen(11_520, {"public.a": 1, "public.b": 3}, {"vms": {"1": "a"}, "hosts": {"2": "h"}, "disks": {}})
    assert sentence(compare("engine", "h:1/d", saved, live)) == (
        "3 h 12 min behind; hosts 1, 1 of them others; virtual machines 1, saved 2;"
        " 1 of 2 tables have other numbers of rows"
    )


def test_differences_among_those_that_are_not_named_are_told():
    names = {f"{n:03}": "x" for n in range(100)}
    saved, live = Seen(None, {}, Inventory({"vms": listed(names, 5)})), dict(names, **{"099": "y"})
    found = compare("engine", "h:1/d", saved, Seen(None, {}, Inventory({"vms": listed(live, 5)})))
    assert (found.kinds[0].same, found.kinds[0].complete, found.kinds[0].renamed) == (False, False, ())
    assert "virtual machines 100, some of them others" in sentence(found)
    found = compare("engine", "h:1/d", saved, saved)
    assert (found.kinds[0].same, found.kinds[0].complete) == (True, True)


def test_estimates_are_marked_and_told_as_such():
    saved = seen(0, {"public.large": 1_000_000, "public.gone": 3})
    found = compare("dwh", "h:1/d", saved, seen(60, {}, {}, {"public.large": 1_000_100, "public.new": 9}))
    assert found.tables == (
        LiveTable("public.large", 1_000_000, 1_000_100, True),
        LiveTable("public.new", None, 9, True),
    )
    assert sentence(found) == "1 min behind"


def test_of_rows_that_were_left_out_nothing_is_said():
    saved = seen(
        0, {"public.users": 0, "public.a": 1, "public.audit_log": 0}, {"users": {}, "vms": {"1": "a"}}
    )
    live = seen(60, {"public.users": 7}, {"users": {"1": "u"}, "vms": {"1": "a"}}, {"public.audit_log": 99})
    live = replace(live, inventory=replace(live.inventory, moments={"last_event_at": SAVED.isoformat()}))
    found = compare("engine", "h:1/d", saved, live, ("public.users", "public.audit_log"))
    assert ([kind.name for kind in found.kinds], found.moments, found.tables) == (["vms"], (), ())
    assert sentence(found) == "1 min behind"


def test_kinds_of_other_components_are_not_compared():
    one = seen(None, {}, {"vms": {"1": "a"}})
    found = compare("keycloak", "h:1/d", one, one)
    assert (found.kinds, found.seconds_behind) == ((), None)
    assert sentence(found) == "unknown time behind"


@pytest.mark.parametrize("saved_first", [True, False])
def test_a_kind_that_only_one_of_them_has(saved_first):
    one, none = seen(0, {}, {"users": {"1": "a"}}), seen(0)
    found = compare("engine", "h:1/d", *((one, none) if saved_first else (none, one)))
    (kind,) = found.kinds
    assert (kind.saved, kind.live) == ((1, None) if saved_first else (None, 1))
    assert ("users none, saved 1" if saved_first else "users 1, saved none") in sentence(found)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.9, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"),
        (3601, "1 h"), (11_520, "3 h 12 min"), (86_400, "1 d"), (90_000, "1 d 1 h"), (10**8, "1157 d 9 h"),
    ],
)  # fmt: skip
def test_spans(seconds, text):
    assert span(seconds) == text
