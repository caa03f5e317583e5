"""What becomes of each member of an archive that is converted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.drivers import archive_texts
from engine_backup.model.archive import EntryType, FileEntry, MemberInfo, MemberRecord
from engine_backup.model.components import BY_NAME, DATABASES
from engine_backup.model.exporting import CLASSIC, EXPORT_FORMS, NATIVE, DumpShape, ExportFacts
from engine_backup.plan import exporting


def member(name: str, size: int = 5, kind: EntryType = EntryType.FILE) -> MemberInfo:
    return MemberInfo(name, FileEntry(name.encode(), kind, 0o600, 0, 0, "root", "root", 1, size))


def planned(form, *members: MemberInfo, dumps: tuple[DumpShape, ...] = (), files: str | None = "xz"):
    return {c.target: c for c in exporting.plan_conversions(form, ExportFacts(members, dumps, files))}


def engine(dump_format: str, compressor: str, own: bool, name: str = "db/engine_backup.db") -> DumpShape:
    return DumpShape("engine", name, dump_format, compressor, own)


@pytest.mark.parametrize(
    ("dump_format", "compressor", "own", "classic", "native"),
    [
        ("custom", "zstd", False, "gzip", "zstd"),
        ("custom", "gzip", False, "gzip", "zstd"),
        ("custom", "xz", False, "xz", "zstd"),
        ("custom", "", False, "gzip", "zstd"),
        ("custom", "", True, "", ""),
        ("custom", "gzip", True, "gzip", "zstd"),
        ("plain", "", False, "gzip", "zstd"),
        ("plain", "bzip2", False, "bzip2", "zstd"),
        ("plain", "zstd", False, "gzip", "zstd"),
    ],
)
def test_dumps(dump_format: str, compressor: str, own: bool, classic: str, native: str):
    shape = engine(dump_format, compressor, own)
    for form, expected in ((CLASSIC, classic), (NATIVE, native)):
        found = planned(form, member(shape.member), dumps=(shape,))[shape.member]
        assert found.target_compressor == expected
        assert (found.packing is None) == (expected == compressor)


@pytest.mark.parametrize(
    ("compressor", "classic", "native"),
    [
        ("", "xz", "xz"),
        ("gzip", "gzip", "xz"),
        ("bzip2", "bzip2", "xz"),
        ("xz", "xz", "xz"),
        ("zstd", "xz", "xz"),
    ],
)
def test_files(compressor: str, classic: str, native: str):
    for form, expected in ((CLASSIC, classic), (NATIVE, native)):
        assert planned(form, member("files"), files=compressor)["files"].target_compressor == expected


def test_a_tree_becomes_one_tar_and_old_names_become_new_ones():
    members = (
        member("version"),
        member("db/engine_backup.db.bz2"),
        member("files/etc", 0, EntryType.DIRECTORY),
        member("files/etc/a"),
        member("md5sum"),
    )
    shape = engine("plain", "bzip2", False, "db/engine_backup.db.bz2")
    found = planned(CLASSIC, *members, dumps=(shape,), files=None)
    assert list(found) == ["db/engine_backup.db", "files"]
    assert found["db/engine_backup.db"].source == "db/engine_backup.db.bz2"
    assert found["files"].source == exporting.TREE


def test_members_of_hooks_stay_and_empty_dumps_go():
    members = (
        member("custom/data"),
        member("db/dwh_backup.db", 0),
        member("db/other", 0),
        member("files", 0),
    )
    assert list(planned(NATIVE, *members)) == ["custom/data", "db/other"]


def test_sqlite_stays_with_its_owner():
    shape = DumpShape("grafana", "db/grafana.db", "sqlite", "", False)
    for form in EXPORT_FORMS.values():
        found = planned(form, member("db/grafana.db"), dumps=(shape,))["db/grafana.db"]
        assert found.packing is None
        assert found.keeps_owner


def test_directories():
    members = (
        member("custom", 0, EntryType.DIRECTORY),
        member("files", 0, EntryType.DIRECTORY),
        member("files/etc", 0, EntryType.DIRECTORY),
        member("db", 0, EntryType.DIRECTORY),
    )
    assert exporting.directories(members) == ("db", "custom")


def test_by_products_of_a_tree():
    for path, is_by_product in (
        (b"etc", True),
        (b"var/lib/ovirt-engine", True),
        (b"etc/ovirt-engine", False),
    ):
        entry = FileEntry(path, EntryType.DIRECTORY, 0o755, 0, 0, "root", "root", 1)
        assert exporting.is_by_product(entry) is is_by_product


WORDS = st.sampled_from(["", "gzip", "bzip2", "xz", "zstd"])


@given(
    WORDS, st.sampled_from(["plain", "custom"]), st.booleans(), st.sampled_from(list(EXPORT_FORMS.values()))
)
def test_config_is_what_both_tools_read(compressor: str, dump_format: str, own: bool, form):
    shape = engine(dump_format, compressor, own)
    conversions = planned(form, member(shape.member), dumps=(shape,)).values()
    text = exporting.config_text(conversions, {"DWH_DB_DUMP_FORMAT": "custom"})
    config = archive_texts.parse_config(text.encode(), "test")
    assert config["DB_DUMP_FORMAT"] == dump_format
    assert config["DB_DUMP_COMPRESSOR"] == next(iter(conversions)).target_compressor
    assert (config["DWH_DB_DUMP_FORMAT"], config["KEYCLOAK_DB_DUMP_FORMAT"]) == ("custom", "plain")
    assert len(config) == 2 * sum(row.written for row in DATABASES)


def test_config_of_reports_only_where_there_are_some():
    shape = DumpShape("reports", BY_NAME["reports"].member, "plain", "bzip2", False)
    conversions = planned(CLASSIC, member(shape.member), dumps=(shape,)).values()
    assert "REPORTS_DB_DUMP_COMPRESSOR=bzip2\n" in exporting.config_text(conversions, {})


FACTS = {
    "tool_version": "9.9",
    "product_version": "4.5.7",
    "components": ["files"],
    "exported": {"to": "classic"},
}


def test_the_manifest_is_kept_and_brought_up_to_date():
    old = {
        "format": "engine-backup manifest",
        "format_version": 1,
        "fqdn": "engine.lab.example",
        "tool_version": "0.1",
        "product_version": "lies",
        "components": ["lies"],
        "members": [{"name": "files", "size": 1, "paths": 7}, "nonsense", {"size": 3}],
        "exported": [{"to": "native"}, "nonsense"],
    }
    records = [MemberRecord("files", 20, "aa"), MemberRecord("version", 6, "bb")]
    found = exporting.manifest_content(old, FACTS, records, {"files": {"compressor": "xz"}})
    assert found["fqdn"] == "engine.lab.example"
    assert found["exported"] == [{"to": "native"}, {"to": "classic"}]
    assert found["members"] == [
        {"name": "files", "size": 20, "paths": 7, "sha256": "aa", "compressor": "xz"},
        {"name": "version", "size": 6, "sha256": "bb", "raw_size": 6},
    ]
    assert "format" not in found
    assert (found["tool_version"], found["product_version"], found["components"]) == (
        "0.1",
        "4.5.7",
        ["files"],
    )


NEWER = {"format": "engine-backup manifest", "format_version": 2, "fqdn": "another meaning"}


@pytest.mark.parametrize("old", [None, {}, {"members": 5, "exported": 5}, NEWER])
def test_a_manifest_from_nothing(old):
    found = exporting.manifest_content(old, FACTS, [MemberRecord("version", 6, "bb")], {})
    assert found["exported"] == [{"to": "classic"}]
    assert "fqdn" not in found
    assert found["members"] == [{"name": "version", "size": 6, "sha256": "bb", "raw_size": 6}]
