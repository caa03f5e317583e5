from __future__ import annotations

import pytest

from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.paths import SAVED_PATHS, Condition
from engine_backup.plan.file_selection import Selection, select


def entry(path: str, kind: EntryType = EntryType.FILE) -> FileEntry:
    return FileEntry(path.encode(), kind, 0o644, 0, 0, "root", "root", 0, stored_name=path.encode())


def chosen(
    *paths: str,
    extra: tuple[str, ...] = (),
    allow: tuple[str, ...] = (),
    holding: Condition = Condition.NO_REPORTS,
) -> Selection:
    entries = [
        entry(path.rstrip("/"), EntryType.DIRECTORY if path.endswith("/") else EntryType.FILE)
        for path in paths
    ]
    return select(entries, SAVED_PATHS, extra, allow, [holding])


def restored(selection: Selection) -> list[str]:
    return [entry.path.decode() for entry in selection.restore]


def test_known_paths_are_restored_in_the_order_of_the_archive() -> None:
    paths = ["etc/pki/ovirt-engine/ca.pem", "etc/ovirt-engine", "var/lib/ovirt-engine/.secret"]
    assert restored(chosen(*paths)) == paths


def test_packaged_files_stay_away_with_their_reason() -> None:
    selection = chosen("etc/pki/ovirt-engine/openssl.conf", "var/lib/ovirt-engine/engine.up")
    assert restored(selection) == []
    assert [note.path for note in selection.excluded] == [
        b"etc/pki/ovirt-engine/openssl.conf",
        b"var/lib/ovirt-engine/engine.up",
    ]
    assert "engine-setup" in selection.excluded[0].note


APACHE = [
    f"etc/httpd/conf.d/{name}.conf"
    for name in (
        *("ovirt-engine-root-redirect", "ssl", "z-ovirt-engine-proxy", "ovirt-sso", "internalsso-openidc"),
        *("ovirt-engine-grafana-proxy", "z-ovirt-engine-keycloak-proxy"),
    )
]


@pytest.mark.parametrize("path", APACHE)
def test_apache_files_stay_away_only_when_the_operating_system_changed(path: str) -> None:
    assert restored(chosen(path)) == [path]
    selection = chosen(path, holding=Condition.OS_CHANGED)
    assert restored(selection) == []
    assert [note.path.decode() for note in selection.excluded] == [path]


def test_every_saved_file_of_apache_is_left_out_or_is_the_same_on_every_system() -> None:
    saved = {row.path.lstrip("/") for row in SAVED_PATHS if row.path.startswith("/etc/httpd/")}
    kept = restored(chosen(*sorted(saved), holding=Condition.OS_CHANGED))
    assert kept == ["etc/httpd/http.keytab"]
    assert saved >= {*APACHE, "etc/httpd/http.keytab", "etc/httpd/conf.d/z-ovirt-engine-reports-proxy.conf"}


def test_a_permission_brings_a_file_of_apache_to_another_system() -> None:
    allowed = chosen(*APACHE, allow=("/etc/httpd/conf.d/ovirt-sso.conf",), holding=Condition.OS_CHANGED)
    assert restored(allowed) == ["etc/httpd/conf.d/ovirt-sso.conf"]


def test_unknown_paths_are_listed_by_their_top_with_the_option_to_type() -> None:
    selection = chosen("srv2/data/", "srv2/data/a", "srv2/data/b/", "srv2/data/b/c", "srv2/data2")
    assert selection.unknown == (
        (b"srv2/data", "--include-path=/srv2/data"),
        (b"srv2/data2", "--include-path=/srv2/data2"),
    )
    assert restored(selection) == []


def test_an_option_restores_an_unknown_path() -> None:
    selection = chosen("srv2/data/", "srv2/data/a", "srv2/other", extra=("/srv2/data",))
    assert restored(selection) == ["srv2/data", "srv2/data/a"]
    assert [note.path for note in selection.unknown] == [b"srv2/other"]


def test_dangerous_paths_need_their_own_option() -> None:
    paths = [
        "etc/cron.d/job",
        "root/.ssh/authorized_keys",
        "etc/sudoers",
        "usr/bin/ls",
        "etc/systemd/system/a.service",
    ]
    selection = chosen(*paths, extra=("/etc", "/root", "/usr"))
    assert restored(selection) == []
    assert {note.path.decode() for note in selection.refused} == set(paths)
    assert selection.refused[0].note.startswith("--allow-path=/")
    assert restored(chosen(*paths, allow=("/etc/sudoers", "/root"))) == [
        "root/.ssh/authorized_keys",
        "etc/sudoers",
    ]


def test_the_option_is_quoted_for_the_shell() -> None:
    assert chosen("srv2/it's $HOME").unknown[0].note == "--include-path='/srv2/it'\"'\"'s $HOME'"


def test_directories_above_the_known_ones_are_by_products() -> None:
    selection = chosen("etc/", "etc/pki/", "var/lib/ovirt-engine/", "etc/ovirt-engine/")
    assert restored(selection) == ["etc/ovirt-engine"]
    assert [note.path for note in selection.excluded] == [b"etc", b"etc/pki", b"var/lib/ovirt-engine"]
    assert selection.unknown == ()


def test_a_file_in_the_place_of_a_directory_above_is_not_taken_for_one() -> None:
    assert [note.path for note in chosen("etc/pki").unknown] == [b"etc/pki"]
