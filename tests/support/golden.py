"""The archives that stock versions really made, and what their JSON says a right reader finds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent.parent / "golden"
NAMES = sorted(path.stem for path in DIRECTORY.glob("*.backup"))

# What a restore leaves out of the archives, whatever release made them (reference 5.3).
LEFT_OUT = {
    "etc/ovirt-engine-setup.conf.d/10-packaging.conf",
    "etc/ovirt-engine/engine-config/engine-config.properties",
    "etc/ovirt-engine/engine.conf.d/10-scl-postgres.conf",
    "etc/pki/ovirt-engine/cacert.template.in",
    "etc/pki/ovirt-engine/cert.template.in",
    "etc/pki/ovirt-engine/openssl.conf",
    "var/lib/ovirt-engine/engine.up",
}
# Also left out on another operating system than the archive's (reference 9.5).
APACHE = "etc/httpd/conf.d/"
# Left out with Reports.
REPORTS = (
    *("etc/ovirt-engine-reports", "var/lib/ovirt-engine-reports"),
    "etc/httpd/conf.d/z-ovirt-engine-reports-proxy.conf",
    "etc/ovirt-engine/engine.conf.d/10-setup-reports-access.conf",
)
# Those of the 4.5 archives, whatever part of them stock was asked to restore.
_OLD_PKCS12 = {"etc/pki/ovirt-engine/keys/engine.p12"}
# In the trees of generations A and B these came to be on the way to something (reference 13.7).
BY_PRODUCTS = {
    *("etc", "etc/firewalld", "etc/firewalld/services", "etc/httpd", "etc/httpd/conf.d", "etc/pki"),
    *("etc/yum", "etc/yum/pluginconf.d", "var", "var/lib", "var/lib/ovirt-engine"),
    *("var/lib/ovirt-engine-reports", "var/lib/ovirt-engine-reports/ovirt-engine-reports.war"),
    "var/lib/ovirt-engine-reports/ovirt-engine-reports.war/WEB-INF",
}


@dataclass(frozen=True)
class Difference:
    """Archived or created paths (a regular expression) that a restore leaves otherwise than stock's.

    `row` is the first cell of the row in docs/differences.md that says why. `how` is what is different:
    "left out", "restored" (stock left it out), "changed" or "created". `of_old`: only where a release before
    4.5.7 did the restore; stock has learned it since.
    """

    paths: str
    how: str
    row: str
    of_old: bool = False


PKCS12 = "PKCS#12 in old encryption"
PACKAGED = "files of packages, of PostgreSQL's software collection, brands of 4.3"
DIFFERENCES = (
    Difference(r"var/lib/ovirt-engine/engine\.up", "left out", "31"),
    Difference(r"etc/httpd/conf\.d/.*", "left out", "34"),
    Difference(r"etc/httpd(/conf\.d)?", "left out", "13.7"),
    # What later releases of stock leave out too.
    Difference(r"etc/ovirt-engine-setup\.conf\.d/10-packaging\.conf", "left out", PACKAGED, of_old=True),
    Difference(
        r"etc/ovirt-engine/engine-config/engine-config\.properties", "left out", PACKAGED, of_old=True
    ),
    Difference(r"etc/ovirt-engine/engine\.conf\.d/10-scl-postgres\.conf", "left out", PACKAGED, of_old=True),
    Difference(r"etc/pki/ovirt-engine/(ca)?cert\.template\.in", "left out", PACKAGED, of_old=True),
    Difference(r"etc/pki/ovirt-engine/openssl\.conf", "left out", PACKAGED, of_old=True),
    Difference(r"var/lib/ovirt-engine(/.*)?", "restored", "13.1", of_old=True),
    # Stock did so since 4.5.7 and 3.6.6.1, this tool does it for archives of every release.
    Difference(r"etc/pki/ovirt-engine/keys/[^/]+\.p12", "changed", PKCS12, of_old=True),
    Difference(
        r"etc/pki/ovirt-engine/keys/[^/]+\.p12\.backup\.YYYYmmddHHMMSS", "created", PKCS12, of_old=True
    ),
    Difference(
        r"etc/ovirt-engine-setup\.conf\.d/20-setup-ovirt-post\.conf",
        "changed",
        "another operating system",
        of_old=True,
    ),
)


def archive(name: str) -> Path:
    """Return the archive's path."""
    return DIRECTORY / f"{name}.backup"


def facts(name: str) -> dict[str, Any]:
    """Return what the JSON says."""
    return json.loads((DIRECTORY / f"{name}.json").read_text())


def asks_about_apache(found: dict[str, Any]) -> bool:
    """Whether the archive's system is another one than that of the tests' machine."""
    return bool(found["os_version"] != "almalinux9")


def left_out(found: dict[str, Any]) -> set[str]:
    """Return the archived paths that must not be there after a restore of everything."""
    reports = {entry["path"] for entry in found["files"] if entry["path"].startswith(REPORTS)}
    reports = set() if "reports" in found["databases"] else reports
    apache = {entry["path"] for entry in found["files"] if entry["path"].startswith(APACHE)}
    return LEFT_OUT | reports | (apache if asks_about_apache(found) else set())


def encrypted_anew(found: dict[str, Any]) -> set[str]:
    """Return the PKCS#12 files in old encryption; those of releases before 4.5 were all made so."""
    stock = found.get("after_stock_restore", {})
    if found["version"].startswith("4.5"):
        return {path for path in stock.get("files_changed", ()) if path.endswith(".p12")} or _OLD_PKCS12
    return {entry["path"] for entry in found["files"] if entry["path"].endswith(".p12")}


def corrected_as_today(found: dict[str, Any]) -> bool:
    """Whether the JSON knows what the corrections of a restore (reference 9.2) make of the engine."""
    changed = found.get("after_stock_restore", {}).get("tables_changed", {})
    return "vm_dynamic" in changed.get("engine", {})


def tables_of_dump(found: dict[str, Any], component: str) -> dict[str, tuple[int, str]]:
    """Return rows and digest of each table as it was saved."""
    tables = found["databases"][component]["tables"]
    return {
        f"public.{name}".replace('"', ""): (table["rows"], table["digest"]) for name, table in tables.items()
    }


def tables_after_restore(found: dict[str, Any], component: str) -> dict[str, tuple[int, str]]:
    """Return rows and digest of each restored table: the dump's, but for what stock changed on purpose."""
    tables = dict(found["databases"][component]["tables"])
    tables.update(found.get("after_stock_restore", {}).get("tables_changed", {}).get(component, {}))
    return {
        f"public.{name}".replace('"', ""): (table["rows"], table["digest"]) for name, table in tables.items()
    }
