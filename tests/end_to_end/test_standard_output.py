"""`--file=-`: the archive goes through a pipe, and nothing but the archive does."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine_backup.drivers.outgoing_stream import OutgoingStream
from engine_backup.model.components import BY_NAME
from engine_backup.model.errors import ExitStatus
from engine_backup.model.modes import MODES, TAKING_OUT_MODES
from engine_backup.model.presets import PRESETS
from engine_backup.sample.compare import BACKUP_EVENTS, fingerprint_databases
from tests.end_to_end.test_dry_run import document, kinds
from tests.end_to_end.test_parallel_backup import DATABASES, EACH, assert_readable, contents
from tests.support import real_process
from tests.support.failures import BackupSite
from tests.support.machine import Machine, Result, change_options, login
from tests.support.sample import Original, clean_machine
from tests.support.small_disk import available, on_small_disk
from tests.support.wrapped_programs import wrapped

LIMIT_SECONDS = 120
READING = ("verify", "restore", "drill", "inspect", "list", "extract", "export")


def words_of(site: BackupSite, *more: str) -> list[str]:
    """Return the command line of a backup to standard output, of the shared engine."""
    return [*site.words(*more), "--file=-"]


@dataclass(frozen=True)
class Sent:
    """What came out of a process, and what it did."""

    data: bytes
    result: Result

    def archive(self, directory: Path) -> Path:
        """Save what came out."""
        file = directory / "received.backup"
        file.write_bytes(self.data)
        return file


def start(words: list[str], stdout: int, directory: Path, **more: object) -> subprocess.Popen[bytes]:
    """Start the command in a directory, where nothing may be made."""
    return subprocess.Popen(
        [*real_process.COMMAND, *words],
        cwd=directory,
        env=real_process.environment(),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        **more,
    )


def end(process: subprocess.Popen[bytes]) -> Result:
    _, errors = process.communicate(timeout=LIMIT_SECONDS)
    return Result(process.returncode, "", errors.decode())


def sent(words: list[str], directory: Path, before: tuple[str, ...] | list[str] = ()) -> Sent:
    """Run the command into a pipe that is read to its end."""
    done = subprocess.run(
        [*before, *real_process.COMMAND, *words],
        cwd=directory,
        env=real_process.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    return Sent(done.stdout, Result(done.returncode, "", done.stderr.decode()))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """The directory where the command runs; no file named `-` must be there afterwards."""
    directory = tmp_path / "place"
    directory.mkdir()
    yield directory
    assert list(directory.iterdir()) == []


def assert_no_archive(data: bytes, site: BackupSite, directory: Path) -> None:
    """Hold that no reader takes this for a whole archive."""
    file = directory / "cut.backup"
    file.write_bytes(data)
    assert site.machine.command(*site.machine.words("verify"), f"--file={file}", "--level=hash").status != 0
    with pytest.raises((tarfile.TarError, KeyError, EOFError)), tarfile.open(file) as opened:
        opened.getmember("./sha256sum")


class TestWhatComesOut:
    @pytest.mark.parametrize(
        "outer", ["None", *(pytest.param(word, marks=pytest.mark.thorough) for word in ("gzip", "xz"))]
    )
    @pytest.mark.parametrize("preset", PRESETS)
    def test_is_the_archive_and_nothing_else(
        self, preset: str, outer: str, site: BackupSite, place: Path, tmp_path: Path
    ):
        chosen = [] if preset == "default" else [f"--{preset}"]
        came = sent(words_of(site, *chosen, f"--archive-compressor={outer}"), place)
        came.result.check()
        file = came.archive(tmp_path)
        assert_readable(contents(file))
        lines = came.result.stderr.splitlines()
        digest = hashlib.sha256(came.data).hexdigest()
        assert lines[0] == "Start of engine-backup with mode 'backup'"
        assert lines[2] == "archive file: -"
        assert f"Written to standard output: {len(came.data)} bytes, sha256 {digest}" in lines
        assert lines[-1] == "Done."
        assert "not read again" in site.machine.log.read_text()
        site.machine.command(*site.machine.words("verify"), f"--file={file}").check()
        site.assert_nothing_left()

    def test_is_what_a_file_would_hold(self, site: BackupSite, place: Path, tmp_path: Path):
        """Member by member, but for what each backup has of its own."""
        site.back_up().check()
        came = sent(words_of(site), place).archive(tmp_path)
        with tarfile.open(came) as streamed, tarfile.open(site.machine.archive) as patched:
            one, other = (
                {(m.name, m.type, m.mode, m.uid, m.uname) for m in opened} for opened in (streamed, patched)
            )
        assert one == other
        assert came.read_bytes()[257:265] == b"ustar  \0"

    def test_can_be_restored(self, original: Original, site: BackupSite, place: Path, tmp_path: Path):
        came = sent(words_of(site), place)
        machine = clean_machine(original, tmp_path / "clean")
        came.result.check()
        machine.archive.write_bytes(came.data)
        logins = {name: login(original.server, f"sent_{name}", f"sent_{name}") for name in DATABASES}
        words = change_options(logins, machine.directory)
        machine.engine_backup("restore", "--no-restore-permissions", "--keep-temporary-data", *words).check()
        found = fingerprint_databases(logins, BACKUP_EVENTS)
        for name in logins:
            assert found[name].tables == original.databases[name].tables
        for path in ("etc/pki/ovirt-engine/ca.pem", "var/lib/grafana/grafana.db"):
            assert (machine.root / path).is_file()

    def test_events_are_those_of_any_backup(self, original: Original, site: BackupSite, place: Path):
        sent(words_of(site), place).result.check()
        assert events(original, site.machine.log) == ALL_SCOPES


ALL_SCOPES = {"files", "grafanadb", *(BY_NAME[name].event_scope for name in DATABASES)}


def events(original: Original, log: Path, passed: bool = True) -> set[str]:
    """Return the scopes that the engine has in its record of backups, by the log of one."""
    credentials = original.sample.credentials["engine"]
    connection = original.server.connect(credentials.database, credentials.user, credentials.password)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT scope FROM engine_backup_log WHERE log_path = %s AND is_passed = %s",
                (str(log), passed),
            )
            return {row[0] for row in cursor.fetchall()}
    finally:
        connection.close()


def through_fifo(directory: Path) -> tuple[int, Callable[[], bytes]]:
    fifo = directory / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY)
    os.set_blocking(reader, True)
    return writer, lambda: read_all(reader)


def through_socket(directory: Path) -> tuple[int, Callable[[], bytes]]:
    ours, theirs = socket.socketpair()
    return theirs.detach(), lambda: read_all(ours.detach())


def through_a_pipe_that_does_not_wait(directory: Path) -> tuple[int, Callable[[], bytes]]:
    """As some programs leave the pipes that others inherit."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    return writer, lambda: read_all(reader)


