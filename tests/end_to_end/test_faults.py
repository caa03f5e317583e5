"""Things die in the middle: the run ends with a clear word, and nothing of it is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import ExitStatus
from engine_backup.model.secret import Secret
from tests.support import real_process
from tests.support.failures import (
    DATABASES,
    BackupSite,
    Engine,
    Target,
    assert_failed,
    assert_refused,
    backup_site,
    target_logins,
    target_machine,
)
from tests.support.machine import Result
from tests.support.sample import Original
from tests.support.sample_machines import SampleMachine, SampleTemplate
from tests.support.small_disk import available, on_disk_of_few_files, on_small_disk
from tests.support.wrapped_programs import WAIT, wrapped, write_program

FAILURE, REFUSED = ExitStatus.FAILURE, ExitStatus.REFUSED
SCOPES = ("db", "dwhdb", "files", "grafanadb", "keycloak", "managedblock")
EVENTS = "SELECT scope, is_passed FROM engine_backup_log ORDER BY scope"
ALERTS = "SELECT log_type, count(*) FROM audit_log WHERE log_type BETWEEN 9024 AND 9026 GROUP BY 1 ORDER BY 1"
STARTED, COMPLETED, FAILED = 9024, 9025, 9026
needs_small_disk = pytest.mark.skipif(not available(), reason="no private mount namespaces here")


@pytest.fixture(scope="module")
def breakable(
    sample_template: SampleTemplate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SampleMachine]:
    """An engine whose server tests may kill, as long as they start it again."""
    with sample_template.machine(tmp_path_factory.mktemp("breakable") / "root") as machine:
        yield machine


@pytest.fixture(scope="module")
def observed_breakable(breakable: SampleMachine) -> Engine:
    """The breakable engine as it is, and is again after each test."""
    return Engine.observed(breakable.root, breakable.sample.credentials)


@pytest.fixture
def own_site(breakable: SampleMachine, observed_breakable: Engine, tmp_path: Path) -> BackupSite:
    """A place for backups of the breakable engine, which has no events yet."""
    ask(
        breakable, "DELETE FROM engine_backup_log; DELETE FROM audit_log WHERE log_type BETWEEN 9024 AND 9026"
    )
    return backup_site(observed_breakable, tmp_path / "site")


def ask(machine: SampleMachine, statement: str) -> list[tuple[object, ...]]:
    """Run SQL in the engine's database as its superuser."""
    database = machine.sample.credentials["engine"].database
    with closing(machine.server.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        connection.commit()
        return list(cursor.fetchall()) if cursor.description else []


def failed_events(scopes: tuple[str, ...] = SCOPES) -> tuple[list[tuple[object, ...]], ...]:
    """What the engine knows of a backup that began and failed."""
    return [(scope, False) for scope in scopes], [(STARTED, len(scopes)), (FAILED, len(scopes))]


# The database server


def test_the_server_is_down(breakable: SampleMachine, own_site: BackupSite):
    breakable.server.stop()
    try:
        one = own_site.back_up("--scope=db", "--scope=files")
        assert_failed(one, REFUSED, "Can't connect to database 'engine'", "check user, password and server")
        every = own_site.back_up()
        assert_refused(every, "Can't connect to database 'ovirt_engine_keycloak'", "check user")
        assert len(every.fatal) == len(DATABASES)
        own_site.assert_nothing_left()
    finally:
        breakable.server.restart()
    own_site.engine.assert_untouched()
    assert ask(breakable, EVENTS) == []


def test_a_wrong_password(breakable: SampleMachine, own_site: BackupSite):
    ask(breakable, "ALTER ROLE ovirt_engine_keycloak PASSWORD 'another one'")
    try:
        result = own_site.back_up()
    finally:
        password = breakable.sample.credentials["keycloak"].password.reveal()
        with closing(breakable.server.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("ALTER ROLE ovirt_engine_keycloak PASSWORD %s", (password,))
            connection.commit()
    assert_failed(result, REFUSED, "password authentication failed", "12-setup-keycloak.conf")
    assert password not in result.stderr
    own_site.assert_nothing_left()
    own_site.engine.assert_untouched()


def test_a_wrong_password_to_restore_with(target: Target):
    wrong = replace(target.logins["dwh"], password=Secret("not this one"))
    result = replace(target, logins={**target.logins, "dwh": wrong}).restore()
    assert_failed(result, REFUSED, "Can't connect to database 'target_dwh'", "--change-dwh-db-credentials")
    assert "not this one" not in result.stderr
    target.assert_untouched()


KILL_SERVER = """
if not names("ovirt_engine_history") and not names("target_dwh") and not names("fallen_dwh"):
    become_real()
child = subprocess.Popen([REAL, *sys.argv[1:]], stdout=subprocess.PIPE)
sys.stdout.buffer.write(child.stdout.read(4096))
os.kill(SERVER, signal.SIGKILL)
sys.stdout.buffer.write(child.stdout.read())
sys.exit(child.wait())
"""


def test_the_server_dies_during_a_dump(breakable: SampleMachine, own_site: BackupSite, tmp_path: Path):
    script = f"SERVER = {breakable.server.pid}\n{KILL_SERVER}"
    bindir = wrapped(tmp_path / "bin", breakable.server.programs, pg_dump=script)
    try:
        result = own_site.back_up(f"--pg-bindir={bindir}")
    finally:
        breakable.server.restart()
    # Sessions may outlive the postmaster for a moment: a dump more may still be whole.
    assert_failed(result, FAILURE, "backup failed: pg_dump failed", "server's own log")
    assert "Warning: the engine was not notified" in result.stderr
    own_site.assert_nothing_left()
    own_site.engine.assert_untouched()


def test_the_server_dies_between_dumps(breakable: SampleMachine, own_site: BackupSite, tmp_path: Path):
    """After the first dump the snapshot of the second one is gone."""
    script = f"""
status = subprocess.run([REAL, *sys.argv[1:]]).returncode
os.kill({breakable.server.pid}, signal.SIGKILL)
sys.exit(status)
"""
    bindir = wrapped(tmp_path / "bin", breakable.server.programs, pg_dump=script)
    try:
        result = own_site.back_up(f"--pg-bindir={bindir}")
    finally:
        breakable.server.restart()
    assert_failed(result, FAILURE, "backup failed", "server's own log")
    own_site.assert_nothing_left()
    own_site.engine.assert_untouched()


def test_the_server_dies_after_the_last_dump(breakable: SampleMachine, own_site: BackupSite, tmp_path: Path):
    script = f"""
status = subprocess.run([REAL, *sys.argv[1:]]).returncode
(PLACE / f"ended-{{os.getpid()}}").touch()
if len(list(PLACE.glob("ended-*"))) == {len(DATABASES)}:
    os.kill({breakable.server.pid}, signal.SIGKILL)
sys.exit(status)
"""
    bindir = wrapped(tmp_path / "bin", breakable.server.programs, pg_dump=script)
    try:
        result = own_site.back_up(f"--pg-bindir={bindir}", "--jobs=1")
    finally:
        breakable.server.restart()
    assert_failed(result, FAILURE, "the snapshot of database", "database server's log")
    own_site.assert_nothing_left()


def test_somebody_ends_the_snapshot(breakable: SampleMachine, own_site: BackupSite, tmp_path: Path):
    server = breakable.server
    script = f"""
status = subprocess.run([REAL, *sys.argv[1:]]).returncode
if names("ovirt_engine_history"):
    import psycopg2
    connection = psycopg2.connect(host={server.host!r}, port={server.port}, user={server.superuser!r},
                                  password={server.superuser_password.reveal()!r}, dbname="postgres")
    connection.cursor().execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                " WHERE application_name = 'engine-backup' AND datname LIKE '%history'")
sys.exit(status)
"""
    bindir = wrapped(tmp_path / "bin", server.programs, pg_dump=script)
    result = own_site.back_up(f"--pg-bindir={bindir}")
    assert_failed(result, FAILURE, "the snapshot of database 'ovirt_engine_history' was lost", "server's log")
    own_site.assert_nothing_left()
    own_site.engine.assert_untouched()
    assert (ask(breakable, EVENTS), ask(breakable, ALERTS)) == failed_events()


def test_the_server_dies_during_a_restore(breakable: SampleMachine, own_site: BackupSite, tmp_path: Path):
    """What was loaded cannot be taken back yet: the third honest end, until the server is there again."""
    own_site.back_up("--scope=db", "--scope=dwhdb", "--scope=files").check()
    logins = {
        name: login
        for name, login in target_logins(breakable.server, "fallen").items()
        if name in ("engine", "dwh")
    }
    target = target_machine(tmp_path / "target", logins, own_site.machine.archive)
    script = f"""
if names("fallen_dwh"):
    os.kill({breakable.server.pid}, signal.SIGKILL)
become_real()
"""
    bindir = wrapped(tmp_path / "bin", breakable.server.programs, pg_restore=script)
    try:
        result = target.restore(f"--pg-bindir={bindir}")
    finally:
        breakable.server.restart()
    message = "undoing was incomplete: emptying the DWH database"
    assert_failed(result, ExitStatus.INCOMPLETE_CHANGE, message, "engine-backup rollback")
    assert "emptying the Engine database 'fallen_engine'" in result.fatal[0]
    target.roll_back().check()
    target.assert_untouched()


# PostgreSQL's programs

DUMP_FAULTS = {
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "pg_dump was ended by signal 9"),
    "killed at its beginning": ("", "pg_dump was ended by signal 11"),
    "failing": (
        "print('pg_dump: error: out of paper', file=sys.stderr); sys.exit(1)",
        "status 1: pg_dump: error: out",
    ),
    "failing after all was written": (
        "sys.stdout.buffer.write(child.stdout.read()); sys.stdout.flush(); sys.exit(7)",
        "pg_dump failed with exit status 7",
    ),
}


@pytest.mark.parametrize(("fault", "message"), DUMP_FAULTS.values(), ids=DUMP_FAULTS)
def test_a_dump_that_fails(
    fault: str, message: str, breakable: SampleMachine, own_site: BackupSite, tmp_path: Path
):
    script = f"""
if not names("dbname=ovirt_engine_history"):
    become_real()
if not {bool(fault)}:
    os.kill(os.getpid(), signal.SIGSEGV)
child = subprocess.Popen([REAL, *sys.argv[1:]], stdout=subprocess.PIPE)
sys.stdout.buffer.write(child.stdout.read(100_000))
sys.stdout.flush()
{fault}
"""
    bindir = wrapped(tmp_path / "bin", breakable.server.programs, pg_dump=script)
    result = own_site.back_up(f"--pg-bindir={bindir}")
    assert_failed(result, FAILURE, "Database ovirt_engine_history backup failed: ", "server's own log")
    assert message in result.fatal[0]
    own_site.assert_nothing_left()
    own_site.engine.assert_untouched()
    assert (ask(breakable, EVENTS), ask(breakable, ALERTS)) == failed_events()


RESTORE_FAULTS = {
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "pg_restore was ended by signal 9"),
    "failing": (
        "print('pg_restore: error: no', file=sys.stderr); sys.exit(1)",
        "pg_restore failed with exit status 1",
    ),
    "failing after all was loaded": (
        "child.stdin.write(sys.stdin.buffer.read()); child.stdin.close(); child.wait(); sys.exit(7)",
        "pg_restore failed with exit status 7",
    ),
}


