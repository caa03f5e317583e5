"""Comparing what a restore of a golden archive made with what its JSON says."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import tarfile
from pathlib import Path

from engine_backup.drivers.file_placing import group_number, user_number
from engine_backup.model.components import BY_NAME
from tests.support import golden

ANSWERS = "etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf"


def check_database(found, component, restored) -> None:
    facts = found["databases"][component]
    corrected = golden.corrected_as_today(found)
    expected = golden.tables_after_restore if corrected else golden.tables_of_dump
    assert restored.tables == expected(found, component)
    for sequence, last in facts["sequences"].items():
        stock_adds_a_row = corrected and sequence == "vdc_options_option_id_seq"
        assert restored.sequences[f"public.{sequence}"][0] == last + stock_adds_a_row
    grantees = {row[2] for row in restored.privileges} if restored.privileges else set()
    for role in {*facts["granted_roles"]} - {"postgres"}:
        assert any(role in privilege for row in restored.privileges for privilege in row), (role, grantees)


def check_files(found, root: Path) -> None:
    left_out = golden.left_out(found)
    conf = {path.lstrip("/") for c in found["databases"] for path in BY_NAME[c].credentials_files}
    for entry in found["files"]:
        path = os.fsencode(root) + b"/" + _name(entry)
        if entry["path"] in left_out:
            assert not os.path.lexists(path), entry["path"]
            continue
        if found["files_kind"] == "directory tree" and entry["path"] in golden.BY_PRODUCTS:
            # Where nothing is restored below, it is not there at all.
            assert not os.path.lexists(path) or os.lstat(path).st_mtime != entry["mtime"]
            continue
        status = os.lstat(path)
        if entry["path"] in conf:
            # It is rewritten, and nobody else may read it for that.
            _check_protection(entry, os.lstat(path))
            continue
        if entry["type"] == "symlink":
            assert os.readlink(path) == os.fsencode(entry["target"])
            continue
        _check_protection(entry, status)
        if entry["path"] not in {path.rpartition("/")[0] for path in conf}:
            assert int(status.st_mtime) == entry["mtime"], entry["path"]
        if entry["path"] == ANSWERS and golden.asks_about_apache(found):
            continue
        if entry["type"] == "file" and os.access(path, os.R_OK):
            assert _sha256(_as_it_was(path, entry, found)) == entry["sha256"], entry["path"]


def _as_it_was(path: bytes, entry, found) -> bytes:
    """Return where the archived content is: of a file in old encryption beside it, dressed as it."""
    if entry["path"] not in golden.encrypted_anew(found):
        return path
    assert _sha256(path) != entry["sha256"]
    (kept,) = Path(os.fsdecode(path)).parent.glob(f"{Path(entry['path']).name}.backup.*")
    old, new = kept.stat(), os.stat(path)
    assert (old.st_mode, old.st_uid, old.st_mtime) == (new.st_mode, new.st_uid, new.st_mtime)
    return os.fsencode(kept)


def _check_protection(entry, status: os.stat_result) -> None:
    """Compare mode and owner; an ordinary user can set no owner."""
    assert oct(status.st_mode & 0o7777)[2:].rjust(4, "0") == entry["mode"], entry["path"]
    if os.getuid() == 0:
        assert (status.st_uid, status.st_gid) == _owner(entry), entry["path"]


def check_apache(found, root: Path) -> None:
    """On another system than the archive's, engine-setup has to ask about Apache again, as with stock."""
    answers = (root / ANSWERS).read_text()
    assert ("OVESETUP_APACHE/configured=bool:True" in answers) is not golden.asks_about_apache(found)
    assert "OVESETUP_APACHE/configureRootRedirection=bool:True" in answers


TIME = re.compile(r"(?<=\.)[0-9]{14}$")


def check_as_stock(found, root: Path, there_before: set[str]) -> None:
    """Compare what is left out, changed and created with what the stock tool did, but for what is listed."""
    stock = found.get("after_stock_restore")
    if stock is None:
        return
    conf = {path.lstrip("/") for c in found["databases"] for path in BY_NAME[c].credentials_files}
    paths = {entry["path"]: os.fsencode(root) + b"/" + _name(entry) for entry in found["files"]}
    missing = {path for path, place in paths.items() if not os.path.lexists(place)}
    stock_missing = set(stock["files_not_restored"])
    _all_listed(found, missing - stock_missing, "left out")
    _all_listed(found, stock_missing - missing, "restored")
    changed = {
        entry["path"]
        for entry in found["files"]
        if entry["type"] == "file" and entry["path"] not in missing | conf
        if os.access(paths[entry["path"]], os.R_OK) and _sha256(paths[entry["path"]]) != entry["sha256"]
    }
    _all_listed(found, changed ^ set(stock["files_changed"]), "changed")
    known = {_name(entry) for entry in found["files"]}
    present = {path for path in files_below(root) if os.fsencode(path) not in known}
    # The credentials are changed here, and each file that is rewritten has its copy.
    created = {TIME.sub("YYYYmmddHHMMSS", path) for path in present - there_before}
    created -= {f"{path}.YYYYmmddHHMMSS" for path in conf}
    _all_listed(found, created ^ set(stock["files_created"]), "created")


def files_below(root: Path) -> set[str]:
    """Return everything but directories, relative to the root."""
    names = (os.path.join(place, name) for place, _, names in os.walk(root) for name in names)
    return {os.path.relpath(name, root) for name in names}


def _all_listed(found, paths: set[str], how: str) -> None:
    of_old = not found["after_stock_restore"]["by"].endswith(" 4.5.7")
    rows = [d for d in golden.DIFFERENCES if d.how == how and d.of_old <= of_old]
    allowed = [re.compile(row.paths) for row in rows]
    unlisted = [p for p in paths if not any(r.fullmatch(p) for r in allowed)]
    assert not unlisted, (how, unlisted)


def _name(entry) -> bytes:
    return bytes.fromhex(entry["path_hex"]) if "path_hex" in entry else os.fsencode(entry["path"])


def _owner(entry) -> tuple[int, int]:
    return user_number(entry["uname"], entry["uid"]), group_number(entry["gname"], entry["gid"])


def _sha256(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def check_grafana(found, root: Path, archive: Path) -> None:
    """Every byte, owner and mode are those of the member."""
    place = root / "var/lib/grafana/grafana.db"
    assert _sha256(os.fsencode(place)) == found["databases"]["grafana"]["sha256"]
    with tarfile.open(archive) as opened:
        member = opened.getmember("./db/grafana.db")
    status = place.stat()
    assert status.st_mode & 0o7777 == member.mode
    if os.getuid() == 0:
        owner = user_number(member.uname, member.uid), group_number(member.gname, member.gid)
        assert (status.st_uid, status.st_gid) == owner
    database = sqlite3.connect(root / "var/lib/grafana/grafana.db")
    try:
        for table, rows in found["databases"]["grafana"]["tables"].items():
            assert database.execute(f'SELECT count(*) FROM "{table}"').fetchone() == (rows,)
    finally:
        database.close()
