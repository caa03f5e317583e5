"""What people type and what files hold: refused in one line with a hint, and nothing is touched."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import ENGINE
from engine_backup.model.errors import ExitStatus
from engine_backup.model.facts import Credentials
from engine_backup.sample.compare import fingerprint_database
from engine_backup.sample.planting import Planter
from tests.support import golden, real_process
from tests.support import hostile_archives as hostile
from tests.support.failures import BackupSite, Target, assert_failed, assert_refused
from tests.support.hostile_archives import Crafted
from tests.support.machine import Machine, change_options, login
from tests.support.sample import Original

FAILURE, REFUSED = ExitStatus.FAILURE, ExitStatus.REFUSED
UNREADABLE, DAMAGED = ExitStatus.UNREADABLE_ARCHIVE, ExitStatus.DAMAGED_ARCHIVE
HOSTILE, INCOMPATIBLE = ExitStatus.HOSTILE_ARCHIVE, ExitStatus.INCOMPATIBLE_ARCHIVE
ORDINARY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
CONF = "etc/ovirt-engine/engine.conf.d/10-setup-database.conf"


# The command line

BACKUP_WORDS = {
    "unknown option": (["--flie=x"], "Unknown option '--flie'. Please see '--help'", "--file"),
    "unknown option like none": (["--zzz"], "Unknown option '--zzz'", "engine-backup --help"),
    "short option": (["-f"], "Unknown option '-f'", "engine-backup --help"),
    "a second word": (["backup", "twice"], "unexpected argument 'twice'", "--file=FILE"),
    "an empty word": ([""], "an argument is empty", "--help"),
    "a missing value": (["--file="], "--file needs a value", "--help"),
    "a missing value at the end": (["--tmpdir"], "--tmpdir needs a value", "--help"),
    "an option in place of a value": (["--tmpdir", "--dry-run"], "--tmpdir needs a value", "--help"),
    "a value for a flag": (["--no-overwrite=yes"], "--no-overwrite takes no value", "--help"),
    "an unknown mode": (["--mode=destroy"], "invalid mode", "backup"),
    "two modes": (["--mode=backup", "verify"], "contradict each other", "--help"),
    "an unknown scope": (["--scope=everything"], "invalid scope 'everything'", "all"),
    "an unknown compressor": (["--files-compressor=rar"], "invalid compressor 'rar'", "gzip"),
    "an unknown format": (["--db-dump-format=tar"], "invalid dump format 'tar'", "custom"),
    "no temporary directory": (["--tmpdir=/nowhere"], "Temporary directory /nowhere is missing", "--tmpdir"),
    "a file as temporary directory": (["--tmpdir=/etc/passwd"], "/etc/passwd is missing or not", "--tmpdir"),
    "no root": (["--root=/nowhere"], "root directory /nowhere is missing", "--root"),
    "cleaning in a backup": (["--he-remove-hosts"], "only in restore mode", "--mode=restore"),
    "no directory for the log": (
        ["--log=/nowhere/log"],
        "log /nowhere/log does not exist",
        "mkdir -p /nowhere",
    ),
    "a directory as log": (["--log=/etc"], "cannot open the log /etc: Is a directory", "--log="),
    "no programs": (["--pg-bindir=/nowhere"], "pg_restore in /nowhere", "--pg-bindir=DIR"),
    "no product version": (["--product-version=4.5"], "not a product version: '4.5'", "4.5.7"),
}


@pytest.mark.parametrize(("words", "message", "hint"), BACKUP_WORDS.values(), ids=BACKUP_WORDS)
def test_a_backup_that_cannot_be_understood(words, message, hint, site: BackupSite):
    assert_failed(site.back_up(*words), FAILURE, message, hint)
    site.assert_nothing_left()


RESTORE_WORDS = {
    "jobs": (["--db-restore-jobs=many"], "invalid number of jobs", ""),
    "no host": (
        ["--change-cinderlib-db-credentials"],
        "--cinderlib-db-host is missing",
        "--cinderlib-db-host",
    ),
    "unchanged credentials": (["--reports-db-user=x"], "--change-reports-db-credentials", "add"),
    "no password file": (
        ["--db-passfile=/nowhere/x"],
        "password file /nowhere/x: No such file",
        "first line",
    ),
    "a prompt without a terminal": (["--db-password"], "Standard input is not a terminal", "--db-passfile"),
    "a way to nowhere": (["--on-existing=drop"], "invalid way 'drop' for --on-existing", "refuse"),
    "half an administrator": (
        ["--provision-admin-user=x"],
        "--provision-admin-passfile is missing",
        "give both",
    ),
    "a port": (["--db-port=high"], "high", ""),
}


@pytest.mark.parametrize(("words", "message", "hint"), RESTORE_WORDS.values(), ids=RESTORE_WORDS)
def test_a_restore_that_cannot_be_understood(words, message, hint, target: Target):
    assert_failed(target.restore(*words), FAILURE, message, hint)
    target.assert_untouched()


def test_a_real_process_fails_alike():
    done = real_process.run(["--flie=x"])
    assert done.status == FAILURE
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "FATAL: Unknown option '--flie'. Please see '--help' for details.",
        "  hint: did you mean --file?",
    ]


@pytest.mark.parametrize("mode", ["restore", "verify", "drill", "inspect", "extract"])
def test_an_archive_that_is_not_there(mode: str, tmp_path: Path):
    log = [] if mode in ("inspect", "extract") else [f"--log={tmp_path / 'log'}"]
    result = real_process.run([mode, f"--file={tmp_path / 'none'}", f"--root={tmp_path}", *log])
    assert result.status == UNREADABLE
    assert f"FATAL: {tmp_path / 'none'} does not exist" in result.stderr.splitlines()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["restore --dry-run", "drill", "inspect"])
def test_an_archive_that_is_not_there_as_json(mode: str, tmp_path: Path):
    words = [*mode.split(), "--json", f"--file={tmp_path / 'none'}", f"--root={tmp_path}"]
    result = real_process.run(words + ([] if mode == "inspect" else [f"--log={tmp_path / 'log'}"]))
    assert result.status == UNREADABLE
    assert '"status_name": "UNREADABLE_ARCHIVE"' in result.stdout
    assert json.loads(result.stdout)["format"].startswith("engine-backup ")


@pytest.mark.parametrize(
    ("words", "closed", "status", "message"),
    [
        (
            "verify --file={archive} --root={root}",
            "var/log/ovirt-engine-backup",
            FAILURE,
            "cannot open the log",
        ),
        (
            "backup --root={root} --log={root}/log --product-version=4.5.7",
            "var/lib/ovirt-engine-backup",
            REFUSED,
            "cannot write into directory",
        ),
        ("verify --file={root}/in/x --log={root}/log", "in", UNREADABLE, "in/x: Permission denied"),
        ("extract {root}/in/x --fqdn", "in", UNREADABLE, "in/x: Permission denied"),
        ("journal --root={root}/in/x", "in", FAILURE, "in/x is missing or not a directory"),
        ("inspect {archive} --tmpdir={root}/in/x", "in", FAILURE, "in/x is missing or not a directory"),
    ],
)
def test_places_where_an_ordinary_user_may_not_look(
    words: str, closed: str, status: int, message: str, tmp_path: Path
):
    (tmp_path / closed).mkdir(parents=True)
    (tmp_path / closed).chmod(0)
    archive = golden.archive("4.5.7-scope-files")
    result = real_process.run([w.format(root=tmp_path, archive=archive) for w in words.split()], ORDINARY)
    (tmp_path / closed).chmod(0o700)
    assert_failed(result, status, message)


def test_an_archive_that_may_not_be_read(tmp_path: Path):
    (tmp_path / "a.backup").touch(mode=0)
    result = real_process.run(["inspect", str(tmp_path / "a.backup")], ORDINARY)
    assert_failed(result, UNREADABLE, "a.backup: Permission denied", "who may read it")


def test_a_temporary_directory_where_nobody_may_write(tmp_path: Path):
    (tmp_path / "closed").mkdir(mode=0o500)
    archive = str(golden.archive("3.3.5-default"))
    result = real_process.run(["inspect", archive, f"--tmpdir={tmp_path / 'closed'}"], ORDINARY)
    assert_failed(result, FAILURE, "cannot create a private directory", "choose another place with --tmpdir")


def test_archives_that_may_not_be_opened_are_listed(tmp_path: Path):
    shutil.copy(golden.archive("4.5.7-scope-files"), tmp_path / "open.backup")
    (tmp_path / "closed.backup").touch(mode=0)
    (tmp_path / "text").write_text("no archive")
    result = real_process.run(["list", str(tmp_path)], ORDINARY).check()
    assert "closed.backup: Permission denied" in result.stdout
    assert "other files there: 1" in result.stdout


@pytest.mark.parametrize("words", [["list", "."], ["verify", "--file=a"], ["backup", "--root=x"]])
def test_a_current_directory_that_is_gone(words: list[str], tmp_path: Path):
    gone = ("sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(tmp_path))
    result = real_process.run(words, gone)
    assert_failed(result, FAILURE, "cannot look at the current directory", "another directory")


def test_names_that_no_file_can_have(site: BackupSite, tmp_path: Path):
    name = "x" * 300
    assert_failed(site.back_up(f"--file={tmp_path / name}"), FAILURE, "File name too long", "--file=FILE")
    listed = real_process.run(["list", str(tmp_path / name), str(golden.archive("4.5.7-scope-files"))])
    assert listed.status == UNREADABLE
    assert "4.5.7-scope-files.backup" in listed.stdout
    assert "File name too long" in listed.stdout


@pytest.mark.parametrize("mode", ["verify", "rollback", "commit", "journal"])
def test_options_without_a_meaning_are_named_in_every_mode(mode: str, tmp_path: Path):
    file = [f"--file={golden.archive('4.5.7-scope-files')}"] if mode == "verify" else []
    log = [] if mode == "journal" else [f"--log={tmp_path / 'log'}"]
    result = real_process.run([mode, *file, "--jobs=2", f"--root={tmp_path}", *log])
    assert result.status == ExitStatus.SUCCESS, result.stderr
    assert f"Warning: --jobs has no meaning with --mode={mode}" in result.stderr


def test_file_and_log_are_one(site: BackupSite):
    again = site.machine.directory / "other-name"
    again.symlink_to(site.machine.archive)
    for log in (site.machine.archive, again):
        words = [word for word in site.words() if not word.startswith("--log=")]
        result = site.machine.command(*words, f"--log={log}")
        assert_failed(result, FAILURE, "--file and --log can not be the same", "log")
        site.assert_nothing_left()


# Where the archive cannot go


def test_a_directory_that_does_not_exist(site: BackupSite):
    assert_failed(
        site.back_up("--file=/nowhere/a.backup"), REFUSED, "/nowhere does not exist", "mkdir -p /nowhere"
    )
    site.assert_nothing_left()


def test_a_directory_that_is_a_file(site: BackupSite):
    place = site.machine.archive / "a.backup"
    assert_failed(
        site.back_up(f"--file={place}"), REFUSED, f"{site.machine.archive} is no directory", "--file"
    )
    site.assert_nothing_left()


def test_a_directory_where_nobody_can_write(site: BackupSite):
    """In /proc even root creates no files, whatever access(2) says."""
    result = site.back_up("--file=/proc/a.backup")
    if os.getuid() == 0:
        assert_failed(result, FAILURE, "Cannot create '/proc/a.backup.partial'", "--file")
    else:
        assert_failed(result, REFUSED, "cannot write into directory /proc", "--file")
    site.assert_nothing_left()
    site.engine.assert_untouched()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_directory_that_is_closed_to_us(site: BackupSite):
    closed = site.machine.directory / "closed"
    closed.mkdir(mode=0o500)
    assert_failed(
        site.back_up(f"--file={closed}/a"), REFUSED, f"cannot write into directory {closed}", "--file"
    )
    site.assert_nothing_left()


def test_a_file_that_is_a_directory(site: BackupSite):
    assert_failed(site.back_up(f"--file={site.machine.temporary}"), REFUSED, "is no regular file", "--file")
    site.assert_nothing_left()


def test_a_file_that_must_stay(site: BackupSite):
    assert_failed(site.back_up("--no-overwrite"), REFUSED, f"{site.machine.archive} exists", "--no-overwrite")
    site.assert_nothing_left()


def test_a_temporary_directory_where_nobody_can_write(site: BackupSite, target: Target):
    assert_failed(site.back_up("--tmpdir=/proc"), FAILURE, "/proc", "--tmpdir")
    site.assert_nothing_left()
    assert_failed(target.restore("--tmpdir=/proc"), FAILURE, "/proc", "--tmpdir")
    target.assert_untouched()


# Configuration that cannot be understood


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rm -rf /\n", "neither NAME=value nor a comment"),
        ('ENGINE_DB_PASSWORD="$(id)"\n', "$ is not followed by"),
        ("ENGINE_DB_PORT=high\n", "ENGINE_DB_PORT is not the number of a port"),
    ],
)
def test_a_broken_conf_file(line: str, message: str, site: BackupSite, tmp_path: Path):
    root = tmp_path / "copy"
    shutil.copytree(site.engine.root, root, symlinks=True, ignore=lambda *_: {"content"})
    (root / "etc/ovirt-engine/engine.conf.d/99-broken.conf").write_text(line)
    result = site.back_up(f"--root={root}")
    assert_failed(result, FAILURE, message, "correct that line")
    assert "99-broken.conf" in result.fatal[0]
    site.assert_nothing_left()


# Archives that are broken


def damaged(archive: Path, place: int) -> bytes:
    content = bytearray(archive.read_bytes())
    content[place] ^= 0x10
    return bytes(content)


def read_by_all(target: Target) -> list[object]:
    """Return what verify and restore make of the archive."""
    return [target.machine.engine_backup("verify", "--product-version=4.5.7"), target.restore()]


@pytest.mark.parametrize("part", [0.001, 0.01, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 1])
def test_truncated(part: float, target: Target):
    archive = target.machine.archive
    # The tar's end is zeros: what is cut off there is no loss.
    whole = len(archive.read_bytes().rstrip(b"\0"))
    os.truncate(archive, int(whole * part))
    small = archive.stat().st_size < 512
    for result in read_by_all(target):
        assert_failed(result, UNREADABLE if small else DAMAGED, str(archive), "")
    target.assert_untouched()


@pytest.mark.parametrize("part", [0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97])
def test_one_bit_flipped(part: float, target: Target):
    archive = target.machine.archive
    archive.write_bytes(damaged(archive, int(archive.stat().st_size * part)))
    for result in read_by_all(target):
        assert_failed(result, DAMAGED, str(archive), "another backup")
    target.assert_untouched()


def test_truncated_and_flipped_archives_of_other_shapes(site: BackupSite, target: Target):
    """Compressed as a whole, as stock makes them."""
    for compressor in ("gzip", "bzip2", "xz"):
        site.back_up(f"--archive-compressor={compressor}", "--scope=keycloakdb", "--scope=grafanadb").check()
        whole = site.machine.archive.read_bytes()
        for content in (whole[: len(whole) // 2], whole[:-5], damaged(site.machine.archive, len(whole) // 2)):
            target.machine.archive.write_bytes(content)
            for result in read_by_all(target):
                assert_failed(result, DAMAGED, str(target.machine.archive), "another backup")
            target.assert_untouched()


def test_no_hash_file(target: Target):
    target.machine.archive.write_bytes(hostile.archive_bytes(hostile.sound_members(), with_hashes=False))
    for result in read_by_all(target):
        assert_failed(result, DAMAGED, "No supported hash file found", "another backup")
    target.assert_untouched()


NO_ARCHIVES = {
    "empty": b"",
    "text": b"hello\n" * 1000,
    "zeros": bytes(10240),
    "a picture in a tar": hostile.tar_bytes(Crafted("holiday.jpg", b"x")),
    "compressed text": gzip.compress(b"hello\n" * 1000),
    "SQLite": b"SQLite format 3\0" * 100,
    "a dump": b"PGDMP\x01\x0e\x00" + bytes(1000),
}


@pytest.mark.parametrize("content", NO_ARCHIVES.values(), ids=NO_ARCHIVES)
def test_no_archive(content: bytes, target: Target):
    target.machine.archive.write_bytes(content)
    for result in read_by_all(target):
        assert_failed(result, UNREADABLE, str(target.machine.archive), "--file")
    target.assert_untouched()


@pytest.mark.parametrize("place", ["/dev/null", "/proc", "/dev/zero"])
def test_no_file_at_all(place: str, target: Target):
    for mode in ("verify", "restore"):
        result = target.machine.engine_backup(mode, "--product-version=4.5.7", f"--file={place}")
        assert_failed(result, UNREADABLE, place, "--file")
        target.assert_untouched()


# Archives that mean harm

OUTER = {
    "absolute": Crafted("/etc/passwd", b"x"),
    "upwards": Crafted("./db/../../etc/passwd", b"x"),
    "link": Crafted("./manifest.json", type=tarfile.SYMTYPE, link="/etc/shadow"),
    "device": Crafted("./db/x", type=tarfile.BLKTYPE),
    "pipe": Crafted("./db/x", type=tarfile.FIFOTYPE),
    "twice": Crafted("./version", b"4.4\n"),
}


@pytest.mark.parametrize("member", OUTER.values(), ids=OUTER)
def test_a_hostile_member(member: Crafted, target: Target):
    target.machine.archive.write_bytes(hostile.archive_bytes(hostile.sound_members(), member))
    for result in read_by_all(target):
        assert_failed(result, HOSTILE, str(target.machine.archive), "where the archive comes from")
    target.assert_untouched()


def test_a_file_through_a_link_of_the_outer_tar(target: Target, tmp_path: Path):
    link = Crafted("./db/link", type=tarfile.SYMTYPE, link=str(tmp_path))
    through = Crafted("./db/link/planted", b"x")
    target.machine.archive.write_bytes(hostile.archive_bytes(hostile.sound_members(), link, through))
    for result in read_by_all(target):
        assert_failed(result, HOSTILE, "db/link", "where the archive comes from")
    target.assert_untouched()
    assert not (tmp_path / "planted").exists()


INNER = {
    "absolute": [Crafted("/etc/passwd", b"x")],
    "upwards": [Crafted("etc/ovirt-engine/../../../x", b"x")],
    "through a link": [
        Crafted("etc/ovirt-engine/aaa", type=tarfile.SYMTYPE, link="/etc"),
        Crafted("etc/ovirt-engine/aaa/passwd", b"x"),
    ],
    "hard link outside": [Crafted("etc/ovirt-engine/x", type=tarfile.LNKTYPE, link="/etc/shadow")],
    "device": [Crafted("etc/ovirt-engine/x", type=tarfile.CHRTYPE)],
    "pipe": [Crafted("etc/ovirt-engine/x", type=tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("members", INNER.values(), ids=INNER)
def test_hostile_files(members: list[Crafted], target: Target):
    target.machine.archive.write_bytes(hostile.with_files(*members))
    for result in read_by_all(target):
        culprit = members[-1].link or members[-1].name.strip("/")
        assert_failed(result, HOSTILE, culprit, "where the archive comes from")
        target.assert_untouched()


def test_what_a_sound_archive_may_not_bring(target: Target):
    """Setuid files lose the bit; places where programs start by themselves need to be asked for."""
    target.machine.archive.write_bytes(
        hostile.with_files(
            Crafted("etc/ovirt-engine/tool", b"#!/bin/sh\n", mode=0o6755),
            Crafted("etc/cron.d/evil", b"* * * * * root id\n"),
            Crafted("root/.ssh/authorized_keys", b"ssh-rsa x\n"),
            Crafted("etc/ovirt-engine-backup/engine-backup-dorestore.d/x.sh", b"touch /hacked\n", mode=0o755),
        )
    )
    result = target.machine.engine_backup("restore", "--product-version=4.5.7").check()
    assert (target.machine.root / "etc/ovirt-engine/tool").stat().st_mode & 0o7777 == 0o755
    assert "setuid or setgid bit not restored" in result.stderr
    for name in ("etc/cron.d/evil", "root/.ssh/authorized_keys"):
        assert f"/{name}" in result.stderr
        assert not (target.machine.root / name).exists()
    assert not Path("/hacked").exists()
    assert target.machine.leftovers() == []


def test_a_link_that_waits_on_the_machine(target: Target, tmp_path: Path):
    """A directory of the archive that is a link here leads nowhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (target.machine.root / "etc/pki").mkdir()
    (target.machine.root / "etc/pki/ovirt-engine").symlink_to(outside)
    result = target.restore()
    assert_refused(result, "/etc/pki/ovirt-engine is a symbolic link", "move it away")
    assert list(outside.iterdir()) == []
    assert target.machine.leftovers() == []


