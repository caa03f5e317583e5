"""Archives put together at random, sane and hostile members together: nothing gets out, nothing surprises."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine_backup.sample.compare import FileFingerprint, fingerprint_tree
from tests.support import hostile_archives as hostile
from tests.support.hostile_archives import DIRECTORY, HARDLINK, SYMLINK, Crafted
from tests.support.machine import Machine, Result
from tests.support.rebuilt_archives import PACK

EXPECTED = {0, 3, 4, 5, 6, 7}
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Few names, so that they meet: files below links, links over directories, the same twice.
PARTS = ["etc", "ovirt-engine", "a", "b", "..", "outside", "\x1b[2J", "new\nline", "ä", "x" * 120]
names = st.one_of(
    st.sampled_from(
        ["etc/ovirt-engine/a", "etc/ovirt-engine/a/b", "etc/ovirt-engine", "etc/ovirt-engine/b/"]
    ),
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("/".join),
)
targets = st.one_of(names, st.sampled_from(["/", "/etc", "../../../outside", "../..", ".", "a"]))
kinds = st.sampled_from(
    [b"0"] * 6 + [DIRECTORY] * 3 + [SYMLINK] * 3 + [HARDLINK] * 2 + [b"3", b"6", b"S", b"7", b"L", b"x"]
)


seldom = st.integers(0, 5).map(lambda number: number == 5)


@st.composite
def crafted(draw: st.DrawFn) -> Crafted:
    """A member; most can be in a backup."""
    kind = draw(kinds)
    name = draw(st.sampled_from(["", "", "", "./", "/"])) + draw(names)
    has_content = kind in (b"0", b"S", b"7", b"L", b"x") or draw(st.integers(0, 20)) == 0
    content = draw(st.binary(max_size=600)) if has_content else b""
    size = draw(st.sampled_from([None] * 12 + [0, 1 << 40]))
    mode = draw(st.sampled_from([0o644, 0o4755, 0o2775, 0o1777, 0]))
    return Crafted(name, content, kind, draw(targets) if kind in (SYMLINK, HARDLINK) else "", mode, size)


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """An archive of any shape, with true hashes, or nearly so."""
    inner = hostile.tar_bytes(*draw(st.lists(crafted(), max_size=6)))
    inner = PACK[draw(st.sampled_from(list(PACK)))](inner)
    contents = hostile.sound_members(**({"files": inner} if draw(st.integers(0, 5)) else {}))
    if draw(seldom):
        contents[draw(st.sampled_from(["version", "config", "os_version"]))] = draw(st.binary(max_size=80))
    extra = draw(st.lists(crafted(), max_size=2)) if draw(seldom) else []
    extra = [replace(one, name=f"./files/{one.name}") if draw(st.booleans()) else one for one in extra]
    whole = bytearray(hostile.archive_bytes(contents, *extra))
    if draw(seldom):
        whole[draw(st.integers(0, len(whole) - 1))] = draw(st.integers(0, 255))
    return PACK[draw(st.sampled_from(list(PACK)))](bytes(whole))


@contextmanager
def new_machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine(Path(directory))
        machine.install()
        (machine.directory / "outside").mkdir()
        (machine.directory / "outside/file").write_text("of somebody else")
        yield machine


def outside_of_root(machine: Machine) -> dict[str, FileFingerprint]:
    """All that no restore may touch; `tmp` itself had names that came and went."""
    found = fingerprint_tree(machine.directory)
    return {
        name: replace(file, mtime_ns=0) if name == "tmp" else file
        for name, file in found.items()
        if not name.startswith("log-") and name.split("/")[0] != "root"
    }


def told(result: Result) -> tuple[int, str, str]:
    """What a run said, but for the log's name."""
    output = "".join(line for line in result.stdout.splitlines(True) if not line.startswith("log file"))
    return result.status, output, result.stderr


