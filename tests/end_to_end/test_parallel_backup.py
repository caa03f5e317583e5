"""Databases that are saved side by side: all of them, in an archive that any reader takes, or none."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import signal
import subprocess
import tarfile
import time
from datetime import datetime
from pathlib import Path

import pytest

from engine_backup.drivers import compression
from engine_backup.model.components import BY_NAME, COMPONENTS
from engine_backup.model.errors import ExitStatus
from engine_backup.model.presets import PRESETS
from tests.support import real_process
from tests.support.failures import BackupSite, assert_failed
from tests.support.machine import Machine
from tests.support.sample import Original
from tests.support.small_disk import available, on_small_disk
from tests.support.wrapped_programs import wrapped

DATABASES = ("engine", "dwh", "managedblock", "keycloak")
LIMIT_SECONDS = 120

# `database` is what is dumped.
EACH = """
import re
database = re.search(r" dbname=(\\w+)", " ".join(sys.argv)).group(1)
(PLACE / f"pid-{database}").write_text(str(os.getpid()))


def await_all(count, seconds=120):
    end = time.monotonic() + seconds
    while len(list(PLACE.glob("pid-*"))) < count:
        if time.monotonic() > end:
            sys.exit("pg_dump: error: the other dumps did not begin")
        time.sleep(0.01)


def hang():
    (PLACE / "reached").touch()
    time.sleep(120)
    (PLACE / f"survived-{database}").touch()

"""


@pytest.fixture
def again(original: Original, tmp_path: Path) -> Machine:
    """The same engine, backed up to another place."""
    machine = Machine(tmp_path / "machine")
    machine.root.rmdir()
    machine.root.symlink_to(original.machine.root)
    return machine


def contents(archive: Path) -> dict[str, bytes]:
    """Read an archive with nothing but Python's tarfile, and hold every hash."""
    with tarfile.open(archive) as opened:
        found = {m.name[2:]: opened.extractfile(m).read() for m in opened if m.isfile()}
    listed = dict(reversed(line.split("  ")) for line in found["sha256sum"].decode().splitlines())
    assert listed == {name: hashlib.sha256(found[name]).hexdigest() for name in found if name != "sha256sum"}
    return found


def assert_readable(found: dict[str, bytes]) -> None:
    """Hold that each dump, and the tar of the files, can be read to the end by the usual programs."""
    config = dict(line.split("=") for line in found["config"].decode().splitlines())
    for name in DATABASES:
        component = BY_NAME[name]
        packed = io.BytesIO(found[component.member])
        packer = config[f"{component.dump_prefix}_DUMP_COMPRESSOR"]
        dump = compression.open_reader(packed, packer, name).read()
        if config[f"{component.dump_prefix}_DUMP_FORMAT"] == "custom":
            dump = subprocess.run(["pg_restore", "-f-"], input=dump, capture_output=True, check=True).stdout
        assert b"-- PostgreSQL database dump complete" in dump
    with tarfile.open(fileobj=io.BytesIO(found["files"])) as files:
        assert "etc/ovirt-engine" in files.getnames()
    assert found["db/grafana.db"].startswith(b"SQLite format 3\0")


# An archive that is packed as a whole is made of one member at a time, however many are asked for.
VARIANTS = [
    ("None", 1),
    ("None", 4),
    *(
        pytest.param(outer, jobs, marks=pytest.mark.thorough)
        for outer, jobs in (("None", 2), ("gzip", 4), ("bzip2", 4), ("xz", 4), ("gzip", 1))
    ),
]


