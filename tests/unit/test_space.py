"""Room for a restore: what is needed where, and what is told when it is not there."""

from __future__ import annotations

import pytest

from engine_backup.model.archive import DumpMember, EntryType, FileEntry
from engine_backup.model.facts import DumpFacts
from engine_backup.model.preflight import SpaceFact, Volume
from engine_backup.plan import space
from engine_backup.plan.space import DatabaseNeed

MIB = 1 << 20
GIB = 1 << 30


def volume(directory: str, device: int = 1, free: int | None = 100 * MIB) -> Volume:
    return Volume(directory, device, free)


def entry(path: bytes, size: int = 0, kind: EntryType = EntryType.FILE) -> FileEntry:
    return FileEntry(path, kind, 0o644, 0, 0, "root", "root", 0, size)


def dump(size: int, dump_format: str, compressor: str = "", unpacked: int | None = None) -> DumpFacts:
    member = DumpMember("engine", "db/engine_backup.db", dump_format, compressor, size, 0)
    return DumpFacts(member, unpacked_size=unpacked)


class TestProblems:
    def test_enough(self):
        assert space.problems([SpaceFact("restored files", volume("/var"), 95 * MIB)]) == ()

    def test_a_margin_is_kept(self):
        (problem,) = space.problems([SpaceFact("restored files", volume("/var"), 96 * MIB)])
        assert problem.message == (
            "not enough space on the file system of /var: 101 MiB needed for restored files, 100 MiB free"
        )
        assert problem.hint == "make room there"

    def test_needs_on_one_file_system_add_up(self):
        needs = [
            SpaceFact("unpacked dumps", volume("/tmp"), 40 * MIB, movable_by="--tmpdir=DIR"),
            SpaceFact("restored files", volume("/var/lib"), 40 * MIB),
            SpaceFact("databases", volume("/var/lib/pgsql"), 40 * MIB, "estimated: 3 times"),
        ]
        (problem,) = space.problems(needs)
        assert problem.message == (
            "not enough space on the file system of /tmp: 126 MiB needed for"
            " unpacked dumps, restored files and databases (estimated: 3 times), 100 MiB free"
        )
        assert problem.hint == "make room there, or choose another place with --tmpdir=DIR"

    def test_other_file_systems_do_not(self):
        needs = [SpaceFact("restored files", volume("/", device), 60 * MIB) for device in (1, 2)]
        assert space.problems(needs) == ()

    def test_each_full_one_is_named(self):
        needs = [SpaceFact("restored files", volume(f"/{n}", n), 200 * MIB) for n in (1, 2)]
        assert len(space.problems(needs)) == 2

    def test_one_thing_is_named_once(self):
        needs = [SpaceFact("restored files", volume(name), 60 * MIB) for name in ("/etc", "/var")]
        (problem,) = space.problems(needs)
        assert "needed for restored files, " in problem.message

    def test_what_tells_nothing_is_no_problem(self):
        assert space.problems([SpaceFact("restored files", volume("/", free=None), GIB)]) == ()

    def test_nothing_needed_is_no_problem_on_a_full_disk(self):
        assert space.problems([SpaceFact("restored files", volume("/", free=0), 0)]) == ()
        assert len(space.problems([SpaceFact("restored files", volume("/", free=0), 1)])) == 1


