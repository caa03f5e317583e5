"""Restores that are killed, or whose old state is kept: the journal, `rollback` and `commit`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from engine_backup.drivers import postgres_programs, server_files
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import EngineBackupError, ExitStatus
from engine_backup.model.journal import SERVER
from engine_backup.model.ways_back import PutServerFileBack, StartUnit
from engine_backup.run.administrator_access import ACCESS_FILE
from engine_backup.run.changing import new_head
from engine_backup.run.journal_content import COMMITTED
from engine_backup.run.journals import begin, held, observe, take_up
from engine_backup.sample import engine
from engine_backup.sample.compare import fingerprint_databases
from engine_backup.sample.engine import SampleEngine
from engine_backup.sample.size import TINY
from tests.support import real_process
from tests.support.clean_machine import clean_machine
from tests.support.failures import assert_failed, assert_refused
from tests.support.machine import Machine, Result
from tests.support.machine_state import query, state_of
from tests.support.wrapped_programs import WAIT, wrapped

CALL = ("--provision-all-databases", "--restore-permissions")
REPLACING = (*CALL, "--on-existing=replace", "--yes")
LOAD_AND_WAIT = (
    WAIT
    + """
if not names("dbname=ovirt_engine_history"):
    become_real()
wait()
become_real()
"""
)


@pytest.fixture(scope="module")
def gone(tmp_path_factory: pytest.TempPathFactory) -> tuple[SampleEngine, Path]:
    """An engine that is no more, and its backup."""
    machine = Machine(tmp_path_factory.mktemp("gone"))
    with ScratchServer.start() as server:
        sample = engine.build(machine.root, server, TINY)
        machine.engine_backup("backup").check()
        return sample, machine.archive


@pytest.fixture
def machine(gone: tuple[SampleEngine, Path]) -> Iterator[Machine]:
    sample, archive = gone
    with clean_machine(sample.credentials["engine"].port) as found:
        shutil.copy2(archive, found.archive)
        yield found


@pytest.fixture
def bindir(tmp_path: Path) -> Path:
    """PostgreSQL's programs; pg_restore waits before it loads the history."""
    return wrapped(tmp_path / "bin", postgres_programs.for_server(), pg_restore=LOAD_AND_WAIT)


def killed(machine: Machine, bindir: Path, *words: str) -> Result:
    """Start a restore, and kill it while it loads."""
    process = real_process.start(machine.words("restore", f"--pg-bindir={bindir}", *(words or CALL)))
    deadline = time.monotonic() + 120
    while not (bindir / "reached").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    return real_process.result(process)


def journal(machine: Machine) -> list[dict]:
    result = machine.roll_back("journal", "--json").check()
    return json.loads(result.stdout)["journals"]


def test_a_killed_restore_is_rolled_back(machine: Machine, bindir: Path):
    before = state_of(machine)
    assert killed(machine, bindir).status == -signal.SIGKILL
    (found,) = journal(machine)
    assert found["state"] == "unfinished"
    assert "role engine" in [way["text"] for way in found["ways_back"]]
    assert "engine" in found["components"]
    told = machine.roll_back("journal").check().stdout
    assert f"engine-backup rollback --root={machine.root}" in told
    result = machine.roll_back().check()
    assert "All that was changed has been undone." in result.stdout
    assert result.stdout.splitlines()[-1] == "Done."
    assert state_of(machine) == before
    assert machine.leftovers() == []
    assert journal(machine) == []
    assert "Nothing to roll back." in machine.roll_back().check().stdout


def test_no_restore_begins_over_an_unfinished_one(machine: Machine, bindir: Path):
    killed(machine, bindir)
    for words in (CALL, (*CALL, "--dry-run")):
        result = machine.engine_backup("restore", *words)
        assert_refused(result, "was neither finished nor undone", "engine-backup rollback")
    assert_failed(machine.roll_back("commit"), 1, "is unfinished: there is nothing to commit", "journal")
    machine.roll_back().check()
    machine.engine_backup("restore", *CALL).check()


def test_no_restore_begins_beside_another_of_the_same(machine: Machine, bindir: Path):
    process = real_process.start(machine.words("restore", f"--pg-bindir={bindir}", *CALL))
    while not (bindir / "reached").exists():
        time.sleep(0.02)
    try:
        beside = machine.engine_backup("restore", "--scope=dwhdb", *CALL)
        assert_refused(
            beside, "another restore of dwh, PostgreSQL of this machine is going on", "wait until it"
        )
        assert_failed(machine.roll_back(), 1, "is still going on", "wait until it has ended")
        assert [found["state"] for found in journal(machine)] == ["running"]
        scratch = list(machine.temporary.iterdir())
        assert len(scratch) == 1
    finally:
        (bindir / "go").touch()
    assert real_process.result(process).check().stdout.splitlines()[-1] == "Done."
    assert machine.leftovers() == []


