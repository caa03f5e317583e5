"""The version rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model.errors import EngineBackupError, IncompatibleArchiveError
from engine_backup.plan.compatibility import Version, accepts

GOLDEN = Path(__file__).parent.parent / "golden"

# installed, backup, accepted: the rows of reference 2.2, with both sides of every border.
CASES = [
    ("3.3.0", "3.3.5", True),
    ("3.3.5", "3.3.0", True),
    ("3.4.0", "3.3.5", False),
    ("3.6.6", "3.6.13", True),
    ("3.6.6", "3.5.6", False),
    ("3.6.6.1", "3.6.0", True),
    ("3.6.13", "4.0.0", False),
    ("4.0.0", "3.6.13", True),
    ("4.0.6.3", "3.6.3.4", True),
    ("4.0.0", "3.5.0", False),
    ("4.0.0_master", "3.6.0", True),
    ("4.1.0", "4.0.6.3", False),
    ("4.1.0", "3.6.0", False),
    ("4.1.0", "4.1.9", True),
    ("4.2.0", "4.2.8.8", True),
    ("4.2.0", "4.1.11.2", False),
    ("4.3.0", "4.3.10.4", True),
    ("4.3.10.4", "4.2.8.8", False),
    ("4.4.0", "4.3.0", True),
    ("4.4.3.3", "4.3.9", True),
    ("4.4.3.3", "4.4.10.7", True),
    ("4.4.3.3", "4.2.8", False),
    ("4.4.3.4", "4.3.9.4", False),
    ("4.4.3.4", "4.3.10", True),
    ("4.4.6.8", "4.4.10.7", True),
    ("4.4.7", "4.4.7", True),
    ("4.4.7", "4.4.6.8", True),
    ("4.4.7", "4.4.7.1", False),
    ("4.4.10.7", "4.3.11", True),
    ("4.4.10.7", "4.3.9", False),
    ("4.4.10.7", "4.5.0", False),
    ("4.5.0.2", "4.4.10.7", True),
    ("4.5.0.2", "4.4.0", True),
    ("4.5.7", "4.5.7", True),
    ("4.5.7", "4.5.6", True),
    ("4.5.7", "4.5.8", False),
    ("4.5.7", "4.5.10", False),
    ("4.5.10", "4.5.9", True),
    ("4.5.7", "4.3.10", True),
    ("4.5.7", "4.3.9", False),
    ("4.5.7", "4.3.0_master", False),
    ("4.5.7", "4.2.8", False),
    ("4.5.0.1", "4.5.0_master", True),
    ("4.5.0_master", "4.5.0.1", False),
    ("4.5.8_master", "4.5.8", False),
    ("4.5.8", "4.5.8_master", True),
    ("4.5.8_master", "4.5.7", True),
    ("4.6.0", "4.6.0", True),
    ("4.6.0", "4.6.1", False),
    ("4.6.0", "4.5.7", True),
    ("4.6.0", "4.4.0", True),
    ("4.6.0", "4.3.10", False),
    ("5.0.0", "4.6.3", True),
    ("5.0.0", "4.3.11", False),
    ("4.6.0", "4.7.0", False),
]


@pytest.mark.parametrize(("installed", "backup", "accepted"), CASES)
def test_the_table(installed: str, backup: str, accepted: bool) -> None:
    verdict = accepts(installed, backup)
    assert verdict.accepted is accepted
    assert bool(verdict.reason) is not accepted


def test_a_refusal_says_it_in_stocks_words() -> None:
    verdict = accepts("4.5.7", "3.6.3.4")
    assert verdict.message == (
        "Backup was created by version '3.6.3.4' and can not be restored using the installed version 4.5.7"
    )
    assert verdict.reason == "backups of the older 3.6 cannot be restored by 4.5"
    assert accepts("4.5.7", "4.3.9").reason == "of 4.3 only 4.3.10 and later can be restored"
    assert accepts("4.5.7", "4.5.8\n").reason == "the backup is newer than the installed version"


@pytest.mark.parametrize("description", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_golden_archives_as_stock_4_5_7_judges_them(description: Path) -> None:
    golden = json.loads(description.read_text())
    assert accepts("4.5.7", golden["version"]).accepted is golden["accepted_by_stock_4_5_7"]


ASCENDING = [
    "3.3.5",
    "4.5.0_alpha",
    "4.5.0_beta2",
    "4.5.0_beta10",
    "4.5.0_master",
    "4.5.0",
    "4.5.0.1",
    "4.5.1",
    "4.5.10",
]


def test_order() -> None:
    versions = [Version.parse(text) for text in ASCENDING]
    assert all(a < b for a, b in zip(versions, versions[1:]))
    assert Version.parse("4.5.0.0") == Version.parse("4.5.0")
    assert hash(Version.parse("4.5.0.0")) == hash(Version.parse("4.5.0"))
    assert Version.parse("4.5.0") != "4.5.0"


@pytest.mark.parametrize(
    "text",
    ["", "4", "4.5", "4.5.x", "v4.5.7", "4.5.7-1", "4.5.7_", "4..5", "٤.٥.٧", "9" * 9000, "4.5.7\n4.5.8"],
)
def test_garbage_is_an_error(text: str) -> None:
    with pytest.raises(EngineBackupError) as installed:
        accepts(text, "4.5.7")
    assert not isinstance(installed.value, IncompatibleArchiveError)
    with pytest.raises(IncompatibleArchiveError) as caught:
        accepts("4.5.7", text)
    assert len(caught.value.message) < 120


numbers = st.lists(st.integers(0, 30), min_size=3, max_size=5)
versions = st.builds(
    lambda parts, milestone: ".".join(map(str, parts)) + milestone,
    numbers,
    st.sampled_from(["", "_master", "_beta1", "_beta2", "_rc1.2"]),
)


@given(versions, versions, versions)
def test_versions_have_one_total_order(a: str, b: str, c: str) -> None:
    x, y, z = sorted(map(Version.parse, (a, b, c)))
    assert x <= y <= z
    assert x <= z
    assert (x == y) is (not x < y and not y < x)


@given(versions)
def test_every_version_takes_its_own_backups(version: str) -> None:
    assert accepts(version, version).accepted


@given(versions, versions)
def test_nothing_takes_a_backup_of_a_later_line(installed: str, backup: str) -> None:
    if Version.parse(backup).line > Version.parse(installed).line:
        assert not accepts(installed, backup).accepted
