"""Databases that are loaded side by side: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine_backup.drivers import postgres
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import ExitStatus
from engine_backup.model.facts import Credentials
from engine_backup.sample.compare import BACKUP_EVENTS, fingerprint_databases
from tests.support.failures import Target, assert_failed
from tests.support.machine import Machine, change_options, login
from tests.support.sample import Original
from tests.support.sample import clean_machine as clean_original
from tests.support.sample_machines import SampleMachine, SampleTemplate
from tests.support.wrapped_programs import wrapped

SCOPES = ("--scope=db", "--scope=dwhdb")
COMPONENTS = ("engine", "dwh")

# `database` is what is loaded into; the list of a dump's contents is left alone.
EACH = """
import re
target = re.search(r" dbname=(\\w+)", " ".join(word for word in sys.argv if word.startswith("--dbname=")))
if target is None:
    become_real()
database = target.group(1)
(PLACE / f"words-{database}").write_text("\\n".join(sys.argv[1:]))
(PLACE / f"pid-{database}").write_text(str(os.getpid()))


def await_all(count, seconds=120):
    end = time.monotonic() + seconds
    while len(list(PLACE.glob("pid-*"))) < count:
        if time.monotonic() > end:
            sys.exit("pg_restore: error: the other load did not begin")
        time.sleep(0.01)


def hang():
    (PLACE / "reached").touch()
    time.sleep(120)
    (PLACE / f"survived-{database}").touch()

"""


def not_ended(place: Path) -> list[str]:
    """Name the databases whose wrapped program still runs, or came to its own end."""
    pids = {path.name: path.read_text() for path in place.glob("pid-*")}
    assert len(pids) == len(COMPONENTS)
    running = [name for name, pid in pids.items() if Path("/proc", pid).exists()]
    return running + [path.name for path in place.glob("survived-*")]


def words_of(place: Path, database: str) -> list[str]:
    return (place / f"words-{database}").read_text().splitlines()


class TestComplete:
    @pytest.fixture
    def logins(self, original: Original, tmp_path: Path) -> dict[str, Credentials]:
        mark = f"side{abs(hash(str(tmp_path))) % 10**9}"
        return {name: login(original.server, f"{mark}_{name}", f"{mark}_{name}") for name in COMPONENTS}

    def restore(self, original: Original, logins, script: str, directory: Path, *words: str) -> Path:
        machine = clean_original(original, directory / "machine")
        bindir = wrapped(directory / "bin", original.server.programs, pg_restore=EACH + script)
        changes = change_options(logins, machine.directory)
        words = (*changes, *SCOPES, *words, "--no-restore-permissions", f"--pg-bindir={bindir}")
        machine.engine_backup("restore", *words, "--keep-temporary-data").check()
        assert machine.leftovers() == []
        return bindir

    def test_at_the_same_time(self, original: Original, logins, tmp_path: Path):
        """Each program waits for the other one; one after the other would fail."""
        self.restore(original, logins, "await_all(2)\nbecome_real()\n", tmp_path)
        found = fingerprint_databases(logins, BACKUP_EVENTS)
        assert {name: found[name].tables for name in COMPONENTS} == {
            name: original.databases[name].tables for name in COMPONENTS
        }

    def test_with_as_many_jobs_as_were_asked_for(self, original: Original, logins, tmp_path: Path):
        jobs = ("--db-restore-jobs=3", "--dwh-db-restore-jobs=1")
        bindir = self.restore(original, logins, "become_real()\n", tmp_path, *jobs)
        assert "--jobs=3" in words_of(bindir, logins["engine"].database)
        assert not [w for w in words_of(bindir, logins["dwh"].database) if w.startswith("--jobs")]

    @pytest.mark.parametrize("words", [(), ("--no-analyze",)])
    def test_statistics_are_gathered_unless_nobody_wants_them(self, original, logins, tmp_path: Path, words):
        self.restore(original, logins, "become_real()\n", tmp_path, *words)
        for credentials in logins.values():
            counted = execute(credentials, "SELECT analyze_count FROM pg_stat_user_tables")
            assert len(counted) > 5
            assert {count for (count,) in counted} == {0 if words else 1}


SETTINGS = (
    "synchronous_commit",
    "maintenance_work_mem",
    "max_parallel_maintenance_workers",
    "application_name",
)
# A load fills it anew, within its own session.
WITNESS = f"""
    CREATE MATERIALIZED VIEW witness AS
        SELECT name, setting, source FROM pg_catalog.pg_settings WHERE name IN {SETTINGS}
"""
# Hangs where it is loaded, not where it comes from.
TRAP = """
    CREATE FUNCTION public.trap() RETURNS integer LANGUAGE plpgsql AS $$
    BEGIN
        IF pg_catalog.current_database() LIKE 'stopped%' THEN
            PERFORM pg_catalog.pg_sleep(600);
        END IF;
        RETURN 1;
    END $$;
    CREATE MATERIALIZED VIEW trapped AS SELECT public.trap() AS caught
