"""What we write is what stock, `hosted-engine` and plain Python read."""

from __future__ import annotations

import hashlib
import io
import os
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Optional, cast

import pytest

from engine_backup.drivers import compression
from engine_backup.drivers.archive_reader import open_archive
from engine_backup.drivers.archive_writer import ArchiveWriter, Owner
from engine_backup.drivers.outgoing_stream import OutgoingStream
from engine_backup.drivers.spooling import copied_in_kernel, nameless_file
from engine_backup.model.archive import Generation
from engine_backup.model.errors import EngineBackupError
from tests.support.hostile_archives import Crafted, tar_bytes

WHEN = 1_700_000_000
COMPRESSORS = ["", "gzip", "bzip2", "xz", "zstd"]
DUMP = b"PGDMP" + bytes(range(256)) * 40
INNER = tar_bytes(Crafted("etc/ovirt-engine/engine.conf", b"ENGINE_FQDN=engine.lab.example\n"))
CONFIG = b"DB_DUMP_COMPRESSOR=\nDB_DUMP_FORMAT=custom\n"


def packed(content: bytes) -> bytes:
    sink = io.BytesIO()
    with compression.open_writer(sink, "xz") as writer:
        writer.write(content)
    return sink.getvalue()


def write_archive(path: Path, compressor: str = "") -> list[tuple[str, int, str]]:
    with path.open("wb") as target:
        return write_into(target, compressor, path.parent)[0]


def write_into(
    target: BinaryIO, compressor: str, spool: Path
) -> tuple[list[tuple[str, int, str]], Optional[str]]:
    """Return the members, and the digest of the whole where the writer knows it."""
    writer = ArchiveWriter(target, compressor, spool, WHEN)
    writer.add_directory("db")
    with writer.member(
        "db/engine_backup.db", mtime=WHEN - 60, mode=0o640, owner=Owner(26, 26, "postgres", "postgres")
    ) as sink:
        for start in range(0, len(DUMP), 1000):
            sink.write(DUMP[start : start + 1000])
    with writer.member("files") as sink:
        sink.write(packed(INNER))
    for name, content in (("version", b"4.5.7\n"), ("config", CONFIG), ("manifest.json", b"{}\n")):
        writer.add_bytes(name, content)
    writer.finish()
    return [(record.name, record.size, record.sha256) for record in writer.records], writer.whole_sha256


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_our_own_reader_agrees(compressor: str, tmp_path: Path) -> None:
    written = write_archive(tmp_path / "a.backup", compressor)
    with open_archive(tmp_path / "a.backup", tmp_path) as archive:
        archive.hashes.check_all()
        assert archive.generation is Generation.D
        assert archive.compressor == compressor
        assert archive.manifest == {}
        assert archive.files_compressor == "xz"
        assert archive.dumps["engine"].mtime == WHEN - 60
        assert [entry.path for entry in archive.file_entries()] == [b"etc/ovirt-engine/engine.conf"]
        for name, size, digest in written:
            assert archive.members[name].size == size
            assert archive.hashes.digest(name, "sha256") == digest


@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_a_stream_gets_the_same_bytes_and_their_digest(compressor: str, tmp_path: Path) -> None:
    """Members wait for their sizes instead of their headers being patched: nobody can tell."""
    members = write_archive(tmp_path / "a.backup", compressor)
    out = os.open(tmp_path / "streamed", os.O_WRONLY | os.O_CREAT, 0o600)
    with OutgoingStream(out) as stream:
        streamed, digest = write_into(cast(BinaryIO, stream), compressor, tmp_path)
        assert streamed == members
        assert stream.size == (tmp_path / "streamed").stat().st_size
    content = (tmp_path / "streamed").read_bytes()
    assert content == (tmp_path / "a.backup").read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()


