from __future__ import annotations

import gzip
import io
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_backup.drivers import compression
from engine_backup.drivers.compressors import COMPRESSORS
from engine_backup.model.archive import ReadLimits
from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError

NAMES = sorted(COMPRESSORS)
SAMPLE = b"a line of text, and another one\n" * 200 + bytes(range(256))


def packed(content: bytes, name: str, **options: int) -> bytes:
    sink = io.BytesIO()
    with compression.open_writer(sink, name, **options) as writer:
        writer.write(content)
    return sink.getvalue()


def unpacked(content: bytes, name: str) -> bytes:
    return compression.open_reader(io.BytesIO(content), name, "the sample").read()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(pieces=st.lists(st.binary(max_size=3000), max_size=4))
def test_what_was_packed_comes_back_also_from_several_streams(name: str, pieces: list[bytes]) -> None:
    whole = b"".join(packed(piece, name) for piece in pieces) or packed(b"", name)
    assert compression.detect(whole) == name
    assert unpacked(whole, name) == b"".join(pieces)


@pytest.mark.parametrize("name", NAMES)
def test_input_that_comes_in_small_bites(name: str) -> None:
    class Bites(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 7, 7))

    whole = packed(SAMPLE, name) * 2
    stream = compression.open_reader(Bites(whole), name, "the sample")
    assert stream.read(10) == SAMPLE[:10]
    assert stream.read() == (SAMPLE * 2)[10:]


@pytest.mark.parametrize("name", NAMES)
def test_every_truncation_is_noticed(name: str) -> None:
    whole = packed(SAMPLE, name)
    for length in range(len(whole)):
        with pytest.raises(DamagedArchiveError, match="the sample"):
            unpacked(whole[:length], name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("garbage", [b"x", b"\x01garbage behind the end", b"\x1f", b"BZ"])
def test_garbage_behind_the_end_is_noticed(name: str, garbage: bytes) -> None:
    with pytest.raises(DamagedArchiveError):
        unpacked(packed(SAMPLE, name) + garbage, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_never_changes_what_comes_out(name: str) -> None:
    whole = bytearray(packed(SAMPLE, name))
    noticed = 0
    for place in range(len(whole)):
        whole[place] ^= 0x10
        try:
            # A format has a few bits without meaning, such as those that fill up deflate's last byte.
            assert unpacked(bytes(whole), name) == SAMPLE
        except DamagedArchiveError:
            noticed += 1
        whole[place] ^= 0x10
    assert noticed > len(whole) * 0.9


@pytest.mark.parametrize("name", ["gzip", "xz"])
def test_zeros_behind_the_end_are_padding(name: str) -> None:
    assert unpacked(packed(SAMPLE, name) + bytes(2048), name) == SAMPLE


@pytest.mark.parametrize("name", ["bzip2", "zstd"])
def test_zeros_are_no_padding_where_the_format_has_none(name: str) -> None:
    with pytest.raises(DamagedArchiveError):
        unpacked(packed(SAMPLE, name) + bytes(2048), name)


def test_gzip_is_the_same_every_time_and_has_no_time() -> None:
    one = packed(SAMPLE, "gzip")
    assert one == packed(SAMPLE, "gzip")
    assert one[4:8] == bytes(4)
    assert gzip.decompress(one) == SAMPLE


def test_zstd_frames_carry_a_checksum() -> None:
    assert packed(SAMPLE, "zstd")[4] & 0b100


def test_threads_do_not_change_what_comes_back() -> None:
    assert unpacked(packed(SAMPLE, "zstd", level=1, workers=2), "zstd") == SAMPLE


@pytest.mark.parametrize("name", NAMES)
def test_the_usual_program_reads_what_was_packed(name: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"needs the program {name}")
    done = subprocess.run([name, "-dc"], input=packed(SAMPLE, name), capture_output=True, check=True)
    assert done.stdout == SAMPLE


@pytest.mark.parametrize("name", NAMES)
def test_a_bomb_is_refused(name: str) -> None:
    limits = ReadLimits(expanded_bytes=1 << 20, expansion_ratio=20)
    bomb = io.BytesIO(packed(bytes(8 << 20), name))
    with pytest.raises(HostileArchiveError, match="expands"):
        compression.open_reader(bomb, name, "the sample", limits).read()


def test_good_compression_of_little_data_is_no_bomb() -> None:
    assert len(unpacked(packed(bytes(8 << 20), "xz"), "xz")) == 8 << 20


@pytest.mark.parametrize("name", NAMES)
def test_a_failing_block_leaves_no_whole_stream(name: str) -> None:
    sink = io.BytesIO()
    with pytest.raises(KeyError), compression.open_writer(sink, name) as writer:
        writer.write(SAMPLE)
        raise KeyError
    with pytest.raises(DamagedArchiveError):
        unpacked(sink.getvalue(), name)


def test_no_compressor_means_the_bytes_themselves() -> None:
    assert packed(SAMPLE, "") == SAMPLE
    assert unpacked(SAMPLE, "") == SAMPLE
    assert compression.detect(SAMPLE) == ""
