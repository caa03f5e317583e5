"""What a drill says of what it has found in a database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.checks import Outcome
from engine_backup.model.loaded_database import (
    BrokenReference,
    CatalogFacts,
    CheckedReferences,
    ForeignObject,
    IndexFact,
    OpenConstraint,
    SequenceFact,
)
from engine_backup.model.references import REFERENCES
from engine_backup.plan import database_soundness as soundness
from engine_backup.plan import index_choice
from engine_backup.plan.database_soundness import MOST_FINDINGS, IndexResults
from engine_backup.plan.row_agreement import Recorded

ENGINE = "engine"
SOUND = IndexResults(True, compared=3)


def index(
    name: str, size: int = 8192, table_size: int = 8192, computed: bool = False, *, usable: bool = True
) -> IndexFact:
    return IndexFact(1, name, "public.t", usable, True, computed, size, table_size)


@given(st.lists(st.text(max_size=600), max_size=60))
def test_findings_are_few_printable_and_counted(findings):
    check = soundness.check(ENGINE, "x", findings)
    assert check.outcome is (Outcome.FAIL if findings else Outcome.PASS)
    assert len(check.findings) == min(len(findings), MOST_FINDINGS + 1)
    assert all(line.isprintable() for line in check.findings)
    if len(findings) > MOST_FINDINGS:
        assert check.findings[-1] == f"and {len(findings) - MOST_FINDINGS} more"


def test_tables_of_dump_and_manifest_are_expected():
    catalog = CatalogFacts({"public.a": "r", "public.v": "v"})
    said = Recorded(rows={"public.b": 1}, estimates={"public.c": 9}, excluded={"public.d"})
    check = soundness.tables(ENGINE, ["public.a"], said, catalog)
    assert check.findings == tuple(f"public.{name} is missing" for name in "bcd")
    assert check.detail == "1 table"


def test_counts_that_nobody_recorded_are_not_compared():
    check = soundness.rows(ENGINE, Recorded(), {"public.a": 5, "public.b": 1000})
    assert check.outcome is Outcome.NOT_IN_ARCHIVE
    assert check.detail == "2 tables, 1,005 rows; nothing to compare with"
    check = soundness.objects(ENGINE, Recorded(), {"tables": 2, "materialized_views": 1, "views": 0})
    assert (check.outcome, check.detail) == (
        Outcome.NOT_IN_ARCHIVE,
        "2 tables, 1 materialized view; nothing to compare with",
    )


def test_a_table_that_is_only_estimated_is_told():
    said = Recorded(rows={"a": 5}, estimates={"b": 10**6, "a": 10**6})
    check = soundness.rows(ENGINE, said, {"a": 5, "b": 900_000})
    assert check.outcome is Outcome.PASS
    assert "of 1 large table the backup has estimates only" in check.detail


@pytest.mark.parametrize(
    ("found", "outcome", "text"),
    [
        ((), Outcome.PASS, "7 constraints"),
        ((OpenConstraint("k", "t", "foreign key", 0),), Outcome.PASS, "NOT VALID of k"),
        ((OpenConstraint("k", "t", "foreign key", 3),), Outcome.FAIL, "foreign key k of t: broken by 3 rows"),
        (
            (OpenConstraint("k", "t", "check", None, "no"),),
            Outcome.COULD_NOT_RUN,
            "could not be looked at: no",
        ),
        (
            (OpenConstraint("k", "t", "check", None, "no"), OpenConstraint("j", "t", "check", 1)),
            Outcome.FAIL,
            "could not be looked at: no",
        ),
    ],
)
def test_constraints(found, outcome, text):
    check = soundness.constraints(ENGINE, CatalogFacts(constraints=7, open_constraints=found))
    assert check.outcome is outcome
    assert text in " ".join([check.detail, *check.findings])


@pytest.mark.parametrize(
    ("following", "largest", "sound"), [(6, 5, True), (5, 5, False), (1, None, True), (5, 400, False)]
)
def test_sequences(following, largest, sound):
    check = soundness.sequences(ENGINE, [SequenceFact("public.s", "public.t.id", following, largest)])
    assert (check.outcome is Outcome.PASS) is sound


def test_an_owner_that_is_another_is_named():
    catalog = CatalogFacts({"public.t": "r"}, (ForeignObject("table", "public.t", "evil\x1b[31m"),))
    check = soundness.owners(ENGINE, "engine", catalog)
    assert check.findings == ("table public.t belongs to evil\\x1b[31m",)


@pytest.mark.parametrize(
    ("catalog", "results", "outcome"),
    [
        ([index("a")], SOUND, Outcome.PASS),
        ([index("a")], IndexResults(False), Outcome.PASS),
        ([index("a", usable=False)], SOUND, Outcome.FAIL),
        ([index("a")], IndexResults(True, damaged=("index a: torn",)), Outcome.FAIL),
        ([index("a")], IndexResults(True, unread=("index a: slow",)), Outcome.COULD_NOT_RUN),
        ([index("a")], IndexResults(True, damaged=("x",), unread=("y",)), Outcome.FAIL),
    ],
)
def test_indexes(catalog, results, outcome):
    check = soundness.indexes(ENGINE, CatalogFacts(indexes=tuple(catalog)), results)
    assert check.outcome is outcome
    assert check.outcome is Outcome.PASS or check.findings
    assert ("amcheck has compared" in check.detail) is results.checker


@pytest.mark.parametrize(
    ("versions", "product", "outcome", "text"),
    [
        (["04050400"], (4, 5), Outcome.PASS, "04_05_0400"),
        (["04040900"], (4, 5), Outcome.PASS, "04_04_0900"),
        (["03030620"], (3, 3), Outcome.PASS, "03_03_0620"),
        (["04050400"], (4, 4), Outcome.FAIL, "newer than release 4.4"),
        (["04050400"], None, Outcome.PASS, "no version to compare with"),
        (["4.5"], (4, 5), Outcome.FAIL, "the schema's version is '4.5'"),
        ([], (4, 5), Outcome.FAIL, "0 current rows"),
        (["04050400", "04050410"], (4, 5), Outcome.FAIL, "2 current rows"),
    ],
)
def test_schema_versions(versions, product, outcome, text):
    check = soundness.schema_version(ENGINE, versions, product)
    assert check.outcome is outcome
    assert text in " ".join([check.detail, *check.findings])


def test_each_broken_rule_has_its_place():
    many = BrokenReference(1000, tuple(f"first {n}" for n in range(20)))
    check = soundness.references(ENGINE, CheckedReferences(9, 2, (many, BrokenReference(1, ("second",)))))
    assert check.findings[:5] == tuple(f"first {n}" for n in range(5))
    assert check.findings[5:] == ("and 995 more such rows", "second")
    assert check.detail == "9 rules; 2 are about tables that this release does not have"


def test_what_engines_leave_behind_is_told():
    left = (BrokenReference(12, ("permission 1", "permission 2")), BrokenReference(1, ("permission 3",)))
    check = soundness.references(ENGINE, CheckedReferences(9, 0, (), left))
    assert check.outcome is Outcome.PASS
    assert check.detail == "9 rules; 13 rows left behind, as engines do: permission 1"


def test_without_any_rule_nothing_is_proven():
    check = soundness.references(ENGINE, CheckedReferences(0, len(REFERENCES)))
    assert check.outcome is Outcome.NOT_IN_ARCHIVE


@given(
    st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 1 << 30)), max_size=40),
    st.integers(0, 1 << 32),
)
def test_every_readable_index_is_looked_at_once_and_small_or_computed_ones_wholly(sizes, most):
    indexes = [index(f"i{n:02}", *size) for n, size in enumerate(sizes)]
    chosen = index_choice.choose([*indexes, index("broken", usable=False)], most)
    assert sorted(i.name for i, _ in chosen) == [i.name for i in indexes]
    plain = [(i, compared) for i, compared in chosen if not i.computed]
    assert sum(i.size + i.table_size for i, compared in plain if compared) <= most
    assert [compared for _, compared in plain] == sorted((c for _, c in plain), reverse=True)
    assert all(compared for i, compared in chosen if i.computed)
    works = index_choice.share(chosen)
    assert sorted(i.name for work in works for i, _ in work.indexes) == [i.name for i in indexes]
    assert [work.size for work in works] == sorted((work.size for work in works), reverse=True)


def test_rules_say_what_is_wrong():
    for reference in REFERENCES:
        text = reference.finding.format(id="IDENTITY", value="VALUE")
        assert "IDENTITY" in text
        assert "{" not in text
        assert (reference.table, reference.identity) in reference.needs
    assert len({(r.table, r.column, r.targets, r.only) for r in REFERENCES}) == len(REFERENCES)
