"""Drills of real archives: green for what is sound, red with a name for what is not; nothing is left."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine_backup.drivers import postgres_programs
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.errors import ExitStatus
from engine_backup.sample.compare import fingerprint_databases, fingerprint_tree
from tests.support import golden, hostile_archives, real_process
from tests.support.drills import DrillSite, drill_site, is_root, red
from tests.support.patched_dumps import patched_dump
from tests.support.sample import Original
from tests.support.small_disk import available, on_small_disk

RED = ExitStatus.DRILL_FAILED
PLACES = "SELECT datname, datdba, datacl::text, oid FROM pg_database ORDER BY 1"
ROLES = "SELECT rolname, rolsuper, rolpassword, oid FROM pg_authid ORDER BY 1"
needs_small_disk = pytest.mark.skipif(not available(), reason="no private mount namespaces here")


@pytest.fixture
def site() -> Iterator[DrillSite]:
    with drill_site() as found:
        yield found


@pytest.fixture
def sample_site(site: DrillSite, original: Original) -> DrillSite:
    """A place with the backup of the sample engine."""
    shutil.copy2(original.machine.archive, site.archive)
    return site


@pytest.mark.parametrize("name", golden.NAMES)
@pytest.mark.parametrize(
    "of_its_time",
    [pytest.param(False, id="no rule", marks=pytest.mark.thorough), pytest.param(True, id="of its time")],
)
def test_golden_archives_are_proven(name: str, of_its_time: bool, site: DrillSite):
    shutil.copy2(golden.archive(name), site.archive)
    version = golden.facts(name)["version"].strip()
    status, document = site.document(*([f"--product-version={version}"] if of_its_time else []))
    assert red(document) == {}
    assert (status, document["outcome"]) == (0, "passed")
    assert {c["subject"] for c in document["checks"] if c["name"] == "load"} >= {
        name for name in golden.facts(name)["databases"] if name != "grafana"
    }
    assert document["restore_seconds"] == pytest.approx(sum(document["phases"].values()), abs=0.01)


@pytest.mark.parametrize("programs", postgres_programs.with_server(), ids=lambda found: str(found.major))
def test_a_rehearsal_on_another_postgresql(programs: Programs, site: DrillSite):
    shutil.copy2(golden.archive("4.3.10.4-default"), site.archive)
    status, document = site.document(f"--pg-bindir={programs.directory}")
    assert (status, red(document)) == (0, {})
    assert document["postgresql"] == ".".join(map(str, programs.version))


def test_another_product_version_is_what_a_restore_would_refuse(site: DrillSite):
    shutil.copy2(golden.archive("4.5.7-default"), site.archive)
    status, document = site.document("--product-version=4.4.10")
    assert status == RED
    assert "4.4.10" in red(document)["archive: plan"]


def test_a_failed_rehearsal_leaves_what_is_known_of_the_archive(site: DrillSite):
    shutil.copy2(golden.archive("4.5.7-default"), site.archive)
    site.drill().check()
    proven = site.record.read_bytes()
    result = site.drill("--product-version=4.4.10")
    assert result.status == RED
    assert "which stays as it is: what has failed may lie in --product-version=4.4.10" in result.stdout
    assert site.record.read_bytes() == proven
    lines = [json.loads(line) for line in site.history.read_text().splitlines()]
    assert [line["outcome"] for line in lines] == ["passed", "failed"]
    assert [line["asked"]["product_version"] for line in lines] == [None, "4.4.10"]
    assert lines[-1]["other_causes"] == ["--product-version=4.4.10"]


@pytest.mark.parametrize(("words", "status"), [(["--json"], ExitStatus.FAILURE), ([], ExitStatus.SUCCESS)])
def test_a_report_that_cannot_be_written(words: list[str], status: ExitStatus, sample_site: DrillSite):
    """A document that nobody gets is a failure; the exit status alone tells how a drill went."""
    command = [*real_process.COMMAND, *sample_site.words("drill", *words)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, check=False, env=real_process.environment()
        )
    assert (done.returncode, b"Traceback" in done.stderr) == (status, False)
    assert b"Warning: the output is not complete: No space left on device\n" in done.stderr
    assert sample_site.record.exists()


def test_what_is_no_product_version_says_nothing_of_the_archive(sample_site: DrillSite):
    result = sample_site.drill("--product-version=4.5.x")
    assert result.status == ExitStatus.FAILURE
    assert "not a product version: '4.5.x'" in result.fatal[0]
    assert not sample_site.record.exists()


def test_the_document_is_recorded_and_the_history_grows(sample_site: DrillSite):
    for _ in range(2):
        status, document = sample_site.document()
        assert status == 0
        assert json.loads(sample_site.record.read_text()) == document
        assert sample_site.record.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in sample_site.history.read_text().splitlines()]
    assert [line["outcome"] for line in lines] == ["passed", "passed"]
    assert lines[-1].items() <= document.items()


def test_people_read_each_check_and_how_long_a_restore_takes(sample_site: DrillSite):
    result = sample_site.drill().check()
    for words in ("hashes", "engine", "load", "A real restore would take about", "The archive is proven"):
        assert words in result.stdout
    assert str(sample_site.temporary) not in result.stdout + result.stderr


def test_nothing_but_record_and_history_changes(original: Original, site: DrillSite):
    """The engine that the archive names is up, and the drill runs on its very machine."""
    shutil.copy2(original.machine.archive, site.archive)
    shutil.copytree(original.machine.root, site.root, symlinks=True, dirs_exist_ok=True)
    with closing(original.server.connect()) as connection, connection.cursor() as cursor:
        before = {}
        for query in (PLACES, ROLES):
            cursor.execute(query)
            before[query] = cursor.fetchall()
        databases = fingerprint_databases(original.sample.credentials)
        elsewhere = site.directory / "elsewhere"
        elsewhere.mkdir(mode=0o777)
        files = fingerprint_tree(site.directory)
        before_us = real_process.environment() | {"TMPDIR": str(elsewhere)}
        command = [*real_process.COMMAND, *site.words("drill")]
        subprocess.run(command, check=True, cwd=elsewhere, env=before_us, capture_output=True)
        site.assert_nothing_left()
        made = {site.record, site.history, site.log}
        after = fingerprint_tree(site.directory)
        changed = {name for name in files.keys() | after.keys() if files.get(name) != after.get(name)}
        assert {site.directory / name.lstrip("/") for name in changed if after[name].kind == "file"} == made
        assert list(elsewhere.iterdir()) == []
        assert fingerprint_databases(original.sample.credentials) == databases
        for query, rows in before.items():
            cursor.execute(query)
            assert cursor.fetchall() == rows


EXPORTED = "SELECT lo_create(4711); CREATE MATERIALIZED VIEW public.m AS SELECT lo_export(4711, '{marker}')"
CHECKED = (
    "CREATE FUNCTION public.f(text) RETURNS boolean LANGUAGE plpgsql AS"
    " $$BEGIN COPY (SELECT 1) TO PROGRAM 'touch {marker}'; RETURN true; END$$;"
    " CREATE TABLE public.t (a text CHECK (public.f(a))); INSERT INTO public.t VALUES ('1')"
)


@pytest.mark.parametrize(
    ("statements", "refusal"),
    [(EXPORTED, "permission denied for function lo_export"), (CHECKED, "must be superuser")],
    ids=["lo_export", "check"],
)
def test_what_a_dump_does_when_it_is_loaded_stays_in_the_server(
    statements: str, refusal: str, site: DrillSite, postgres_server: ScratchServer
):
    marker = site.temporary / "owned"
    site.temporary.chmod(0o777)
    content = hostile_dump(postgres_server, statements.format(marker=marker))
    marker.unlink()
    site.archive.write_bytes(hostile_archives.with_dump(content))
    status, document = site.document()
    assert (status, document["outcome"]) == (RED, "failed")
    assert refusal in red(document)["engine: load"]
    assert not marker.exists()


ASKING = (
    "CREATE EXTENSION dblink;"
    " CREATE FUNCTION public.f(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
    " CREATE TABLE public.t (a text CHECK (public.f(a))); INSERT INTO public.t VALUES ('1');"
    " CREATE OR REPLACE FUNCTION public.f(text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN"
    " PERFORM public.dblink_connect('port={port} host=127.0.0.1 user=a password=b connect_timeout=1');"
    " RETURN true; END$$"
)


def test_no_server_is_asked_by_what_is_in_a_dump(site: DrillSite, postgres_server: ScratchServer):
    with socket.create_server(("127.0.0.1", 0)) as production:
        production.setblocking(False)
        content = hostile_dump(postgres_server, ASKING.format(port=production.getsockname()[1]))
        site.archive.write_bytes(hostile_archives.with_dump(content))
        status, document = site.document()
        assert status == RED
        assert "permission denied for function dblink_connect" in red(document)["engine: load"]
        with pytest.raises(BlockingIOError):
            production.accept()


def hostile_dump(server: ScratchServer, statements: str) -> bytes:
    """Return a custom dump of what a superuser made."""
    server.create_database("hostile", server.superuser)
    try:
        with closing(server.connect("hostile")) as connection:
            connection.autocommit = True
            connection.cursor().execute(statements)
        login = [f"--host={server.host}", f"--port={server.port}", f"--username={server.superuser}"]
        return subprocess.run(
            [server.programs.path("pg_dump"), "--format=custom", *login, "hostile"],
            capture_output=True,
            check=True,
            env={"PGPASSWORD": server.superuser_password.reveal()},
        ).stdout
    finally:
        with closing(server.connect()) as connection:
            connection.autocommit = True
            connection.cursor().execute("DROP DATABASE hostile")


SORTING = (
    "CREATE FUNCTION public.f(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
    " CREATE TABLE public.t (a text CHECK (public.f(a))); INSERT INTO public.t VALUES ('1');"
    " CREATE OR REPLACE FUNCTION public.f(text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN {first}"
    " PERFORM repeat('x', 8000) || n FROM generate_series(1, 200000) AS n ORDER BY 1; RETURN true; END$$"
)


@pytest.mark.parametrize(
    ("first", "outcome", "words"),
    [
        ("", "could not run", "temporary file size exceeds temp_file_limit (1048576kB)"),
        ("SET temp_file_limit = -1;", "fail", 'permission denied to set parameter "temp_file_limit"'),
    ],
    ids=["runaway", "without limit"],
)
def test_a_dump_cannot_fill_the_disk_by_sorting(
    first: str, outcome: str, words: str, site: DrillSite, postgres_server: ScratchServer
):
    content = hostile_dump(postgres_server, SORTING.format(first=first))
    site.archive.write_bytes(hostile_archives.with_dump(content))
    status, document = site.document()
    assert status == RED
    load = next(check for check in document["checks"] if check["name"] == "load")
    assert (load["subject"], load["outcome"]) == ("engine", outcome)
    assert words in load["findings"][0]


def test_a_copy_from_a_program_is_stopped(site: DrillSite, postgres_server: ScratchServer):
    marker = Path("/tmp/eb-owned")  # noqa: S108 - short enough for the patch
    content = patched_dump(postgres_server, b"FROM PROGRAM 'touch %s'" % bytes(marker))
    site.archive.write_bytes(hostile_archives.with_dump(content))
    status, document = site.document()
    assert status == RED
    assert "Errors while restoring database" in red(document)["engine: load"]
    assert not marker.exists()


@pytest.mark.parametrize("statement", [r"\! touch owned", "COPY t FROM PROGRAM 'id';"])
def test_a_hostile_plain_dump_is_not_even_loaded(statement: str, site: DrillSite):
    site.archive.write_bytes(hostile_archives.with_dump(hostile_archives.plain_dump(statement)))
    status, document = site.document()
    assert status == RED
    assert "engine_backup.db: line 2" in red(document)["archive: reading"]


def test_a_dump_that_is_cut_off_is_named(site: DrillSite, postgres_server: ScratchServer):
    content = hostile_dump(postgres_server, "CREATE TABLE public.t AS SELECT generate_series(1, 99999) AS a")
    site.archive.write_bytes(hostile_archives.with_dump(content[: len(content) // 2]))
    status, document = site.document()
    assert status == RED
    assert "pg_restore" in red(document)["engine: load"]


def test_a_flipped_bit_is_red_and_recorded(sample_site: DrillSite):
    sample_site.drill().check()
    content = bytearray(sample_site.archive.read_bytes())
    place = content.index(b"PGDMP") if b"PGDMP" in content else len(content) // 2
    content[place + 2000] ^= 1
    sample_site.archive.write_bytes(bytes(content))
    status, document = sample_site.document()
    assert status == RED
    assert "Checksum verification failed" in red(document)["archive: hashes"]
    assert json.loads(sample_site.record.read_text())["outcome"] == "failed"


def test_what_is_no_archive_keeps_its_status(site: DrillSite):
    site.archive.write_text("nothing")
    result = site.drill("--json")
    assert result.status == ExitStatus.UNREADABLE_ARCHIVE
    assert json.loads(result.stdout)["error"]["status_name"] == "UNREADABLE_ARCHIVE"
    assert not site.record.exists()


# What keeps a drill from beginning


def bindir(site: DrillSite, server: ScratchServer, *but: str) -> Path:
    """Return a directory with PostgreSQL's programs, without some of them."""
    place = site.directory / "bin"
    place.mkdir()
    place.chmod(0o755)
    for name in ("pg_dump", "pg_restore", "initdb", "postgres", "psql"):
        if name not in but:
            (place / name).symlink_to(server.programs.directory / name)
    return place


