"""From words to requests, over every row of the component table."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path

import pytest

from engine_backup.cli.environment import Environment
from engine_backup.cli.parser import SHOW, build_parser, parse
from engine_backup.cli.request_building import build_request
from engine_backup.model.components import DATABASES, SCOPES
from engine_backup.model.errors import UsageError
from engine_backup.model.options import Form, all_options, option_name
from engine_backup.model.requests import BackupRequest, DemoRequest, RestoreRequest, VerifyRequest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.backup"
    path.touch()
    return path


NOON = datetime(2026, 8, 19, 12)


def request_of(*words: str, environment: Environment | None = None):
    nothing = Environment(variables={}, stdin=io.StringIO(), now=lambda: NOON)
    return build_request(parse(words), environment or nothing)


def restore_of(archive: Path, *words: str, environment: Environment | None = None) -> RestoreRequest:
    found = request_of("--mode=restore", f"--file={archive}", *words, environment=environment)
    assert isinstance(found, RestoreRequest)
    return found


def message(*words: str, environment: Environment | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        request_of(*words, environment=environment)
    return caught.value.message


def test_help_shows_every_option_grouped_by_component():
    text = build_parser().format_help()
    for option in all_options():
        assert f"{option.name}" in text
    for component in DATABASES:
        assert f"{component.label} database:" in text


@pytest.mark.parametrize("word", ["backup", "restore", "verify"])
def test_a_mode_is_a_word_or_an_option(word, archive):
    assert request_of(word, f"--file={archive}") == request_of(f"--mode={word}", f"--file={archive}")
    assert request_of(f"--file={archive}", word) == request_of(f"--mode={word}", f"--file={archive}")


def test_backup_is_the_default_mode():
    found = request_of()
    assert isinstance(found, BackupRequest)
    assert found.file.parent == Path("/var/lib/ovirt-engine-backup")
    assert found.surroundings.log.parent == Path("/var/log/ovirt-engine-backup")
    assert found.surroundings.log.name.startswith("ovirt-engine-backup-")


def test_a_root_moves_the_default_places(tmp_path):
    found = request_of(f"--root={tmp_path}")
    assert tmp_path in found.file.parents
    assert tmp_path in found.surroundings.log.parents


def test_modes_that_contradict_each_other():
    assert "contradict" in message("restore", "--mode=backup")


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope(scope, archive):
    assert restore_of(archive, f"--scope={scope}").surroundings.scopes == (scope,)


def test_scopes_add_up(archive):
    assert restore_of(archive, "--scope=db", "--scope=files").surroundings.scopes == ("db", "files")


def test_the_oldest_word_for_db(archive):
    assert restore_of(archive, "--scope=dbonly").surroundings.scopes == ("db",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mode=destroy"], "invalid mode 'destroy'"),
        (["--scope=moon"], "invalid scope 'moon'"),
        (["--archive-compressor=lzip"], "invalid compressor 'lzip'"),
        (["--files-compressor=zstd"], "invalid compressor 'zstd'"),
        (["--db-dump-format=tar"], "invalid dump format 'tar'"),
        (["--db-restore-jobs=0"], "invalid number of jobs '0'"),
        (["--db-restore-jobs=²"], "invalid number of jobs '²'"),
        (["--db-port=99999"], "invalid port '99999'"),
        (["--unknown"], "Unknown option '--unknown'. Please see '--help' for details."),
        (["--unknown=secret"], "Unknown option '--unknown'. Please see '--help' for details."),
        (["--mod=backup"], "Unknown option '--mod'. Please see '--help' for details."),
        (["-x"], "Unknown option '-x'. Please see '--help' for details."),
        (["--mode=restore"], "--file is missing"),
        (["--mode=verify"], "--file is missing"),
        (["--tmpdir", "--file=/tmp/x"], "--tmpdir needs a value"),
        (["--file"], "--file needs a value"),
        (["--dwh-db-secured-validation=yes"], "--dwh-db-sec-validation takes no value"),
        (["--no-overwrite=a\nb"], "--no-overwrite takes no value"),
        (["demo", "--vms=0"], "invalid number '0'"),
        (["--file=/tmp/x", "--log=/tmp/x"], "--file and --log can not be the same"),
        (["--tmpdir=/no/such"], "Temporary directory /no/such is missing or not a directory"),
        (["--root=/no/such"], "root directory /no/such is missing or not a directory"),
        (["--he-remove-hosts"], "hosted-engine cleaning options work only in restore mode"),
        (["--he-remove-storage-vm"], "hosted-engine cleaning options work only in restore mode"),
        (["", "--file=/tmp/x"], "an argument is empty"),
        (["--file="], "--file needs a value"),
        (["backup", "restore"], "unexpected argument 'restore'"),
        (["verify", "--level=quick"], "invalid level 'quick'"),
        (["--dry-run=yes"], "--dry-run takes no value"),
    ],
)
def test_what_is_refused(words, said):
    assert message(*words) == said


def test_a_missing_value():
    assert "--file" in message("--file")


def test_a_value_may_stand_on_its_own(archive):
    assert request_of("verify", "--file", str(archive)) == request_of("verify", f"--file={archive}")


@pytest.mark.parametrize("option", all_options(), ids=lambda option: option.name)
def test_each_option_and_each_of_its_spellings_is_read(option):
    values = {
        "mode": "verify",
        "scopes": "db",
        "dump_format": "plain",
        "on_existing": "replace",
        "level": "hash",
        "components": "dwh",
        "shape": "sql",
        "export_form": "classic",
        "against": "live",
        "excluded_tables": "engine:audit_log",
        "excluded_history": "samples",
    }
    for name in (option.name, *option.aliases):
        word = name if option.form is Form.FLAG else f"{name}={values.get(option.field, _value(option))}"
        assert option.key in parse([word])


def _value(option) -> str:
    return "gzip" if option.field.endswith("compressor") else "3"


@pytest.mark.parametrize("component", DATABASES, ids=lambda component: component.name)
def test_changed_credentials(component, archive):
    words = [
        option_name("change", component),
        f"{option_name('host', component)}=db.lab.example",
        f"{option_name('user', component)}=user = x",
        f"{option_name('name', component)}=postgresql://evil",
        f"{option_name('password', component)}=p=a:s\\s",
        option_name("secured", component),
        option_name("secured_validation", component).replace("sec-", "secured-"),
    ]
    changed = restore_of(archive, *words).changed[component.name]
    assert (changed.host, changed.port) == ("db.lab.example", 5432)
    assert (changed.user, changed.database) == ("user = x", "postgresql://evil")
    assert changed.password.reveal() == "p=a:s\\s"
    assert changed.secured
    assert changed.secured_validation
    for missing, field in ((1, "host"), (2, "user"), (3, "name")):
        fewer = [word for place, word in enumerate(words) if place != missing]
        said = message("--mode=restore", f"--file={archive}", *fewer)
        assert said == f"{option_name(field, component)} is missing"


@pytest.mark.parametrize("component", DATABASES, ids=lambda component: component.name)
@pytest.mark.parametrize("field", ["host", "port", "user", "password", "passfile", "name", "secured"])
def test_credentials_without_change_are_refused(component, field, archive):
    name = option_name(field, component)
    word = name if field == "secured" else f"{name}=1"
    said = message("--mode=restore", f"--file={archive}", word)
    assert said.startswith(f"Please use {option_name('change', component)} to change ")


def credentials_words(component) -> list[str]:
    values = {"host": "h", "user": "u", "name": "n"}
    given = [f"{option_name(field, component)}={value}" for field, value in values.items()]
    return [option_name("change", component), *given]


@pytest.mark.parametrize("component", DATABASES, ids=lambda component: component.name)
class TestPasswords:
    def test_none_at_all(self, component, archive):
        said = message("--mode=restore", f"--file={archive}", *credentials_words(component))
        assert said.endswith(" is missing")
        assert option_name("passfile", component) in said

    def test_from_the_environment(self, component, archive):
        environment = Environment(variables={component.password_variable: "env"}, stdin=io.StringIO())
        changed = restore_of(archive, *credentials_words(component), environment=environment).changed
        assert changed[component.name].password.reveal() == "env"

    def test_the_environment_alone_changes_nothing(self, component, archive):
        environment = Environment(variables={component.password_variable: "env"}, stdin=io.StringIO())
        assert restore_of(archive, environment=environment).changed == {}

    def test_first_line_of_a_file(self, component, archive, tmp_path):
        (tmp_path / "pw").write_text("first\nsecond\n")
        word = f"{option_name('passfile', component)}={tmp_path / 'pw'}"
        changed = restore_of(archive, *credentials_words(component), word).changed
        assert changed[component.name].password.reveal() == "first"

    def test_a_file_that_is_not_there(self, component, archive):
        word = f"{option_name('passfile', component)}=/no/such"
        said = message("--mode=restore", f"--file={archive}", *credentials_words(component), word)
        assert said == "Can not read password file /no/such: No such file or directory"

    def test_asked_for_on_a_terminal_wherever_the_option_stands(self, component, archive):
        questions: list[str] = []

        def prompt(question: str) -> str:
            questions.append(question)
            return "typed"

        environment = Environment(variables={}, stdin=Terminal(), prompt=prompt)
        password = option_name("password", component)
        words = [password, "restore", f"--file={archive}", *credentials_words(component)]
        changed = request_of(*words, environment=environment).changed
        assert changed[component.name].password.reveal() == "typed"
        assert questions == [f"Enter {component.label} database password: "]

    def test_not_asked_for_without_a_terminal(self, component, archive):
        words = [*credentials_words(component), option_name("password", component)]
        said = message("--mode=restore", f"--file={archive}", *words)
        assert said == "Standard input is not a terminal"

    def test_an_empty_one_is_one(self, component, archive):
        words = [*credentials_words(component), f"{option_name('password', component)}="]
        assert restore_of(archive, *words).changed[component.name].password.reveal() == ""


class TestPresets:
    def test_a_preset_takes_back_what_stood_before_it(self):
        found = request_of("--db-compressor=gzip", "--files-compressor=None", "--small-size")
        assert found.preset == "small-size"
        assert found.files_compressor is None
        assert found.dumps["engine"].compressor is None

    def test_what_follows_a_preset_refines_it(self):
        found = request_of("--small-size", "--dwh-db-dump-format=custom", "--archive-compressor=gzip")
        assert found.preset == "small-size"
        assert found.dumps["dwh"].dump_format == "custom"
        assert found.dumps["engine"].dump_format is None
        assert found.archive_compressor == "gzip"

    def test_the_last_preset_wins(self):
        assert request_of("--small-size", "--fast-backup").preset == "fast-backup"


def test_options_of_another_mode_are_told_not_ignored_in_silence(archive):
    found = request_of("--mode=backup", "--provision-db", "--dwh-db-restore-jobs=3")
    assert found.surroundings.warnings == (
        "--provision-db has no meaning with --mode=backup",
        "--dwh-db-restore-jobs has no meaning with --mode=backup",
    )


def test_provisioning_and_permissions(archive):
    found = restore_of(archive, "--provision-all-databases", "--provision-dwh-db", "--no-restore-permissions")
    assert found.provision_all
    assert found.provision == {"dwh"}
    assert found.permissions is False
    assert restore_of(archive).permissions is None


def test_demo_and_verify(archive):
    assert request_of("demo", "--vms=7", "--days=2") == DemoRequest(7, 2)
    assert isinstance(request_of("verify", f"--file={archive}"), VerifyRequest)


def test_help_and_version_come_first():
    assert SHOW in parse(["--help"])
    assert "engine-backup" in parse(["--version"])[SHOW]


def test_the_temporary_directory_of_the_environment(tmp_path):
    environment = Environment(variables={"TMPDIR": str(tmp_path)}, stdin=io.StringIO())
    assert request_of(environment=environment).surroundings.tmpdir == tmp_path
