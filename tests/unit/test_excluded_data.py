"""Which rows a backup leaves out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.components import DATABASES, DWH
from engine_backup.model.excluded_data import ExcludedData, TableFact, TablePattern
from engine_backup.plan.excluded_data import choose, is_named, problems

TABLES = (
    TableFact(("public", "host"), 10),
    TableFact(("public", "host_samples_history"), 1000, (("public", "host"),)),
    TableFact(("public", "host_hourly_history"), 100, (("public", "host"),)),
    TableFact(("lab", "vm_samples_history"), 2000),
    TableFact(("public", "tree"), 1, (("public", "tree"),)),
)


def patterns(*texts: str) -> list[TablePattern]:
    return [TablePattern("dwh", text, f"--exclude-table-data=dwh:{text}") for text in texts]


@pytest.mark.parametrize(
    ("asked", "size", "names"),
    [
        ((), 0, ()),
        (("*_samples_history",), 3000, ("public.host_samples_history", "lab.vm_samples_history")),
        (("public.*_samples_history",), 1000, ("public.host_samples_history",)),
        (("lab.*",), 2000, ("lab.vm_samples_history",)),
        (("tre?", "tree"), 1, ("public.tree",)),
        (("tre[e]",), 0, ()),
        (("HOST",), 0, ()),
    ],
)
def test_tables_that_patterns_name(asked, size, names):
    found = choose(patterns(*asked), TABLES)
    assert (found.size, found.names) == (size, names)


def test_rows_that_others_refer_to_stay():
    (problem,) = problems(DWH, patterns("host", "host_samples*"), TABLES)
    assert (
        "rows of public.host cannot be left out: public.host_hourly_history refers to them" in problem.message
    )
    assert "--exclude-table-data=dwh:public.host_hourly_history" in problem.hint
    assert problems(DWH, patterns("host*"), TABLES) == []
    assert problems(DWH, patterns("tree"), TABLES) == []


def test_a_pattern_that_names_nothing_is_a_mistake():
    (problem,) = problems(DWH, patterns("host", "hots*", "host_*")[1:], TABLES)
    assert "--exclude-table-data=dwh:hots*: the DWH database has no table" in problem.message


@given(st.text(min_size=1, alphabet=st.characters(codec="utf-8", exclude_characters="*?.")))
def test_a_name_without_wildcards_names_itself_alone(name: str):
    assert is_named(("public", name), name)
    assert not is_named(("public", name + "x"), name)
    assert is_named(("public", name), f"public.{name}")
    assert not is_named(("other", name), f"public.{name}")


def test_only_the_data_warehouse_has_kinds_of_history():
    assert [c.name for c in DATABASES if c.history_kinds] == ["dwh"]
    assert ExcludedData().names == ()