def test_no_server_programs(sample_site: DrillSite, postgres_server: ScratchServer):
    place = bindir(sample_site, postgres_server, "initdb", "postgres")
    result = sample_site.drill(f"--pg-bindir={place}")
    assert result.status == ExitStatus.FAILURE
    assert "no PostgreSQL server programs" in result.fatal[0]
    assert not sample_site.record.exists()


def test_a_server_that_does_not_start(sample_site: DrillSite, postgres_server: ScratchServer):
    place = bindir(sample_site, postgres_server, "postgres")
    (place / "postgres").write_text("#!/bin/sh\necho 'FATAL:  the moon is full' >&2\nexit 1\n")
    (place / "postgres").chmod(0o755)
    result = sample_site.drill(f"--pg-bindir={place}")
    assert result.status == ExitStatus.FAILURE
    assert "the scratch server cannot be started" in result.fatal[0]
    assert "--pg-bindir" in result.stderr


def test_a_dump_that_is_newer_than_the_programs(site: DrillSite, postgres_server: ScratchServer):
    content = hostile_dump(postgres_server, "CREATE TABLE public.t (a int)")
    version = b"%d.%d" % postgres_server.programs.version
    assert version in content[:200]
    newer = b"99" + version[2:]
    site.archive.write_bytes(
        hostile_archives.with_dump(content[:200].replace(version, newer) + content[200:])
    )
    result = site.drill()
    assert result.status == ExitStatus.FAILURE
    assert "the dumps were made by PostgreSQL 99" in result.fatal[0]
    assert "--pg-bindir" in result.stderr


