"""docs/drill.md names the fields of the documents, all of them and no others."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from engine_backup.model.checks import Check, Outcome
from engine_backup.model.drill import PHASES, DrillResult
from engine_backup.model.inventory import NamedObject
from engine_backup.model.live import LiveDatabase, LiveKind
from engine_backup.run import drill_document
from tests.support.pages import DOCS
from tests.unit.test_documentation import table

RESULT = DrillResult(
    "/a", None, "4.5.7", datetime.now(timezone.utc), "15.1", 1.0, (Check("files", "restore", Outcome.PASS),)
)


def fields(title: str) -> list[str]:
    return [row[0].strip("`") for row in table(DOCS / "drill.md", title)]


def test_the_fields_of_a_drill():
    found = drill_document.document(RESULT)
    assert fields("fields of a drill") == list(found)
    assert fields("fields of a check") == list(found["checks"][0])


def test_the_fields_of_what_is_live():
    row = NamedObject("1", "a")
    kind = LiveKind("vms", 1, 2, (row,), (row,), ((row, row),))
    database = LiveDatabase("engine", "host:1/engine", None, None, None, (), (kind,), 0, ())
    (found,) = drill_document.document(replace(RESULT, live=(database,)))["live"]
    assert fields("fields of a live database") == list(found)
    assert fields("fields of a live kind") == list(found["kinds"][0])
    assert found["kinds"][0]["renamed"] == [{"id": "1", "name": "a", "saved_name": "a"}]


def test_a_line_of_the_history_has_the_first_fields():
    listed = fields("fields of a drill")
    assert list(drill_document.summary(RESULT)) == listed[: listed.index("failed_checks") + 1]


def test_phases_and_outcomes_are_named():
    text = (DOCS / "drill.md").read_text(encoding="utf-8")
    assert [name for name in PHASES if f"`{name}`" not in text] == []
    assert [outcome for outcome in Outcome if f"`{outcome.value}`" not in text] == []