class TestFiles:
    ENTRIES = (
        entry(b"etc/pki/ovirt-engine", kind=EntryType.DIRECTORY),
        entry(b"etc/pki/ovirt-engine/ca.pem", 1),
        entry(b"etc/pki/ovirt-engine/certs/engine.cer", 4096),
        entry(b"etc/pki/ovirt-engine/apache-ca.pem", kind=EntryType.SYMLINK),
        entry(b"var/lib/ovirt-engine/content/a", 4097),
        entry(b"var/lib/ovirt-engine/content/b", 4097, EntryType.HARDLINK),
        entry(b"etc/odd\xff", 1),
    )

    def test_blocks_by_directory(self):
        assert space.sizes_by_group(self.ENTRIES, {"/var/lib/grafana/grafana.db": 1}) == {
            "/etc": 4096,
            "/etc/pki": 4096,
            "/etc/pki/ovirt-engine": 3 * 4096,
            "/var/lib/ovirt-engine": 8192,
            "/var/lib/grafana": 4096,
        }

    def test_renamed_on_the_same_file_system(self):
        staging = volume("/var/lib/ovirt-engine-backup/restore")
        volumes = {name: volume(name) for name in ("/etc", "/var/lib")}
        facts = space.file_spaces({"/etc": 10, "/var/lib": 5}, staging, volumes)
        assert [(fact.volume, fact.needed) for fact in facts] == [(staging, 15)]

    def test_copied_to_another(self):
        staging = volume("/var/lib/ovirt-engine-backup/restore", 2)
        volumes = {"/etc": volume("/etc", 1), "/var/lib": volume("/var/lib", 2)}
        facts = space.file_spaces({"/etc": 10, "/var/lib": 5}, staging, volumes)
        assert [(fact.volume.device, fact.needed) for fact in facts] == [(2, 15), (1, 10)]


class TestTemporary:
    def test_an_archive_is_unpacked_only_when_it_is_compressed(self):
        assert space.archive_space(volume("/tmp"), 5, "").needed == 0
        assert space.archive_space(volume("/tmp"), 5, "gzip").needed == 5


class TestDatabases:
    def test_what_the_manifest_tells(self):
        assert space.database_need(dump(5, "custom"), 700) == DatabaseNeed(700)

    @pytest.mark.parametrize(
        ("facts", "size"),
        [
            (dump(10, "custom"), 30),
            (dump(10, "custom", "gzip"), 30),
            (dump(10, "custom", "zstd"), 60),
            (dump(10, "plain"), 10),
            (dump(10, "plain", "xz"), 60),
            (dump(10, "plain", "xz", 77), 77),
            (dump(10, "custom", "zstd", 77), 77),
            (dump(10, "custom", "", 10), 30),
        ],
    )
    def test_what_is_estimated_says_so(self, facts, size):
        need = space.database_need(facts, None)
        assert need.size == size
        assert need.reason.startswith("estimated: ")

    def test_the_log_of_loading_counts_up_to_its_limit(self):
        assert space.database_space(volume("/d"), [DatabaseNeed(3), DatabaseNeed(4)]).needed == 14
        assert space.database_space(volume("/d"), [DatabaseNeed(5 * GIB)]).needed == 6 * GIB

    @pytest.mark.parametrize(
        ("needed", "limit"),
        [(0, GIB), (GIB - 1, GIB), (3 * GIB, 3 * GIB), (9000 * GIB, ((1 << 31) - 1) << 10)],
    )
    def test_temporary_files_may_be_as_large_as_databases_and_a_gibibyte(self, needed, limit):
        assert space.temporary_limit(SpaceFact(space.DATA, volume("/d"), needed)) == limit

    def test_reasons_are_told_once(self):
        needs = [
            DatabaseNeed(1, "estimated: 3 times"),
            DatabaseNeed(1, "estimated: 3 times"),
            DatabaseNeed(1),
        ]
        assert space.database_space(volume("/d"), needs).reason == "estimated: 3 times"

    @pytest.mark.parametrize(
        "manifest",
        [
            None,
            {},
            {"members": None},
            {"members": {"component": "engine"}},
            {"members": ["x", {"component": "engine"}, {"component": ["engine"], "size": 1}]},
            {"members": [{"component": "engine", "database_size": -1}]},
            {"members": [{"component": "engine", "database_size": True}]},
            {"members": [{"component": "engine", "database_size": "9"}]},
        ],
    )
    def test_a_strange_manifest_tells_nothing(self, manifest):
        assert space.recorded_sizes(manifest) == {}

    def test_sizes_of_the_manifest(self):
        rows = [{"component": "engine", "database_size": 7}, {"component": "files", "raw_size": 9}]
        assert space.recorded_sizes({"members": rows}) == {"engine": 7}