@needs_small_disk
def test_too_little_room_is_seen_before(sample_site: DrillSite):
    report = sample_site.directory / "report"
    before = on_small_disk(sample_site.temporary, 60_000, report)
    result = real_process.run([*sample_site.words("drill"), "--json"], before)
    assert result.status in (ExitStatus.REFUSED, ExitStatus.FAILURE)
    hint = json.loads(result.stdout)["error"]["hint"]
    assert "--tmpdir" in hint
    assert f"hint: {hint}" in result.stderr
    assert report.read_text() == ""
    assert not sample_site.record.exists()


@needs_small_disk
def test_a_disk_that_fills_up_proves_nothing(site: DrillSite, postgres_server: ScratchServer):
    """The dump says little of how large its database becomes."""
    statements = (
        "CREATE TABLE public.t AS SELECT repeat('x', 1000) AS a FROM generate_series(1, 200000);"
        " CREATE INDEX ON public.t (a)"
    )
    site.archive.write_bytes(hostile_archives.with_dump(hostile_dump(postgres_server, statements)))
    report = site.directory / "report"
    before = on_small_disk(site.temporary, 180_000, report)
    # The account of the server must be able to enter the disk.
    enter = ["sh", "-c", 'chmod 0711 "$1" && shift && exec "$@"', "enter", str(site.temporary)]
    result = real_process.run(site.words("drill", "--json"), [*before, *enter])
    assert result.status == RED
    document = json.loads(result.stdout)
    load = next(check for check in document["checks"] if check["name"] == "load")
    assert load["outcome"] == "could not run"
    assert re.search("No space left on device|could not extend file", load["findings"][0])
    assert report.read_text() == ""


