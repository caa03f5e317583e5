"""The checks of restored files: golden archives pass, and each planted fault is found and named."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine_backup.model.archive import MANIFEST_MEMBER
from engine_backup.model.checks import Check, Outcome
from engine_backup.model.errors import EngineBackupError
from engine_backup.run.drill_files import check_files
from tests.support import golden
from tests.support.certificates import Authority
from tests.support.planted_files import (
    CONF,
    FAULTS,
    FQDN,
    NAME,
    NOW,
    OWN,
    PKI,
    STRANGER,
    Change,
    apart,
    edit,
    linked,
    of_service,
    put,
    renewed,
)
from tests.support.rebuilt_archives import TREE, Parts
from tests.support.restored_archive import file_checks, restored
from tests.support.rewritten_archives import in_manifest, rewrite
from tests.support.sample import Original


def checked(tmp_path: Path, *changes: Change, name: str = NAME) -> dict[tuple[str, str], Check]:
    """Return the checks of a golden archive that was changed, with hashes that are right."""
    parts = replace(apart(name), files_form="")
    for change in changes:
        parts = change(parts)
    archive = tmp_path / "changed.backup"
    archive.write_bytes(parts.content())
    return file_checks(archive, tmp_path, NOW)


def red(checks: dict[tuple[str, str], Check]) -> list[str]:
    return [f"{c.subject} {c.name}" for c in checks.values() if c.outcome.is_red]


@pytest.mark.parametrize("name", golden.NAMES)
def test_golden_archives_pass(name: str, tmp_path: Path):
    checks = file_checks(golden.archive(name), tmp_path, NOW)
    assert [check for check in checks.values() if check.outcome.is_red] == []
    passed = {key for key, check in checks.items() if check.outcome is Outcome.PASS}
    assert {("files", n) for n in ("files", "configuration", "certificates", "keys", "key stores")} <= passed
    assert ("files", "FQDN") in passed
    dumped = set(golden.facts(name)["databases"]) - {"grafana"}
    assert {(component, "log-in") for component in dumped} <= passed
    assert (("grafana", "integrity") in passed) is ("grafana" in golden.facts(name)["databases"])


def test_an_archive_of_this_tool_passes(original: Original, tmp_path: Path):
    checks = file_checks(original.machine.archive, tmp_path, NOW)
    assert [check for check in checks.values() if check.outcome is not Outcome.PASS] == []
    assert checks["files", "key stores"].detail == "3 key stores"
    assert {("keycloak", "log-in"), ("managedblock", "log-in"), ("grafana", "integrity")} <= set(checks)


def test_a_log_in_of_another_than_made_the_dump_is_named(original: Original, tmp_path: Path):
    def other_role(document: dict[str, Any]) -> None:
        (row,) = [row for row in document["members"] if row["name"] == "db/dwh_backup.db"]
        row["role"] = "another"

    changed = rewrite(
        original.machine.archive, tmp_path / "changed.backup", {MANIFEST_MEMBER: in_manifest(other_role)}
    )
    check = file_checks(changed, tmp_path, NOW)["dwh", "log-in"]
    assert check.outcome is Outcome.FAIL
    assert "names the user ovirt_engine_history, but another made the DWH dump" in check.findings[0]


def test_an_engine_with_other_certificates_passes(tmp_path: Path):
    """What the planted faults differ from."""
    assert red(checked(tmp_path, put(renewed()))) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_named(fault: str, tmp_path: Path):
    change, which, finding = FAULTS[fault]
    checks = checked(tmp_path, change)
    assert which in red(checks)
    found = [
        f for check in checks.values() if f"{check.subject} {check.name}" == which for f in check.findings
    ]
    assert [text for text in found if finding in text], found
    assert not any("mypass" in text or "BEGIN" in text for text in found)


CORPORATE = Authority("corporate root")
ISSUING = Authority("corporate issuing", CORPORATE)


def given(names: tuple[str, ...], authorities: bytes, above: bytes = b"") -> Change:
    """Return what gives Apache a certificate of a company's, as the product's manual says how."""
    identity = ISSUING.sign("www", names)
    files = of_service("apache", identity, b"the company's")
    files[f"{PKI}certs/apache.cer"] = identity.pem + above
    return put({**renewed(), **files, f"{PKI}apache-ca.pem": authorities})


def test_a_certificate_of_a_companys_own_passes_with_the_password_that_it_came_with(tmp_path: Path):
    checks = checked(tmp_path, given((FQDN,), CORPORATE.pem, above=ISSUING.pem))
    assert red(checks) == []
    assert "apache.p12: it has another password" in checks["files", "key stores"].detail


@pytest.mark.parametrize("names", [("*.lab.example",), ("ENGINE.lab.example",), ("x", "alias.lab.example")])
def test_other_forms_of_the_name_count(names: tuple[str, ...], tmp_path: Path):
    alternative = edit(
        CONF + "10-setup-protocols.conf",
        b"ENGINE_FQDN",
        b'SSO_ALTERNATE_ENGINE_FQDNS="alias.lab.example"\nENGINE_FQDN',
    )
    checks = checked(tmp_path, given(names, ISSUING.pem + CORPORATE.pem), alternative)
    assert red(checks) == []


def test_a_certificate_of_a_companys_without_the_authority_between_fails(tmp_path: Path):
    checks = checked(tmp_path, given((FQDN,), CORPORATE.pem))
    assert red(checks) == ["files certificates"]


def test_an_authority_kept_outside_of_the_archive_is_not_judged(tmp_path: Path):
    company = given((FQDN,), b"")
    checks = checked(tmp_path, company, linked(f"{PKI}apache-ca.pem", "/etc/pki/tls/certs/company.pem"))
    assert red(checks) == []


def test_a_certificate_that_expires_soon_is_told_and_passes(tmp_path: Path):
    soon = NOW + timedelta(days=9)
    check = checked(tmp_path, put(renewed(apache={"end": soon})))["files", "certificates"]
    assert check.outcome is Outcome.PASS
    assert f"/etc/pki/ovirt-engine/certs/apache.cer expires on {soon:%Y-%m-%d}" in check.detail


def test_what_a_former_release_left_is_told_and_passes(tmp_path: Path):
    old = OWN.sign(FQDN, end=NOW - timedelta(days=900))
    check = checked(tmp_path, put({**renewed(), **of_service("jboss", old)}))["files", "certificates"]
    assert check.outcome is Outcome.PASS
    assert "certs/jboss.cer" in check.detail


def test_what_the_engine_has_signed_for_hosts_is_no_fault_when_the_hosts_are_gone(tmp_path: Path):
    old = OWN.sign("gone.lab.example", end=NOW - timedelta(days=900))
    check = checked(tmp_path, put({**renewed(), f"{PKI}certs/gone.lab.example.cer": old.pem}))[
        "files", "certificates"
    ]
    assert check.outcome is Outcome.PASS
    assert check.detail == "3 certificates of services, not looked at: 1 of other machines"


def test_links_within_the_archive_are_followed_and_others_never(tmp_path: Path):
    outside = tmp_path / "outside.cer"
    identity = OWN.sign(FQDN)
    outside.write_bytes(identity.pem)
    within = put({**renewed(), **of_service("apache", identity), f"{PKI}certs/real.pem": identity.pem})
    name = f"{PKI}certs/apache.cer"
    (tmp_path / "within").mkdir()
    assert red(checked(tmp_path / "within", within, linked(name, "real.pem"))) == []
    checks = checked(tmp_path, within, linked(name, str(outside)))
    assert red(checks) == ["files certificates"]
    (finding,) = checks["files", "certificates"].findings
    assert f"it is a link to {outside}, which is not among the restored files" in finding


def test_links_in_a_circle_end(tmp_path: Path):
    circle = (linked(f"{PKI}certs/apache.cer", "engine.cer"), linked(f"{PKI}certs/engine.cer", "apache.cer"))
    checks = checked(tmp_path, *circle, linked(f"{PKI}apache-ca.pem", "apache-ca.pem"))
    assert any("leads on for ever" in finding for finding in checks["files", "certificates"].findings)


def test_names_in_certificates_do_nothing_to_a_terminal(tmp_path: Path):
    evil = STRANGER.sign("\x1b[2Jevil\u202e", ("x",))
    checks = checked(tmp_path, put({**renewed(), **of_service("apache", evil)}))
    told = "".join(text for check in checks.values() for text in (check.detail, *check.findings))
    assert "evil" in told
    assert told.isprintable()


def test_configuration_that_cannot_be_read_stops_before_anything_is_loaded(tmp_path: Path):
    with pytest.raises(EngineBackupError, match=r"/etc/ovirt-engine/engine.conf.d/99-lab.conf:4: neither"):
        checked(tmp_path, edit(CONF + "99-lab.conf", b"LAB_NOTE=two", b"two"))


def test_a_dump_without_a_log_in_is_named(tmp_path: Path):
    files = {f"{CONF}12-setup-keycloak.conf": None}
    check = checked(tmp_path, put(files))["keycloak", "log-in"]
    assert check.outcome is Outcome.FAIL
    assert "no configuration file names the Keycloak database" in check.findings[0]


def test_an_archive_without_files_has_nothing_to_check(tmp_path: Path):
    parts = replace(apart(NAME), files=())
    parts = parts.but(
        {name: None for name in parts.members if name.startswith("db/") and "engine_" not in name}
    )
    archive = tmp_path / "changed.backup"
    archive.write_bytes(_without_files(parts))
    checks = file_checks(archive, tmp_path, NOW)
    assert {check.outcome for check in checks.values()} == {Outcome.NOT_IN_ARCHIVE}
    assert ("engine", "log-in") in checks


def _without_files(parts: Parts) -> bytes:
    """Return an archive as stock writes it with --scope=db: an empty `files`."""
    return replace(parts, files_form=TREE).content()


Damage = Callable[[Path], object]
DAMAGES: dict[str, tuple[Damage, str, str]] = {
    "a file that is gone": (
        lambda root: (root / PKI / "ca.pem").unlink(),
        "files files",
        "/etc/pki/ovirt-engine/ca.pem is missing",
    ),
    "another mode": (
        lambda root: (root / PKI / "keys/engine.p12").chmod(0o644),
        "files files",
        "/etc/pki/ovirt-engine/keys/engine.p12 has mode 0644, in the archive 0640",
    ),
    "another size": (
        lambda root: (root / PKI / "serial.txt").write_text("1"),
        "files files",
        "/etc/pki/ovirt-engine/serial.txt has 1 bytes, in the archive 5",
    ),
    "another time": (
        lambda root: os.utime(root / PKI / "serial.txt", (1, 1)),
        "files files",
        "/etc/pki/ovirt-engine/serial.txt has another time than in the archive",
    ),
    "another content": (
        lambda root: _overwrite(root / PKI / "serial.txt", b"1006\n"),
        "files files",
        "/etc/pki/ovirt-engine/serial.txt has another content than in the archive",
    ),
    "another target": (
        lambda root: _replace_by_link(root / PKI / "apache-ca.pem", "/etc/passwd"),
        "files files",
        "/etc/pki/ovirt-engine/apache-ca.pem leads elsewhere than in the archive",
    ),
    "a link to outside in the place of a file": (
        lambda root: _replace_by_link(root / PKI / "certs/engine.cer", "/etc/passwd"),
        "files certificates",
        "certs/engine.cer cannot be read: it is a link to /etc/passwd",
    ),
    "a link to outside in the place of a directory": (
        lambda root: _replace_by_link(root / PKI / "certs", "/etc/ssl/certs"),
        "files certificates",
        "certs/engine.cer cannot be read: /etc/pki/ovirt-engine/certs is a symbolic link",
    ),
    "a pipe in the place of a file": (
        lambda root: _replace_by_pipe(root / CONF / "10-setup-java.conf"),
        "files configuration",
        "/etc/ovirt-engine/engine.conf.d/10-setup-java.conf: it is no regular file",
    ),
    "a pipe in the place of a key": (
        lambda root: _replace_by_pipe(root / PKI / "keys/apache.key.nopass"),
        "files keys",
        "apache.key.nopass: it is no regular file",
    ),
    "a line that the product does not understand": (
        lambda root: (root / CONF / "10-setup-java.conf").write_text("what is this\n"),
        "files configuration",
        "/etc/ovirt-engine/engine.conf.d/10-setup-java.conf:1: neither NAME=value nor a comment",
    ),
    "a damaged database of dashboards": (
        lambda root: _overwrite(root / "var/lib/grafana/grafana.db", b"\0" * 4096, at=4096),
        "grafana integrity",
        "/var/lib/grafana/grafana.db is not a sound SQLite database",
    ),
    "a link in the place of the dashboards": (
        lambda root: _replace_by_link(root / "var/lib/grafana/grafana.db", "/dev/zero"),
        "grafana integrity",
        "/var/lib/grafana/grafana.db: ",
    ),
    "a row of dashboards that refers to none": (
        lambda root: _orphan(root / "var/lib/grafana/grafana.db"),
        "grafana integrity",
        "rows of child refer to rows that do not exist",
    ),
}


def _overwrite(path: Path, content: bytes, at: int = 0) -> None:
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _replace_by_link(path: Path, target: str) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(target)


def _replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _orphan(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE parent (id integer primary key);"
            "CREATE TABLE child (id integer references parent); INSERT INTO child VALUES (7);"
        )


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_a_restore_did_wrong_is_found_and_named(damage: str, tmp_path: Path):
    harm, which, finding = DAMAGES[damage]
    with restored(golden.archive(NAME), tmp_path) as drilled:
        harm(drilled.root)
        checks = check_files(drilled, NOW)
    found = [c for c in checks if f"{c.subject} {c.name}" == which and c.outcome is Outcome.FAIL]
    assert any(finding in text for check in found for text in check.findings), found


def test_holes_and_second_names_are_as_archived(tmp_path: Path):
    """The golden archives have both: what differs there would be named."""
    types = {entry["type"] for entry in golden.facts(NAME)["files"]}
    assert "hardlink" in types
    check = file_checks(golden.archive(NAME), tmp_path, NOW)["files", "files"]
    assert check.findings == ()