@pytest.mark.parametrize(
    "line",
    [
        b"DB_DUMP_COMPRESSOR=$(touch /tmp/hacked-by-config)\n",
        b"DB_DUMP_FORMAT=custom; touch /tmp/hacked-by-config\n",
        b"touch /tmp/hacked-by-config\n",
        b"DB_DUMP_FORMAT=`touch /tmp/hacked-by-config`\n",
        b"DB_DUMP_COMPRESSOR=/tmp/program\n",
    ],
)
def test_config_is_data(line: bytes, target: Target):
    members = hostile.sound_members(config=line)
    target.machine.archive.write_bytes(hostile.archive_bytes(members))
    for result in read_by_all(target):
        assert_failed(result, HOSTILE, "config", "where the archive comes from")
    target.assert_untouched()
    assert not Path("/tmp/hacked-by-config").exists()


@pytest.mark.parametrize(
    ("version", "status"),
    [(b"9.9.1\n", INCOMPATIBLE), (b"2.0\n", INCOMPATIBLE)],
)
def test_a_version_that_does_not_fit(version: bytes, status: int, target: Target, original: Original):
    target.machine.archive.write_bytes(hostile.archive_bytes(sql_members(b"SELECT 1;\n", version=version)))
    shutil.copy(original.machine.root / CONF, target.machine.root / CONF)
    for result in read_by_all(target):
        assert_refused(result, version.decode().strip(), "", status)
    empty_and_clean(target)


