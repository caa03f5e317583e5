"""What a benchmark measures must be true, or its bars mean nothing."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import bars, plot, report, rounds
from benchmarks.meter import Invocation, MeasuredProgramError, Measurement, measure
from benchmarks.workload import size_of

MEGABYTE = 1_000_000
TAKEN = Measurement(
    wall=10,
    cpu=8,
    server_cpu=4,
    others=0,
    own_memory=50 * MEGABYTE,
    all_memory=80 * MEGABYTE,
    temporary=7,
    size=90,
)


def python(program: str, **more: object) -> Invocation:
    return Invocation((sys.executable, "-c", program), dict(os.environ), **more)


def test_processor_time_of_grandchildren_counts():
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    taken = measure(python(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])"))
    assert taken.cpu >= 0.3
    assert taken.wall >= 0.3


def test_memory_of_the_process_and_of_all_are_told_apart():
    hold = "data = bytearray(b'x') * 60_000_000\nimport time; time.sleep(0.5)"
    program = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {hold!r}])"
    taken = measure(python(program))
    assert taken.own_memory < 50 * MEGABYTE
    assert taken.all_memory > 60 * MEGABYTE


def test_temporary_files_count_and_the_archive_does_not(tmp_path: Path):
    program = f"""
import os, tempfile, time
os.chdir({str(tmp_path)!r})
open("archive.partial", "wb").write(b"x" * 3_000_000)
open("spool", "wb").write(b"x" * 2_000_000)
hidden = tempfile.TemporaryFile(dir="."); hidden.write(b"x" * 1_000_000); hidden.flush()
time.sleep(0.5)
os.rename("archive.partial", "archive"); os.remove("spool")
"""
    taken = measure(python(program, watched=(tmp_path,), archive=tmp_path / "archive"))
    assert taken.size == 3_000_000
    assert 3_000_000 <= taken.temporary < 3_200_000


def test_the_server_s_processor_time_is_that_of_the_time_between():
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    taken = measure(python(burn, server=os.getpid()))
    assert taken.server_cpu >= 0.1  # the program is our child, and counts once it has ended


def test_a_program_that_fails_is_no_measurement():
    with pytest.raises(MeasuredProgramError, match="its last words"):
        measure(python("import sys; sys.exit('its last words')"))


def test_contenders_take_turns_in_changing_order():
    order: list[str] = []

    def turn(name: str) -> rounds.Turn:
        return lambda: (order.append(name), TAKEN)[1]

    taken = rounds.alternate({"stock": turn("stock"), "ours": turn("ours")}, 3, lambda line: None)
    assert order == ["stock", "ours", "ours", "stock", "stock", "ours"]
    assert [len(found) for found in taken.values()] == [3, 3]


def test_medians_are_of_each_quantity_and_peaks_are_the_highest():
    found = [replace(TAKEN, wall=wall, cpu=10 - wall, own_memory=wall) for wall in (1, 9, 2)]
    middle = rounds.median(found)
    assert (middle.wall, middle.cpu, middle.own_memory) == (2, 8, 9)


MEDIANS = {"backup": {"stock": TAKEN, "ours": replace(TAKEN, wall=2.0, size=50)}}


@pytest.mark.parametrize(
    ("name", "measured", "word"),
    [
        ("backup: wall / stock", 0.2, "held"),
        ("backup: size / stock", 50 / 90, "not held"),
        ("restore: wall / stock", None, "not measured"),
        ("own process: peak memory in MB", 50, "held"),
    ],
)
def test_bars_say_what_was_measured(name, measured, word):
    verdict = next(verdict for verdict in bars.judge(MEDIANS) if verdict.bar.name == name)
    assert verdict.word == word
    assert verdict.measured == (None if measured is None else pytest.approx(measured))


def test_growth_is_our_time_for_each_gigabyte(tmp_path: Path):
    file = tmp_path / "results.json"
    facts = {"engine": {"bytes": {"engine": 500_000_000, "dwh": 500_000_000}}}
    report.write(file, facts, {"backup": {"ours": [TAKEN]}}, [])
    found = {"backup": {"ours": replace(TAKEN, wall=42.0)}, "restore": {"ours": TAKEN}}
    (verdict,) = bars.growth(found, 4.0, json.loads(file.read_text()))
    assert verdict.measured == pytest.approx(1.05)
    assert verdict.word == "held"
    assert verdict.bar.name.startswith("backup")


def test_the_results_are_json_with_every_round(tmp_path: Path):
    file = tmp_path / "results.json"
    report.write(file, {"rounds": 1}, {"backup": {"ours": [TAKEN]}}, bars.judge(MEDIANS))
    found = json.loads(file.read_text())
    assert found["jobs"]["backup"]["ours"][0]["wall"] == 10
    assert {bar["verdict"] for bar in found["bars"]} == {"held", "not held", "not measured"}


def test_the_table_and_the_drawing_show_the_same_times():
    table = "\n".join(report.lines(MEDIANS, bars.judge(MEDIANS)))
    drawn = "".join(ElementTree.fromstring(plot.drawing(MEDIANS)).itertext())
    for name, seconds in (("stock", "10.0"), ("ours", "2.0")):
        assert f"{seconds}0" in table
        assert f"{seconds} s" in drawn
        assert name in drawn


def test_larger_scales_have_more_machines_and_the_same_days():
    assert size_of(4).vms == 4 * size_of(1).vms
    assert size_of(4).days == size_of(1).days
