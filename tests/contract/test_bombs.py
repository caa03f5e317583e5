"""What unpacks to far more than any backup is refused, wherever it is packed, and leaves nothing behind."""

from __future__ import annotations

import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine_backup.drivers import divided_dump
from engine_backup.drivers.archive_reader import Archive, open_archive
from engine_backup.model.archive import ReadLimits
from engine_backup.model.errors import HostileArchiveError
from engine_backup.run.reading import open_dump
from tests.support import golden
from tests.support import hostile_archives as hostile
from tests.support.hostile_archives import Crafted
from tests.support.rebuilt_archives import PACK

SMALL = ReadLimits(expanded_bytes=1 << 20, expansion_ratio=50)
ZEROS = bytes(8 << 20)
COMPRESSORS = [name for name in PACK if name]


def read_files(archive: Archive) -> None:
    archive.file_entries()


def read_dump(archive: Archive) -> None:
    with open_dump(archive, archive.dumps["engine"]) as stream:
        while stream.read(1 << 18):
            pass


def outer(compressor: str) -> bytes:
    return PACK[compressor](hostile.archive_bytes(hostile.sound_members(**{"db/engine_backup.db": ZEROS})))


def files(compressor: str) -> bytes:
    inner = PACK[compressor](hostile.tar_bytes(Crafted("etc/x", ZEROS)))
    return hostile.archive_bytes(hostile.sound_members(files=inner))


def dump(compressor: str) -> bytes:
    members = {"config": b"", "db/engine_backup.db": PACK[compressor](b"-- " + ZEROS)}
    return hostile.archive_bytes(hostile.sound_members(**members))


PLACES: dict[str, tuple[Callable[[str], bytes], Callable[[Archive], None], str]] = {
    "outer": (outer, read_files, "crafted.backup expands"),
    "files": (files, read_files, "files expands"),
    "dump": (dump, read_dump, "db/engine_backup.db expands"),
}


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize(("content", "read", "message"), PLACES.values(), ids=PLACES)
def test_a_bomb_is_refused(
    compressor: str,
    content: Callable[[str], bytes],
    read: Callable[[Archive], None],
    message: str,
    tmp_path: Path,
) -> None:
    path, workspace = tmp_path / "crafted.backup", tmp_path / "workspace"
    workspace.mkdir()
    path.write_bytes(content(compressor))
    with pytest.raises(HostileArchiveError) as caught, open_archive(path, workspace, SMALL) as archive:
        read(archive)
    assert message in caught.value.message
    assert list(workspace.iterdir()) == []
    # The same archive is read where so much is allowed.
    with open_archive(path, workspace) as archive:
        read(archive)


@pytest.mark.parametrize("members", [5, 16])
def test_too_many_members(members: int, tmp_path: Path) -> None:
    path = tmp_path / "crafted.backup"
    path.write_bytes(hostile.archive_bytes(hostile.sound_members(), *[Crafted(f"./{n}") for n in range(20)]))
    with (
        pytest.raises(HostileArchiveError, match=f"more than {members} members"),
        open_archive(path, tmp_path, ReadLimits(members=members)),
    ):
        pass


def test_too_many_holes(tmp_path: Path) -> None:
    path = tmp_path / "crafted.backup"
    more = b"".join(hostile.sparse_map(range(n * 42, n * 42 + 21), more=True) for n in range(1, 20))
    header = bytearray(hostile.member_bytes(Crafted("./x", type=tarfile.GNUTYPE_SPARSE, size=0)))
    header[482], header[483:495] = 1, hostile.number(1 << 30)
    path.write_bytes(hostile.raw_archive(hostile.recomputed(bytes(header)), more))
    with (
        pytest.raises(HostileArchiveError, match="x has an absurd sparse map"),
        open_archive(path, tmp_path, ReadLimits(sparse_segments=100)),
    ):
        pass


@pytest.mark.parametrize("name", golden.NAMES)
def test_real_archives_are_far_from_the_limits(name: str, tmp_path: Path) -> None:
    """With a limit of nothing on size, they would still expand less than a quarter of what is allowed."""
    limits = ReadLimits(expanded_bytes=0, expansion_ratio=ReadLimits().expansion_ratio // 4)
    with open_archive(golden.archive(name), tmp_path, limits) as archive:
        archive.hashes.check_all()
        archive.file_entries()
        for member in archive.dumps.values():
            with open_dump(archive, member) as stream:
                while stream.read(1 << 18):
                    pass


def test_parts_of_a_dump_may_not_be_too_much_together(tmp_path: Path):
    """Each of four threads takes less than is refused, and all of them more."""
    path = tmp_path / "parts.backup"
    path.write_bytes(dump("zstd"))
    refused = []
    with open_archive(path, tmp_path, SMALL) as archive:
        expansion = divided_dump.Expansion(archive, archive.dumps["engine"])

        def take() -> None:
            try:
                for _ in range(10):
                    expansion.add(50_000)
            except HostileArchiveError as error:
                refused.append(error.message)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert refused
    assert all("db/engine_backup.db expands to more than 50 times its size" in text for text in refused)