# Ends before the end


def drilling(site: DrillSite) -> subprocess.Popen[str]:
    """Start a drill, and wait until its server runs."""
    process = real_process.start(site.words("drill"))
    deadline = time.monotonic() + 60
    while not list(site.temporary.glob("*/data/postmaster.pid")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_nothing_is_left(number: signal.Signals, sample_site: DrillSite):
    process = drilling(sample_site)
    process.send_signal(number)
    result = real_process.result(process)
    assert result.status == ExitStatus.INTERRUPTED
    assert number.name in result.fatal[0]
    sample_site.assert_nothing_left()
    assert not sample_site.record.exists()


def test_an_archive_that_is_removed_meanwhile_is_drilled_and_not_recorded(sample_site: DrillSite):
    process = drilling(sample_site)
    sample_site.archive.unlink()
    result = real_process.result(process).check()
    assert "The archive is proven" in result.stdout
    assert "drill.json: the archive was removed, or replaced by another" in result.stdout
    assert not sample_site.record.exists()
    assert len(sample_site.history.read_text().splitlines()) == 1


def test_what_a_killed_drill_left_is_gone_with_the_next(sample_site: DrillSite):
    process = drilling(sample_site)
    process.kill()
    process.communicate()
    assert sample_site.leftovers() != []
    sample_site.drill().check()


@pytest.mark.skipif(not is_root(), reason="only root can be somebody else")
def test_an_ordinary_user_drills_without_a_log_of_the_system(sample_site: DrillSite):
    sample_site.directory.chmod(0o755)
    sample_site.archive.chmod(0o644)
    own = sample_site.directory / "own"
    own.mkdir()
    shutil.copy2(sample_site.archive, own / "engine.backup")
    for path in (own, own / "engine.backup", sample_site.temporary):
        shutil.chown(path, "nobody")
    words = [
        "drill",
        f"{own}/engine.backup",
        f"--root={sample_site.root}",
        f"--tmpdir={sample_site.temporary}",
    ]
    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    result = real_process.run(words, as_nobody).check()
    assert "there is no log of this drill" in result.stderr
    assert "log file: /dev/null" in result.stdout
    assert "the owner of" in result.stderr
    assert (own / "engine.backup.drill.json").exists()
    sample_site.assert_nothing_left()
    # Where a database server is, only its owner can look.
    (sample_site.root / "var/lib/pgsql").mkdir(mode=0o700, parents=True)
    inspected = real_process.run(["inspect", *words[1:]], as_nobody).check()
    assert "proven on" in inspected.stdout


# What others show of it


def test_inspect_and_list_show_the_last_drill_of_this_very_archive(
    sample_site: DrillSite, original: Original
):
    def shown() -> tuple[object, object]:
        inspection = json.loads(
            sample_site.command("inspect", "--json", str(sample_site.archive)).check().stdout
        )
        listed = json.loads(sample_site.command("list", "--json", str(sample_site.directory)).check().stdout)
        return inspection["drill"], listed["archives"][0]["drill"]

    assert shown() == (None, None)
    _, document = sample_site.document()
    proof = {"at": document["started_at"], "passed": True}
    assert shown() == (proof, proof)
    words = (str(sample_site.archive), f"proven on {proof['at'][:10]}", f"proven {proof['at'][:10]}")
    assert words[1] in sample_site.command("inspect", words[0]).stdout
    assert words[2] in sample_site.command("list", words[0]).stdout
    others = {path for path in sample_site.directory.iterdir() if path.is_file()}
    assert sample_site.record in others
    text = sample_site.command("list", str(sample_site.directory)).stdout
    assert f"other files there: {len(others - {sample_site.record, sample_site.archive})}" in text
    shutil.copy2(golden.archive("4.5.7-default"), sample_site.archive)
    assert shown() == (None, None)