def test_what_a_run_before_its_journal_leaves_goes_with_the_next(machine: Machine):
    dead = machine.temporary / "engine-backup.deaddead.private"
    dead.mkdir(mode=0o700)
    (dead / "secret").write_text("x")
    unborn = machine.root / "var/lib/ovirt-engine-backup/restore/20260101T000000Z-abcdef"
    unborn.mkdir(parents=True)
    (unborn / "journal").write_text('{"journal": 1, "ru')
    assert "Nothing to roll back." in machine.roll_back().check().stdout
    assert machine.leftovers() == []


def test_a_journal_that_is_damaged_or_strange_is_said_to_be_so(machine: Machine, bindir: Path):
    killed(machine, bindir)
    (found,) = journal(machine)
    path = Path(found["directory"]) / "journal"
    sound = path.read_text()
    lines = sound.splitlines(keepends=True)
    path.write_text("".join([lines[0], "no JSON\n", *lines[1:]]))
    assert_failed(machine.roll_back(), 1, "is damaged", "line by line")
    path.write_text(sound.replace('"type": "DropRole"', '"type": "DropEverything"'))
    assert_failed(
        machine.roll_back(), 1, "what this version does not know: DropEverything", "use the version"
    )
    path.write_text(sound.replace(f'"text": "{machine.root}', '"text": "here'))
    assert_failed(machine.roll_back(), 1, "what this version does not know: Path", "use the version")
    path.write_text(sound + '{"way_back": {"type": "DropRo')
    with closing(take_up(path.parent)) as cut_off:
        cut_off.begun("rolling back")
    assert [found["state"] for found in journal(machine)] == ["unfinished"]
    machine.roll_back().check()
    assert machine.leftovers() == []


@pytest.fixture
def living(machine: Machine, gone: tuple[SampleEngine, Path]) -> Machine:
    """A machine with an engine, which has changed since its backup."""
    machine.engine_backup("restore", *CALL).check()
    database = gone[0].credentials["engine"].database
    query(machine, "UPDATE public.vm_static SET vm_name = 'renamed since'", database)
    conf = machine.root / "etc/ovirt-engine/engine.conf.d/99-own.conf"
    conf.write_text("OWN=since\n")
    return machine


def test_the_old_state_is_kept_and_comes_back(living: Machine, gone: tuple[SampleEngine, Path]):
    credentials = gone[0].credentials
    before, rows = state_of(living), fingerprint_databases(credentials)
    living.engine_backup("restore", *REPLACING, "--keep-undo").check()
    assert fingerprint_databases(credentials)["engine"] != rows["engine"]
    (found,) = journal(living)
    assert found["state"] == "kept"
    assert_refused(living.engine_backup("restore", *REPLACING), "is still kept since the restore", "commit")
    result = living.roll_back().check()
    assert "All that was changed has been undone." in result.stdout
    assert state_of(living) == before
    assert fingerprint_databases(credentials) == rows
    assert living.leftovers() == []


def test_the_old_state_is_dropped(living: Machine, gone: tuple[SampleEngine, Path]):
    living.engine_backup("restore", *REPLACING, "--keep-undo").check()
    restored = fingerprint_databases(gone[0].credentials)
    result = living.roll_back("commit").check()
    assert result.stdout.count("Dropping database") == 4
    assert fingerprint_databases(gone[0].credentials) == restored
    named = {name for (name,) in query(living, "SELECT datname FROM pg_database WHERE NOT datistemplate")}
    assert named == {"postgres", *(c.database for c in gone[0].credentials.values())}
    assert "Nothing to commit." in living.roll_back("commit").check().stdout
    assert "Nothing to roll back." in living.roll_back().check().stdout
    assert living.leftovers() == []


@pytest.mark.parametrize("mode", ["rollback", "commit", "journal", "restore"])
def test_journals_that_others_could_have_written_are_not_obeyed(machine: Machine, bindir: Path, mode: str):
    killed(machine, bindir)
    (found,) = journal(machine)
    for path in (Path(found["directory"]), Path(found["directory"]).parent):
        path.chmod(0o770)
        words = machine.words("restore", *CALL) if mode == "restore" else [mode, f"--root={machine.root}"]
        result = machine.command(*words, *(() if mode in ("restore", "journal") else ("--log=/dev/null",)))
        assert_failed(result, 1, f"others could have written the journals in {path}", "chmod 700")
        path.chmod(0o700)
    machine.roll_back().check()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_journals_of_root_are_not_for_everybody(machine: Machine, bindir: Path):
    killed(machine, bindir)
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    result = real_process.run(["journal", f"--root={machine.root}"], user)
    assert_failed(result, 1, "cannot look for journals in", "root")


def test_what_is_in_the_way_of_a_rollback_is_named_and_it_can_go_on(living: Machine, bindir: Path):
    cluster = LocalCluster(living.root)
    before = state_of(living)
    killed(living, bindir, *REPLACING)
    cluster.stop()
    result = living.roll_back()
    assert_failed(result, ExitStatus.INCOMPLETE_CHANGE, "undoing was incomplete: ", "engine-backup rollback")
    assert "database engine_restoring_" in result.fatal[0]
    assert len(journal(living)) == 1
    cluster.start()
    living.roll_back().check()
    assert state_of(living) == before
    assert living.leftovers() == []


