"""The table of files that a backup holds, and of those that are left out, with the reasons.

Facts: reference 5.1 (paths, the union of all versions), 5.2 (left out of a
backup), 5.3 (left out of a restore), quirks 31, 33 and 42; and the feature's
design page, which promises more than any release of the stock tool saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from functools import cached_property
from os import fsencode


@dataclass(frozen=True)
class SavedPath:
    """A path and all that is below it.

    `path` is absolute, to be read under the root in use. In a glob `*`, `?` and
    `[…]` stand for parts of one name, dot files included, and never for a slash.
    """

    path: str
    group: str
    is_glob: bool = False

    @cached_property
    def components(self) -> tuple[bytes, ...]:
        """The names on the way down to the path."""
        return tuple(part for part in fsencode(self.path).split(b"/") if part not in (b"", b"."))

    @cached_property
    def _literal(self) -> bytes:
        return b"/".join(self.components)

    def covers(self, name: bytes) -> bool:
        """Whether the relative name `name` is this path or lies below it."""
        if not self.is_glob:
            return bool(self._literal) and (name == self._literal or name.startswith(self._literal + b"/"))
        parts = name.split(b"/")
        if not self.components or len(parts) < len(self.components):
            return False
        return all(fnmatchcase(part, pattern) for part, pattern in zip(parts, self.components))


class Condition(Enum):
    """When a path is left out of a restore."""

    ALWAYS = "always"
    OS_CHANGED = "only when the archive comes from another operating system"
    NO_REPORTS = "unless Reports is restored too"


@dataclass(frozen=True)
class LeftOutPath:
    """A path, and all below it, that is left out; `reason` is told to the admin."""

    saved: SavedPath
    reason: str
    condition: Condition = Condition.ALWAYS

    def covers(self, name: bytes) -> bool:
        """Whether the relative name `name` is left out by this row."""
        return self.saved.covers(name)


def _rows(group: str, *paths: str) -> tuple[SavedPath, ...]:
    return tuple(SavedPath(path, group, is_glob="*" in path) for path in paths)


def extra_path(path: str) -> SavedPath:
    """Return the row of a path that the admin added; `*`, `?` and `[` make it a glob."""
    return SavedPath(path, "extra", is_glob=any(sign in path for sign in "*?["))


# The entries below /var/lib/ovirt-engine and /var/lib/grafana are saved, not the
# two directories themselves, as stock has done since 3.4.1: packages own them, and in
# the trees of generation B their mode and owner are by-products (reference 13.7).
SAVED_PATHS: tuple[SavedPath, ...] = (
    *_rows("engine", "/etc/ovirt-engine", "/etc/ovirt-engine-setup.conf.d", "/var/lib/ovirt-engine/*"),
    *_rows("pki", "/etc/pki/ovirt-engine", "/etc/pki/ovirt-vmconsole"),
    *_rows(
        "httpd",
        "/etc/httpd/conf.d/ovirt-engine-root-redirect.conf",
        "/etc/httpd/conf.d/ssl.conf",
        "/etc/httpd/conf.d/z-ovirt-engine-proxy.conf",
        "/etc/httpd/conf.d/ovirt-sso.conf",
        "/etc/httpd/conf.d/internalsso-openidc.conf",
        "/etc/httpd/conf.d/ovirt-engine-grafana-proxy.conf",
        "/etc/httpd/conf.d/z-ovirt-engine-keycloak-proxy.conf",
        "/etc/httpd/http.keytab",
    ),
    *_rows("versionlock", "/etc/yum/pluginconf.d/versionlock.list", "/etc/dnf/plugins/versionlock.list"),
    *_rows("dwh", "/etc/ovirt-engine-dwh"),
    *_rows(
        "reports",
        "/etc/ovirt-engine-reports",
        "/var/lib/ovirt-engine-reports/build-conf",
        "/var/lib/ovirt-engine-reports/ovirt-engine-reports.war/WEB-INF/js.quartz.properties",
        "/etc/httpd/conf.d/z-ovirt-engine-reports-proxy.conf",
    ),
    *_rows("vmconsole", "/etc/ovirt-vmconsole"),
    *_rows(
        "ovn",
        "/etc/ovirt-provider-ovn/conf.d",
        "/etc/ovirt-provider-ovn/logger.conf",
        "/var/lib/openvswitch",
    ),
    *_rows("grafana", "/etc/grafana", "/var/lib/grafana/*"),
    *_rows("imageio", "/etc/ovirt-imageio"),
    *_rows("sysconfig", "/etc/sysconfig/ovirt-engine*"),
    *_rows("exports", "/etc/exports.d"),
    *_rows(
        "firewall",
        "/etc/firewalld/zones",
        "/etc/firewalld/services",
        "/etc/firewalld/policies",
        "/etc/firewalld/ipsets",
        "/etc/firewalld/direct.xml",
        "/etc/sysconfig/iptables",
        "/etc/sysconfig/ip6tables",
        "/etc/sysconfig/nftables.conf",
        "/etc/nftables",
    ),
    *_rows("backup", "/etc/ovirt-engine-backup"),
)


APACHE_CONFIGURATION = "/etc/httpd/conf.d/"

# Of what is saved from there, the one that nobody but an administrator writes.
OWN_APACHE_CONFIGURATION = b"etc/httpd/conf.d/ovirt-sso.conf"


def _left_out(reason: str, *paths: str, condition: Condition = Condition.ALWAYS) -> tuple[LeftOutPath, ...]:
    return tuple(LeftOutPath(SavedPath(path, "", is_glob="*" in path), reason, condition) for path in paths)


_ENGINE_UP = _left_out(
    "says that an engine runs on the machine of the backup", "/var/lib/ovirt-engine/engine.up"
)

LEFT_OUT_OF_BACKUP: tuple[LeftOutPath, ...] = (
    *_ENGINE_UP,
    *_left_out("older backups", "/var/lib/ovirt-engine/backups"),
    *_left_out(
        "made anew at run time",
        "/var/lib/ovirt-engine/jboss_runtime",
        "/var/lib/ovirt-engine/ansible-runner",
        "/var/lib/ovirt-engine/.ansible",
    ),
    *_left_out("a log", "/var/lib/ovirt-engine/ansible-runner-service.log", "/var/lib/ovirt-engine/*.log"),
    *_left_out(
        "saved through SQLite, as a whole",
        "/var/lib/grafana/grafana.db",
        "/var/lib/grafana/grafana.db-wal",
        "/var/lib/grafana/grafana.db-shm",
        "/var/lib/grafana/grafana.db-journal",
    ),
)

LEFT_OUT_OF_RESTORE: tuple[LeftOutPath, ...] = (
    *_ENGINE_UP,
    *_left_out(
        "belongs to a package",
        "/etc/ovirt-engine/engine-config/engine-config.properties",
        "/etc/ovirt-engine-setup.conf.d/*packaging*",
    ),
    *_left_out(
        "belongs to a package, and an old one breaks engine-setup",
        "/etc/pki/ovirt-engine/cacert.template.in",
        "/etc/pki/ovirt-engine/cert.template.in",
        "/etc/pki/ovirt-engine/openssl.conf",
    ),
    *_left_out(
        "Reports is no part of the product since 4.0",
        "/etc/ovirt-engine-reports",
        "/var/lib/ovirt-engine-reports",
        "/etc/httpd/conf.d/z-ovirt-engine-reports-proxy.conf",
        "/etc/ovirt-engine/engine.conf.d/10-setup-reports-access.conf",
        condition=Condition.NO_REPORTS,
    ),
    *_left_out(
        "branding of 4.3, which later releases do not read",
        "/etc/ovirt-engine/engine.conf.d/20-branding-rhv.conf",
        "/etc/ovirt-engine/branding/50-rhv-2.brand",
    ),
    *_left_out(
        "points at PostgreSQL of a software collection, gone since 4.4",
        "/etc/ovirt-engine/engine.conf.d/10-scl-postgres.conf",
        "/etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf.d/10-scl-postgres.conf",
    ),
    *_left_out(
        "another operating system: engine-setup will ask about Apache",
        # Stock leaves out two of them (quirk 34). The keytab is the same on every system.
        *(row.path for row in SAVED_PATHS if row.path.startswith(APACHE_CONFIGURATION)),
        condition=Condition.OS_CHANGED,
    ),
)

# Places that take control of the machine: a restore writes there only when the
# admin names the very path.
GUARDED_PATHS: tuple[SavedPath, ...] = (
    *_rows("guarded", "/etc/cron*", "/etc/anacrontab", "/etc/sudoers*", "/etc/ssh", "/etc/systemd"),
    *_rows("guarded", "/etc/passwd*", "/etc/group*", "/etc/shadow*", "/etc/gshadow*", "/etc/pam.d"),
    *_rows("guarded", "/etc/security", "/etc/profile*", "/etc/bashrc", "/etc/init.d", "/etc/rc*"),
    *_rows("guarded", "/etc/ld.so*", "/etc/udev", "/etc/selinux", "/etc/polkit-1", "/etc/fstab"),
    *_rows("guarded", "/root", "/home", "/usr", "/bin", "/sbin", "/lib*", "/boot", "/opt", "/srv"),
    *_rows("guarded", "/proc", "/sys", "/dev", "/run", "/var/run", "/var/spool"),
    *_rows("guarded", "/tmp", "/var/tmp"),  # noqa: S108 - places to stay away from
)


def _directories_above(rows: tuple[SavedPath, ...]) -> frozenset[bytes]:
    return frozenset(b"/".join(row.components[:n]) for row in rows for n in range(1, len(row.components)))


# An admin may have moved one of these to another disk and left a symbolic link;
# see file_placing.
DIRECTORIES_ABOVE: frozenset[bytes] = _directories_above(SAVED_PATHS)

# The trees of generations A and B hold directories that their copying made on the way to a file
# (reference 13.7). Those above what is saved today are never restored; this one is saved today.
MADE_BY_COPYING: frozenset[bytes] = frozenset({b"etc/firewalld/services"})
