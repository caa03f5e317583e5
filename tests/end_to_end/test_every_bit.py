"""Archives with one bit flipped, cut off, or with something added: verify finds all of it in ours.

In those of stock it finds what their format guards: all but a few bits at both ends of what is packed.
"""

from __future__ import annotations

import os
import random
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine_backup.drivers.run_log import open_log
from engine_backup.model.errors import (
    DamagedArchiveError,
    EngineBackupError,
    HostileArchiveError,
    UnreadableArchiveError,
)
from engine_backup.model.requests import Surroundings, VerifyRequest
from engine_backup.model.verify_levels import Level
from engine_backup.run.reporting import Reporter
from engine_backup.run.verify import verify
from tests.support import golden
from tests.support.sample import Original

SEED = 20261122
BLOCK, RECORD = 512, 10240
FLIPS = 2000
FLIPS_OF_OTHERS = 200
FLIPS_OF_STOCK = 60
# Time, system and level in gzip's header; the size of blocks in bzip2's, and what fills its last byte.
UNGUARDED_BYTES = 10

# Words of the backup, and how many random flips its archive gets.
PRESETS = {
    "classic": ("--classic",),
    "fast-backup": ("--fast-backup",),
    "fast-restore": ("--fast-restore",),
    "small-size": ("--small-size",),
}
PACKED = {"gzip": 200, "bzip2": 40, "xz": 80}


class Silent:
    """Where people would look."""

    def say(self, line: str) -> None: ...
    def warn(self, line: str) -> None: ...
    def advance(self, label: str, done: int, total: int | None) -> None: ...
    def wait(self, line: str) -> None: ...
    def settle(self) -> None: ...
    def confirm(self, question: str) -> bool:
        return False


class Site:
    """A copy of an archive that may be damaged, and a place to verify it from."""

    def __init__(self, archive: Path, directory: Path, version: str, reporter: Reporter) -> None:
        self.path = directory / "damaged.backup"
        self.path.write_bytes(archive.read_bytes())
        self.whole = self.path.read_bytes()
        surroundings = Surroundings(directory, directory / "log", directory, product_version=version)
        self.request = VerifyRequest(surroundings, self.path, Level.HASH)
        self.reporter = reporter

    def passes(self) -> bool:
        """Verify; what is found must be named as what it is, and name the file."""
        try:
            verify(self.request, self.reporter)
        except (DamagedArchiveError, HostileArchiveError, UnreadableArchiveError) as error:
            assert str(self.path) in error.message
            return False
        except EngineBackupError as error:
            raise AssertionError(f"no word of damage: {error.message}") from error
        return True

    def survives_flip(self, place: int, bit: int) -> bool:
        """Flip one bit for the time of a verify."""
        with self.path.open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), bytes([self.whole[place] ^ 1 << bit]), place)
            try:
                return self.passes()
            finally:
                os.pwrite(file.fileno(), self.whole[place : place + 1], place)

    def survives_as(self, content: bytes) -> bool:
        """Verify other content."""
        self.path.write_bytes(content)
        try:
            return self.passes()
        finally:
            self.path.write_bytes(self.whole)


@contextmanager
def site_of(original: Original, directory: Path, *words: str) -> Iterator[Site]:
    """Back up by these words, and let the archive be damaged."""
    archive = directory / "engine.backup"
    original.machine.engine_backup("backup", f"--file={archive}", *words).check()
    with damaging(archive, directory, "4.5.7") as site:
        yield site


@contextmanager
def damaging(archive: Path, directory: Path, version: str) -> Iterator[Site]:
    """Let a copy of an archive be damaged, which is sound before and afterwards."""
    with open_log(directory / "log", directory) as log:
        site = Site(archive, directory, version, Reporter(Silent(), log))
        assert site.passes()
        yield site
        assert site.passes()


def regions(path: Path) -> dict[str, list[range]]:
    """Return where headers, contents, padding and the end of a tar lie."""
    found: dict[str, list[range]] = {"headers": [], "contents": [], "padding": []}
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            end = member.offset_data + member.size
            found["headers"].append(range(member.offset, member.offset_data))
            found["contents"].append(range(member.offset_data, end))
            found["padding"].append(range(end, end + -end % BLOCK))
    found["end"] = [range(end + -end % BLOCK, path.stat().st_size)]
    return {name: [place for place in places if place] for name, places in found.items()}


