"""The table of everything that a backup consists of.

A component is described here once. Parser, help, scopes, password files,
credentials rewriting, events and the parameters of tests come from this
table; a difference between components is a field, never a branch on a name.
Facts: reference sections 4.1 (members), 7.1 (files), 7.4 (enabled keys),
8 (event scopes), 10.2 (options), 10.4 (labels in messages).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

ENGINE_CONF_DIRECTORY = "/etc/ovirt-engine/engine.conf.d"
DWH_CONF_DIRECTORY = "/etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf.d"


class Kind(Enum):
    """What a component is made of."""

    FILES = "files"
    POSTGRES = "postgres"
    SQLITE = "sqlite"


class AfterLoad(Enum):
    """Sets of corrections that a loaded database needs before an engine may run on it."""

    NOTHING = "nothing"
    ENGINE = "engine"


@dataclass(frozen=True)
class Component:
    """One part of an engine that is saved and restored as a whole.

    Paths are absolute, to be read under the root directory in use.

    `label`            in messages: "- Engine database 'engine'"
    `scope`            word of `--scope=`
    `event_scope`      first argument of `LogEngineBackupEvent`
    `option_prefix`    "dwh-" makes `--dwh-db-host`; engine's is empty
    `conf_prefix`      "DWH_" makes `DWH_DB_HOST` in conf files
    `dump_prefix`      "DWH_DB" makes `DWH_DB_DUMP_FORMAT` in the archive's `config`
    `password_variable` documented environment variable with the password
    `conf_file`        where engine-setup writes the credentials block
    `rewritten_files`  conf files that hold a block of this component and are
                       rewritten when its credentials change
    `enabled_key`      otopi key that says whether engine-setup configured it
    `properties_file`  Java properties with the log-in, instead of conf files (Reports only)
    `properties`       pairs: "HOST" of `<conf_prefix>DB_HOST`, and its key in that file
    `reader_conf_prefix` "GRAFANA_" makes `GRAFANA_DB_USER`: a second, read-only
                       log-in to this database
    `path`             where it is, of those that are one file; `settings_file` is what it is useless without
    `member`           name of the dump in the archive, without `./`
    `successor`        name of the component that took this one's place in later releases
    `written`          False: old archives are restored, new ones are never made
    `has_schema_version` its database says in table schema_version how far its schema was brought
    `history_kinds`    words of `--<option_prefix>exclude=`, and the tables each means, as a pattern
    `packages`         without which it cannot be used after a restore; empty where no release says
    """

    name: str
    kind: Kind
    label: str
    scope: str
    event_scope: str
    enabled_key: str = ""
    option_prefix: str = ""
    conf_prefix: str = ""
    dump_prefix: str = ""
    password_variable: str = ""
    conf_file: str = ""
    rewritten_files: tuple[str, ...] = ()
    properties_file: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    reader_conf_prefix: str = ""
    member: str = ""
    default_database: str = ""
    default_user: str = ""
    path: str = ""
    settings_file: str = ""
    written: bool = True
    successor: str = ""
    after_load: AfterLoad = AfterLoad.NOTHING
    has_schema_version: bool = False
    packages: tuple[str, ...] = ()
    history_kinds: tuple[tuple[str, str], ...] = ()

    @property
    def credentials_file(self) -> str:
        """Where the product reads this database's log-in; empty where it has none."""
        return self.conf_file or self.properties_file

    @property
    def credentials_files(self) -> tuple[str, ...]:
        """Every file that holds this database's log-in."""
        return self.rewritten_files or ((self.properties_file,) if self.properties_file else ())


FILES = Component(
    name="files",
    kind=Kind.FILES,
    label="Files",
    scope="files",
    event_scope="files",
    member="files",
)

ENGINE = Component(
    name="engine",
    kind=Kind.POSTGRES,
    label="Engine",
    scope="db",
    event_scope="db",
    enabled_key="OVESETUP_ENGINE_CORE/enable",
    option_prefix="",
    conf_prefix="ENGINE_",
    dump_prefix="DB",
    password_variable="OVIRT_ENGINE_DATABASE_PASSWORD",
    conf_file=f"{ENGINE_CONF_DIRECTORY}/10-setup-database.conf",
    rewritten_files=(
        f"{ENGINE_CONF_DIRECTORY}/10-setup-database.conf",
        f"{DWH_CONF_DIRECTORY}/10-setup-database.conf",
    ),
    member="db/engine_backup.db",
    default_database="engine",
    default_user="engine",
    after_load=AfterLoad.ENGINE,
    has_schema_version=True,
    packages=("ovirt-engine",),
)

DWH = Component(
    name="dwh",
    kind=Kind.POSTGRES,
    label="DWH",
    scope="dwhdb",
    event_scope="dwhdb",
    enabled_key="OVESETUP_DWH_CORE/enable",
    option_prefix="dwh-",
    conf_prefix="DWH_",
    dump_prefix="DWH_DB",
    password_variable="OVIRT_DWH_DATABASE_PASSWORD",
    conf_file=f"{DWH_CONF_DIRECTORY}/10-setup-database.conf",
    rewritten_files=(
        f"{DWH_CONF_DIRECTORY}/10-setup-database.conf",
        f"{ENGINE_CONF_DIRECTORY}/10-setup-dwh-database.conf",
    ),
    reader_conf_prefix="GRAFANA_",
    member="db/dwh_backup.db",
    default_database="ovirt_engine_history",
    default_user="ovirt_engine_history",
    has_schema_version=True,
    packages=("ovirt-engine-dwh",),
    history_kinds=(
        ("samples", "*_samples_history"),
        ("hourly", "*_hourly_history"),
        ("daily", "*_daily_history"),
    ),
)

