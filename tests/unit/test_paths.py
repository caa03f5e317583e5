from __future__ import annotations

import re
from os import fsdecode, fsencode

from hypothesis import given
from hypothesis import strategies as st

from engine_backup.model import paths
from engine_backup.model.paths import SAVED_PATHS, SavedPath, extra_path

# The union of reference 5.1, every path that any release saved.
_UNION = """
/etc/ovirt-engine /etc/pki/ovirt-engine /etc/ovirt-engine-setup.conf.d /var/lib/ovirt-engine/content
/etc/httpd/conf.d/ovirt-engine-root-redirect.conf /etc/httpd/conf.d/ssl.conf
/etc/httpd/conf.d/z-ovirt-engine-proxy.conf /etc/yum/pluginconf.d/versionlock.list
/etc/firewalld/services/ovirt-https.xml /etc/firewalld/services/ovirt-http.xml
/etc/firewalld/services/ovirt-postgres.xml /etc/ovirt-engine-dwh /etc/ovirt-engine-reports
/var/lib/ovirt-engine-reports/build-conf
/var/lib/ovirt-engine-reports/ovirt-engine-reports.war/WEB-INF/js.quartz.properties
/etc/httpd/conf.d/z-ovirt-engine-reports-proxy.conf /etc/dnf/plugins/versionlock.list /etc/ovirt-vmconsole
/etc/pki/ovirt-vmconsole /etc/httpd/http.keytab /etc/httpd/conf.d/ovirt-sso.conf
/etc/ovirt-provider-ovn/conf.d /var/lib/openvswitch /etc/firewalld/services/ovirt-provider-ovn.xml
/etc/firewalld/services/ovn-central-firewall-service.xml /etc/ovirt-provider-ovn/logger.conf /etc/grafana
/var/lib/grafana/plugins /etc/httpd/conf.d/internalsso-openidc.conf
/etc/httpd/conf.d/ovirt-engine-grafana-proxy.conf /etc/httpd/conf.d/z-ovirt-engine-keycloak-proxy.conf
"""
OF_ALL_RELEASES = _UNION.split()

# What the feature's design page names, and stock never saved.
_DESIGN_PAGE = """
/etc/sysconfig/ovirt-engine /etc/sysconfig/ovirt-engine-dwhd /etc/exports.d/data.exports
/etc/firewalld/zones/public.xml /etc/firewalld/direct.xml /etc/sysconfig/iptables
/etc/sysconfig/nftables.conf /etc/ovirt-imageio/conf.d/50-engine.conf
/etc/ovirt-engine-backup/engine-backup-config.d/pki.sh /var/lib/ovirt-engine/.hidden
"""
PROMISED = _DESIGN_PAGE.split()

NAMES = st.binary(min_size=1, max_size=8).filter(lambda name: not re.search(rb"[\0/*?\[]", name))


def covered(path: str, rows: tuple[SavedPath, ...] = SAVED_PATHS) -> bool:
    return any(row.covers(fsencode(path.lstrip("/"))) for row in rows)


def test_everything_that_any_release_saved_is_saved() -> None:
    assert [path for path in OF_ALL_RELEASES if not covered(path)] == []


def test_what_the_design_page_promises_is_saved() -> None:
    assert [path for path in PROMISED if not covered(path)] == []


def test_nothing_else_nearby_is_saved() -> None:
    for path in ("/etc/ovirt-engine2", "/etc", "/var/lib/ovirt-engine", "/etc/sysconfig/network", "/etc/pki"):
        assert not covered(path), path


def test_no_saved_path_needs_a_permission_to_be_restored() -> None:
    for row in SAVED_PATHS:
        assert not covered(row.path.replace("*", "x"), paths.GUARDED_PATHS), row.path


def test_directories_above_are_not_saved_themselves() -> None:
    assert {b"etc", b"var/lib", b"var/lib/ovirt-engine", b"etc/pki"} <= paths.DIRECTORIES_ABOVE
    assert not any(covered(fsdecode(name)) for name in paths.DIRECTORIES_ABOVE)


def test_left_out_paths_are_parts_of_saved_ones() -> None:
    for row in paths.LEFT_OUT_OF_BACKUP:
        assert covered(row.saved.path.replace("*", "x")), row.saved.path
        assert row.reason


def test_every_left_out_path_of_a_restore_has_a_reason() -> None:
    assert all(row.reason for row in paths.LEFT_OUT_OF_RESTORE)
    assert any(row.covers(b"var/lib/ovirt-engine/engine.up") for row in paths.LEFT_OUT_OF_RESTORE)


@given(above=st.lists(NAMES, min_size=1, max_size=4), below=st.lists(NAMES, max_size=3), other=NAMES)
def test_a_row_covers_itself_and_what_is_below(above: list[bytes], below: list[bytes], other: bytes) -> None:
    row = SavedPath("/" + fsdecode(b"/".join(above)), "test")
    if b"." in above:
        return
    assert row.covers(b"/".join(above + below))
    assert not row.covers(b"/".join(above) + other)
    assert not row.covers(b"/".join(above[:-1]))


def test_a_star_stays_within_one_name_and_takes_dot_files() -> None:
    row = extra_path("/srv/*/data")
    assert row.covers(b"srv/a/data/x")
    assert row.covers(b"srv/.a/data")
    assert not row.covers(b"srv/a/b/data")


def test_the_root_itself_covers_nothing() -> None:
    assert not extra_path("/").covers(b"etc/passwd")