@SLOW
@given(content=archives())
def test_any_archive_is_restored_or_refused(content: bytes) -> None:
    with new_machine() as machine:
        machine.archive.write_bytes(content)
        before, root = outside_of_root(machine), fingerprint_tree(machine.root)
        first = machine.engine_backup("verify", "--product-version=4.5.7")
        assert first.status in EXPECTED, first
        assert told(machine.engine_backup("verify", "--product-version=4.5.7")) == told(first)
        assert fingerprint_tree(machine.root) == root
        words = ("--product-version=4.5.7", "--scope=files")
        dry = machine.engine_backup("restore", *words, "--dry-run")
        assert fingerprint_tree(machine.root) == root
        result = machine.engine_backup("restore", *words)
        assert result.status == dry.status
        assert result.status in EXPECTED, result
        assert "Traceback" not in first.stderr + result.stderr
        assert outside_of_root(machine) == before
        assert machine.leftovers() == []
        if result.status:
            assert fingerprint_tree(machine.root) == root


sane_parts = st.binary(min_size=1, max_size=30).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_"))
sane_names = st.lists(sane_parts.filter(lambda part: part not in (b".", b"..")), min_size=1, max_size=3)


@st.composite
def sane_trees(draw: st.DrawFn) -> dict[bytes, Crafted]:
    """Files, directories and links of any name, none below another that is no directory."""
    found: dict[bytes, Crafted] = {}
    for parts in draw(st.lists(sane_names, min_size=1, max_size=8)):
        path = b"etc/ovirt-engine/" + b"/".join(parts)
        above = {b"/".join(path.split(b"/")[:n]) for n in range(3, path.count(b"/") + 1)}
        if path in found or any(other.startswith(path + b"/") for other in found) or above & found.keys():
            continue
        kind = draw(st.sampled_from([b"0", b"0", SYMLINK, DIRECTORY]))
        link = os.fsdecode(draw(sane_parts)) if kind == SYMLINK else ""
        content = draw(st.binary(max_size=1500)) if kind == b"0" else b""
        mode = draw(st.integers(0, 0o1777)) if kind == b"0" else 0o755
        found[path] = Crafted(os.fsdecode(path), content, kind, link, mode)
    return found


@SLOW
@given(files=sane_trees(), pack=st.sampled_from(list(PACK)), tree=st.booleans(), seed=st.integers(0, 99))
def test_sane_files_come_out_as_they_went_in(
    files: dict[bytes, Crafted], pack: str, tree: bool, seed: int
) -> None:
    members = list(files.values())
    random.Random(seed).shuffle(members)
    with new_machine() as machine:
        machine.archive.write_bytes(_archived(members, pack, tree))
        machine.engine_backup("verify", "--product-version=4.5.7").check()
        machine.engine_backup("restore", "--product-version=4.5.7").check()
        for path, member in files.items():
            place = os.path.join(os.fsencode(machine.root), path)
            if member.type == SYMLINK:
                assert os.readlink(place) == os.fsencode(member.link)
                continue
            assert os.stat(place).st_mode & 0o7777 == member.mode
            assert int(os.stat(place).st_mtime) == hostile.WHEN
            if member.type == DIRECTORY:
                assert os.path.isdir(place)
                continue
            with open(place, "rb") as file:
                assert file.read() == member.content


def _archived(members: list[Crafted], pack: str, tree: bool) -> bytes:
    contents = hostile.sound_members()
    if not tree:
        inner = PACK[pack](
            hostile.tar_bytes(Crafted("etc/ovirt-engine", type=DIRECTORY, mode=0o755), *members)
        )
        return hostile.archive_bytes({**contents, "files": inner})
    del contents["config"]
    hashed = {f"files/{one.name}": one.content for one in members if one.type == b"0"}
    lines = hostile.hash_file({**contents, **hashed})
    moved = [replace(one, name=f"./files/{one.name}") for one in members]
    return PACK[pack](
        hostile.archive_bytes(contents, *moved, Crafted("./sha256sum", lines), with_hashes=False)
    )
