"""Dumps whose tables were packed one by one, and are loaded one by one, several at the same time."""

from __future__ import annotations

import io
import shutil
import subprocess
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from engine_backup.drivers import archive_reader, compression, divided_dump, postgres, zstd_frames
from engine_backup.drivers.archive_reader import open_archive
from engine_backup.drivers.postgres import conninfo, password_file
from engine_backup.model.archive import ReadLimits
from engine_backup.model.components import BY_NAME
from engine_backup.model.errors import ExitStatus
from engine_backup.model.facts import Credentials
from engine_backup.sample.compare import BACKUP_EVENTS, fingerprint_databases
from tests.support.divided_archives import back_up_in_parts, frames_of
from tests.support.drills import drill_site, red
from tests.support.failures import DATABASES, Target, assert_failed, target_logins, target_machine
from tests.support.machine import Machine, change_options, login
from tests.support.rewritten_archives import rewrite
from tests.support.sample import Original
from tests.support.sample_machines import SampleMachine
from tests.support.wrapped_programs import wrapped

# Lets each program say what it loads, and when.
EACH = """
import re
(target,) = [word for word in sys.argv if word.startswith("--dbname=")] or [""]
found = re.search(r" dbname=(\\w+)", target)
if found is None:
    become_real()
database = found.group(1)
(entries,) = [Path(word.split("=", 1)[1]).name for word in sys.argv if word.startswith("--use-list=")]
(PLACE / f"{database} {entries}").write_text("\\n".join(sys.argv[1:]))
(PLACE / f"pid-{os.getpid()}").touch()


def is_part():
    return re.search(r"\\.\\d+\\.list$", entries) is not None


def await_programs(count, pattern="pid-*", seconds=120):
    end = time.monotonic() + seconds
    while len(list(PLACE.glob(pattern))) < count:
        if time.monotonic() > end:
            sys.exit("pg_restore: error: the others did not begin")
        time.sleep(0.01)


def hang():
    (PLACE / f"hangs-{os.getpid()}").touch()
    time.sleep(120)
    (PLACE / f"survived-{os.getpid()}").touch()

"""


