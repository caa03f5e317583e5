"""`--run-engine-setup`: what engine-setup is told, what becomes of a restore, and what is said."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from engine_backup.model.errors import ExitStatus
from tests.support import real_process, setup_program
from tests.support.machine import Machine, Result
from tests.support.sample import Original, clean_machine

EXPECTED = {
    "OVESETUP_DIALOG/confirmSettings": "bool:True",
    "OVESETUP_PKI/renew": "bool:False",
    "OVESETUP_CONFIG/updateFirewall": "bool:False",
    "OVESETUP_ENGINE_CORE/enable": "bool:True",
    "OVESETUP_DWH_CORE/enable": "bool:True",
    "OVESETUP_GRAFANA_CORE/enable": "bool:True",
    "OVESETUP_CONFIG/keycloakEnable": "bool:True",
    "OVESETUP_APACHE/configureRootRedirection": "bool:True",
    # Of the restored files only: the answers that are added take nothing away.
    "OVESETUP_CONFIG/websocketProxyConfig": "bool:True",
}
FILES = "--scope=files"


@pytest.fixture
def machine(original: Original, tmp_path: Path) -> Machine:
    found = clean_machine(original, tmp_path / "machine")
    expected = {**EXPECTED, "OVESETUP_CONFIG/fqdn": f"str:{original.sample.fqdn}"}
    setup_program.install(found.root, tmp_path / "seen", expected)
    return found


def place(machine: Machine) -> Path:
    return machine.directory.parent / "seen"


def restore(machine: Machine, *words: str) -> Result:
    return machine.engine_backup("restore", "--run-engine-setup", *words)


def answer_file(result: Result) -> Path:
    match = re.search(r"^- answers are in (.*)$", result.stdout, re.MULTILINE)
    assert match, result.stdout
    return Path(match[1])


def is_restored(machine: Machine) -> bool:
    return (machine.root / "etc/ovirt-engine/engine.conf.d/10-setup-database.conf").exists()


def test_it_gets_the_answers_of_the_backup_and_its_output_is_shown(machine: Machine):
    result = restore(machine, FILES).check()
    assert result.stdout.endswith(
        "  [ INFO  ] Execution of setup completed successfully\nengine-setup has ended well\nDone.\n"
    )
    assert "  [WARNING] Less than 16384MB of memory" in result.stdout
    assert "You should now run engine-setup" not in result.stdout
    log = machine.log.read_text()
    assert "OUTPUT:   [ INFO  ] Execution of setup completed successfully" in log
    assert f"usr/bin/engine-setup --config-append={answer_file(result)} --offline --accept-defaults" in log
    assert answer_file(result).stat().st_mode & 0o777 == 0o600
    assert machine.leftovers() == []


def test_firewalld_is_configured_where_it_is(machine: Machine):
    (machine.root / "usr/bin/firewall-cmd").write_text("#!/bin/sh\n")
    (machine.root / "usr/bin/firewall-cmd").chmod(0o755)
    words = {
        "OVESETUP_CONFIG/updateFirewall": "bool:True",
        "OVESETUP_CONFIG/firewallManager": "str:firewalld",
    }
    setup_program.install(machine.root, place(machine), {**EXPECTED, **words})
    restore(machine, FILES).check()


def test_no_secret_is_among_the_answers(machine: Machine, original: Original):
    result = restore(machine, FILES).check()
    text = answer_file(result).read_text()
    for credentials in original.sample.credentials.values():
        assert credentials.password.reveal() not in text
    assert "assword" not in text


def test_without_files_this_machines_own_answers_count(machine: Machine):
    setup_program.install(machine.root, place(machine), {"OVESETUP_PKI/renew": "bool:False"})
    restore(machine, "--scope=grafanadb").check()
    told = json.loads((place(machine) / "told.json").read_text())
    assert told[0] == "[environment:default]"
    assert not [line for line in told if "fqdn" in line or "enable" in line]


def test_when_it_fails_the_restore_is_complete_and_stays(machine: Machine):
    setup_program.install(machine.root, place(machine), {}, status=3)
    result = restore(machine, FILES)
    assert result.status == ExitStatus.SETUP_FAILED
    assert result.fatal == [
        "FATAL: the restore is complete, and stays; but engine-setup failed with exit status 3"
    ]
    command = f"engine-setup --config-append={answer_file(result)} --offline --accept-defaults"
    assert command in result.stderr
    for log in ("/var/log/ovirt-engine/setup/ovirt-engine-setup-2026-lab.log", str(machine.log)):
        assert log in result.stderr
    assert "Done." not in result.stdout
    assert is_restored(machine)
    assert machine.leftovers() == []
    # The command that is named works once the cause is gone.
    setup_program.install(machine.root, place(machine), EXPECTED)
    again = re.search(r"then: (.*)$", result.stderr, re.MULTILINE)
    assert again is not None
    assert again[1].split()[1:] == command.split()[1:]


def test_wrong_answers_would_be_noticed(machine: Machine):
    setup_program.install(machine.root, place(machine), {"OVESETUP_CONFIG/fqdn": "str:other.example"})
    result = restore(machine, FILES)
    assert result.status == ExitStatus.SETUP_FAILED
    assert "wrong answers" in result.stdout


def test_a_program_that_cannot_be_started(machine: Machine):
    (machine.root / "usr/bin/engine-setup").write_bytes(b"\x7fELF no program")
    result = restore(machine, FILES)
    assert result.status == ExitStatus.SETUP_FAILED
    assert "the restore is complete, and stays; but engine-setup was not run to its end" in result.stderr
    assert is_restored(machine)


def test_where_it_is_not_installed_nothing_begins(machine: Machine):
    (machine.root / "usr/bin/engine-setup").unlink()
    result = restore(machine, FILES)
    assert result.status == ExitStatus.REFUSED
    assert result.fatal == ["FATAL: there is no engine-setup to run after the restore"]
    assert not is_restored(machine)


def test_a_restore_that_fails_does_not_run_it(machine: Machine):
    (machine.root / "etc/ovirt-engine").mkdir()
    (machine.root / "etc/ovirt-engine/engine.conf.d").write_text("in the way")
    assert restore(machine, FILES).status == ExitStatus.REFUSED
    assert not (place(machine) / "answers.json").exists()


def test_without_the_option_it_is_not_run_and_the_command_is_named(machine: Machine):
    result = machine.engine_backup("restore", FILES).check()
    assert result.stdout.endswith(
        "Next command: engine-setup --offline\nYou should now run engine-setup.\nDone.\n"
    )
    assert not (place(machine) / "answers.json").exists()


def test_a_dry_run_shows_the_answers_with_their_reasons(machine: Machine):
    result = restore(machine, FILES, "--dry-run").check()
    assert "run engine-setup --offline --accept-defaults with these answers:" in result.stdout
    assert "OVESETUP_PKI/renew=bool:False  (hosts trust the PKI of the backup)" in result.stdout
    assert "is not undone" in result.stdout
    document = json.loads(restore(machine, FILES, "--dry-run", "--json").check().stdout)
    assert [step["kind"] for step in document["afterwards"]] == ["run_engine_setup"]
    assert not (place(machine) / "answers.json").exists()


def test_a_rollback_afterwards_leaves_what_it_did(machine: Machine):
    result = restore(machine, FILES, "--keep-undo").check()
    assert "--keep-undo keeps what was before the restore, and nothing of what engine-setup" in result.stderr
    machine.roll_back().check()
    assert not is_restored(machine)
    assert (machine.root / "etc/made-by-engine-setup").exists()


class TestRunning:
    """As a process of its own, while engine-setup is running."""

    def started(self, machine: Machine):
        (place(machine) / "wait").touch()
        process = real_process.start(machine.words("restore", FILES, "--run-engine-setup"))
        assert process.stdout is not None
        shown = ""
        while "waiting" not in shown:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            shown += line
        return process

    def test_its_output_is_passed_on_at_once(self, machine: Machine):
        process = self.started(machine)
        (place(machine) / "go").touch()
        real_process.result(process).check()
        assert "OUTPUT:   [ INFO  ] waiting" in machine.log.read_text()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_stops_it_and_undoes_nothing(self, number: signal.Signals, machine: Machine):
        process = self.started(machine)
        process.send_signal(number)
        result = real_process.result(process)
        assert result.status == ExitStatus.SETUP_FAILED
        assert f"engine-setup was not run to its end: stopped by {number.name}" in result.stderr
        assert "FATAL: the restore is complete, and stays" in result.stderr
        assert (place(machine) / "stopped").exists()
        assert machine.log.read_text().count("Rolling back") == 10000
        assert is_restored(machine)
        assert machine.leftovers() == []


@pytest.mark.parametrize(
    ("left", "note"),
    [
        ("etc/firewalld", "firewall-cmd --reload"),
        ("etc/sysconfig/iptables", "systemctl restart iptables"),
        ("etc/exports.d", "exportfs -ra"),
        ("versionlock.list", "dnf versionlock clear"),
    ],
)
def test_what_is_not_in_force_is_said(left: str, note: str, machine: Machine):
    result = machine.engine_backup("restore", FILES).check()
    assert [line for line in result.stdout.splitlines() if line.startswith("Note: ") and note in line], left
    assert note in machine.log.read_text()
    result = machine.engine_backup("restore", "--scope=grafanadb").check()
    assert "Note: " not in result.stdout
