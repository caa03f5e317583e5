"""The root directory of the sample engine: a machine of 4.5, with names and files that break tools."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.sample import configuration, grafana, pki
from engine_backup.sample.engine import SampleEngine
from engine_backup.sample.planting import APACHE, OPENVSWITCH, OVIRT, ROOT_OVIRT, Planter

PRODUCT_VERSION = "4.5.7"
ETC = "etc/ovirt-engine/"
VAR = "var/lib/ovirt-engine/"
CONTENT = VAR + "content/"
ODD_NAMES = (
    b"with space",
    b"tab\there",
    "žluťoučký-漢字".encode(),
    b"caf\xe9-latin1",
    b"-dash",
    b"*glob?[x]{y}",
    b'quote\'s "both"',
    b"dollar$HOME `id`",
    b"~tilde",
    b"#hash;semi&amp|pipe",
    b"back\\slash",
    b"back\\nslash-n",
    b"new\nline",
    b" leading space",
    b"trailing space ",
    b"ctrl\x01\x7f",
)
# Files of the tree that no backup may hold, relative to the root (reference 5.2; logs; packaged files).
NEVER_SAVED = (
    VAR + "engine.up",
    VAR + "backups/dwh-2024.dump",
    VAR + "jboss_runtime/tmp/lock",
    VAR + "ansible-runner/project/x",
    VAR + "ansible-runner-service.log",
    "etc/httpd/conf.d/welcome.conf",
    "etc/ovirt-provider-ovn/ovirt-provider-ovn.conf",
    "etc/sysconfig/network",
    "var/log/ovirt-engine/engine.log",
)


def create(sample: SampleEngine) -> None:
    """Lay out the files of `sample` below its root, which need not exist."""
    planter = Planter(sample.root)
    _write_system(planter)
    _write_engine(planter)
    configuration.write_other_files(planter, sample)
    configuration.write_database_files(planter, sample)
    pki.write(planter, sample.fqdn)
    _write_neighbours(planter, sample.fqdn)
    _write_firewall(planter)
    _write_additions(planter)
    if "grafana" in sample.components:
        grafana.write(planter, sample.fqdn)
    if "keycloak" in sample.components:
        _write_keycloak(planter)
    _write_state(planter)
    _write_content(planter)
    _write_never_saved(planter)
    planter.date()


def point_to(sample: SampleEngine, server: ScratchServer) -> SampleEngine:
    """Rewrite the conf files of `sample` to name another server; return the sample as it is then."""
    logins = {
        name: replace(login, host=server.host, port=server.port) for name, login in sample.credentials.items()
    }
    moved = replace(sample, credentials=logins)
    configuration.write_database_files(Planter(sample.root), moved)
    return moved


def install_packages(root: Path) -> None:
    """Lay out what a clean machine has before a restore: its system's name and the engine's packages."""
    planter = Planter(root)
    _write_system(planter)
    planter.date()


def _write_system(planter: Planter) -> None:
    planter.file("etc/os-release", OS_RELEASE)
    planter.file("etc/redhat-release", "AlmaLinux release 9.6 (Sage Margay)\n")
    packaged = f"PACKAGE_NAME = 'ovirt-engine'\nPACKAGE_VERSION = '{PRODUCT_VERSION}'\n"
    planter.file("usr/share/ovirt-engine/setup/ovirt_engine_setup/config.py", packaged)
    for directory in ("tmp", "var/tmp"):
        planter.directory(directory, 0o1777)
    for directory in ("var/lib/ovirt-engine-backup", "var/log/ovirt-engine-backup"):
        planter.directory(directory, 0o750)


def _write_engine(planter: Planter) -> None:
    planter.directory(ETC)
    planter.file(ETC + "engine-config/engine-config.properties", "LabOption.type=String\n")
    planter.file(
        ETC + "notifier/notifier.conf.d/20-lab.conf",
        'MAIL_SERVER=mail.lab.example\nFILTER="include:*(smtp:admin@lab.example) ${FILTER}"\n',
        0o640,
        ROOT_OVIRT,
    )
    planter.file(
        ETC + "extensions.d/internal-authz.properties",
        "ovirt.engine.extension.name = internal-authz\n",
        0o600,
        OVIRT,
    )
    planter.file(
        ETC + "aaa/internal.properties",
        "config.datasource.file=/etc/ovirt-engine/engine.conf.d/10-setup-database.conf\n",
        0o600,
        OVIRT,
    )
    planter.link(ETC + "branding/00-ovirt.brand", "/usr/share/ovirt-engine/brands/ovirt.brand")


def _write_keycloak(planter: Planter) -> None:
    planter.file(
        ETC + "extensions.d/internalkeycloak-authn.properties",
        "ovirt.engine.extension.name = internalkeycloak-authn\n",
        0o600,
        OVIRT,
    )
    planter.file("etc/httpd/conf.d/internalsso-openidc.conf", "# invented openidc\n")
    planter.file("etc/httpd/conf.d/z-ovirt-engine-keycloak-proxy.conf", "# invented identity proxy\n")


def _write_neighbours(planter: Planter, fqdn: str) -> None:
    """Other programs of the machine that engine-setup configures."""
    for name in (
        "ssl.conf",
        "z-ovirt-engine-proxy.conf",
        "ovirt-engine-root-redirect.conf",
        "ovirt-sso.conf",
    ):
        planter.file("etc/httpd/conf.d/" + name, f"# invented {name}\nServerName {fqdn}\n")
    planter.file("etc/httpd/http.keytab", b"\x05\x02\x00\x00lab", 0o600, APACHE)
    planter.file("etc/yum/pluginconf.d/versionlock.list", "0:ovirt-engine-lab-1.0-1.*\n")
    planter.file("etc/dnf/plugins/versionlock.list", "ovirt-engine-lab-0:1.0-1.*\n")
    planter.file("etc/ovirt-vmconsole/ovirt-vmconsole-proxy/conf.d/20-lab.conf", "[proxy]\nlab = 1\n")
    planter.file("etc/pki/ovirt-vmconsole/proxy-ssh_user_ca.pub", "ssh-rsa AAAAinvented lab\n")
    planter.file(
        "etc/ovirt-provider-ovn/conf.d/10-setup-ovirt-provider-ovn.conf",
        f"[OVIRT]\novirt-host=https://{fqdn}:443\n",
        0o640,
    )
    planter.file("etc/ovirt-provider-ovn/logger.conf", "[loggers]\nkeys=root\n")
    planter.file("var/lib/openvswitch/ovn/ovnnb_db.db", "OVSDB JSON 2 0000\n{}\n", 0o640, OPENVSWITCH)


def _write_firewall(planter: Planter) -> None:
    services = "etc/firewalld/services/"
    ports = {"ovirt-http": 80, "ovirt-https": 443, "ovirt-postgres": 5432, "ovirt-provider-ovn": 9696}
    for name, port in {**ports, "ovn-central-firewall-service": 6641}.items():
        planter.file(f"{services}{name}.xml", SERVICE.format(name=name, port=port))
    planter.directory("etc/firewalld/zones", 0o750)
    planter.file("etc/firewalld/zones/public.xml", ZONE)
    planter.file("etc/firewalld/direct.xml", '<?xml version="1.0" encoding="utf-8"?>\n<direct/>\n')
    planter.file("etc/sysconfig/iptables", "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", 0o600)


def _write_additions(planter: Planter) -> None:
    """What the feature's design page names and stock does not save."""
    planter.file("etc/sysconfig/ovirt-engine", "ENGINE_LAB=1\n")
    planter.file("etc/sysconfig/ovirt-engine-notifier", "NOTIFIER_LAB=1\n", 0o640)
    planter.file("etc/exports.d/ovirt-engine-iso-domain.exports", "/var/lib/exports/iso\t*(rw)\n")
    planter.file("etc/ovirt-imageio/conf.d/50-engine.conf", "[tls]\nenable_tls1_1 = false\n")
    planter.file("etc/ovirt-engine-backup/notes.txt", "kept beside the hooks\n")


