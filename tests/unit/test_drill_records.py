"""Records of drills are believed only when they can be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine_backup.drivers import drill_records
from engine_backup.model.drill import ArchiveIdentity, Proof

IDENTITY = ArchiveIdentity(1234, "ab" * 32)
AT = "2026-11-01T02:03:04+00:00"
RECORD = {
    "format": "engine-backup drill",
    "format_version": 1,
    "archive": {"size": 1234, "hashes": "ab" * 32},
    "started_at": AT,
    "outcome": "passed",
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "engine.backup"
    path.write_text("x")
    return path


@pytest.mark.parametrize(("outcome", "passed"), [("passed", True), ("failed", False)])
def test_what_was_written_is_read(outcome: str, passed: bool, archive: Path):
    place = drill_records.place_of(archive)
    drill_records.write(place, json.dumps({**RECORD, "outcome": outcome}))
    assert drill_records.read(archive, IDENTITY) == Proof(AT, passed)
    assert place.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in archive.parent.iterdir() if path not in (archive, place)] == []


@pytest.mark.parametrize(
    "change",
    [
        {"format": "engine-backup list"},
        {"archive": {"size": 1235, "hashes": "ab" * 32}},
        {"archive": {"size": 1234, "hashes": "cd" * 32}},
        {"archive": None},
        {"archive": [1234, "ab" * 32]},
        {"outcome": "great"},
        {"outcome": ["passed"]},
        {"started_at": 5},
        {"started_at": "yesterday"},
        {"started_at": "2999-01-01T00:00:00+00:00"},
        {"started_at": "2026-13-45T00:00:00+00:00"},
        {"started_at": "\x1b]0;owned\x07" + AT},
    ],
)
def test_what_does_not_fit_is_not_believed(change: dict, archive: Path):
    drill_records.place_of(archive).write_text(json.dumps({**RECORD, **change}))
    drill_records.place_of(archive).chmod(0o600)
    assert drill_records.read(archive, IDENTITY) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"[" * 100_000, b"\xff", b'{"format": "engine-backup']
)
def test_what_cannot_be_understood_is_no_failure(content: bytes, archive: Path):
    drill_records.place_of(archive).write_bytes(content)
    assert drill_records.read(archive, IDENTITY) is None


def _shared(place: Path) -> None:
    place.write_text(json.dumps(RECORD))
    place.chmod(0o666)


def _linked(place: Path) -> None:
    other = place.with_name("other")
    other.write_text(json.dumps(RECORD))
    place.symlink_to(other)


def _pipe(place: Path) -> None:
    os.mkfifo(place, 0o600)


@pytest.mark.parametrize("make", [_shared, _linked, _pipe])
def test_what_others_could_have_written_is_not_believed(make: Callable[[Path], None], archive: Path):
    make(drill_records.place_of(archive))
    assert drill_records.read(archive, IDENTITY) is None


def test_an_archive_without_hashes_has_no_record(archive: Path):
    drill_records.write(drill_records.place_of(archive), json.dumps(RECORD))
    assert drill_records.read(archive, None) is None


def test_a_history_grows_by_lines(tmp_path: Path):
    place = tmp_path / "new" / "drills.jsonl"
    for line in ("1", "2"):
        drill_records.append(place, line)
    assert place.read_text() == "1\n2\n"
    assert place.stat().st_mode & 0o777 == 0o600