@pytest.mark.parametrize(("fault", "message"), RESTORE_FAULTS.values(), ids=RESTORE_FAULTS)
def test_a_load_that_fails(fault: str, message: str, target: Target, original: Original, tmp_path: Path):
    """The engine's database is loaded by then, and emptied again."""
    script = f"""
if not names("dbname=target_dwh"):
    become_real()
child = subprocess.Popen([REAL, *sys.argv[1:]], stdin=subprocess.PIPE)
child.stdin.write(sys.stdin.buffer.read(300_000))
child.stdin.flush()
{fault}
"""
    bindir = wrapped(tmp_path / "bin", original.server.programs, pg_restore=script)
    result = target.restore(f"--pg-bindir={bindir}")
    assert_failed(result, FAILURE, "Errors while restoring database target_dwh: ", str(target.machine.log))
    assert message in result.fatal[0]
    assert "All that was changed has been undone." in result.stdout
    target.assert_untouched()


def test_a_load_that_finds_something_there(target: Target, original: Original, tmp_path: Path):
    """Somebody fills the database after it was found empty: the conflict ends the load."""
    login = target.logins["dwh"]
    script = f"""
if names("dbname=target_dwh"):
    import psycopg2
    connection = psycopg2.connect(host={login.host!r}, port={login.port}, user={login.user!r},
                                  password={login.password.reveal()!r}, dbname={login.database!r})
    connection.cursor().execute("CREATE TABLE vm_samples_history (a integer)")
    connection.commit()
become_real()
"""
    bindir = wrapped(tmp_path / "bin", original.server.programs, pg_restore=script)
    result = target.restore(f"--pg-bindir={bindir}")
    assert_failed(result, FAILURE, 'relation "vm_samples_history" already exists', str(target.machine.log))
    target.assert_untouched()


