"""Shapes that archives of the stock tool had or could have, beyond those of the golden ones.

What an archive is shows in its content, never in its version: each is verified, and its files and
one database are restored and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from itertools import count
from pathlib import Path

import pytest

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.sample.compare import fingerprint_database
from tests.support import golden, golden_restored
from tests.support.golden import facts
from tests.support.machine import Machine, change_options, login
from tests.support.rebuilt_archives import PACK, TREE, Parts, line, taken_apart, unpacked

A, B, C, C1, D = "3.3.5-default", "3.4.4-default", "3.6.3.4-default", "4.0.6.3-default", "4.5.7-default"
PLAIN = "4.5.7-small-size"
DWH = "db/dwh_backup.db"
MD5 = ("md5",)

NUMBERS = count(1)
Change = Callable[[Parts], Parts]


@lru_cache(maxsize=1)
def apart(name: str) -> Parts:
    return taken_apart(name)


def shape(**fields: object) -> Change:
    return lambda parts: replace(parts, **fields)  # type: ignore[arg-type]


def without(*names: str) -> Change:
    return lambda parts: parts.but(dict.fromkeys(names))


def dump(compressor: str, declared: str | None = None) -> Change:
    """Pack DWH's dump; `config` says so, or the opposite is left to the content."""

    def change(parts: Parts) -> Parts:
        packed = PACK[compressor](unpacked(parts.members[DWH]))
        if declared is None:
            return parts.but({DWH: packed, "config": b""})
        lines = [row for row in parts.members["config"].split(b"\n") if not row.startswith(b"DWH_DB_DUMP_C")]
        lines.insert(0, f"DWH_DB_DUMP_COMPRESSOR={declared}".encode())
        return parts.but({DWH: packed, "config": b"\n".join(lines)})

    return change


def suffixed(compressor: str, suffix: str) -> Change:
    def change(parts: Parts) -> Parts:
        content = PACK[compressor](unpacked(parts.members[f"{DWH}.bz2"]))
        return parts.but({f"{DWH}.bz2": None, DWH + suffix: content})

    return change


def extra(parts: Parts) -> Parts:
    return parts.but({"db/unknown_backup.db": b"x", "hook.txt": b"from a hook", "deep/er/note": b""})


def escaped_names(parts: Parts) -> Parts:
    return parts.but({"odd\\name\nof a hook": b"x", "manifest.txt": b"y"})


def of_generation(files: str, hashes: tuple[str, ...], *changes: Change) -> Change:
    def change(parts: Parts) -> Parts:
        for one in changes:
            parts = one(parts)
        return replace(parts, files_form=files, hash_files=hashes)

    return change


VARIANTS: dict[str, tuple[str, Change]] = {
    **{f"outer {name or 'none'}": (D, shape(outer=name)) for name in PACK},
    **{f"files {name or 'none'}": (D, shape(files_form=name)) for name in (*PACK, TREE)},
    **{f"files {name or 'none'} in B": (B, of_generation(name, MD5)) for name in ("", "xz")},
    **{f"custom dump {name or 'none'}": (D, dump(name, name)) for name in PACK},
    **{f"custom dump {name or 'none'}, not declared": (D, dump(name)) for name in PACK},
    **{f"plain dump {name or 'none'}": (PLAIN, dump(name, name)) for name in PACK},
    "plain dump in B, without bz2": (B, of_generation(TREE, MD5, suffixed("", ""))),
    "plain dump in B, bzip2 without suffix": (B, of_generation(TREE, MD5, suffixed("bzip2", ""))),
    "plain dump in B, suffix without bzip2": (B, of_generation(TREE, MD5, suffixed("", ".bz2"))),
    "plain dump in B, sha256": (B, of_generation(TREE, ("sha256",))),
    "outer zstd in B": (B, of_generation(TREE, MD5, shape(outer="zstd"))),
    "names without ./": (D, shape(prefix="")),
    "names without ./ in B": (B, of_generation(TREE, MD5, shape(prefix=""))),
    "no directory members": (D, shape(with_directories=False)),
    "no config": (D, without("config")),
    "no config, gzip": (D, lambda parts: dump("gzip")(parts).but({"config": None})),
    "no os_version": (D, without("os_version")),
    "neither config nor os_version": (C1, of_generation("xz", MD5, without("config", "os_version"))),
    "md5sum in D": (D, shape(hash_files=MD5)),
    "sha256sum in C": (C, of_generation("gzip", ("sha256",))),
    "both hash files": (D, shape(hash_files=("md5", "sha256"))),
    "hash lines with ./": (D, shape(hash_line=partial(line, before="./"))),
    "binary hash lines": (D, shape(hash_line=partial(line, mark="*"))),
    "escaped hash lines": (D, escaped_names),
    "escaped hash lines in a tree": (B, of_generation(TREE, MD5, escaped_names)),
    "further members": (D, extra),
    "further members in B": (B, of_generation(TREE, MD5, extra)),
    "everything at once": (
        C,
        of_generation(TREE, MD5, shape(outer="zstd", prefix=""), without("config"), extra, escaped_names),
    ),
}


# Of these the normal run restores one compressor each: all of them are read alike.
ONE_OF_MANY = ("files ", "custom dump ", "plain dump ")
ALSO_WITH = (*(name for name in PACK if name != "zstd"), "none")


def machine_with(name: str, change: Change, directory: Path) -> tuple[Machine, str]:
    """Return a machine with a changed archive, and the option for a product version that takes it."""
    machine = Machine(directory)
    machine.install()
    machine.archive.write_bytes(change(apart(name)).content())
    return machine, f"--product-version={facts(name)['version'].strip()}"


def is_thorough(variant: str) -> bool:
    return any(
        variant == f"{kind}{name}{rest}"
        for kind in ONE_OF_MANY
        for name in ALSO_WITH
        for rest in ("", ", not declared")
    )


@pytest.mark.parametrize(("name", "change"), VARIANTS.values(), ids=VARIANTS)
def test_a_variant_is_verified(name: str, change: Change, tmp_path: Path) -> None:
    machine, version = machine_with(name, change, tmp_path)
    assert "- DWH database" in machine.engine_backup("verify", version).check().stdout


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param(*row, id=variant, marks=[pytest.mark.thorough] * is_thorough(variant))
        for variant, row in VARIANTS.items()
    ],
)
def test_a_variant_is_restored(
    name: str, change: Change, tmp_path: Path, postgres_server: ScratchServer
) -> None:
    machine, version = machine_with(name, change, tmp_path)
    scopes = ("--scope=files", "--scope=dwhdb", "--no-restore-permissions")
    name_of_database = f"variant_{next(NUMBERS)}"
    credentials = login(postgres_server, name_of_database, name_of_database)
    options = change_options({"dwh": credentials}, tmp_path)
    machine.engine_backup("restore", version, *scopes, *options).check()
    assert fingerprint_database(credentials).tables == golden.tables_of_dump(facts(name), "dwh")
    golden_restored.check_files(_as_changed(name, change), machine.root)
    assert machine.leftovers() == []


def _as_changed(name: str, change: Change) -> dict[str, object]:
    """Return what the JSON would say of the variant."""
    parts = change(apart(name))
    system = parts.members.get("os_version", b"").decode().strip() or None
    kind = "directory tree" if parts.files_form == TREE else "inner tar"
    found = facts(name)
    made = golden.BY_PRODUCTS if parts.files_form != TREE else set()
    return {
        **found,
        "os_version": system,
        "files_kind": kind,
        "files": [entry for entry in found["files"] if entry["path"] not in made],
        "databases": {"dwh": found["databases"]["dwh"]},
    }