def test_a_member_that_fails_never_reaches_a_stream(tmp_path: Path) -> None:
    """Not even in part: what was sent cannot be taken back."""
    with OutgoingStream(os.open(tmp_path / "streamed", os.O_WRONLY | os.O_CREAT, 0o600)) as stream:
        writer = ArchiveWriter(cast(BinaryIO, stream), "", tmp_path, WHEN)
        before = stream.size
        with pytest.raises(RuntimeError), writer.member("files") as sink:
            sink.write(DUMP)
            raise RuntimeError
        assert stream.size == before


@pytest.mark.parametrize("compressor", ["", "gzip", "bzip2", "xz"])
def test_python_alone_reads_it_as_hosted_engine_does(compressor: str, tmp_path: Path) -> None:
    write_archive(tmp_path / "a.backup", compressor)
    with tarfile.open(tmp_path / "a.backup") as tar:
        assert tar.getnames()[:3] == [".", "./db", "./db/engine_backup.db"]
        stored = tar.extractfile("./files")
        with tarfile.open(fileobj=stored) as inner:
            conf = inner.extractfile("etc/ovirt-engine/engine.conf")
            assert conf is not None
            assert conf.read() == b"ENGINE_FQDN=engine.lab.example\n"
        dump = tar.getmember("./db/engine_backup.db")
        assert (dump.mode, dump.uid, dump.uname, dump.mtime, dump.size) == (
            0o640,
            26,
            "postgres",
            WHEN - 60,
            len(DUMP),
        )
        hashes = tar.extractfile("./sha256sum")
        assert hashes is not None
        lines = dict(reversed(line.decode().split("  ")) for line in hashes.read().splitlines())
        files = [member.name[2:] for member in tar if member.isfile() and member.name != "./sha256sum"]
        assert sorted(lines) == sorted(files)
        for name, digest in lines.items():
            content = tar.extractfile(f"./{name}")
            assert content is not None
            assert hashlib.sha256(content.read()).hexdigest() == digest