def into_a_file(directory: Path) -> tuple[int, Callable[[], bytes]]:
    file = directory / "redirected"
    return os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), file.read_bytes


def behind_what_a_file_holds(directory: Path) -> tuple[int, Callable[[], bytes]]:
    file = directory / "appended"
    file.write_bytes(b"before")
    flags = os.O_WRONLY | os.O_APPEND
    return os.open(file, flags), lambda: file.read_bytes().removeprefix(b"before")


def read_all(descriptor: int) -> bytes:
    """Read in pieces of an odd size, until nobody writes any more."""
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        return b"".join(iter(lambda: stream.read(3001), b""))


@pytest.mark.parametrize(
    "way",
    [
        through_fifo,
        through_socket,
        through_a_pipe_that_does_not_wait,
        into_a_file,
        behind_what_a_file_holds,
    ],
)
def test_whatever_takes_it_gets_the_same(way, site: BackupSite, place: Path, tmp_path: Path):
    writer, read = way(tmp_path)
    process = start(words_of(site), writer, place)
    os.close(writer)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(read() if way not in FILES else b""))
    reader.start()
    result = end(process)
    reader.join(LIMIT_SECONDS)
    data = read() if way in FILES else got[0]
    result.check()
    assert_readable(contents(Sent(data, result).archive(tmp_path)))
    assert hashlib.sha256(data).hexdigest() in result.stderr