@pytest.mark.parametrize(
    "version", [b"", b"banana\n", b"\xff\xfe\n", b"4.5.7; id\n", b"4" * 5000, b"4.5.7\n4.4\n"]
)
def test_a_version_that_is_none(version: bytes, target: Target):
    target.machine.archive.write_bytes(hostile.archive_bytes(sql_members(b"SELECT 1;\n", version=version)))
    for result in read_by_all(target):
        assert result.status in {DAMAGED, HOSTILE, INCOMPATIBLE, UNREADABLE}, result.stderr
        assert len(result.fatal) >= 1
        assert "hint: " in result.stderr
        assert "Traceback" not in result.stderr
        target.assert_untouched()


# Dumps that are programs

LAST_LINE = b"\n--\n-- PostgreSQL database dump complete\n--\n\n"


def sql_members(statements: bytes, **members: bytes) -> dict[str, bytes]:
    """Return the members of an archive with one plain dump of the engine."""
    return hostile.sound_members(**{"db/engine_backup.db": statements + LAST_LINE, **members})


def empty_and_clean(target: Target) -> None:
    for credentials in target.logins.values():
        assert fingerprint_database(credentials).tables == {}
    assert target.machine.leftovers() == []


def load(target: Target, original: Original, statements: bytes):
    """Restore a plain dump into the engine's empty database."""
    conf = target.machine.root / CONF
    shutil.copy(original.machine.root / CONF, conf)
    before = conf.read_bytes()
    target.machine.archive.write_bytes(hostile.archive_bytes(sql_members(statements)))
    words = change_options({"engine": target.logins["engine"]}, target.machine.directory)
    result = target.machine.engine_backup("restore", *words)
    assert conf.read_bytes() == before
    assert sorted(path.name for path in conf.parent.iterdir()) == [conf.name, "12-setup-keycloak.conf"]
    empty_and_clean(target)
    return result


