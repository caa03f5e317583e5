"""Hooks at all stages of real runs on the running system."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_backup.model.hooks import STAGES, stages_of
from tests.support import hook_machine
from tests.support.hook_machine import HookMachine
from tests.support.pages import DOCS, block
from tests.support.sample import Original

pytestmark = pytest.mark.skipif(not hook_machine.available(), reason="needs root and mount namespaces")
TELL = 'echo "$MODE {stage}" >> "$out/told"\n'
PASSWORD = "hunter2 with 'quotes' and $signs"
CONF = (
    'ENGINE_DB_HOST="localhost"\nENGINE_DB_PORT="5432"\nENGINE_DB_USER="engine"\n'
    'ENGINE_DB_PASSWORD="hunter2 with \'quotes\' and \\$signs"\nENGINE_DB_DATABASE="engine"\n'
    'PATH="/nowhere"\n'
)
CONF_FILE = "etc/ovirt-engine/engine.conf.d/10-setup-database.conf"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[HookMachine]:
    made = HookMachine(tmp_path)
    yield made
    made.close()


def members(machine: HookMachine) -> dict[str, bytes]:
    with tarfile.open(machine.archive) as outer:
        return {m.name[2:]: outer.extractfile(m).read() for m in outer.getmembers() if m.isfile()}


def saved(machine: HookMachine) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(members(machine)["files"])) as inner:
        return inner.getnames()


def manifest(machine: HookMachine) -> dict:
    return json.loads(members(machine)["manifest.json"])


def backed_up(machine: HookMachine, *words: str) -> None:
    result = machine.run("backup", *words)
    assert result.returncode == 0, result.stderr


class TestOrder:
    def test_stages_of_every_mode(self, machine: HookMachine):
        for stage in STAGES:
            machine.script(stage, TELL.format(stage=stage))
            machine.program(stage, f'echo "program {stage}" >> "$out/told"\n')
        expected = []
        for mode in ("backup", "verify", "restore"):
            result = machine.run(mode)
            assert result.returncode == 0, result.stderr
            stages = list(stages_of(mode))
            if mode == "restore":
                stages.insert(3, "config")
            expected += [line for stage in stages for line in (f"{mode} {stage}", f"program {stage}")]
        assert machine.told() == expected
        assert machine.leftovers() == []

    def test_what_a_script_defines_is_there_later(self, machine: HookMachine):
        machine.script("init", 'mine=1; tell() { echo "$1" >> "$out/told"; }\n')
        machine.script("cleanup", 'tell "$mine"\n')
        backed_up(machine)
        assert machine.told() == ["1"]

    def test_dobackup_before_the_archive_is_whole_and_cleanup_after(self, machine: HookMachine):
        look = 'if [ -e "$FILE" ]; then echo there; else echo missing; fi >> "$out/told"\n'
        machine.script("dobackup", look)
        machine.script("cleanup", look)
        backed_up(machine)
        assert machine.told() == ["missing", "there"]

    def test_dorestore_sees_restored_files(self, machine: HookMachine):
        machine.place("etc/ovirt-engine/mine", "archived")
        backed_up(machine)
        machine.place("etc/ovirt-engine/mine", "newer")
        for stage in ("init", "config", "dorestore"):
            machine.script(stage, 'cat /etc/ovirt-engine/mine >> "$out/told"; echo >> "$out/told"\n')
        assert machine.run("restore").returncode == 0
        assert machine.told() == ["newer", "newer", "archived", "archived"]


class TestVariables:
    def test_what_scripts_see(self, machine: HookMachine):
        machine.place(CONF_FILE, CONF, 0o640)
        names = "MODE SCOPE FILE LOG ENGINE_DB_USER ENGINE_DB_PASSWORD"
        machine.script(
            "dobackup",
            f'for name in {names}; do echo "$name=${{!name}}" >> "$out/told"; done\n'
            'stat -c %a "$TEMP_FOLDER" "$tardir/.." >> "$out/told"\n'
            'if [ "$PATH" = /nowhere ]; then return 1; fi\nenv > "$out/environment"\n',
        )
        machine.script("config", "")
        backed_up(machine)
        assert machine.told() == [
            "MODE=backup", "SCOPE=files", f"FILE={machine.archive}", f"LOG={machine.log}",
            "ENGINE_DB_USER=engine", f"ENGINE_DB_PASSWORD={PASSWORD}", "700", "700",
        ]  # fmt: skip
        assert "hunter2" not in "".join(machine.told("environment"))
        assert "hunter2" not in machine.log.read_text()

    def test_passwords_are_no_arguments(self, machine: HookMachine):
        machine.place(CONF_FILE, CONF, 0o640)
        machine.script(
            "config", 'cat /proc/$PPID/cmdline /proc/$$/cmdline /proc/$$/environ > "$out/arguments"\n'
        )
        machine.program("config", 'cat /proc/$$/environ - > "$out/program"\n')
        backed_up(machine)
        assert b"ENGINE_DB" in (machine.own / CONF_FILE).read_bytes()
        for name in ("arguments", "program"):
            assert b"hunter2" not in (machine.out / name).read_bytes()

    def test_the_second_load_of_a_restore_shows_the_restored_configuration(self, machine: HookMachine):
        machine.place(CONF_FILE, CONF, 0o640)
        backed_up(machine)
        machine.place(CONF_FILE, CONF.replace('USER="engine"', 'USER="other"'), 0o640)
        machine.script("config", 'echo "$ENGINE_DB_USER" >> "$out/told"; BACKUP_PATHS+=$\'\\n/etc/lab\'\n')
        machine.script("dorestore", 'grep -c /etc/lab <<< "$BACKUP_PATHS" >> "$out/told"\n')
        assert machine.run("restore").returncode == 0
        assert machine.told() == ["other", "engine", "1"]

    def test_a_file_is_named_where_the_person_names_none(self, machine: HookMachine):
        named = machine.directory / "of-hooks.backup"
        machine.script("defaults", f"FILE={named}\n")
        words = [word for word in machine.command("backup") if not word.startswith("--file=")]
        done = subprocess.run(words, env=machine.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert f"archive file: {named}\n" in done.stdout
        assert named.exists()

    def test_options_win(self, machine: HookMachine):
        machine.script("config", "FILE=/elsewhere\nLOG=/elsewhere\n")
        result = machine.run("backup")
        assert result.returncode == 0
        assert "hooks changed FILE, which has no effect: --file was given" in result.stderr
        assert "hooks of stage config changed LOG, which has no effect" in result.stderr
        assert machine.archive.exists()

    def test_no_place_for_an_archive(self, machine: HookMachine):
        machine.script("defaults", "FILE=relative\n")
        words = [word for word in machine.command("backup") if not word.startswith("--file=")]
        done = subprocess.run(words, env=machine.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "FATAL: hooks set FILE to 'relative', which is no place for an archive" in done.stderr

    def test_output_is_shown_and_the_rest_is_logged(self, machine: HookMachine):
        machine.script("dobackup", "output 'for people'; log 'for the log'; echo printed\n")
        result = machine.run("backup")
        assert "for people\n" in result.stdout
        log = machine.log.read_text()
        assert "OUTPUT: for people" in log and "for the log" in log and "printed" in log

    def test_added_paths_come_back(self, machine: HookMachine):
        machine.place("etc/lab/settings", "archived")
        machine.script("config", 'BACKUP_PATHS="${BACKUP_PATHS}\n/etc/lab"\n')
        backed_up(machine)
        assert "etc/lab/settings" in saved(machine)
        machine.place("etc/lab/settings", "newer")
        result = machine.run("restore")
        assert result.returncode == 0, result.stderr
        assert (machine.own / "etc/lab/settings").read_text() == "archived"


class TestDatabases:
    LOOK = (
        "import os, psycopg2\n"
        "from contextlib import closing\n"
        "names = dict(host='H', port='P', user='U', password='W', dbname='D')\n"
        "words = {key: os.environ[name] for key, name in names.items()}\n"
        "with closing(psycopg2.connect(**words)) as connection:\n"
        "    cursor = connection.cursor()\n"
        "    cursor.execute(\"SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'\")\n"
        "    print(cursor.fetchone()[0])\n"
    )

    def test_scripts_can_log_in_and_no_snapshot_waits_for_them(
        self, machine: HookMachine, original: Original
    ):
        for name in ("etc", "var"):
            shutil.copytree(
                original.machine.root / name, machine.own / name, symlinks=True, dirs_exist_ok=True
            )
        look = machine.directory / "look.py"
        look.write_text(self.LOOK)
        machine.script("config", "")
        machine.script(
            "dobackup",
            "H=$ENGINE_DB_HOST P=$ENGINE_DB_PORT U=$ENGINE_DB_USER"
            " W=$ENGINE_DB_PASSWORD D=$ENGINE_DB_DATABASE"
            f" PYTHONPATH={shlex.quote(os.pathsep.join(sys.path))} {shlex.quote(sys.executable)}"
            f' {shlex.quote(str(look))} > "$out/told"\n',
        )
        backed_up(machine, "--scope=db")
        assert machine.told() == ["0"]
        assert "db/engine_backup.db" in members(machine)
        assert original.sample.credentials["engine"].password.reveal() not in machine.log.read_text()


class TestMembers:
    ADD = 'mkdir -p "$tardir/mine"; echo own > "$tardir/mine/data"; echo x > "$tardir/db/other.sql"\n'

    def test_files_in_tardir_become_members(self, machine: HookMachine):
        machine.script("dobackup", self.ADD)
        backed_up(machine, "--archive-compressor=gzip")
        assert members(machine)["mine/data"] == b"own\n"
        assert members(machine)["db/other.sql"] == b"x\n"
        hooks = manifest(machine)["hooks"]
        assert hooks["members"] == ["db/other.sql", "mine/data"]
        assert [(row["stage"], row["path"]) for row in hooks["ran"]] == [
            ("dobackup", "/etc/ovirt-engine-backup/engine-backup-dobackup.d/mine.sh")
        ]
        result = machine.run("verify")
        assert result.returncode == 0, result.stderr

    def test_they_are_there_for_later_hooks(self, machine: HookMachine):
        machine.script("dobackup", self.ADD)
        backed_up(machine)
        for stage in ("dorestore", "doverify"):
            machine.script(stage, 'cat "$TEMP_FOLDER/mine/data" >> "$out/told"\n')
        for mode in ("verify", "restore"):
            result = machine.run(mode)
            assert result.returncode == 0, result.stderr
        assert machine.told() == ["own", "own"]

    def test_a_program_adds_members_too(self, machine: HookMachine):
        machine.program(
            "dobackup",
            'place=$(sed -n \'s/.*"members_directory": "\\(.*\\)".*/\\1/p\')\necho own > "$place/data"\n',
        )
        backed_up(machine)
        assert members(machine)["data"] == b"own\n"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('echo x > "$tardir/config"', "config in tardir, which cannot be put into the archive"),
            ('echo x > "$tardir/db/engine_backup.db"', "the archive has a member of this name itself"),
            ('ln -s /etc/passwd "$tardir/link"', "it is neither a file nor a directory"),
            ('mkfifo "$tardir/pipe"', "it is neither a file nor a directory"),
            ('echo x > "$tardir/$(printf %0120d 1)"', "more than 97 bytes"),
        ],
    )
    def test_what_cannot_be_a_member(self, machine: HookMachine, text: str, said: str):
        machine.script("dobackup", text + "\n")
        result = machine.run("backup")
        assert result.returncode == 1
        assert "FATAL: hooks left" in result.stderr and said in result.stderr
        assert not machine.archive.exists()
        assert machine.leftovers() == []


class TestPage:
    """What `docs/hooks.md` shows works."""

    PROGRAM = block(DOCS / "hooks.md", "a program that copies archives")

    def copying(self, machine: HookMachine, target: Path) -> None:
        program = machine.program("cleanup", "")
        # The first line of a program cannot name an interpreter with a blank in its path.
        interpreter = machine.out / "python3"
        interpreter.symlink_to(sys.executable)
        text = self.PROGRAM.replace("#!/usr/bin/python3", f"#!{interpreter}")
        (machine.own / str(program)[1:]).write_text(text.replace("/mnt/backups/", f"{target}/"))

    def test_a_program_that_copies_archives(self, machine: HookMachine):
        self.copying(machine, machine.out)
        backed_up(machine)
        assert (machine.out / machine.archive.name).read_bytes() == machine.archive.read_bytes()

    def test_a_copy_that_fails_is_a_failure(self, machine: HookMachine):
        self.copying(machine, machine.out / "not-there")
        result = machine.run("backup")
        assert result.returncode == 1
        assert "not-there" in result.stderr
        assert machine.archive.exists()


class TestFailures:
    @pytest.mark.parametrize("stage", ["init", "defaults", "config", "dobackup"])
    def test_of_a_backup(self, machine: HookMachine, stage: str):
        hook = machine.script(stage, "echo why >&2; return 3\n")
        machine.program("cleanup", 'cat > "$out/told"\n')
        result = machine.run("backup")
        assert result.returncode == 1
        assert f"FATAL: hook {hook} failed with status 3: why" in result.stderr
        assert not machine.archive.exists()
        document = json.loads("\n".join(machine.told()))
        assert document["result"] == "failure"
        assert document["error"] == f"hook {hook} failed with status 3: why"
        assert machine.leftovers() == []

    def test_of_a_program(self, machine: HookMachine):
        hook = machine.program("dobackup", "echo why; exit 4\n")
        result = machine.run("backup")
        assert result.returncode == 1
        assert f"FATAL: hook {hook} failed with status 4: why" in result.stderr

    def test_of_a_verify(self, machine: HookMachine):
        backed_up(machine)
        hook = machine.script("doverify", "false\n")
        result = machine.run("verify")
        assert result.returncode == 1
        assert f"FATAL: hook {hook} failed with status 1" in result.stderr
        assert "Done." not in result.stdout

    @pytest.mark.parametrize("stage", ["config", "dorestore"])
    def test_of_a_restore_undo_it(self, machine: HookMachine, stage: str):
        machine.place("etc/ovirt-engine/mine", "archived")
        backed_up(machine)
        machine.place("etc/ovirt-engine/mine", "newer")
        hook = machine.script(stage, "grep -q archived /etc/ovirt-engine/mine && return 3; true\n")
        result = machine.run("restore")
        assert result.returncode == 1, result.stderr
        assert f"FATAL: hook {hook} failed with status 3" in result.stderr
        assert "what hooks have changed themselves is not taken back" in result.stderr
        assert (machine.own / "etc/ovirt-engine/mine").read_text() == "newer"
        assert "engine-setup" not in result.stdout
        assert machine.leftovers() == []

    def test_an_early_one_of_a_restore_changes_nothing(self, machine: HookMachine):
        backed_up(machine)
        hook = machine.script("init", "return 3\n")
        result = machine.run("restore")
        assert result.returncode == 1
        assert f"FATAL: hook {hook} failed with status 3" in result.stderr
        assert not (machine.own / "var/lib/ovirt-engine-backup/restore").exists()

    def test_of_cleanup_after_a_success(self, machine: HookMachine):
        hook = machine.script("cleanup", "return 3\n")
        result = machine.run("backup")
        assert result.returncode == 1
        assert f"FATAL: hook {hook} failed with status 3 (the backup itself is complete)" in result.stderr
        assert "Done." not in result.stdout
        assert machine.archive.exists()

    def test_of_cleanup_after_a_failure(self, machine: HookMachine):
        machine.script("dobackup", "return 3\n")
        hook = machine.script("cleanup", "return 4\n")
        result = machine.run("backup")
        assert f"hook {hook} failed with status 4" in result.stderr
        assert [line for line in result.stderr.splitlines() if line.startswith("FATAL")] == [
            "FATAL: hook /etc/ovirt-engine-backup/engine-backup-dobackup.d/mine.sh failed with status 3"
        ]

    def test_that_hang(self, machine: HookMachine):
        hook = machine.script("dobackup", "sleep 600\n")
        result = machine.run("backup", "--hook-timeout=1")
        assert result.returncode == 1
        assert f"FATAL: hook {hook} did not end within 1 seconds, and was ended" in result.stderr
        assert not machine.archive.exists()
        assert machine.leftovers() == []


class TestSignals:
    def started(self, machine: HookMachine, mode: str) -> subprocess.Popen:
        child = subprocess.Popen(
            machine.command(mode),
            env=machine.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not machine.told("ready") and child.poll() is None:
            time.sleep(0.05)
        return child

    def waiting(self, machine: HookMachine) -> None:
        machine.place("etc/ovirt-engine/mine", "archived")
        backed_up(machine)
        machine.place("etc/ovirt-engine/mine", "newer")
        machine.script("dorestore", 'cat /etc/ovirt-engine/mine > "$out/ready"; sleep 600\n')

    def test_a_signal_undoes_a_restore_whose_hook_runs(self, machine: HookMachine):
        self.waiting(machine)
        machine.program("cleanup", 'cat > "$out/told"\n')
        child = self.started(machine, "restore")
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate()
        assert child.returncode == 130, errors
        assert (machine.own / "etc/ovirt-engine/mine").read_text() == "newer"
        assert json.loads("\n".join(machine.told()))["result"] == "interrupted"
        assert machine.leftovers() == []

    def test_a_signal_during_cleanup_does_not_hide_that_all_is_done(self, machine: HookMachine):
        machine.script("cleanup", 'echo > "$out/ready"; sleep 600\n')
        child = self.started(machine, "backup")
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate()
        assert child.returncode == 130
        assert "stopped by SIGTERM in hooks of stage cleanup; the backup itself is complete" in errors
        assert machine.archive.exists()
        assert machine.leftovers() == []

    def test_what_a_hook_has_started_ends_with_the_run(self, machine: HookMachine):
        machine.script("dobackup", 'sleep 600 & echo $! > "$out/ready"; wait\n')
        child = self.started(machine, "backup")
        child.send_signal(signal.SIGTERM)
        child.communicate()
        state = Path("/proc", machine.told("ready")[0], "stat")
        for _ in range(1000):
            if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
                return
            time.sleep(0.01)
        raise AssertionError("it goes on")

    def test_a_killed_one_is_rolled_back(self, machine: HookMachine):
        self.waiting(machine)
        child = self.started(machine, "restore")
        child.kill()
        child.communicate()
        assert (machine.own / "etc/ovirt-engine/mine").read_text() == "archived"
        words = [word for word in machine.command("rollback") if not word.startswith(("--scope", "--file"))]
        done = subprocess.run(
            [word for word in words if not word.startswith("--product")],
            env=machine.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (machine.own / "etc/ovirt-engine/mine").read_text() == "newer"
        assert machine.leftovers() == []


class TestTrust:
    def test_restored_hooks_do_not_run(self, machine: HookMachine):
        hook = machine.script("dorestore", 'echo ran >> "$out/told"\n')
        backed_up(machine)
        (machine.own / str(hook)[1:]).unlink()
        result = machine.run("restore")
        assert result.returncode == 0, result.stderr
        assert f"hook {hook} comes from the archive, and is not run; --run-restored-hooks" in result.stderr
        assert (machine.own / str(hook)[1:]).exists()
        assert machine.told() == []

    def test_unless_asked_for(self, machine: HookMachine):
        hook = machine.script("dorestore", 'echo ran >> "$out/told"\n')
        backed_up(machine)
        (machine.own / str(hook)[1:]).unlink()
        plan = machine.run("restore", "--run-restored-hooks", "--dry-run")
        assert f"run hooks of stage dorestore: {hook}" in plan.stdout
        result = machine.run("restore", "--run-restored-hooks")
        assert result.returncode == 0, result.stderr
        assert machine.told() == ["ran"]

    def test_one_that_the_archive_replaces_is_another(self, machine: HookMachine):
        hook = machine.script("dorestore", 'echo archived >> "$out/told"\n')
        backed_up(machine)
        machine.script("dorestore", 'echo newer >> "$out/told"\n')
        result = machine.run("restore")
        assert result.returncode == 0, result.stderr
        assert (
            f"hook {hook} is not run: it was not there, or was another, when this run began" in result.stderr
        )
        assert machine.told() == []

    def test_one_that_others_may_write_does_not_run(self, machine: HookMachine):
        machine.script("dobackup", 'echo ran >> "$out/told"\n', mode=0o666)
        result = machine.run("backup")
        assert result.returncode == 0
        assert result.stderr.count("can be written by others") == 1
        assert machine.told() == []

    def test_none_under_another_root_and_none_in_a_dry_run(self, machine: HookMachine):
        for stage in STAGES:
            machine.script(stage, 'echo ran >> "$out/told"\n')
            machine.program(stage, 'echo ran >> "$out/told"\n')
        backed_up(machine)
        os.truncate(machine.out / "told", 0)
        root = machine.directory / "root"
        (root / "etc").mkdir(parents=True)
        for mode in ("verify", "restore"):
            result = machine.run(mode, f"--root={root}")
            assert result.returncode == 0, result.stderr
        for mode in ("backup", "restore"):
            result = machine.run(mode, "--dry-run")
            assert result.returncode == 0, result.stderr
            assert "hooks of stage init are not run in a dry run" in result.stderr
            assert f"run hooks of stage do{mode}: " in result.stdout
        assert machine.told() == []