FILES = (into_a_file, behind_what_a_file_holds)


class TestFailures:
    @pytest.mark.parametrize("taken", [0, 1000, 100_000])
    def test_a_reader_that_goes_away(
        self, taken: int, original: Original, site: BackupSite, place: Path, tmp_path: Path
    ):
        """Only the programs' own buffers are between them: what does not fit there is missed."""
        reader, writer = os.pipe()
        process = start(words_of(site), writer, place)
        os.close(writer)
        data = b""
        while len(data) < taken:
            data += os.read(reader, taken - len(data))
        os.close(reader)
        result = end(process)
        assert result.status == ExitStatus.FAILURE, result.stderr
        assert result.fatal == ["FATAL: cannot write the archive to standard output: Broken pipe"]
        assert "  hint: what reads it has ended too early" in result.stderr
        assert "Traceback" not in result.stderr
        assert "Done." not in result.stderr
        assert events(original, site.machine.log) == set()
        site.assert_nothing_left()
        site.engine.assert_untouched()
        assert_no_archive(data, site, tmp_path)

    def test_the_engine_is_told(self, original: Original, site: BackupSite, place: Path):
        reader, writer = os.pipe()
        process = start(words_of(site), writer, place)
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            assert len(stream.read(5000)) == 5000
        end(process)
        assert events(original, site.machine.log, passed=False) == ALL_SCOPES

    def test_no_room_where_it_goes(self, site: BackupSite, place: Path):
        with open("/dev/full", "wb") as full:
            result = end(start(words_of(site), full.fileno(), place))
        assert result.status == ExitStatus.FAILURE
        assert result.fatal == ["FATAL: cannot write the archive to standard output: No space left on device"]
        assert "Traceback" not in result.stderr
        site.assert_nothing_left()

    @pytest.mark.parametrize("outer", ["None", "gzip", "xz"])
    @pytest.mark.parametrize("failing", DATABASES)
    def test_a_dump_that_fails(
        self, failing: str, outer: str, original: Original, site: BackupSite, place: Path, tmp_path: Path
    ):
        name = original.sample.credentials[failing].database
        script = f"if database == {name!r}:\n    sys.exit('pg_dump: error: no more')\nbecome_real()\n"
        bindir = wrapped(tmp_path / "bin", original.server.programs, pg_dump=EACH + script)
        came = sent(words_of(site, f"--pg-bindir={bindir}", f"--archive-compressor={outer}"), place)
        assert came.result.status == ExitStatus.FAILURE
        assert name in came.result.fatal[0]
        assert_no_archive(came.data, site, tmp_path)
        site.assert_nothing_left()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_a_signal_while_the_reader_stalls(
        self, number: signal.Signals, site: BackupSite, place: Path, tmp_path: Path
    ):
        reader, writer = os.pipe()
        process = start(words_of(site), writer, place)
        await_full(writer)
        os.close(writer)
        process.send_signal(number)
        result = end(process)
        assert result.status not in (0, -number), result.stderr
        assert number.name in result.stderr
        assert "Traceback" not in result.stderr
        site.assert_nothing_left()
        assert_no_archive(read_all(reader), site, tmp_path)


def await_full(writer: int) -> None:
    """Wait until a pipe takes nothing more."""
    poll = select.poll()
    poll.register(writer, select.POLLOUT)
    deadline = time.monotonic() + LIMIT_SECONDS
    while poll.poll(0):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(not available(), reason="no private mount namespaces here")
