"""Manifests of strangers: what has the right type is taken, nothing else, and nothing is raised."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine_backup.drivers import manifest_reading
from engine_backup.model import manifest
from engine_backup.model.inspection import ON_DISK, InspectedDatabase, LargeTable, RecordedArchive
from engine_backup.model.inventory import Inventory, KindInventory, NamedObject

HEAD = {"format": manifest.FORMAT, "format_version": manifest.FORMAT_VERSION}
MEMBER = {
    "name": "db/engine_backup.db",
    "size": 10,
    "raw_size": 20,
    "database": "engine",
    "role": "engine",
    "host": "localhost",
    "port": 5432,
    "server_version": 150018,
    "pg_dump_version": "15.18",
    "database_size": 30,
    "snapshot_taken_at": "2026-11-22T11:19:38+00:00",
    "position": "0/15",
    "tables": 2,
    "largest_tables": [{"name": "public.a", "size": 7}],
    "extensions": ["plpgsql"],
    "granted_roles": ["reader"],
    "row_counts": {"public.a": 7},
    "row_estimates": {"public.b": 70000},
    "object_counts": {"tables": 2},
    "privileges": {"owner": "owner"},
}
CERTIFICATE = {
    "path": "/etc/pki/ca.pem",
    "subject": "CN=x",
    "not_before": "2026-01-01T00:00:00+00:00",
    "not_after": "2027-01-01T00:00:00+00:00",
    "is_authority": True,
}
DIGEST = "0" * 64
VMS = {
    "count": 2,
    "complete": True,
    "digest": DIGEST,
    "objects": [{"id": "1", "name": "one"}, {"id": "2", "name": "one"}],
}
WHOLE = {
    **HEAD,
    "tool_version": "0.1.0",
    "fqdn": "engine.example.com",
    "hosted_engine": False,
    "started_at": "2026-11-22T12:19:37.500000+01:00",
    "certificates": [CERTIFICATE],
    "host_certificates": 7,
    "configuration": {"settings": [{"name": "ENGINE_FQDN", "value": "x"}], "hidden": 3},
    "inventory": {"vms": VMS, "last_event_at": "2026-11-22T12:19:37.500000+01:00"},
    "members": [MEMBER],
}


def read(**changes: object) -> RecordedArchive:
    return manifest_reading.read({**WHOLE, **changes})


def test_what_we_write_is_read():
    found = read()
    assert found.notes == ()
    assert found.started_at == "2026-11-22T11:19:37.500000+00:00"
    assert found.members["db/engine_backup.db"].database == InspectedDatabase(
        database="engine", role="engine", host="localhost", port=5432, server_version="15.18",
        pg_dump_version="15.18", size=30, snapshot_taken_at="2026-11-22T11:19:38+00:00", position="0/15",
        tables=2, largest_tables=(LargeTable("public.a", 7),), table_sizes=ON_DISK, extensions=("plpgsql",),
        owners=("owner",), granted_roles=("reader",), row_counts={"public.a": 7},
        row_estimates={"public.b": 70000}, object_counts={"tables": 2},
    )  # fmt: skip
    assert found.certificates is not None
    assert found.host_certificates == 7
    assert found.certificates[0].not_after == datetime(2027, 1, 1, tzinfo=timezone.utc)
    assert found.configuration is not None
    assert (found.configuration.settings[0].value, found.configuration.hidden) == ("x", 3)
    both = (NamedObject("1", "one"), NamedObject("2", "one"))
    assert found.inventory == Inventory(
        {"vms": KindInventory(2, both, True, DIGEST)}, {"last_event_at": "2026-11-22T11:19:37.500000+00:00"}
    )


@pytest.mark.parametrize("changes", [{"format": "other"}, {"format": ["engine"]}, {"format_version": 2}])
def test_what_is_not_ours_is_not_used(changes):
    found = read(**changes)
    assert found == RecordedArchive(notes=found.notes)
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fqdn", 3), ("fqdn", ["x"]), ("hosted_engine", "yes"), ("hosted_engine", 1), ("started_at", "today"),
        ("started_at", "2026-11-22T11:19:37"), ("started_at", "0001-01-01T00:00:00+23:59"), ("started_at", 5),
        ("inventory", []), ("inventory", {"vms": []}), ("inventory", {"last_event_at": "today"}),
        ("host_certificates", "7"), ("host_certificates", -1),
        ("certificates", {}), ("certificates", [3]), ("configuration", []), ("tool_version", {}),
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_kind_is_a_note(field, value):
    found = read(**{field: value})
    assert getattr(found, field) is None
    assert [note for note in found.notes if field in note]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("raw_size", -1), ("raw_size", True), ("raw_size", 1.5), ("raw_size", 1 << 80), ("raw_size", "20"),
        ("port", None), ("tables", "two"), ("pg_dump_version", "15\x1b[2J"), ("pg_dump_version", "1" * 200),
        ("extensions", ["x", 3]), ("extensions", "plpgsql"), ("extensions", ["x"] * 5000),
        ("row_counts", {"a": -1}), ("row_counts", {"a": "1"}), ("row_counts", []),
        ("row_counts", {"a": True}), ("row_estimates", {str(n): n for n in range(5000)}),
        ("object_counts", [["a", 1]]),
        ("largest_tables", [[]]), ("privileges", "none"), ("server_version", "15"),
    ],
)  # fmt: skip
def test_a_members_field_of_the_wrong_kind_is_unknown(field, value):
    found = read(members=[{**MEMBER, field: value}])
    member = found.members["db/engine_backup.db"]
    names = {"privileges": "owners", "database_size": "size"}
    assert member.database is not None
    holder = member if field == "raw_size" else member.database
    assert getattr(holder, names.get(field, field)) is None
    assert bool(found.notes) == (value is not None)


@pytest.mark.parametrize(
    "changes",
    [
        {"count": -1}, {"count": None}, {"count": 1}, {"count": 3}, {"objects": None}, {"objects": {}},
        {"objects": [{"id": "1", "name": "one"}]}, {"objects": [{"id": "1"}, {"id": "2", "name": 3}]},
        {"objects": [{"id": str(n), "name": ""} for n in range(5000)], "count": 5000},
    ],
)  # fmt: skip
def test_a_kind_that_contradicts_itself_is_unknown(changes):
    assert read(inventory={"vms": {**VMS, **changes}}).inventory is None


def test_a_part_of_the_objects_is_taken_as_a_part():
    found = read(inventory={"vms": {**VMS, "count": 3, "complete": False, "digest": "none"}})
    assert found.inventory is not None
    vms = found.inventory.kinds["vms"]
    assert (vms.count, len(vms.objects), vms.complete, vms.digest) == (3, 2, False, "")
    assert [note for note in found.notes if "digest" in note]


def test_names_of_objects_that_terminals_obey_are_not_taken():
    objects = [{"id": "1", "name": "a\x1b[2J"}, {"id": "2", "name": "b"}]
    found = read(inventory={"vms": {**VMS, "objects": objects}, "hosts": VMS})
    assert found.inventory is not None
    assert list(found.inventory.kinds) == ["hosts"]
    assert found.notes == ("manifest.json: inventory.vms.objects is no list of names, and not used",)


def test_members_without_a_name_or_with_a_strange_one_are_left_out():
    assert read(members=[{**MEMBER, "name": 3}, {"size": 3}]).members == {}
    assert read(members="all").members == {}


def test_control_characters_are_escaped_and_long_texts_cut():
    found = read(fqdn="a\x1b]0;x\x07\u202eb\ud800", tool_version="x" * 5000)
    assert found.fqdn == "a\\x1b]0;x\\x07\\u202eb\\ud800"
    assert found.tool_version is not None
    assert len(found.tool_version) == 500


def test_settings_that_are_no_longer_harmless_are_hidden():
    rows = [{"name": "ENGINE_DB_PASSWORD", "value": "secret"}, {"name": "ENGINE_FQDN", "value": "x"}]
    found = read(configuration={"settings": rows, "hidden": 1}).configuration
    assert found is not None
    assert [setting.name for setting in found.settings] == ["ENGINE_FQDN"]
    assert found.hidden == 2


@pytest.mark.parametrize(
    ("number", "text"),
    [(150018, "15.18"), (180000, "18.0"), (90624, "9.6.24"), (80421, "8.4.21"), (0, "0.0.0")],
)
def test_server_versions(number, text):
    database = read(members=[{**MEMBER, "server_version": number}]).members["db/engine_backup.db"].database
    assert database is not None
    assert database.server_version == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*WHOLE, *MEMBER, *CERTIFICATE, "settings", "value", "vms", *VMS, "id"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(WHOLE)), JSON))
def test_nothing_makes_it_fail_and_nothing_unprintable_gets_through(changes):
    found = read(**{name: value for name, value in changes.items() if name not in HEAD})
    for text in texts(found):
        assert text.isprintable()
    json.dumps(found.notes)


def texts(found: RecordedArchive) -> list[str]:
    """All texts that people are shown."""
    shown = [found.fqdn, found.tool_version, found.started_at, *found.notes]
    shown += [text for fact in found.certificates or () for text in (fact.path, fact.subject, fact.reason)]
    shown += [s.value for s in (found.configuration.settings if found.configuration else ())]
    for member in found.members.values():
        database = member.database or InspectedDatabase()
        shown += [database.database, database.role, database.host, database.server_version, database.position]
        shown += [*(database.extensions or ()), *(database.granted_roles or ()), *(database.owners or ())]
        shown += [table.name for table in database.largest_tables or ()]
    return [text for text in shown if text is not None]
