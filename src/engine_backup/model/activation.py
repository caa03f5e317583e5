"""Restored files that change nothing by themselves, or more than an engine: what to do about them."""

from __future__ import annotations

from dataclasses import dataclass

from engine_backup.model.paths import SavedPath


@dataclass(frozen=True)
class Activation:
    """What is said when one of `paths` was restored: what it is, and the command that is next."""

    paths: tuple[SavedPath, ...]
    text: str


def _paths(*paths: str) -> tuple[SavedPath, ...]:
    return tuple(SavedPath(path, "") for path in paths)


ACTIVATIONS: tuple[Activation, ...] = (
    Activation(
        _paths("/etc/firewalld"),
        "rules of firewalld are restored, and not in force: look at /etc/firewalld,"
        " then firewall-cmd --reload",
    ),
    Activation(
        _paths("/etc/sysconfig/iptables", "/etc/sysconfig/ip6tables"),
        "rules of iptables are restored, and not in force: look at /etc/sysconfig/iptables,"
        " then systemctl restart iptables",
    ),
    Activation(
        _paths("/etc/sysconfig/nftables.conf", "/etc/nftables"),
        "rules of nftables are restored, and not in force: look at /etc/sysconfig/nftables.conf,"
        " then systemctl restart nftables",
    ),
    Activation(
        _paths("/etc/exports.d"),
        "NFS exports are restored, and not exported: look at /etc/exports.d, then exportfs -ra",
    ),
    Activation(
        _paths("/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list"),
        "the version lock is that of the backup, and holds packages at its versions:"
        " dnf versionlock list, and dnf versionlock clear where that is in the way",
    ),
)