def test_a_fix_that_the_loaded_database_refuses(target: Target, original: Original, tmp_path: Path):
    """The engine's corrections are one transaction after its load; their failure is told like any other."""
    login = target.logins["engine"]
    script = f"""
status = subprocess.run([REAL, *sys.argv[1:]]).returncode
if names("dbname=target_engine"):
    import psycopg2
    connection = psycopg2.connect(host={login.host!r}, port={login.port}, user={login.user!r},
                                  password={login.password.reveal()!r}, dbname={login.database!r})
    connection.cursor().execute("ALTER TABLE vdc_options ADD CHECK (option_name <> 'DbJustRestored')")
    connection.commit()
sys.exit(status)
"""
    bindir = wrapped(tmp_path / "bin", original.server.programs, pg_restore=script)
    result = target.restore(f"--pg-bindir={bindir}")
    assert_failed(result, FAILURE, "database 'target_engine' at ", "database server's log")
    assert "violates check constraint" in result.fatal[0]
    target.assert_untouched()


def test_a_database_that_is_not_empty(target: Target, original: Original):
    login = target.logins["keycloak"]
    with closing(original.server.connect(login.database, login.user, login.password)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE mine (a integer)")
            try:
                result = target.restore()
                cursor.execute("SELECT count(*) FROM mine")
            finally:
                cursor.execute("DROP TABLE mine")
    assert_failed(
        result, REFUSED, "Database 'target_keycloak' is not empty: it has 1 objects", "engine-cleanup"
    )
    target.assert_untouched()


def test_a_sqlite_database_that_is_none(own_site: BackupSite, breakable: SampleMachine):
    grafana = breakable.root / "var/lib/grafana/grafana.db"
    kept = grafana.with_name("kept")
    times = grafana.parent.stat()
    grafana.rename(kept)
    grafana.write_bytes(b"no database" * 1000)
    try:
        result = own_site.back_up()
    finally:
        kept.rename(grafana)
        os.utime(grafana.parent, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert_failed(result, FAILURE, "grafana.db with sqlite3: file is not a database", "check the file")
    own_site.assert_nothing_left()
    assert (ask(breakable, EVENTS), ask(breakable, ALERTS)) == failed_events()


# The engine's own events


def test_an_engine_that_cannot_be_told(breakable: SampleMachine, own_site: BackupSite):
    """Contract K5: a backup is worth more than the note about it."""
    ask(breakable, "ALTER FUNCTION logenginebackupevent RENAME TO gone")
    try:
        result = own_site.back_up().check()
    finally:
        ask(breakable, "ALTER FUNCTION gone RENAME TO logenginebackupevent")
    assert "Warning: the engine was not notified of db" in result.stderr
    assert "does not exist" in result.stderr
    assert "Done." in result.stdout
    assert own_site.machine.engine_backup("verify", "--product-version=4.5.7").check()
    assert own_site.machine.leftovers() == []
    assert ask(breakable, EVENTS) == []


def test_an_engine_that_knows_of_a_whole_backup(breakable: SampleMachine, own_site: BackupSite):
    own_site.back_up().check()
    assert ask(breakable, EVENTS) == [(scope, True) for scope in SCOPES]
    assert ask(breakable, ALERTS) == [(STARTED, len(SCOPES)), (COMPLETED, len(SCOPES))]


# Disks


@needs_small_disk
@pytest.mark.parametrize("kilobytes", [1, 40])
def test_no_space_for_the_archive(
    kilobytes: int, breakable: SampleMachine, own_site: BackupSite, tmp_path: Path
):
    """Databases that cannot fit are no surprise: nothing begins."""
    place, report = tmp_path / "full", tmp_path / "report"
    place.mkdir()
    before = on_small_disk(place, kilobytes, report)
    result = real_process.run(own_site.words(f"--file={place}/a.backup"), before)
    assert_failed(result, REFUSED, f"not enough space on the file system of {place}", "make room there")
    assert report.read_text() == ""
    own_site.assert_nothing_left()
    own_site.engine.assert_untouched()
    assert (ask(breakable, EVENTS), ask(breakable, ALERTS)) == ([], [])


@needs_small_disk
@pytest.mark.parametrize("kilobytes", [4, 40, 1000])
def test_the_disk_of_the_archive_fills_up(
    kilobytes: int, breakable: SampleMachine, own_site: BackupSite, tmp_path: Path
):
    """How large files are nobody knows before; these do not get smaller."""
    place, report = tmp_path / "full", tmp_path / "report"
    place.mkdir()
    large = own_site.engine.root / "srv/large"
    large.parent.mkdir()
    large.write_bytes(os.urandom(3 << 20))
    words = ("--scope=files", "--include-path=/srv/large", f"--file={place}/a.backup")
    try:
        result = real_process.run(own_site.words(*words), on_small_disk(place, kilobytes, report))
    finally:
        shutil.rmtree(large.parent)
    assert_failed(result, FAILURE, f"no space left on the file system of {place}", "make room there")
    assert report.read_text() == ""
    own_site.assert_nothing_left()
    own_site.engine.assert_untouched()
    assert (ask(breakable, EVENTS), ask(breakable, ALERTS)) == failed_events(("files",))


@needs_small_disk
@pytest.mark.parametrize("kilobytes", [4, 8])
def test_no_temporary_space_for_a_backup(kilobytes: int, own_site: BackupSite, tmp_path: Path):
    report = tmp_path / "report"
    before = on_small_disk(own_site.machine.temporary, kilobytes, report)
    result = real_process.run(own_site.words(), before)
    assert_failed(result, REFUSED, "MiB needed for a copy of Grafana's database", "--tmpdir")
    assert report.read_text() == ""
    own_site.assert_nothing_left()
    own_site.engine.assert_untouched()


@needs_small_disk
@pytest.mark.parametrize("kilobytes", [4, 8])
@pytest.mark.parametrize("mode", ["restore", "verify"])
def test_no_temporary_space_to_read_with(kilobytes: int, mode: str, target: Target, tmp_path: Path):
    report = tmp_path / "report"
    before = on_small_disk(target.machine.temporary, kilobytes, report)
    words = target.words() if mode == "restore" else target.machine.words("verify", "--product-version=4.5.7")
    result = real_process.run(words, before)
    assert_failed(result, FAILURE, str(target.machine.temporary), "--tmpdir")
    assert report.read_text() == ""
    target.assert_untouched()


@needs_small_disk
@pytest.mark.parametrize("place", ["var/lib/ovirt-engine-backup", "var/lib/grafana"])
def test_too_little_space_for_restored_files_is_seen_before(place: str, target: Target, tmp_path: Path):
    before = on_small_disk(target.machine.root / place, 4, tmp_path / "report")
    result = real_process.run(target.words(), before)
    assert_failed(result, REFUSED, "needed for restored files, 0 MiB free", "make room there")
    assert (tmp_path / "report").read_text() == ""
    target.assert_untouched()


@needs_small_disk
@pytest.mark.parametrize("files", [8, 60])
def test_no_space_for_restored_files(files: int, target: Target, tmp_path: Path):
    place = target.machine.root / "var/lib/ovirt-engine-backup"
    before = on_disk_of_few_files(place, files, tmp_path / "report")
    result = real_process.run(target.words(), before)
    assert_failed(result, FAILURE, "No space left on device", "make room on that file system")
    assert (tmp_path / "report").read_text() == ""
    target.assert_untouched()


@needs_small_disk
def test_no_space_where_files_go(target: Target, tmp_path: Path):
    """By then the databases are loaded; they are emptied again."""
    place = target.machine.root / "var/lib/grafana"
    before = on_disk_of_few_files(place, 3, tmp_path / "report")
    result = real_process.run(target.words(), before)
    assert_failed(result, FAILURE, "No space left on device", "make room on that file system")
    assert (tmp_path / "report").read_text() == ""
    target.assert_untouched()


def test_a_limit_on_the_size_of_files(breakable: SampleMachine, own_site: BackupSite):
    """Where no small disk can be had, the shell's limit stops the archive at 50 KiB."""
    result = real_process.run(own_site.words(), ["sh", "-c", 'ulimit -f 100; exec "$@"', "limited"])
    assert_failed(result, FAILURE, "File too large", "")
    own_site.assert_nothing_left()
    own_site.engine.assert_untouched()
    assert (ask(breakable, EVENTS), ask(breakable, ALERTS)) == failed_events()


def test_a_log_that_cannot_be_written(site: BackupSite, target: Target):
    """A full disk under the log is no reason to stop."""
    result = site.back_up("--log=/dev/full").check()
    assert "cannot write to the log /dev/full: No space left on device" in result.stderr


# Signals


def signalled(number: int, words: list[str], place: Path) -> Result:
    """Start the command, wait until its wrapped program is reached, send a signal, and see it end."""
    process = real_process.start(words)
    await_file(place / "reached", process)
    process.send_signal(number)
    return real_process.result(process)


def await_file(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        if process.poll() is not None:
            raise AssertionError(f"ended before {path.name}: {process.communicate()}")
        time.sleep(0.01)


def is_alive(place: Path) -> bool:
    """Say whether the wrapped program still runs; one that only waits to be reaped does not."""
    try:
        status = Path("/proc", (place / "pid").read_text(), "stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


DUMP_AND_WAIT = (
    WAIT
    + """
if not names("dbname=ovirt_engine_history"):
    become_real()
child = subprocess.Popen([REAL, *sys.argv[1:]], stdout=subprocess.PIPE)
sys.stdout.buffer.write(child.stdout.read(100_000))
sys.stdout.flush()
wait()
"""
)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_during_a_backup(name: str, breakable: SampleMachine, own_site: BackupSite, tmp_path: Path):
    bindir = wrapped(tmp_path / "bin", breakable.server.programs, pg_dump=DUMP_AND_WAIT)
    result = signalled(signal.Signals[name], own_site.words(f"--pg-bindir={bindir}"), bindir)
    assert_failed(result, ExitStatus.INTERRUPTED, f"stopped by {name}", "start it again")
    assert not is_alive(bindir)
    own_site.assert_nothing_left()
    own_site.engine.assert_untouched()
    assert (ask(breakable, EVENTS), ask(breakable, ALERTS)) == failed_events()
    log = own_site.machine.log.read_text()
    assert f"FATAL: stopped by {name}" in log


LOAD_AND_WAIT = (
    WAIT
    + """
if not names("dbname=target_dwh"):
    become_real()
child = subprocess.Popen([REAL, *sys.argv[1:]], stdin=subprocess.PIPE)
child.stdin.write(sys.stdin.buffer.read(300_000))
child.stdin.flush()
wait()
"""
)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_during_a_restore(name: str, target: Target, original: Original, tmp_path: Path):
    bindir = wrapped(tmp_path / "bin", original.server.programs, pg_restore=LOAD_AND_WAIT)
    result = signalled(signal.Signals[name], target.words(f"--pg-bindir={bindir}"), bindir)
    assert_failed(result, ExitStatus.INTERRUPTED, f"stopped by {name}", "start it again")
    assert "All that was changed has been undone." in result.stdout
    assert not is_alive(bindir)
    target.assert_untouched()


SLOW_TO_STOP = """
def stop(number, frame):
    (PLACE / "stopping").touch()
    while not (PLACE / "go").exists():
        time.sleep(0.01)
    os._exit(1)


signal.signal(signal.SIGINT, stop)
"""


def test_a_second_signal_while_the_first_is_obeyed(target: Target, original: Original, tmp_path: Path):
    """Impatience ends a restore at once; what was changed can be taken back from its journal."""
    bindir = wrapped(tmp_path / "bin", original.server.programs, pg_restore=SLOW_TO_STOP + LOAD_AND_WAIT)
    process = real_process.start(target.words(f"--pg-bindir={bindir}"))
    await_file(bindir / "reached", process)
    process.send_signal(signal.SIGTERM)
    await_file(bindir / "stopping", process)
    process.send_signal(signal.SIGINT)
    result = real_process.result(process)
    assert_failed(result, ExitStatus.INCOMPLETE_CHANGE, "stopped at once by SIGINT", "engine-backup rollback")
    assert "FATAL: stopped at once by SIGINT" in target.machine.log.read_text()
    target.roll_back().check()
    assert not is_alive(bindir)
    target.assert_untouched()


def test_a_lost_terminal_that_tells_twice_is_no_impatience(
    target: Target, original: Original, tmp_path: Path
):
    bindir = wrapped(tmp_path / "bin", original.server.programs, pg_restore=SLOW_TO_STOP + LOAD_AND_WAIT)
    process = real_process.start(target.words(f"--pg-bindir={bindir}"))
    await_file(bindir / "reached", process)
    process.send_signal(signal.SIGHUP)
    await_file(bindir / "stopping", process)
    process.send_signal(signal.SIGHUP)
    (bindir / "go").touch()
    result = real_process.result(process)
    assert_failed(result, ExitStatus.INTERRUPTED, "stopped by SIGHUP", "start it again")
    target.assert_untouched()


def test_a_signal_while_a_failed_restore_is_undone(target: Target, original: Original, tmp_path: Path):
    """Undoing waits for a table that somebody reads; a signal meanwhile does not end it."""
    login = target.logins["engine"]
    script = (
        WAIT
        + """
if names("dbname=target_dwh"):
    while not (PLACE / "loaded").exists():
        time.sleep(0.01)
    wait()
    sys.exit(1)
if not names("dbname=target_engine"):
    become_real()
status = subprocess.run([REAL, *sys.argv[1:]]).returncode
(PLACE / "loaded").touch()
sys.exit(status)
"""
    )
    bindir = wrapped(tmp_path / "bin", original.server.programs, pg_restore=script)
    process = real_process.start(target.words(f"--pg-bindir={bindir}"))
    await_file(bindir / "reached", process)
    with closing(original.server.connect(login.database)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM vm_static")
        (bindir / "go").touch()
        while not waits_for_lock(original.server):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
    result = real_process.result(process)
    assert_failed(result, FAILURE, "Errors while restoring database target_dwh", "")
    assert "All that was changed has been undone." in result.stdout
    target.assert_untouched()


def waits_for_lock(server: ScratchServer) -> bool:
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = 'target_engine'"
        )
        (count,) = cursor.fetchone()
        return bool(count)


def test_a_signal_while_files_are_saved(
    breakable: SampleMachine, own_site: BackupSite, tmp_path: Path, monkeypatch
):
    """A tar that hangs, found by PATH, is ended like all others."""
    bindir = wrapped(tmp_path / "bin", breakable.server.programs)
    write_program(bindir / "tar", str(shutil.which("tar")), WAIT + "wait()\n")
    monkeypatch.setenv("PATH", f"{bindir}:{os.environ['PATH']}")
    result = signalled(signal.SIGTERM, own_site.words(), bindir)
    assert_failed(result, ExitStatus.INTERRUPTED, "stopped by SIGTERM", "start it again")
    assert not is_alive(bindir)
    own_site.assert_nothing_left()
    assert (ask(breakable, EVENTS), ask(breakable, ALERTS)) == failed_events()


def test_a_backup_that_was_killed_is_taken_over(
    breakable: SampleMachine, own_site: BackupSite, tmp_path: Path
):
    """Nobody can clean up after kill -9; the next backup does."""
    bindir = wrapped(tmp_path / "bin", breakable.server.programs, pg_dump=DUMP_AND_WAIT)
    older = own_site.machine.archive.read_bytes()
    result = signalled(signal.SIGKILL, own_site.words(f"--pg-bindir={bindir}"), bindir)
    (bindir / "go").touch()
    assert result.status == -signal.SIGKILL
    assert own_site.machine.archive.read_bytes() == older
    assert own_site.machine.archive.with_name("engine.backup.partial").exists()
    own_site.back_up().check()
    assert not own_site.machine.archive.with_name("engine.backup.partial").exists()
    own_site.machine.engine_backup("verify", "--product-version=4.5.7").check()


def test_two_backups_into_one_file(breakable: SampleMachine, own_site: BackupSite, tmp_path: Path):
    bindir = wrapped(tmp_path / "bin", breakable.server.programs, pg_dump=DUMP_AND_WAIT)
    first = real_process.start(own_site.words(f"--pg-bindir={bindir}"))
    await_file(bindir / "reached", first)
    second = own_site.back_up()
    assert_failed(second, FAILURE, "another backup is writing", "wait until it is done")
    first.send_signal(signal.SIGTERM)
    assert real_process.result(first).status == ExitStatus.INTERRUPTED
    own_site.assert_nothing_left()