def test_it_is_a_whole_number_of_tar_records(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.backup")
    assert (tmp_path / "a.backup").stat().st_size % 10240 == 0


def test_the_same_input_gives_the_same_archive(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.backup", "gzip")
    write_archive(tmp_path / "b.backup", "gzip")
    assert (tmp_path / "a.backup").read_bytes() == (tmp_path / "b.backup").read_bytes()


@pytest.mark.parametrize("compressor", ["", "gzip"])
def test_a_member_that_failed_was_never_there(compressor: str, tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    with path.open("wb") as target:
        writer = ArchiveWriter(target, compressor, tmp_path, WHEN)
        with pytest.raises(KeyError), writer.member("files") as sink:
            sink.write(b"half of it" * 5000)
            raise KeyError
        with writer.member("files") as sink:
            sink.write(INNER)
        writer.add_bytes("version", b"4.5.7\n")
        writer.finish()
    with open_archive(path, tmp_path) as archive:
        archive.hashes.check_all()
        assert archive.members["files"].size == len(INNER)


def test_a_name_is_written_once(tmp_path: Path) -> None:
    with (tmp_path / "a.backup").open("wb") as target:
        writer = ArchiveWriter(target, "", tmp_path, WHEN)
        writer.add_bytes("version", b"1\n")
        with pytest.raises(ValueError, match="version"):
            writer.add_bytes("version", b"2\n")


def test_sizes_above_eight_gibibytes(tmp_path: Path) -> None:
    size = (8 << 30) + 3
    with (tmp_path / "a.backup").open("wb") as target:
        writer = ArchiveWriter(target, "", tmp_path, WHEN)
        # Writing and hashing 8 GiB of zeros would take half a minute; a hole is as good.
        with writer.member("db/engine_backup.db") as sink:
            target.seek(size, os.SEEK_CUR)
            writer._outer.size += size
            sink.size = size
        writer.add_bytes("version", b"4.5.7\n")
        writer.finish()
    with open_archive(tmp_path / "a.backup", tmp_path) as archive:
        assert archive.members["db/engine_backup.db"].size == size
        assert archive.version == "4.5.7"
    with tarfile.open(tmp_path / "a.backup") as tar:
        assert tar.getmember("./db/engine_backup.db").size == size


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    write_archive(path)
    whole = bytearray(path.read_bytes())
    interesting = [place for place, byte in enumerate(whole) if byte or place % 13 == 0]
    for place in interesting[:600:3] + interesting[600::11]:
        whole[place] ^= 1 << place % 8
        path.write_bytes(whole)
        with pytest.raises(EngineBackupError), open_archive(path, tmp_path) as archive:
            archive.hashes.check_all()
        whole[place] ^= 1 << place % 8


def test_a_cut_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    write_archive(path)
    whole = path.read_bytes()
    content_end = len(whole.rstrip(b"\0"))
    for length in [*range(0, content_end, 97), content_end, content_end + 512]:
        path.write_bytes(whole[:length])
        with pytest.raises(EngineBackupError), open_archive(path, tmp_path) as archive:
            archive.hashes.check_all()


class TestMembersThatWait:
    def test_they_come_behind_the_one_in_its_place(self, tmp_path: Path) -> None:
        spool = tmp_path / "spool"
        spool.mkdir()
        with (tmp_path / "a.backup").open("w+b") as target:
            writer = ArchiveWriter(target, "", spool, WHEN)
            writer.add_directory("db")
            with ThreadPoolExecutor(4) as pool, writer.member("db/engine_backup.db") as sink:
                sink.write(DUMP[:1000])
                list(pool.map(lambda number: self.spooled(writer, number), range(8)))
                sink.write(DUMP[1000:])
                assert list(spool.iterdir()) == []
            for number in reversed(range(8)):
                writer.append(f"member-{number}")
            writer.finish()
        with tarfile.open(tmp_path / "a.backup") as tar:
            found = {m.name: (m.mode, m.uname, tar.extractfile(m).read()) for m in tar if m.isfile()}
        assert list(found)[:3] == ["./db/engine_backup.db", "./member-7", "./member-6"]
        assert found["./db/engine_backup.db"] == (0o600, "root", DUMP)
        assert found["./member-3"] == (0o640, "three", DUMP * 3)
        with open_archive(tmp_path / "a.backup", tmp_path) as archive:
            archive.hashes.check_all()

    def spooled(self, writer: ArchiveWriter, number: int) -> None:
        owner = Owner(number, number, "three", "three")
        with writer.spool(f"member-{number}", WHEN, 0o640, owner) as sink:
            for _ in range(number):
                sink.write(DUMP)

    def test_one_that_failed_was_never_there(self, tmp_path: Path) -> None:
        with (tmp_path / "a.backup").open("w+b") as target:
            writer = ArchiveWriter(target, "", tmp_path, WHEN)
            with pytest.raises(KeyError), writer.spool("files") as sink:
                sink.write(DUMP)
                raise KeyError
            with pytest.raises(KeyError):
                writer.append("files")
            with writer.spool("files") as sink:
                sink.write(INNER)
            writer.append("files")
            writer.finish()
        with open_archive(tmp_path / "a.backup", tmp_path) as archive:
            archive.hashes.check_all()
            assert archive.members["files"].size == len(INNER)

    @pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1 << 20])
    def test_the_kernel_copies_what_was_spooled(self, size: int, tmp_path: Path) -> None:
        content = random.Random(size).randbytes(size)  # noqa: S311 - nobody must not guess it
        with nameless_file(tmp_path) as source, (tmp_path / "a").open("w+b") as target:
            source.write(content)
            source.flush()
            target.write(b"before ")
            done = copied_in_kernel(source.fileno(), target, size)
            assert target.tell() == 7 + done
            target.write(content[done:] + b" behind")
        assert (tmp_path / "a").read_bytes() == b"before " + content + b" behind"

    def test_where_the_kernel_cannot_nothing_is_lost(self, tmp_path: Path) -> None:
        with nameless_file(tmp_path) as source, (tmp_path / "a").open("w+b") as target:
            source.write(DUMP)
            source.flush()
            assert copied_in_kernel(os.open(tmp_path, os.O_RDONLY), target, len(DUMP)) == 0
            assert target.tell() == 0