"""


def execute(credentials: Credentials, statement: str) -> list[tuple]:
    with closing(postgres.connect(credentials)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def source(
    sample_template: SampleTemplate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SampleMachine]:
    """An engine whose databases tell how they were loaded."""
    with sample_template.machine(tmp_path_factory.mktemp("witness") / "root") as machine:
        for name in COMPONENTS:
            execute(machine.sample.credentials[name], WITNESS)
        execute(machine.sample.credentials["engine"], TRAP)
        yield machine


def back_up(source: SampleMachine, directory: Path, *words: str) -> Machine:
    machine = Machine(directory)
    place = [f"--root={source.root}", f"--file={machine.archive}", f"--log={directory}/backup-log"]
    machine.command("backup", *place, *SCOPES, *words).check()
    machine.install()
    return machine


def empty(server: ScratchServer, prefix: str) -> dict[str, Credentials]:
    return {name: login(server, f"{prefix}_{name}", f"{prefix}_{name}") for name in COMPONENTS}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("dump_format", ["custom", "plain"])
def test_settings_that_speed_up_a_load(jobs: int, dump_format: str, source: SampleMachine, tmp_path: Path):
    """In force in every session that loads, also those of pg_restore's own workers."""
    words = [f"--{x}db-dump-format={dump_format}" for x in ("", "dwh-")]
    machine = back_up(source, tmp_path, *words)
    logins = empty(source.server, f"{dump_format}{jobs}")
    words = [f"--{x}db-restore-jobs={jobs}" for x in ("", "dwh-")]
    permissions = ["--no-restore-permissions", "--product-version=4.5.7"]
    machine.engine_backup("restore", *change_options(logins, tmp_path), *SCOPES, *words, *permissions).check()
    for credentials in logins.values():
        seen = execute(credentials, "SELECT * FROM witness")
        found = {name: (setting, origin) for name, setting, origin in seen}
        assert found["synchronous_commit"] == ("off", "client")
        memory, origin = found["maintenance_work_mem"]
        assert (int(memory) >= 64 << 10, origin) == (True, "client")
        assert found["max_parallel_maintenance_workers"][1] == "client"


class TestStopping:
    def test_a_load_that_fails_ends_the_others(self, target: Target, original: Original, tmp_path: Path):
        script = """
await_all(2)
if names("dbname=target_dwh"):
    print("pg_restore: error: out of paper", file=sys.stderr)
    sys.exit(1)
hang()
"""
        bindir = wrapped(tmp_path / "bin", original.server.programs, pg_restore=EACH + script)
        result = target.restore(*SCOPES, f"--pg-bindir={bindir}")
        assert_failed(
            result,
            ExitStatus.FAILURE,
            "database target_dwh: pg_restore failed with exit status 1: pg_restore:",
        )
        assert "All that was changed has been undone." in result.stdout
        assert not_ended(bindir) == []
        target.assert_untouched()

    @pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
    def test_a_signal_ends_all(self, name: str, target: Target, original: Original, tmp_path: Path):
        script = "await_all(2)\nhang()\n"
        bindir = wrapped(tmp_path / "bin", original.server.programs, pg_restore=EACH + script)
        target.assert_stops(name, [*SCOPES, f"--pg-bindir={bindir}"], (bindir / "reached").exists)
        assert not_ended(bindir) == []

    def test_a_statement_that_goes_on_is_cancelled(self, source: SampleMachine, tmp_path: Path):
        """The engine's plain dump hangs in a statement when the load of DWH's fails."""
        machine = back_up(source, tmp_path / "machine", "--db-dump-format=plain")
        logins = empty(source.server, "stopped")
        script = f"""
import psycopg2
connection = psycopg2.connect(host={source.server.host!r}, port={source.server.port}, dbname="postgres",
                              user={logins["engine"].user!r},
                              password={logins["engine"].password.reveal()!r})
connection.autocommit = True
cursor = connection.cursor()
count, end = 0, time.monotonic() + 120
while not count and time.monotonic() < end:
    time.sleep(0.01)
    cursor.execute("SELECT count(*) FROM pg_stat_activity"
                   " WHERE datname = 'stopped_engine' AND wait_event = 'PgSleep'")
    (count,) = cursor.fetchone()
sys.exit("pg_restore: error: " + ("out of paper" if count else "nobody hangs"))
"""
        bindir = wrapped(tmp_path / "bin", source.server.programs, pg_restore=EACH + script)
        words = ["--no-restore-permissions", "--product-version=4.5.7", f"--pg-bindir={bindir}"]
        result = machine.engine_backup("restore", *change_options(logins, tmp_path), *SCOPES, *words)
        assert_failed(result, ExitStatus.FAILURE, "database stopped_dwh: pg_restore failed", "see the log")
        assert "out of paper" in result.fatal[0]
        assert "All that was changed has been undone." in result.stdout
        assert all(database.tables == {} for database in fingerprint_databases(logins).values())
        log = source.server.log()
        assert "canceling statement due to user request" in log
        assert "terminating connection due to administrator command" not in log