class TestRoom:
    def sizes(self, site: BackupSite) -> tuple[int, int]:
        """Return the size of the largest member, and of the whole archive, in kilobytes."""
        site.back_up("--small-size").check()
        with tarfile.open(site.machine.archive) as opened:
            largest = max(member.size for member in opened)
        whole = site.machine.archive.stat().st_size
        site.machine.archive.write_text("# what stood there before\n")
        return -(-largest >> 10) + 1, whole >> 10

    def test_one_member_at_a_time_waits(self, site: BackupSite, place: Path, tmp_path: Path):
        largest, whole = self.sizes(site)
        room = max(largest, GRAFANA_KILOBYTES) + 24
        assert room < whole
        report = tmp_path / "report"
        before = on_small_disk(site.machine.temporary, room, report)
        came = sent(words_of(site, "--small-size"), place, before)
        came.result.check()
        assert_readable(contents(came.archive(tmp_path)))
        assert report.read_text() == ""

    def test_too_little_room_for_one(self, site: BackupSite, place: Path, tmp_path: Path):
        largest, _ = self.sizes(site)
        report = tmp_path / "report"
        before = on_small_disk(site.machine.temporary, largest // 2, report)
        came = sent(words_of(site, "--small-size"), place, before)
        assert came.result.status in (ExitStatus.FAILURE, ExitStatus.REFUSED)
        assert "space" in came.result.fatal[0]
        assert str(site.machine.temporary) in came.result.fatal[0]
        assert "Traceback" not in came.result.stderr
        assert report.read_text() == ""
        assert_no_archive(came.data, site, tmp_path)


# A tiny engine's, with its copy in the archive.
GRAFANA_KILOBYTES = 100


class TestRefused:
    """Before anything is looked at: there is no log, and nothing comes out."""

    def assert_refused(self, result: Result, machine: Machine, message: str) -> None:
        assert result.status == ExitStatus.FAILURE
        assert result.stderr.startswith(f"FATAL: {message}")
        assert "\n  hint: " in result.stderr
        assert not machine.log.exists()

    def test_a_terminal(self, site: BackupSite, place: Path):
        ours, theirs = pty.openpty()
        result = end(start(words_of(site), theirs, place))
        self.assert_refused(result, site.machine, "standard output is a terminal")
        os.close(theirs)
        os.set_blocking(ours, False)
        with pytest.raises(OSError):
            os.read(ours, 1)
        os.close(ours)

    def test_a_closed_one(self, site: BackupSite, place: Path):
        shell = ["sh", "-c", '"$@" >&-', "sh"]
        came = sent(words_of(site), place, shell)
        self.assert_refused(came.result, site.machine, "standard output is closed")

    @pytest.mark.parametrize("redirection", ["2>&1", ">both 2>&1"])
    def test_one_with_messages_in_it(self, redirection: str, site: BackupSite, place: Path):
        shell = ["sh", "-c", f'"$@" {redirection}', "sh"]
        came = sent(words_of(site), place, shell)
        both = place / "both"
        text = both.read_text() if both.exists() else came.data.decode()
        both.unlink(missing_ok=True)
        result = Result(came.result.status, "", text)
        self.assert_refused(result, site.machine, "standard output and standard error are the same")

    @pytest.mark.parametrize("log", ["/dev/stdout", "/proc/self/fd/1"])
    def test_the_log_in_it(self, log: str, site: BackupSite, place: Path):
        came = sent([*words_of(site), f"--log={log}"], place)
        self.assert_refused(came.result, site.machine, "--file and --log can not be the same")
        assert came.data == b""

    @pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
    def test_the_links_that_stand_for_it(self, name: str, site: BackupSite, place: Path, tmp_path: Path):
        """A file is replaced by a rename: that must not happen to these."""
        shell = ["sh", "-c", f'"$@" > {tmp_path}/redirected', "sh"]
        came = sent([*site.words(), f"--file={name}"], place, shell)
        self.assert_refused(came.result, site.machine, f"{name} stands for an open file")
        assert "--file=- is standard output" in came.result.stderr
        assert Path("/dev/stdout").is_symlink()

    def test_a_plan_with_problems(self, site: BackupSite, place: Path):
        came = sent(words_of(site, "--exclude-table-data=engine:no_such_table"), place)
        assert came.result.status == ExitStatus.REFUSED
        assert came.data == b""
        assert came.result.fatal


def test_both_to_nowhere_is_no_mixture(site: BackupSite, place: Path):
    shell = ["sh", "-c", '"$@" >/dev/null 2>/dev/null', "sh"]
    assert sent(words_of(site), place, shell).result.status == 0
    assert "Done." in site.machine.log.read_text()


@pytest.mark.parametrize("closing", ["2>&-", "<&-", "<&- 2>&-"])
def test_other_streams_may_be_closed(closing: str, site: BackupSite, place: Path, tmp_path: Path):
    came = sent(words_of(site), place, ["sh", "-c", f'"$@" {closing}', "sh"])
    assert came.result.status == 0
    assert_readable(contents(came.archive(tmp_path)))


@pytest.mark.parametrize("closing", [">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--no-such-option"]])
def test_nothing_is_lost_but_words_when_streams_are_closed(words: list[str], closing: str, place: Path):
    came = sent(words, place, ["sh", "-c", f'"$@" {closing}', "sh"])
    assert came.result.status == (1 if words == ["--no-such-option"] else 0)
    assert "Traceback" not in came.result.stderr


