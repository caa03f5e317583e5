"""Nothing of stock is missing: its options, its quirks, and the commands of its callers."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from engine_backup.cli.environment import Environment
from engine_backup.cli.parser import SHOW, parse
from engine_backup.cli.request_building import build_request
from engine_backup.model.components import BY_NAME
from engine_backup.model.requests import BackupRequest, Request, RestoreRequest, VerifyRequest
from tests.support.golden import DIFFERENCES
from tests.support.pages import DOCS

PAGE = DOCS / "differences.md"

# Reference 10.1, written down here once more: the table of options must not be compared with itself.
GENERAL = [
    "--mode=backup",
    "--mode=restore",
    "--mode=verify",
    *(f"--scope={word}" for word in ("all", "files", "db", "dbonly", "dwhdb", "reportsdb", "cinderlibdb")),
    *(f"--scope={word}" for word in ("grafanadb", "keycloakdb", "managedblockdb")),
    "--file=/a",
    "--log=/b",
    "--tmpdir=/tmp",
    *(f"--archive-compressor={word}" for word in ("gzip", "bzip2", "xz", "None")),
    *(f"--files-compressor={word}" for word in ("gzip", "bzip2", "xz", "None")),
    "--keep-temporary-data",
    "--restore-permissions",
    "--no-restore-permissions",
    "--provision-all-databases",
    "--he-remove-storage-vm",
    "--he-remove-hosts",
    "--fast-backup",
    "--fast-restore",
    "--small-size",
]
# Reference 10.2.
PREFIXES = {
    "": "engine",
    "dwh-": "dwh",
    "reports-": "reports",
    "cinderlib-": "cinderlib",
    "managedblock-": "managedblock",
    "keycloak-": "keycloak",
}
OF_DATABASES = [
    ("--change-{x}db-credentials", "change", True),
    ("--{x}db-host=h", "host", "h"),
    ("--{x}db-port=5433", "port", 5433),
    ("--{x}db-user=u", "user", "u"),
    ("--{x}db-name=n", "name", "n"),
    ("--{x}db-passfile=/p", "passfile", "/p"),
    ("--{x}db-password=s", "password", "s"),
    ("--{x}db-secured", "secured", True),
    ("--{x}db-sec-validation", "secured_validation", True),
    ("--{x}db-secured-validation", "secured_validation", True),
    *((f"--{{x}}db-compressor={word}", "compressor", word) for word in ("gzip", "bzip2", "xz")),
    ("--{x}db-compressor=None", "compressor", ""),
    ("--{x}db-dump-format=plain", "dump_format", "plain"),
    ("--{x}db-dump-format=custom", "dump_format", "custom"),
    ("--{x}db-restore-jobs=4", "restore_jobs", 4),
    ("--provision-{x}db", "provision", True),
]
QUIRKS = 48
SEEN = 10


@pytest.mark.parametrize("word", GENERAL)
def test_every_general_option_of_stock_is_known(word: str):
    assert parse([word])


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(("word", "field", "value"), OF_DATABASES, ids=[row[0] for row in OF_DATABASES])
def test_every_database_option_of_stock_sets_what_it_says(prefix: str, word: str, field: str, value: object):
    assert parse([word.format(x=prefix)])[(PREFIXES[prefix], field)] == value


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_bare_password_option_asks(prefix: str):
    asked = parse([f"--{prefix}db-password"])
    assert not isinstance(asked[(PREFIXES[prefix], "password")], str)


def test_every_variable_of_stock_is_known():
    """Reference 10.3."""
    variables = {BY_NAME[name].password_variable for name in PREFIXES.values()}
    words = ("ENGINE", "DWH", "REPORTS", "CINDERLIB", "KEYCLOAK", "MANAGEDBLOCK")
    assert variables == {f"OVIRT_{word}_DATABASE_PASSWORD" for word in words}


def test_help():
    assert SHOW in parse(["--help"])


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_every_quirk_has_one_row():
    assert [cells[0] for cells in rows("Stock's quirks")] == [str(n) for n in range(1, QUIRKS + 1)]


def test_everything_that_was_seen_has_one_row():
    assert [cells[0] for cells in rows("Seen when stock was run")] == [f"13.{n}" for n in range(1, SEEN + 1)]


HEADINGS = ["Command line", "Backup", "Verify", "Restore", "Stock's quirks", "Seen when stock was run"]


@pytest.mark.parametrize("heading", HEADINGS)
def test_each_row_says_what_stock_does_what_we_do_and_why(heading: str):
    assert rows(heading)
    for cells in rows(heading):
        assert len(cells) == 4, cells
        assert all(cells), cells


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: d.row)
def test_what_the_golden_archives_may_differ_in_is_listed(difference):
    assert difference.row in {cells[0] for heading in HEADINGS for cells in rows(heading)}


def test_no_row_speaks_of_an_option_twice():
    named = [name for cells in rows("Command line") for name in re.findall(r"`(--[a-z-]+)", cells[0])]
    assert len(named) == len(set(named))


# Reference 11: what callers of stock type, and what they mean by it.
HOSTED_ENGINE = (
    "--mode=restore --log=/var/log/ovirt-engine/setup/restore-backup-20261122112038.log"
    " --file={archive} --provision-all-databases --restore-permissions"
)
APPLIANCE_OF_4_0 = (
    "--mode=restore --file={archive} --log=engine_restore.log --restore-permissions --provision-db"
    " --provision-dwh-db --provision-reports-db"
)
RESTORES = [
    (HOSTED_ENGINE, {"provision_all": True, "permissions": True}),
    (
        APPLIANCE_OF_4_0,
        {"provision": frozenset({"engine", "dwh", "reports"}), "permissions": True},
    ),
    ("--mode=restore --scope=all --file={archive} --log=/l", {"permissions": None}),
    ("--mode=restore --scope=files --file={archive}", {"provision_all": False}),
    (
        "--mode=restore --scope=db --scope=dwhdb --file={archive} --log=/l --provision-all-databases",
        {"provision_all": True},
    ),
    ("--mode=restore --scope=cinderlibdb --file={archive} --restore-permissions", {"permissions": True}),
    (
        "--mode=restore --file={archive} --log=/l --provision-db --no-restore-permissions"
        " --he-remove-storage-vm --he-remove-hosts",
        {"he_remove_storage_vm": True, "he_remove_hosts": True, "permissions": False},
    ),
    ("--mode=restore --provision-all-databases --file={archive} --log=/l", {"provision_all": True}),
]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "engine_backup"
    path.touch()
    return path


def understood(line: str, archive: Path) -> Request:
    words = line.format(archive=archive).split()
    request = build_request(parse(words), Environment(variables={}, stdin=io.StringIO()))
    # A caller's option that means nothing would be told.
    assert request.surroundings.warnings == ()
    return request


@pytest.mark.parametrize(("line", "meant"), RESTORES)
def test_restores_of_callers(line: str, meant: dict, archive: Path):
    request = understood(line, archive)
    assert isinstance(request, RestoreRequest)
    assert request.file == archive
    assert {name: getattr(request, name) for name in meant} == meant


@pytest.mark.parametrize(
    ("line", "scopes"),
    [
        # System tests, then lines of crontabs.
        ("--mode=backup --file=/var/log/ost-engine-backup/backup.tgz --log=/l/log.txt", ("all",)),
        ("--mode=backup --scope=all --file={archive}.new --log=/var/log/engine-backup.log", ("all",)),
        ("--scope=all --mode=backup --file={archive} --log=/dev/null", ("all",)),
        ("--mode=backup --scope=files --scope=db --file={archive} --log=/l", ("files", "db")),
        ("", ("all",)),
    ],
)
def test_backups_of_callers(line: str, scopes: tuple[str, ...], archive: Path):
    request = understood(line, archive)
    assert isinstance(request, BackupRequest)
    assert request.surroundings.scopes == scopes


def test_verification_of_callers(archive: Path):
    assert isinstance(understood("--mode=verify --file={archive} --log=/l", archive), VerifyRequest)
