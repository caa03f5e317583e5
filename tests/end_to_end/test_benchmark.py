"""The benchmark runs: on an engine so small that its figures mean nothing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.__main__ import main


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that the account of scratch servers can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        Path(place).chmod(0o755)
        yield Path(place)


def test_all_jobs_are_done_by_all_and_every_bar_is_judged(directory, capsys):
    status = main(["--vms=12", "--days=1", "--rounds=1", "--compare", f"--directory={directory}"])
    shown = capsys.readouterr()
    assert status in (0, 1), shown.err
    found = json.loads((directory / "results.json").read_text())
    assert set(found["jobs"]["backup"]) == set(found["jobs"]["restore"]) == {"stock", "ours"}
    assert all(bar["measured"] > 0 for bar in found["bars"])
    assert all(measured[0]["wall"] > 0 for job in found["jobs"].values() for measured in job.values())
    assert "ours: all rows are back" in shown.out
    assert "stock: all rows are back" in shown.out
    ElementTree.parse(directory / "results.svg")
    assert not list(directory.glob("run-*"))


def test_an_unknown_job_is_named(directory, capsys):
    assert main(["--jobs=backup,dance", f"--directory={directory}"]) == 2
    assert "unknown jobs: dance" in capsys.readouterr().err
