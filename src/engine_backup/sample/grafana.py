"""The dashboards' files and SQLite database."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from engine_backup.sample.databases import script
from engine_backup.sample.planting import GRAFANA, ROOT_GRAFANA, Planter

DATABASE = "var/lib/grafana/grafana.db"


def write(planter: Planter, fqdn: str) -> None:
    """Write Grafana's configuration, its plugins and its database."""
    url = f"https://{fqdn}/ovirt-engine-grafana/"
    planter.file(
        "etc/grafana/grafana.ini", f"[server]\nhttp_port = 3000\nroot_url = {url}\n", 0o640, ROOT_GRAFANA
    )
    planter.file("etc/grafana/ldap.toml", "# invented\n", 0o640, ROOT_GRAFANA)
    planter.directory("var/lib/grafana", 0o755, GRAFANA)
    planter.file("var/lib/grafana/plugins/lab/plugin.json", '{"id": "lab"}\n', 0o644, GRAFANA)
    planter.directory("var/lib/grafana/plugins", 0o750, GRAFANA)
    planter.file("etc/httpd/conf.d/ovirt-engine-grafana-proxy.conf", "# invented dashboards proxy\n")
    with closing(sqlite3.connect(os.fsdecode(planter.path(DATABASE)))) as database:
        database.executescript(script("grafana.sql"))
    planter.settle(DATABASE, 0o640, GRAFANA)
