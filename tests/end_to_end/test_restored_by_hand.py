"""Commands of docs/archive-format.md, run as they stand there, on archives of all releases and presets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from psycopg2 import sql

from engine_backup.drivers import postgres
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME, DATABASES, Kind
from engine_backup.model.exporting import EXPORT_FORMS
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.sample.compare import fingerprint_database
from tests.support import golden
from tests.support.pages import CHECKED, DOCS, block
from tests.support.sample import Original
from tests.support.taking_out import command

PAGE = DOCS / "archive-format.md"
GENERATION = "tell the generation by hand"
OURS = ("unpack by hand", "unpack the files by hand", "load the dumps by hand")
ANY = ("unpack any archive by hand", GENERATION, "unpack any files by hand", "load any dump by hand")
CLEAN_UP = "clean up by hand"
CONF = "etc/ovirt-engine/engine.conf.d/10-setup-database.conf"
READERS = ("cfme_reader", "ovirt_engine_history_grafana")
PASSWORD = Secret("by: hand\\ 1")

PRESETS = {
    "default": [],
    "classic": ["--classic"],
    "fast-backup": ["--fast-backup"],
    "fast-restore": ["--fast-restore"],
    "small-size": ["--small-size"],
    "packed with gzip": ["--archive-compressor=gzip", "--db-compressor=gzip", "--files-compressor=None"],
    "packed with bzip2": ["--archive-compressor=bzip2", "--dwh-db-compressor=bzip2"],
}

# What the commands need, for machines that have it as a library only.
STAND_INS = {
    "bzip2": "import bz2, shutil, sys\nshutil.copyfileobj(bz2.open(sys.stdin.buffer), sys.stdout.buffer)\n",
    "xz": "import lzma, shutil, sys\nshutil.copyfileobj(lzma.open(sys.stdin.buffer), sys.stdout.buffer)\n",
    "zstd": "import shutil, sys\n"
    "try:\n    from compression import zstd\nexcept ImportError:\n    from backports import zstd\n"
    "shutil.copyfileobj(zstd.open(sys.stdin.buffer), sys.stdout.buffer)\n",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ScratchServer]:
    """A server with the roles that backups name."""
    with ScratchServer.start() as started:
        for user in {component.default_user for component in DATABASES}:
            started.create_role(user, PASSWORD)
        for reader in READERS:
            started.create_role(reader, PASSWORD)
        yield started


@pytest.fixture
def logins(server: ScratchServer) -> Iterator[dict[str, Credentials]]:
    """Empty databases, by component name, gone afterwards."""
    found = {
        c.name: Credentials(server.host, server.port, c.default_user, PASSWORD, c.default_database)
        for c in DATABASES
    }
    for login in found.values():
        server.create_database(login.database, login.user)
    yield found
    with closing(server.connect("postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for login in found.values():
                cursor.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(login.database)))


@pytest.fixture
def environment(server: ScratchServer, tmp_path: Path) -> dict[str, str]:
    """Somebody who works by hand: programs in the PATH, passwords in ~/.pgpass."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in STAND_INS.items():
        if shutil.which(name) is None:
            (programs / name).write_text(f"#!{sys.executable}\n{text}")
            (programs / name).chmod(0o755)
    password = PASSWORD.reveal().replace("\\", "\\\\").replace(":", "\\:")
    (tmp_path / ".pgpass").write_text(f"*:*:*:*:{password}\n")
    (tmp_path / ".pgpass").chmod(0o600)
    path = f"{programs}:{server.programs.directory}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HOME": str(tmp_path), "PGPORT": str(server.port), "LC_ALL": "C"}