def _write_state(planter: Planter) -> None:
    planter.directory(VAR, 0o755, OVIRT)
    planter.file(VAR + ".hidden-at-top", "only the oldest tools took this\n", owner=OVIRT)
    planter.file(VAR + "timezones.properties", "Europe/Prague=Central\n", owner=OVIRT)
    answers = "[environment:default]\nOVESETUP_LAB/answer=str:yes\n"
    planter.file(VAR + "setup/answers/20260530120000-setup.conf", answers, 0o600)
    planter.directory(VAR + "external_truststore", 0o755, OVIRT)
    planter.link(VAR + "dir-link", "content")
    planter.link(VAR + "dangling-at-top", "no-such-thing")


def _write_content(planter: Planter) -> None:
    """Files that are hard to save and to bring back."""
    planter.directory(CONTENT, 0o775, OVIRT)
    planter.file(CONTENT + "original", "one inode, two names\n", 0o664, OVIRT)
    planter.second_name(CONTENT + "hard-link", CONTENT + "original")
    planter.link(CONTENT + "to-original", "original")
    planter.link(CONTENT + "dangling", "/nonexistent/target")
    planter.file(CONTENT + "empty", "")
    # such a file stops every backup that is not made by root
    planter.file(CONTENT + "unreadable", "mode 0000\n", 0 if os.geteuid() == 0 else 0o400)
    planter.file(CONTENT + "script", "#!/bin/sh\necho lab\n", 0o755, OVIRT)
    planter.file(CONTENT + "n" * 120, "a name of 120 letters\n")
    deep = "/".join(f"deep-directory-{number:02d}" for number in range(6))
    planter.file(CONTENT + deep + "/leaf", "a long path\n")
    planter.directory(CONTENT + "setgid-dir", 0o2775, OVIRT)
    planter.sparse_file(CONTENT + "sparse/disk.img", 4 << 20, b"island in the middle" * 300, OVIRT)
    for name in ODD_NAMES:
        planter.file(CONTENT.encode() + b"odd/" + name, b"name: " + name + b"\n", 0o644, OVIRT)


def _write_never_saved(planter: Planter) -> None:
    for name in NEVER_SAVED:
        planter.file(name, "never in a backup\n")
    # beyond the largest process id that Linux gives out: no engine runs here
    planter.file(VAR + "engine.up", "99999999\n", 0o644, OVIRT)


OS_RELEASE = """NAME="AlmaLinux"
VERSION="9.6 (Sage Margay)"
ID="almalinux"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.6"
PLATFORM_ID="platform:el9"
PRETTY_NAME="AlmaLinux 9.6 (Sage Margay)"
"""
SERVICE = """<?xml version="1.0" encoding="utf-8"?>
<service><short>{name}</short><port protocol="tcp" port="{port}"/></service>
"""
ZONE = """<?xml version="1.0" encoding="utf-8"?>
<zone><short>Public</short><service name="ssh"/><service name="ovirt-https"/></zone>
"""
