"""A manifest and its archive say the same, or the difference is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.archive import DumpMember, MemberRecord
from engine_backup.plan.manifest_agreement import Found, contradictions

DUMP = "db/engine_backup.db"
RECORDS = [
    MemberRecord("files", 100, "a" * 64),
    MemberRecord(DUMP, 200, "b" * 64),
    MemberRecord("version", 6, "c" * 64),
    MemberRecord("manifest.json", 900, "d" * 64),
]
FOUND = Found(
    version="4.5.7",
    os_version="rhel9",
    members=RECORDS,
    dumps={"engine": DumpMember("engine", DUMP, "custom", "zstd", 200, 0)},
    files_compressor="xz",
)


def manifest() -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"name": record.name, "size": record.size, "sha256": record.sha256} for record in RECORDS[:3]
    ]
    rows[0].update(component="files", compressor="xz")
    rows[1].update(component="engine", compressor="zstd", dump_format="custom")
    return {
        "product_version": "4.5.7",
        "os_version": "rhel9",
        "components": ["engine", "files"],
        "members": rows,
        "a field of the future": {},
    }


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document = manifest()
    change(document)
    return document


def test_agreement() -> None:
    assert contradictions(manifest(), FOUND) == []


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "version": (lambda m: m.update(product_version="4.5.6"), "product_version is '4.5.6' there"),
    "system": (lambda m: m.pop("os_version"), "os_version is None there"),
    "component more": (lambda m: m["components"].append("dwh"), "component dwh is in one"),
    "component less": (lambda m: m["components"].remove("engine"), "component engine is in one"),
    "no components": (lambda m: m.update(components=None), "component engine is in one"),
    "size": (lambda m: m["members"][2].update(size=7), "members differ: version"),
    "hash": (lambda m: m["members"][2].update(sha256="e" * 64), "members differ: version"),
    "member less": (lambda m: m["members"].pop(), "members differ: version"),
    "member more": (lambda m: m["members"].append({"name": "x", "size": 0}), "members differ: x"),
    "member twice": (lambda m: m["members"].append(m["members"][2]), "members differ: version"),
    "order": (lambda m: m["members"].reverse(), "members differ: their order"),
    "no members": (lambda m: m.update(members=7), "members differ: files"),
    "no row": (lambda m: m["members"].append("x"), "members differ: ?"),
    "format": (lambda m: m["members"][1].update(dump_format="plain"), f"of {DUMP} differ"),
    "compressor": (lambda m: m["members"][0].update(compressor="gzip"), "of files differ"),
    "whose": (lambda m: m["members"][1].update(component="dwh"), f"of {DUMP} differ"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_contradictions(change: Callable[[dict[str, Any]], object], message: str) -> None:
    found = contradictions(changed(change), FOUND)
    assert message in found[0]


def test_an_archive_without_files() -> None:
    rows = [{**row} for row in manifest()["members"] if row["name"] != "files"]
    document = {**manifest(), "members": rows, "components": ["engine"]}
    assert contradictions(document, replace(FOUND, members=RECORDS[1:], files_compressor=None)) == []


WORDS = st.sampled_from(["", "files", "engine", "xz", "name"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
)
FIELDS = st.sampled_from(["product_version", "os_version", "components", "members", "name"])


@given(document=st.dictionaries(FIELDS, JSON), row=st.dictionaries(FIELDS, JSON))
def test_any_manifest_is_compared(document: dict[str, Any], row: dict[str, Any]) -> None:
    assert contradictions(document, FOUND)
    assert contradictions({**manifest(), "members": [row, *manifest()["members"]]}, FOUND)