PSQL_COMMANDS = {
    "shell": b"\\! touch MARK\n",
    "shell within a line": b"SELECT 1; \\! touch MARK\n",
    "output to a program": b"\\o |touch MARK\nSELECT 1;\n",
    "output of a query": b"SELECT 1 \\g |touch MARK\n",
    "copy by a program": b"\\copy t from program 'touch MARK'\n",
    "a file": b"\\i /etc/passwd\n",
    "another database": b"\\connect postgres\n",
    "after copied data": b"COPY public.t (a) FROM stdin;\n1\n\\.\n\\! touch MARK\n",
    "backticks": b"\\set x `touch MARK`\n",
    "restrict with more": b"\\restrict abc \\! touch MARK\n",
}


@pytest.mark.parametrize("command", PSQL_COMMANDS.values(), ids=PSQL_COMMANDS)
def test_commands_of_psql(command: bytes, target: Target, original: Original, tmp_path: Path):
    mark = tmp_path / "mark"
    statements = b"CREATE TABLE public.t (a integer);\n" + command.replace(b"MARK", os.fsencode(mark))
    result = load(target, original, statements)
    assert_failed(result, HOSTILE, "command of psql", "where the archive comes from")
    assert "db/engine_backup.db" in result.fatal[0]
    assert "line " in result.fatal[0]
    assert not mark.exists()
    verified = target.machine.engine_backup("verify", "--product-version=4.5.7")
    assert_failed(verified, HOSTILE, "command of psql", "where the archive comes from")


