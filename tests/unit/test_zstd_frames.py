"""Where the frames of zstd streams lie, told by their headers alone."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.drivers import compression, zstd_frames
from engine_backup.drivers.compressors import _zstd

CONTENTS = st.binary(max_size=400) | st.integers(0, 1 << 19).map(lambda size: b"a" * size) | st.integers(
    0, 1 << 18
).map(os.urandom)  # fmt: skip


def frame(content: bytes, level: int = 2, checksum: bool = True, told_size: bool = True) -> bytes:
    zstd = _zstd()
    parameter = zstd.CompressionParameter
    options = {
        parameter.compression_level: level,
        parameter.checksum_flag: checksum,
        parameter.content_size_flag: told_size,
    }
    return zstd.compress(content, options=options)


FRAMES = st.lists(
    st.builds(frame, CONTENTS, st.sampled_from((1, 2, 19)), st.booleans(), st.booleans()), max_size=5
)


def find(content: bytes) -> tuple[int, ...] | None:
    return zstd_frames.find(io.BytesIO(content), len(content))


@given(FRAMES)
def test_frames_are_found_where_they_are(frames):
    places = [0]
    for content in frames:
        places.append(places[-1] + len(content))
    assert find(b"".join(frames)) == tuple(places)


@given(FRAMES.filter(bool), st.data())
def test_what_is_cut_off_or_no_frame_is_not_taken_for_one(frames, data):
    whole = b"".join(frames)
    places = find(whole)
    cut = data.draw(st.integers(1, len(whole) - 1))
    assert find(whole[:cut]) == (places[: places.index(cut) + 1] if cut in places else None)
    assert find(whole + b"engine") is None


@given(st.binary(max_size=200))
def test_anything_has_an_end(content):
    found = find(b"\x28\xb5\x2f\xfd" + content)
    assert found is None or found[-1] == len(content) + 4


def test_too_many_blocks_are_not_counted_to_their_end(monkeypatch: pytest.MonkeyPatch):
    content = frame(os.urandom(1 << 20))
    assert find(content) is not None
    monkeypatch.setattr(zstd_frames, "MOST_BLOCKS", 3)
    assert find(content) is None


def test_what_a_writer_begins_anew_can_be_unpacked_by_itself():
    pieces = [b"first" * 50_000, b"second", os.urandom(300_000)]
    sink = io.BytesIO()
    with compression.open_writer(sink, "zstd") as writer:
        for number, piece in enumerate(pieces):
            if number:
                writer.begin_frame()
            writer.write(piece)
    content = sink.getvalue()
    places = find(content)
    assert len(places) == 4
    for piece, start, end in zip(pieces, places, places[1:]):
        assert compression.open_reader(io.BytesIO(content[start:end]), "zstd", "x").read() == piece
    assert compression.open_reader(io.BytesIO(content), "zstd", "x").read() == b"".join(pieces)


@pytest.mark.parametrize("compressor", ["", "gzip", "bzip2", "xz"])
def test_other_compressors_can_begin_anew_too(compressor: str):
    sink = io.BytesIO()
    with compression.open_writer(sink, compressor) as writer:
        writer.write(b"first")
        writer.begin_frame()
        writer.write(b"second")
    sink.seek(0)
    assert compression.open_reader(sink, compressor, "x").read() == b"firstsecond"