def test_an_engine_that_runs_is_not_rolled_back(living: Machine, gone: tuple[SampleEngine, Path]):
    living.engine_backup("restore", *REPLACING, "--keep-undo").check()
    program = living.root / "usr/bin/systemctl"
    program.write_text('#!/bin/sh\ncase "$*" in *is-active*ovirt-engine*) echo active ;; esac\n')
    program.chmod(0o755)
    assert_refused(living.roll_back(), "Engine service is active", "systemctl stop ovirt-engine")
    program.unlink()
    living.roll_back().check()


def test_a_run_can_be_named(machine: Machine, bindir: Path):
    killed(machine, bindir)
    (found,) = journal(machine)
    assert_failed(
        machine.roll_back("rollback", "--run=another"), 1, "no journal of a run another", "journal lists"
    )
    machine.roll_back("rollback", f"--run={found['run']}").check()
    assert journal(machine) == []


def test_a_rollback_touches_nothing_that_was_not_changed_yet(machine: Machine):
    cluster = LocalCluster(machine.root)
    cluster.initialise()
    access = cluster.data / ACCESS_FILE
    access.write_text("local all all scram-sha-256\n")
    cluster.start()
    before = state_of(machine)
    journal = begin(machine.root, new_head(machine.archive, (SERVER,), machine.temporary))
    replaced = server_files.prepare(access, "local all all trust\n", datetime.now())
    assert replaced is not None
    journal.add(PutServerFileBack(replaced, restart=False))
    journal.close()
    machine.roll_back().check()
    assert state_of(machine) == before


def test_a_rollback_that_is_stopped_says_that_it_has_not_ended(machine: Machine):
    systemctl = machine.root / "usr/bin/systemctl"
    systemctl.write_text(f"#!/bin/sh\ntouch {machine.directory}/reached\nexec sleep 60\n")
    systemctl.chmod(0o755)
    journal = begin(machine.root, new_head(machine.archive, ("grafana",), machine.temporary))
    journal.add(StartUnit("grafana-server"))
    journal.close()
    process = real_process.start(machine.journal_words("rollback"))
    while not (machine.directory / "reached").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    told = "stopped by SIGTERM: not everything has been taken back"
    assert_failed(real_process.result(process), ExitStatus.INCOMPLETE_CHANGE, told, "engine-backup rollback")
    systemctl.write_text("#!/bin/sh\n")
    assert "Undoing: stopping grafana-server" in machine.roll_back().check().stdout


def test_a_journal_that_another_process_has_gone_on_with_is_left_alone(machine: Machine):
    begin(machine.root, new_head(machine.archive, ("grafana",), machine.temporary)).close()
    (facts,) = observe(machine.root)
    with closing(held(facts)) as quicker:
        quicker.end(COMMITTED)
    with pytest.raises(EngineBackupError, match="was unfinished, and is committed now"):
        held(facts)


def test_a_cluster_that_was_made_later_stays(machine: Machine, bindir: Path):
    """The run was killed before initdb; somebody made the cluster by hand, weeks later."""
    killed(machine, bindir)
    (found,) = journal(machine)
    path = Path(found["directory"]) / "journal"
    lines = path.read_text().splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if "RemoveCluster" in line)
    way = json.loads(lines[first])
    way["way_back"]["begun"] -= 7 * 24 * 3600
    path.write_text("".join([*lines[:first], json.dumps(way) + "\n"]))
    cluster = LocalCluster(machine.root)
    cluster.stop()
    assert_failed(
        machine.roll_back(), ExitStatus.INCOMPLETE_CHANGE, "was made later by somebody else, and stays"
    )
    assert cluster.observe().initialised
    result = machine.roll_back("rollback", "--give-up").check()
    assert "not taken back: the new cluster in" in result.stderr
    assert cluster.observe().initialised
    assert journal(machine) == []
    (aside,) = (machine.root / "var/lib/ovirt-engine-backup").glob("given-up-*")
    assert (aside / "journal").exists()
    assert aside.stat().st_mode & 0o777 == 0o700


def test_what_can_never_be_taken_back_can_be_given_up(living: Machine, bindir: Path):
    killed(living, bindir, *REPLACING)
    query(living, "ALTER ROLE engine RENAME TO somebody")
    result = living.roll_back()
    assert_failed(
        result, ExitStatus.INCOMPLETE_CHANGE, "password of role engine: cannot give role", "rollback"
    )
    told = living.roll_back("rollback", "--give-up").check().stderr
    assert "not taken back: password of role engine" in told
    assert journal(living) == []
    names = [name for (name,) in query(living, "SELECT datname FROM pg_database")]
    assert not [name for name in names if "_restoring_" in name]
    query(living, "ALTER ROLE somebody RENAME TO engine")
    living.engine_backup("restore", *REPLACING).check()


def test_the_old_state_is_not_dropped_by_halves(living: Machine):
    living.engine_backup("restore", *REPLACING, "--keep-undo").check()
    cluster = LocalCluster(living.root)
    cluster.stop()
    assert living.roll_back("commit").status == 1
    assert [found["state"] for found in journal(living)] == ["kept"]
    cluster.start()
    living.roll_back("commit").check()
    assert journal(living) == []