def spread(path: Path, count: int, dice: random.Random) -> list[tuple[str, int, int]]:
    """Choose bits: as many of each kind of place, and of each place as many, whatever its size."""
    kinds = regions(path)
    chosen = []
    for number in range(count):
        kind = list(kinds)[number % len(kinds)]
        place = dice.choice(dice.choice(kinds[kind]))
        chosen.append((kind, place, dice.randrange(8)))
    return chosen


def missed_flips(site: Site, count: int) -> list[tuple[str, int, int]]:
    print(f"seed {SEED}, {count} flips, {len(site.whole)} bytes")
    dice = random.Random(SEED)
    return [flip for flip in spread(site.path, count, dice) if site.survives_flip(flip[1], flip[2])]


def test_two_thousand_flips(original: Original, tmp_path: Path) -> None:
    with site_of(original, tmp_path) as site:
        assert missed_flips(site, FLIPS) == []


@pytest.mark.parametrize("words", PRESETS.values(), ids=PRESETS)
def test_flips_in_each_preset(words: tuple[str, ...], original: Original, tmp_path: Path) -> None:
    with site_of(original, tmp_path, *words) as site:
        assert missed_flips(site, FLIPS_OF_OTHERS) == []


@pytest.mark.parametrize(("compressor", "count"), PACKED.items(), ids=PACKED)
def test_flips_in_an_archive_that_is_packed_as_a_whole(
    compressor: str, count: int, original: Original, tmp_path: Path
) -> None:
    """Both ends have more bits than their share: compressors put what nothing covers there."""
    dice = random.Random(SEED)
    with site_of(original, tmp_path, f"--archive-compressor={compressor}") as site:
        size = len(site.whole)
        print(f"seed {SEED}, {count} flips, {size} bytes")
        places = [dice.choice((range(16), range(size), range(size - 80, size))) for _ in range(count)]
        flips = [(dice.choice(place), dice.randrange(8)) for place in places]
        assert [flip for flip in flips if site.survives_flip(*flip)] == []


def test_every_cut_is_found(original: Original, tmp_path: Path) -> None:
    """Also cuts within the zeros of the end, which take nothing away but tell that something went wrong."""
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    with site_of(original, tmp_path) as site:
        size = len(site.whole)
        lengths = [*range(0, size, BLOCK), *(dice.randrange(size) for _ in range(100)), size - 1]
        assert [length for length in lengths if site.survives_as(site.whole[:length])] == []


@pytest.mark.parametrize("compressor", ["None", *PACKED])
def test_whatever_is_added_is_found(compressor: str, original: Original, tmp_path: Path) -> None:
    with site_of(original, tmp_path, f"--archive-compressor={compressor}") as site:
        added = {
            "zero": b"\0",
            "zeros for xz": bytes(4),
            "block": bytes(BLOCK),
            "record": bytes(RECORD),
            "text": b"x",
            "random": random.Random(SEED).randbytes(RECORD),
            "itself": site.whole,
            "its end": site.whole[-RECORD:],
        }
        assert [name for name, more in added.items() if site.survives_as(site.whole + more)] == []


@pytest.mark.parametrize("compressor", PACKED)
def test_cuts_in_an_archive_that_is_packed_as_a_whole(
    compressor: str, original: Original, tmp_path: Path
) -> None:
    with site_of(original, tmp_path, f"--archive-compressor={compressor}") as site:
        size = len(site.whole)
        lengths = [*range(0, size, size // 20), *range(size - 100, size, 3), size - 1]
        assert [length for length in lengths if site.survives_as(site.whole[:length])] == []


@pytest.mark.parametrize("name", golden.NAMES)
def test_flips_and_cuts_in_archives_of_stock(name: str, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    print(f"seed {SEED}, {FLIPS_OF_STOCK} flips")
    with damaging(golden.archive(name), tmp_path, golden.facts(name)["version"].strip()) as site:
        size = len(site.whole)
        flips = [(dice.randrange(size), dice.randrange(8)) for _ in range(FLIPS_OF_STOCK)]
        missed = [place for place, bit in flips if site.survives_flip(place, bit)]
        assert [place for place in missed if UNGUARDED_BYTES <= place < size - 1] == []
        cuts = [0, 1, *(dice.randrange(size - RECORD) for _ in range(20))]
        assert [length for length in cuts if site.survives_as(site.whole[:length])] == []