SERVER_COMMANDS = {
    "from a program": b"COPY public.t FROM PROGRAM 'touch MARK';\n",
    "to a program": b"COPY public.t TO PROGRAM 'touch MARK';\n",
    "from a file": b"COPY public.t FROM '/etc/passwd';\n",
    "to a file": b"COPY public.t TO 'MARK';\n",
    "superuser": b"ALTER ROLE CURRENT_USER SUPERUSER;\n",
    "another role": b"SET SESSION AUTHORIZATION postgres;\nSET ROLE postgres;\n",
    "a library": b"CREATE FUNCTION public.f() RETURNS int LANGUAGE c AS '/tmp/x.so', 'f';\n",
    "a setting": b"ALTER SYSTEM SET archive_command = 'touch MARK';\n",
    "in a block": b"DO $$BEGIN EXECUTE 'COPY public.t TO PROGRAM ''touch MARK'''; END$$;\n",
    "reading files": b"SELECT pg_read_file('/etc/passwd');\n",
}


# What begins like statements of real dumps is refused by the server, and all is undone: the role that
# loads has no more rights than its own database. The others are refused before anything is touched.
BY_THE_SERVER = ("another role", "a library", "reading files")


@pytest.mark.parametrize("name", SERVER_COMMANDS)
def test_commands_that_only_a_superuser_may_give(
    name: str, target: Target, original: Original, tmp_path: Path
):
    tmp_path.chmod(0o777)
    mark = tmp_path / "mark"
    statements = b"CREATE TABLE public.t (a integer);\n" + SERVER_COMMANDS[name].replace(
        b"MARK", os.fsencode(mark)
    )
    result = load(target, original, statements)
    if name in BY_THE_SERVER:
        assert_failed(result, FAILURE, "Errors while restoring database target_engine: line", "server")
        assert "(SQLSTATE " in result.fatal[0]
    else:
        assert_failed(result, HOSTILE, "db/engine_backup.db: line 2: a statement that no dump holds")
    assert not mark.exists()