class TestDryRun:
    def test_for_people(self, site: BackupSite, place: Path):
        came = sent(words_of(site, "--dry-run"), place)
        came.result.check()
        assert came.result.stderr == ""
        lines = came.data.decode().splitlines()
        assert lines[-1] == "Dry run: nothing was changed."
        assert any("it is not re-read: let whoever receives it run verify" in line for line in lines)

    def test_for_programs(self, site: BackupSite, place: Path):
        came = sent(words_of(site, "--dry-run", "--json"), place)
        found = document(Result(came.result.status, came.data.decode(), came.result.stderr))
        assert kinds(found)[-3:] == ["describe", "hand_over", "announce_end"]
        assert found["would_run"]

    def test_a_file_is_no_stream(self, site: BackupSite, place: Path):
        came = sent(words_of(site, "--dry-run", "--json", "--no-overwrite"), place)
        assert any("--no-overwrite has no effect" in text for text in json.loads(came.data)["warnings"])


def test_a_file_may_still_be_called_so(site: BackupSite, tmp_path: Path):
    came = sent([*site.words(), "--file=./-"], tmp_path)
    came.result.check()
    assert came.data.decode().splitlines()[-1] == "Done."
    assert_readable(contents(tmp_path / "-"))
    for mode in ("verify", "inspect"):
        assert sent([mode, "./-", "--product-version=4.5.7"], tmp_path).result.status == 0


class TestNothingIsReadFromStandardInput:
    @pytest.mark.parametrize("mode", READING)
    @pytest.mark.parametrize("named", [["--file=-"], ["--file", "-"], ["-"]])
    def test_by_any_mode(self, mode: str, named: list[str], place: Path):
        more = ["x", "--to=native"] if mode == "export" else ["/"] if mode == "extract" else []
        came = sent([mode, *named, *more], place)
        assert came.result.status == ExitStatus.FAILURE
        assert came.data == b""
        if mode == "restore" and named == ["-"]:
            assert came.result.stderr.startswith("FATAL: unexpected argument '-'")
            return
        assert came.result.stderr.startswith("FATAL: an archive must be a file")
        assert "./-" in came.result.stderr

    def test_modes_are_all_there(self):
        assert set(READING) <= set(MODES)
        assert set(TAKING_OUT_MODES) <= set(READING)

    def test_nor_exported_to_standard_output(self, original: Original, place: Path):
        came = sent(["export", str(original.machine.archive), "-", "--to=classic"], place)
        assert came.result.status == ExitStatus.FAILURE
        assert came.result.stderr.startswith("FATAL: only a backup can be written to standard output")


class TestTheStream:
    """Without a backup."""

    def test_large_writes_to_a_slow_reader_arrive_whole(self):
        reader, writer = os.pipe()
        data = os.urandom(3_000_001)
        stream = OutgoingStream(writer)
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.append(read_all(reader)))
        thread.start()
        assert stream.write(data) == stream.size == len(data)
        assert stream.write(b"") == 0
        stream.sync()
        stream.close()
        thread.join(LIMIT_SECONDS)
        assert got == [data]
        assert stream.closed

    def test_cannot_seek(self):
        with OutgoingStream(os.open(os.devnull, os.O_WRONLY)) as stream:
            assert (stream.seekable(), stream.writable()) == (False, True)
