"""The sample engine as a whole: files below a root, databases on a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.model.components import BY_NAME, Kind
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.sample.size import DEMO, Size

FQDN = "engine.lab.example"
COMPONENTS = ("engine", "dwh", "managedblock", "keycloak", "grafana")

# Invented, and awkward on purpose: `:` and `\` need escapes in a password file and in conf files.
# No `"` and no `$`: engine-setup since 4.0 writes them bare, which the product cannot read (reference 7.3).
PASSWORDS: Mapping[str, Secret] = {
    "engine": Secret(r"Eng:ine\Pw 3x7#k"),
    "dwh": Secret("Dwh'Pw=5kQ;&|"),
    "managedblock": Secret(r"Block\\:Pw-2bb"),
    "cinderlib": Secret("CinPw-2bb%s"),
    "keycloak": Secret("Key*Pw ~8tt{}"),
}
GRAFANA_ROLE = "ovirt_engine_history_grafana"
READER_ROLE = "cfme_reader"
OTHER_ROLES: Mapping[str, Secret] = {
    GRAFANA_ROLE: Secret("GrafPw-1cc"),
    READER_ROLE: Secret("ReaderPw-4dd"),
}


@dataclass(frozen=True)
class SampleEngine:
    """What was built.

    `credentials` are those of the conf files, by component; `roles` are all
    roles of the server with their passwords, also of those that only read.
    """

    root: Path
    size: Size
    components: tuple[str, ...]
    credentials: Mapping[str, Credentials]
    roles: Mapping[str, Secret]
    fqdn: str = FQDN


def build(
    root: Path, server: ScratchServer, size: Size = DEMO, components: Sequence[str] = COMPONENTS
) -> SampleEngine:
    """Build a sample engine: its files below `root`, its databases on `server`.

    `components` are names of the component table; those without a database
    of their own bring their files only. The server must not have the roles yet.
    """
    from engine_backup.sample import databases, tree

    sample = describe(root, server, size, components)
    databases.create(server, sample)
    tree.create(sample)
    return sample


def describe(root: Path, server: ScratchServer, size: Size, components: Sequence[str]) -> SampleEngine:
    """Say what `build` would build, without building it."""
    chosen = [BY_NAME[name] for name in components]
    credentials = {
        component.name: Credentials(
            host=server.host,
            port=server.port,
            user=component.default_user,
            password=PASSWORDS[component.name],
            database=component.default_database,
        )
        for component in chosen
        if component.kind is Kind.POSTGRES
    }
    roles = {login.user: login.password for login in credentials.values()}
    return SampleEngine(root, size, tuple(components), credentials, {**roles, **OTHER_ROLES})