@pytest.fixture(scope="module")
def divided(original: Original, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the original engine in which each table has a frame of its own."""
    kept = tmp_path_factory.mktemp("divided") / "engine.backup"
    back_up_in_parts(original.machine, kept)
    return kept


@pytest.fixture
def target(divided: Path, original: Original, tmp_path: Path) -> Target:
    logins = target_logins(original.server, f"divided{abs(hash(str(tmp_path))) % 10**9}")
    target = target_machine(tmp_path / "machine", logins, divided)
    shutil.copy2(divided, target.machine.archive)
    return target


def tables_of(target: Target) -> dict[str, dict[str, object]]:
    return {name: found.tables for name, found in fingerprint_databases(target.logins, BACKUP_EVENTS).items()}


def schema_of(credentials: Credentials, original: Original, directory: Path) -> list[str]:
    """Return a schema as pg_dump tells it, without privileges."""
    with password_file(credentials, directory) as environment:
        program = original.server.programs.path("pg_dump")
        command = [
            program,
            f"--dbname={conninfo(credentials)}",
            "--schema-only",
            "--no-owner",
            "--no-privileges",
        ]
        told = subprocess.run(command, env=dict(environment), check=True, capture_output=True, text=True)
    # pg_dump of August 2025 and later adds a key of its own to each dump.
    return [line for line in told.stdout.splitlines() if line and not line.startswith(("--", "\\"))]


def jobs(count: int) -> list[str]:
    return [f"--{BY_NAME[name].option_prefix}db-restore-jobs={count}" for name in DATABASES]


def programs_of(target: Target, original: Original, script: str, directory: Path) -> tuple[Path, str]:
    bindir = wrapped(directory / "bin", original.server.programs, pg_restore=EACH + script)
    return bindir, f"--pg-bindir={bindir}"


def assert_only_heads_are_files(bindir: Path) -> None:
    """Programs read rows from a pipe, and from files only what stands before rows."""
    for path in bindir.glob("* *.list"):
        files = [word for word in path.read_text().splitlines() if not word.startswith("--")]
        is_part = path.name.rsplit(".", 2)[1].isdigit()
        whole = path.name.count(".") == 1
        assert (not files) if is_part or whole else all(word.endswith(".head") for word in files)


def test_everything_comes_back(target: Target, original: Original, tmp_path: Path):
    """Rows, and all that makes a schema: indexes and keys of parts, foreign keys, triggers."""
    bindir, programs = programs_of(target, original, "become_real()\n", tmp_path)
    target.restore(*jobs(3), programs, "--keep-temporary-data").check()
    assert tables_of(target) == {name: found.tables for name, found in original.databases.items()}
    for name, credentials in target.logins.items():
        came, went = (
            schema_of(c, original, tmp_path) for c in (credentials, original.sample.credentials[name])
        )
        assert came == went
        started = {path.name.split(" ")[1] for path in bindir.glob(f"{credentials.database} *")}
        assert {f"{name}.before.list", f"{name}.after.list"} < started
        assert len(started) > 4
    assert target.machine.leftovers() == []
    assert_only_heads_are_files(bindir)


def test_the_plan_says_how_many_parts_there_are(target: Target):
    result = target.restore(*jobs(3), "--dry-run").check()
    assert " databases, their parts, " in result.stdout
    assert " parts, 3 jobs, without permissions)" in result.stdout
    target.assert_untouched()


def test_as_many_parts_at_the_same_time_as_jobs_were_asked_for(
    target: Target, original: Original, tmp_path: Path
):
    """The first three parts of the engine wait for each other; with two jobs that would fail."""
    script = """
if is_part() and entries.startswith("engine."):
    (PLACE / f"part-{os.getpid()}").touch()
    await_programs(3, "part-*")
become_real()
"""
    _, programs = programs_of(target, original, script, tmp_path)
    target.restore("--db-restore-jobs=3", programs).check()


def test_one_job_loads_the_whole_in_its_own_order(target: Target, original: Original, tmp_path: Path):
    """What a table's own checks look for may stand in another table."""
    bindir, programs = programs_of(target, original, "become_real()\n", tmp_path)
    target.restore(*jobs(1), programs).check()
    assert {path.name for path in bindir.glob("* *.list")} == {
        f"{credentials.database} {name}.list" for name, credentials in target.logins.items()
    }


# An owner that has given up a right, and an index by a function that reads a table.
CHANGED = """
    REVOKE INSERT ON audit_log FROM CURRENT_USER;
    CREATE TABLE words (code integer PRIMARY KEY, word text);
    INSERT INTO words SELECT number, 'word ' || number FROM generate_series(1, 500) AS number;
    CREATE TABLE lines (id integer PRIMARY KEY, code integer, filling text);
    INSERT INTO lines SELECT number, number % 500 + 1, repeat('x', 200)
        FROM generate_series(1, 20000) AS number;
    CREATE FUNCTION word_of(wanted integer) RETURNS text LANGUAGE sql IMMUTABLE
        AS 'SELECT word FROM public.words WHERE code = wanted';
    CREATE INDEX by_word ON lines (word_of(code));
    CREATE INDEX by_both ON lines (code, id) WHERE id > 10;
"""
BY_WORD = "SELECT count(*) FROM lines WHERE word_of(code) = 'word 7'"
MAY = "SELECT has_table_privilege('audit_log', 'INSERT'), has_table_privilege('audit_log', 'SELECT')"


def execute(credentials: Credentials, *statements: str) -> list[tuple]:
    with closing(postgres.connect(credentials)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def changed(sample_machine: SampleMachine, tmp_path: Path) -> Target:
    """A target for an engine whose tables need each other: the same server, with empty databases."""
    logins = {name: sample_machine.sample.credentials[name] for name in DATABASES}
    execute(logins["engine"], CHANGED)
    archive = tmp_path / "engine.backup"
    words = [f"--root={sample_machine.root}", f"--log={tmp_path}/log", f"--file={archive}", "--fast-backup"]
    with frames_of(1):
        Machine(tmp_path / "site").command("--mode=backup", *words).check()
    with closing(sample_machine.server.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for credentials in logins.values():
            cursor.execute(f'DROP DATABASE "{credentials.database}"')
    for credentials in logins.values():
        sample_machine.server.create_database(credentials.database, credentials.user)
    target = target_machine(tmp_path / "machine", logins, archive)
    shutil.copy2(archive, target.machine.archive)
    return target


def test_what_needs_other_tables_comes_when_they_have_their_rows(changed: Target):
    words = [w for w in changed.words(*jobs(2), "--restore-permissions") if w != "--no-restore-permissions"]
    changed.machine.command(*words).check()
    assert "parts, 2 jobs, with permissions" in changed.machine.log.read_text()
    credentials = changed.logins["engine"]
    for unwanted in ("seqscan", "indexscan = off; SET enable_bitmapscan"):
        assert execute(credentials, f"SET enable_{unwanted} = off", BY_WORD) == [(40,)]
    assert execute(credentials, MAY, "SELECT count(*) > 0 FROM audit_log") == [(True,)]
    assert execute(credentials, MAY) == [(False, True)]


def saved_in_parts(source: SampleMachine, directory: Path) -> tuple[Machine, dict[str, Credentials]]:
    """Back up DWH's database; return a machine with that archive, and an empty database for it."""
    machine = Machine(directory / "site")
    machine.install()
    words = [f"--root={source.root}", f"--log={directory}/log", f"--file={machine.archive}", "--scope=dwhdb"]
    with frames_of(1):
        machine.command("--mode=backup", "--fast-backup", *words).check()
    return machine, {"dwh": login(source.server, "odd", "odd")}


def dwh_words(logins: dict[str, Credentials], directory: Path) -> list[str]:
    options = ["--no-restore-permissions", "--dwh-db-restore-jobs=2", "--product-version=4.5.7"]
    return [*change_options(logins, directory), "--scope=dwhdb", *options]


def test_parts_may_not_expand_to_more_than_a_whole_dump_may(
    sample_machine: SampleMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each of two tables has less than is refused, and both have more."""
    rows = "SELECT repeat('x', 1000) AS filling FROM generate_series(1, 3000)"
    execute(sample_machine.sample.credentials["dwh"], *(f"CREATE TABLE large_{n} AS {rows}" for n in (1, 2)))
    machine, logins = saved_in_parts(sample_machine, tmp_path)
    monkeypatch.setattr(archive_reader, "ReadLimits", partial(ReadLimits, 4_000_000, 1))
    result = machine.engine_backup("restore", *dwh_words(logins, tmp_path))
    assert_failed(
        result, ExitStatus.HOSTILE_ARCHIVE, "db/dwh_backup.db expands to more than", "pack it again"
    )
    assert "All that was changed has been undone." in result.stdout
    assert fingerprint_databases(logins)["dwh"].tables == {}


def test_names_that_hold_ends_of_lines(sample_machine: SampleMachine, tmp_path: Path):
    """What pg_restore lists on one line is one entry."""
    name = "a\x0b9; 0 0 EXTENSION - evil\u2028b"
    execute(sample_machine.sample.credentials["dwh"], f'CREATE TABLE "{name}" AS SELECT 1 AS id')
    machine, logins = saved_in_parts(sample_machine, tmp_path)
    machine.engine_backup("restore", *dwh_words(logins, tmp_path)).check()
    assert " parts, 2 jobs, " in machine.log.read_text()
    assert execute(logins["dwh"], f'SELECT * FROM "{name}"') == [(1,)]


def running(place: Path) -> list[str]:
    pids = [path.name.split("-")[1] for path in place.glob("pid-*")]
    assert pids
    return [pid for pid in pids if Path("/proc", pid).exists()] + [p.name for p in place.glob("survived-*")]


@pytest.mark.parametrize("entries", ["before", "after", "part"])
def test_a_program_that_fails_ends_all_others(
    entries: str, target: Target, original: Original, tmp_path: Path
):
    chosen = "is_part()" if entries == "part" else f'entries.endswith(".{entries}.list")'
    script = f"""
if {chosen} and entries.startswith("dwh."):
    print("pg_restore: error: out of paper", file=sys.stderr)
    sys.exit(1)
become_real()
"""
    bindir, programs = programs_of(target, original, script, tmp_path)
    result = target.restore(*jobs(2), programs)
    hint = "; with --dwh-db-restore-jobs=1 all is loaded in the dump's own order"
    assert_failed(result, ExitStatus.FAILURE, "_dwh: pg_restore failed with exit status 1: pg_restore:", hint)
    assert "All that was changed has been undone." in result.stdout
    assert running(bindir) == []
    target.assert_untouched()


@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.thorough)])
def test_a_signal_ends_all_parts(name: str, target: Target, original: Original, tmp_path: Path):
    script = "if is_part():\n    hang()\nbecome_real()\n"
    bindir, programs = programs_of(target, original, script, tmp_path)
    target.assert_stops(name, [*jobs(2), programs], lambda: len(list(bindir.glob("hangs-*"))) >= 2)
    assert running(bindir) == []


def test_a_drill_loads_it_too(divided: Path):
    with drill_site() as site:
        shutil.copy2(divided, site.archive)
        status, document = site.document()
        assert (status, red(document)) == (ExitStatus.SUCCESS, {})
        assert " parts, " in site.log.read_text()


def in_other_frames(content: bytes, cut: int) -> bytes:
    """Pack a dump anew, in two frames that begin where no rows begin."""
    unpacked = compression.open_reader(io.BytesIO(content), "zstd", "dump").read()
    sink = io.BytesIO()
    with compression.open_writer(sink, "zstd") as writer:
        writer.write(unpacked[:cut])
        writer.begin_frame()
        writer.write(unpacked[cut:])
    return sink.getvalue()


@pytest.mark.parametrize("cut", [5, pytest.param(3000, marks=pytest.mark.thorough), -40])
def test_frames_of_others_are_no_parts(
    cut: int, target: Target, divided: Path, original: Original, tmp_path: Path
):
    """Whatever has packed a dump: it is loaded as a whole where frames don't begin with rows."""
    members = [BY_NAME[name].member for name in DATABASES]
    changes = {member: lambda content: in_other_frames(content, cut) for member in members}
    rewrite(divided, tmp_path / "other.backup", changes).replace(target.machine.archive)
    with open_archive(target.machine.archive, tmp_path) as archive:
        for member in archive.dumps.values():
            if member.compressor == "zstd":
                assert len(zstd_frames.find(archive.open_member(member.member), member.size)) == 3
                assert divided_dump.observe(archive, member) is None
    target.restore("--keep-temporary-data").check()
    assert tables_of(target) == {name: found.tables for name, found in original.databases.items()}