@pytest.mark.parametrize(("outer", "jobs"), VARIANTS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_variant_is_read_back(preset: str, jobs: int, outer: str, again: Machine):
    words = [f"--jobs={jobs}", f"--archive-compressor={outer}"]
    chosen = [] if preset == "default" else [f"--{preset}"]
    again.engine_backup("backup", *chosen, *words).check()
    found = contents(again.archive)
    assert_readable(found)
    manifest = json.loads(found["manifest.json"])
    assert manifest["components"] == [c.name for c in COMPONENTS if c.member in found]
    assert [member["name"] for member in manifest["members"]] == list(found)[: len(manifest["members"])]
    assert again.leftovers() == []


class TestAtTheSameTime:
    def back_up(self, again: Machine, original: Original, script: str, *words: str) -> Path:
        bindir = wrapped(again.directory / "bin", original.server.programs, pg_dump=EACH + script)
        again.engine_backup("backup", *words, f"--pg-bindir={bindir}").check()
        assert_readable(contents(again.archive))
        return bindir

    @pytest.mark.parametrize("jobs", [2, 4])
    def test_so_many_dumps_go_on(self, jobs: int, again: Machine, original: Original):
        """Each waits for the others to have begun; of four jobs one has Grafana's database and the files."""
        scopes = [f"--scope={BY_NAME[name].scope}" for name in DATABASES]
        script = f"await_all({jobs})\nbecome_real()\n"
        bindir = wrapped(again.directory / "bin", original.server.programs, pg_dump=EACH + script)
        again.engine_backup("backup", f"--jobs={jobs}", *scopes, f"--pg-bindir={bindir}").check()

    @pytest.mark.parametrize("words", [["--jobs=1"], ["--jobs=4", "--archive-compressor=gzip"]])
    def test_one_at_a_time(self, words: list[str], again: Machine, original: Original):
        script = """
os.mkdir(PLACE / "busy")
status = subprocess.run([REAL, *sys.argv[1:]]).returncode
os.rmdir(PLACE / "busy")
sys.exit(status)
"""
        self.back_up(again, original, script, *words)

    def test_what_overtakes_the_first_waits_beside_the_archive(self, again: Machine, original: Original):
        """The largest database streams into the archive all the while, and no other may come between."""
        script = """
await_all(2)
if names("dbname=engine"):
    while len(list(PLACE.glob("ended-*"))) < 3:
        time.sleep(0.01)
    become_real()
status = subprocess.run([REAL, *sys.argv[1:]]).returncode
(PLACE / f"ended-{database}").touch()
sys.exit(status)
"""
        self.back_up(again, original, script, "--jobs=2")

    def test_the_snapshots_are_of_the_same_moment(self, again: Machine, original: Original):
        """They are taken before the first dump begins; how close they came is in the manifest."""
        self.back_up(again, original, "become_real()\n")
        manifest = json.loads(contents(again.archive)["manifest.json"])
        dumps = [member for member in manifest["members"] if "snapshot_taken_at" in member]
        times = [datetime.fromisoformat(dump["snapshot_taken_at"]).timestamp() for dump in dumps]
        assert len(times) == len(DATABASES)
        assert manifest["snapshot_skew_ms"] == pytest.approx((max(times) - min(times)) * 1000, abs=0.1)
        started = [path.stat().st_mtime for path in (again.directory / "bin").glob("pid-*")]
        assert max(times) < min(started)


class TestAFailure:
    def not_ended(self, place: Path) -> list[str]:
        """Name the databases whose wrapped program still runs, or came to its own end."""
        pids = {path.name: path.read_text() for path in place.glob("pid-*")}
        assert len(pids) >= 2
        running = [name for name, pid in pids.items() if Path("/proc", pid).exists()]
        return running + [path.name for path in place.glob("survived-*")]

    def test_ends_the_other_dumps(self, site: BackupSite, original: Original, tmp_path: Path):
        script = """
await_all(2)
if names("dbname=engine"):
    hang()
sys.stdout.buffer.write(b"PGDMP" + bytes(100_000))
sys.stdout.flush()
while not (PLACE / "reached").exists():
    time.sleep(0.01)
print("pg_dump: error: out of ink", file=sys.stderr)
sys.exit(1)
"""
        bindir = wrapped(tmp_path / "bin", original.server.programs, pg_dump=EACH + script)
        result = site.back_up(f"--pg-bindir={bindir}", "--jobs=2")
        assert_failed(result, ExitStatus.FAILURE, "backup failed: pg_dump failed", "server's own log")
        (failed,) = re.findall(r"Database (\w+) backup failed", result.fatal[0])
        # A third may have begun before the end of the failed one was seen.
        assert f"pid-{failed}" in {path.name for path in bindir.glob("pid-*")} - {"pid-engine"}
        assert "out of ink" in result.fatal[0]
        assert self.not_ended(bindir) == []
        site.assert_nothing_left()

    def test_a_signal_ends_all(self, site: BackupSite, original: Original, tmp_path: Path):
        script = "await_all(2)\nhang()\n"
        bindir = wrapped(tmp_path / "bin", original.server.programs, pg_dump=EACH + script)
        process = real_process.start(site.words(f"--pg-bindir={bindir}", "--jobs=2"))
        await_path(bindir / "reached", process)
        process.send_signal(signal.SIGTERM)
        result = real_process.result(process)
        assert "stopped by SIGTERM" in result.fatal[0]
        assert self.not_ended(bindir) == []
        site.assert_nothing_left()

    def test_a_kill_takes_the_dumps_along(self, site: BackupSite, original: Original, tmp_path: Path):
        script = "await_all(2)\nhang()\n"
        bindir = wrapped(tmp_path / "bin", original.server.programs, pg_dump=EACH + script)
        process = real_process.start(site.words(f"--pg-bindir={bindir}", "--jobs=2"))
        await_path(bindir / "reached", process)
        process.kill()
        process.communicate()
        end = time.monotonic() + LIMIT_SECONDS
        while self.not_ended(bindir) and time.monotonic() < end:
            time.sleep(0.01)
        assert self.not_ended(bindir) == []


def await_path(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_a_backup_killed_at_any_moment_leaves_nothing_for_long(
    jobs: int, original: Original, site: BackupSite, tmp_path: Path
):
    """Nothing has the final name, and the next start sweeps what is left beside the archive."""
    begin = time.monotonic()
    real_process.run(site.words(f"--file={tmp_path}/other.backup", f"--jobs={jobs}")).check()
    whole = time.monotonic() - begin
    before = names_in(site)
    moments = random.Random(jobs)  # noqa: S311 - the same moments in every run
    for _ in range(5):
        process = real_process.start(site.words(f"--jobs={jobs}"))
        time.sleep(moments.uniform(0.1, 0.95) * whole)
        process.kill()
        process.communicate()
        # A backup that was quicker this time has its name already, and is whole.
        if site.machine.archive.stat().st_size > 1000:
            contents(site.machine.archive)
            break
    site.back_up(f"--jobs={jobs}").check()
    assert_readable(contents(site.machine.archive))
    assert names_in(site) == before
    assert site.machine.leftovers() == []


def names_in(site: BackupSite) -> set[str]:
    return {path.name for path in site.machine.directory.iterdir() if not path.name.startswith("log-")}


@pytest.mark.skipif(not available(), reason="no private mount namespaces here")
@pytest.mark.parametrize(
    "words", [["--jobs=4"], ["--jobs=1"], ["--archive-compressor=gzip"], ["--small-size"]]
)
def test_the_temporary_directory_holds_a_copy_of_grafanas_database_at_most(
    words: list[str], site: BackupSite, tmp_path: Path
):
    before = on_small_disk(site.machine.temporary, 100, tmp_path / "report")
    real_process.run(site.words(*words), before).check()
    assert site.machine.archive.stat().st_size > 100 << 10
    assert_readable(contents(site.machine.archive))


@pytest.mark.parametrize("word", ["None", "gzip", "xz"])
def test_what_the_disk_did_not_keep_is_found(word: str, original: Original, site: BackupSite, tmp_path: Path):
    """When the last database is saved a byte of what is there already changes."""
    partial = f"{site.machine.archive}.partial"
    script = f"""
status = subprocess.run([REAL, *sys.argv[1:]]).returncode
(PLACE / f"ended-{{os.getpid()}}").touch()
if len(list(PLACE.glob("ended-*"))) == 4:
    with open({partial!r}, "r+b") as archive:
        archive.seek(10000)
        byte = archive.read(1)[0]
        archive.seek(10000)
        archive.write(bytes([byte ^ 1]))
sys.exit(status)
"""
    bindir = wrapped(tmp_path / "bin", original.server.programs, pg_dump=EACH + script)
    result = site.back_up(f"--pg-bindir={bindir}", "--jobs=1", f"--archive-compressor={word}")
    assert result.status == ExitStatus.DAMAGED_ARCHIVE, result.stderr
    site.assert_nothing_left()