def by_hand(titles: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """Run blocks of the page one after the other in one shell; whatever fails ends it."""
    commands = "".join(block(PAGE, title) for title in titles)
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", commands],
        cwd=environment["HOME"],
        env=dict(environment),
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_unpacked(directory: Path, output: str, hashes: int) -> None:
    assert len([line for line in output.splitlines() if line.endswith(": OK")]) == hashes
    assert (directory / "unpacked").stat().st_mode & 0o777 == 0o700


def compare_rows(original: Original, logins: Mapping[str, Credentials]) -> None:
    """Tables that the engine's own events write to are not compared."""
    for name, before in original.databases.items():
        now = fingerprint_database(logins[name]).tables
        assert now.keys() == before.tables.keys()
        for title, rows in before.tables.items():
            if title not in ("public.audit_log", "public.engine_backup_log"):
                assert now[title] == rows, title


def assert_cleaned(login: Credentials) -> None:
    with closing(postgres.connect(login)) as connection, connection.cursor() as cursor:
        cursor.execute(block(PAGE, CLEAN_UP))
        cursor.execute("SELECT option_value FROM vdc_options WHERE option_name = 'DbJustRestored'")
        assert cursor.fetchall() == [("1",)]
        cursor.execute("SELECT (SELECT count(*) FROM job) + (SELECT count(*) FROM step)")
        assert cursor.fetchone() == (0,)


def test_every_command_of_the_page_is_run_here() -> None:
    titles = {title for _, title, _ in CHECKED.findall(PAGE.read_text(encoding="utf-8"))}
    assert titles == {*OURS, *ANY, CLEAN_UP}
    fenced = PAGE.read_text(encoding="utf-8").split("```")
    commands = [text for text in fenced if text.startswith(("sh\n", "sql\n"))]
    assert len(commands) == len(titles)


def test_an_archive_of_ours(
    original: Original, logins: dict[str, Credentials], environment: dict[str, str], tmp_path: Path
) -> None:
    shutil.copy2(original.machine.archive, tmp_path / "engine.backup")
    output = by_hand(OURS, environment)
    assert_unpacked(tmp_path, output, hashes=10)
    compare_rows(original, logins)
    assert_cleaned(logins["engine"])
    assert (tmp_path / "unpacked/files.d" / CONF).is_file()


@pytest.mark.parametrize("words", PRESETS.values(), ids=PRESETS)
def test_archives_of_ours_however_they_are_packed(
    words: list[str],
    original: Original,
    logins: dict[str, Credentials],
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    original.machine.engine_backup("backup", f"--file={tmp_path / 'engine.backup'}", *words).check()
    output = by_hand(ANY, environment)
    assert_unpacked(tmp_path, output, hashes=10)
    assert "generation D\n" in output
    compare_rows(original, logins)
    assert_cleaned(logins["engine"])
    assert (tmp_path / "unpacked/files.d" / CONF).is_file()


@pytest.mark.parametrize("name", golden.NAMES)
def test_archives_of_every_release(
    name: str, logins: dict[str, Credentials], environment: dict[str, str], tmp_path: Path
) -> None:
    found = golden.facts(name)
    shutil.copy2(golden.archive(name), tmp_path / "engine.backup")
    output = by_hand(ANY, environment)
    assert_unpacked(tmp_path, output, found["hash_lines"])
    assert f"generation {found['generation']}\n" in output
    for component, facts in found["databases"].items():
        if BY_NAME[component].kind is Kind.POSTGRES:
            restored = fingerprint_database(logins[component]).tables
            assert restored == {
                f"public.{table}".replace('"', ""): (rows["rows"], rows["digest"])
                for table, rows in facts["tables"].items()
            }
    for entry in found["files"]:
        path = bytes.fromhex(entry["path_hex"]) if "path_hex" in entry else os.fsencode(entry["path"])
        assert os.path.lexists(os.fsencode(tmp_path / "unpacked/files.d") + b"/" + path)
    if name.startswith(("4.3", "4.4", "4.5")) and "engine" in found["databases"]:
        assert_cleaned(logins["engine"])


def test_a_converted_archive_without_zstd(
    original: Original, logins: dict[str, Credentials], environment: dict[str, str], tmp_path: Path
) -> None:
    """With programs that every stock has; there is a zstd, and it fails."""
    zstd = tmp_path / "programs/zstd"
    zstd.write_text("#!/bin/sh\nexit 1\n")
    zstd.chmod(0o755)
    command("export", original.machine.archive, tmp_path / "engine.backup", "--to=classic").check()
    assert_unpacked(tmp_path, by_hand(ANY, environment), hashes=10)
    compare_rows(original, logins)
    assert_cleaned(logins["engine"])
    assert (tmp_path / "unpacked/files.d" / CONF).is_file()


@pytest.mark.parametrize("form", EXPORT_FORMS)
@pytest.mark.parametrize("name", ["3.3.5-default", "3.4.4-default", "3.6.3.4-default"])
def test_converted_archives_of_old_releases(
    name: str, form: str, logins: dict[str, Credentials], environment: dict[str, str], tmp_path: Path
) -> None:
    """They are of the newest generation then, and hold the same rows."""
    command("export", golden.archive(name), tmp_path / "engine.backup", f"--to={form}").check()
    assert "generation D\n" in by_hand(ANY, environment)
    for component, facts in golden.facts(name)["databases"].items():
        restored = fingerprint_database(logins[component]).tables
        assert restored == {
            f"public.{table}".replace('"', ""): (rows["rows"], rows["digest"])
            for table, rows in facts["tables"].items()
        }