REPORTS = Component(
    name="reports",
    kind=Kind.POSTGRES,
    label="Reports",
    scope="reportsdb",
    event_scope="reportsdb",
    enabled_key="OVESETUP_REPORTS_CORE/enable",
    option_prefix="reports-",
    conf_prefix="REPORTS_",
    dump_prefix="REPORTS_DB",
    password_variable="OVIRT_REPORTS_DATABASE_PASSWORD",
    properties_file="/var/lib/ovirt-engine-reports/build-conf/master.properties",
    properties=(
        ("HOST", "dbHost"),
        ("PORT", "dbPort"),
        ("USER", "dbUsername"),
        ("PASSWORD", "dbPassword"),
        ("DATABASE", "js.dbName"),
    ),
    member="db/reports_backup.db",
    default_database="ovirt_engine_reports",
    default_user="ovirt_engine_reports",
    written=False,
)

CINDERLIB = Component(
    name="cinderlib",
    kind=Kind.POSTGRES,
    label="Cinderlib",
    scope="cinderlibdb",
    event_scope="cinderlib",
    enabled_key="OVESETUP_CL_DB/enable",
    option_prefix="cinderlib-",
    conf_prefix="CINDERLIB_",
    dump_prefix="CINDERLIB_DB",
    password_variable="OVIRT_CINDERLIB_DATABASE_PASSWORD",
    conf_file=f"{ENGINE_CONF_DIRECTORY}/10-setup-cinderlib-database.conf",
    rewritten_files=(f"{ENGINE_CONF_DIRECTORY}/10-setup-cinderlib-database.conf",),
    member="db/cinderlib_backup.db",
    successor="managedblock",
    default_database="ovirt_cinderlib",
    default_user="ovirt_cinderlib",
    packages=("python3-cinderlib",),
)

MANAGEDBLOCK = Component(
    name="managedblock",
    kind=Kind.POSTGRES,
    label="Managed Block",
    scope="managedblockdb",
    event_scope="managedblock",
    enabled_key="OVESETUP_MB_DB/enable",
    option_prefix="managedblock-",
    conf_prefix="MANAGEDBLOCK_",
    dump_prefix="MANAGEDBLOCK_DB",
    password_variable="OVIRT_MANAGEDBLOCK_DATABASE_PASSWORD",
    conf_file=f"{ENGINE_CONF_DIRECTORY}/10-setup-managedblock-database.conf",
    rewritten_files=(f"{ENGINE_CONF_DIRECTORY}/10-setup-managedblock-database.conf",),
    member="db/managedblock_backup.db",
    default_database="ovirt_managedblock",
    default_user="ovirt_managedblock",
)

KEYCLOAK = Component(
    name="keycloak",
    kind=Kind.POSTGRES,
    label="Keycloak",
    scope="keycloakdb",
    event_scope="keycloak",
    enabled_key="OVESETUP_CONFIG/keycloakEnable",
    option_prefix="keycloak-",
    conf_prefix="KEYCLOAK_",
    dump_prefix="KEYCLOAK_DB",
    password_variable="OVIRT_KEYCLOAK_DATABASE_PASSWORD",
    conf_file=f"{ENGINE_CONF_DIRECTORY}/12-setup-keycloak.conf",
    rewritten_files=(f"{ENGINE_CONF_DIRECTORY}/12-setup-keycloak.conf",),
    member="db/keycloak_backup.db",
    default_database="ovirt_engine_keycloak",
    default_user="ovirt_engine_keycloak",
    packages=("ovirt-engine-keycloak",),
)

GRAFANA = Component(
    name="grafana",
    kind=Kind.SQLITE,
    label="Grafana",
    scope="grafanadb",
    event_scope="grafanadb",
    enabled_key="OVESETUP_GRAFANA_CORE/enable",
    member="db/grafana.db",
    path="/var/lib/grafana/grafana.db",
    settings_file="/etc/grafana/grafana.ini",
    packages=("grafana",),
)

# The order of stock's output and of its events (reference 8).
COMPONENTS: tuple[Component, ...] = (FILES, ENGINE, DWH, REPORTS, CINDERLIB, MANAGEDBLOCK, KEYCLOAK, GRAFANA)

DATABASES: tuple[Component, ...] = tuple(c for c in COMPONENTS if c.kind is Kind.POSTGRES)

SCOPE_ALL = "all"
SCOPES: tuple[str, ...] = (SCOPE_ALL, *(c.scope for c in COMPONENTS))

BY_NAME: dict[str, Component] = {c.name: c for c in COMPONENTS}


def in_scope(component: Component, scopes: tuple[str, ...]) -> bool:
    """Say whether `--scope=` words ask for this component."""
    return SCOPE_ALL in scopes or component.scope in scopes