def test_a_dump_that_breaks_in_the_middle(target: Target, original: Original):
    result = load(
        target, original, b"CREATE TABLE public.t (a integer);\nCREATE TABLE public.t (a integer);\n"
    )
    assert_failed(result, FAILURE, "line 2 of the dump", "server")


def test_a_role_that_may_do_too_much(target: Target, original: Original):
    """A superuser would run what a dump says; such a role is refused beforehand."""
    credentials = login(original.server, "mighty", "mighty")
    with closing(original.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER ROLE mighty SUPERUSER")
        connection.commit()
    shutil.copy(original.machine.root / CONF, target.machine.root / CONF)
    target.machine.archive.write_bytes(hostile.archive_bytes(sql_members(b"CREATE TABLE t (a integer);\n")))
    words = change_options({"engine": credentials}, target.machine.directory)
    result = target.machine.engine_backup("restore", *words)
    assert_failed(result, REFUSED, "role 'mighty' of database 'mighty' is a superuser", "NOSUPERUSER")
    assert fingerprint_database(credentials).tables == {}


# Names that mean something elsewhere

NAMES = [
    "a=b host=elsewhere",
    "postgresql://elsewhere/template1",
    'quo\'te "both"',
    "back\\slash",
    "blank at the end ",
    "dbname=template1",
    "-d template1",
    "žluťoučký",
    "${ENGINE_DB_HOST}",
    "$(id)",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_database_and_a_role_of_an_odd_name(
    name: str, original: Original, postgres_server: ScratchServer, tmp_path: Path
):
    """Backed up from the conf files, restored by options: the name is a name everywhere."""
    source = login(postgres_server, f"from {name}", f"from {name}")
    there = login(postgres_server, f"to {name}", f"to {name}")
    with closing(postgres_server.connect(source.database, source.user, source.password)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept (a text)")
            cursor.execute("INSERT INTO kept SELECT generate_series(1, 100)::text")
        connection.commit()
    machine = Machine(tmp_path / "machine")
    machine.install()
    write_conf(machine, source)
    machine.engine_backup("backup", "--product-version=4.5.7", "--scope=db", "--scope=files").check()
    words = change_options({"engine": there}, machine.directory)
    machine.engine_backup(
        "restore",
        "--product-version=4.5.7",
        "--no-restore-permissions",
        "--scope=db",
        "--scope=files",
        *words,
    ).check()
    assert fingerprint_database(there).tables.items() >= fingerprint_database(source).tables.items()


def quoted(value: str) -> str:
    """Quote as the product reads it (reference 7.3)."""
    return '"' + "".join(f"\\{sign}" if sign in '"$\\' else sign for sign in value) + '"'


def write_conf(machine: Machine, credentials: Credentials) -> None:
    """Write what engine-setup leaves; stock's way of quoting does not survive every name."""
    values = {
        "ENGINE_DB_HOST": credentials.host,
        "ENGINE_DB_PORT": str(credentials.port),
        "ENGINE_DB_USER": credentials.user,
        "ENGINE_DB_PASSWORD": credentials.password.reveal(),
        "ENGINE_DB_DATABASE": credentials.database,
    }
    planter = Planter(machine.root)
    planter.file(CONF, "".join(f"{key}={quoted(value)}\n" for key, value in values.items()))
    answers = f"[environment:default]\n{ENGINE.enabled_key}=bool:True\n"
    planter.file("etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf", answers)


def test_a_name_that_no_conf_file_can_hold(target: Target, original: Original):
    """PostgreSQL takes a line end in a name; the product's files do not."""
    odd = login(original.server, "new\nline", "new\nline")
    words = change_options({**target.logins, "engine": odd}, target.machine.directory)
    result = target.machine.engine_backup("restore", "--no-restore-permissions", *words)
    assert_refused(result, "holds a line end", "without line ends")
    assert fingerprint_database(odd).tables == {}
    target.assert_untouched()


@pytest.mark.parametrize(
    "names", [{"database": "nul\0"}, {"user": "nul\0"}, {"host": "nul\0"}, {"database": "\udcff"}]
)
def test_a_name_that_no_server_can_have(names: dict[str, str], target: Target):
    odd = replace(target.logins["engine"], **names)
    words = change_options({**target.logins, "engine": odd}, target.machine.directory)
    result = target.machine.engine_backup("restore", "--no-restore-permissions", *words)
    assert_refused(result, "Can't connect to database", "check user")
    target.assert_untouched()
