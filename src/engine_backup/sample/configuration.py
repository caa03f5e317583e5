"""The conf files of the sample engine, written as engine-setup of 4.5 writes them (reference 7.1, 7.3).

On purpose not by the code that the tool itself writes such files with: the
sample is what that code is tested against.
"""

from __future__ import annotations

from engine_backup.model.components import BY_NAME
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret
from engine_backup.sample.engine import GRAFANA_ROLE, SampleEngine
from engine_backup.sample.planting import OVIRT, ROOT_OVIRT, Planter

CONF = "etc/ovirt-engine/engine.conf.d/"
DWH_CONF = "etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf.d/"
SETUP_CONF = "etc/ovirt-engine-setup.conf.d/"


def quoted(value: str) -> str:
    """Quote a value as engine-setup has done since 4.0: only colons and backslashes get a backslash."""
    return '"{}"'.format("".join("\\" + sign if sign in ":\\" else sign for sign in value))


def block(prefix: str, login: Credentials) -> str:
    """Return the nine lines that describe a database; `prefix` is such as `DWH_`."""
    name = prefix + "DB_"
    options = ["ssl=true"] if login.secured else []
    if not login.secured_validation:
        options.append("sslfactory=org.postgresql.ssl.NonValidatingFactory")
    values = {
        "HOST": quoted(login.host),
        "PORT": quoted(str(login.port)),
        "USER": quoted(login.user),
        "PASSWORD": quoted(login.password.reveal()),
        "DATABASE": quoted(login.database),
        "SECURED": quoted(str(login.secured)),
        "SECURED_VALIDATION": quoted(str(login.secured_validation)),
        "DRIVER": quoted("org.postgresql.Driver"),
        "URL": '"jdbc:postgresql://${{{0}HOST}}:${{{0}PORT}}/${{{0}DATABASE}}?{1}"'.format(
            name, "&".join(options)
        ),
    }
    return "".join(f"{name}{key}={value}\n" for key, value in values.items())


def write_database_files(planter: Planter, sample: SampleEngine) -> None:
    """Write every file that names a database, with the credentials of `sample`."""
    logins = sample.credentials
    engine = block("ENGINE_", logins["engine"]) if "engine" in logins else ""
    if engine:
        planter.file(CONF + "10-setup-database.conf", engine, 0o640, ROOT_OVIRT)
    if "dwh" in logins:
        _write_dwh_files(planter, sample, engine)
    for name in ("cinderlib", "managedblock"):
        if name in logins:
            prefix = BY_NAME[name].conf_prefix
            text = block(prefix, logins[name])
            planter.file(f"{CONF}10-setup-{name}-database.conf", text, 0o640, ROOT_OVIRT)
            planter.file(f"{CONF}10-setup-{name}.conf", f"{prefix}DB_ENABLE=true\n")
    if "keycloak" in logins:
        text = KEYCLOAK_SETTINGS + block("KEYCLOAK_", logins["keycloak"])
        planter.file(CONF + "12-setup-keycloak.conf", text, 0o640, ROOT_OVIRT)


def write_other_files(planter: Planter, sample: SampleEngine) -> None:
    """Write what engine-setup and administrators write besides."""
    planter.file(CONF + "10-setup-protocols.conf", PROTOCOLS.format(fqdn=sample.fqdn))
    planter.file(CONF + "10-setup-pki.conf", PKI, 0o640, ROOT_OVIRT)
    planter.file(CONF + "10-setup-java.conf", 'ENGINE_JAVA_HOME="/usr/lib/jvm/jre"\n')
    planter.file(CONF + "99-lab.conf", HAND_MADE)
    planter.file(SETUP_CONF + "10-packaging.conf", "[environment:default]\nOVESETUP_LAB/packaged=bool:True\n")
    planter.file(SETUP_CONF + "20-setup-ovirt-post.conf", setup_answers(sample))
    planter.file("usr/share/ovirt-engine/services/ovirt-engine/ovirt-engine.conf", DEFAULTS)


def setup_answers(sample: SampleEngine) -> str:
    """Return what engine-setup remembers: which components it configured, and a few other answers."""
    enabled = [f"{BY_NAME[name].enabled_key}=bool:True" for name in sample.components]
    lines = ["# written by engine-setup", "[environment:default]", *enabled, *ANSWERS]
    return "\n".join(lines).format(fqdn=sample.fqdn) + "\n"


def _write_dwh_files(planter: Planter, sample: SampleEngine, engine: str) -> None:
    login = sample.credentials["dwh"]
    planter.file(CONF + "10-setup-dwh-database.conf", block("DWH_", login), 0o600, OVIRT)
    planter.file(DWH_CONF + "10-setup-database.conf", engine + block("DWH_", login), 0o600, OVIRT)
    planter.file(DWH_CONF + "10-setup-uuid.conf", 'DWH_UUID="5a6f0c1e-0000-4000-8000-00000000d0d0"\n')
    planter.file(DWH_CONF + "20-setup-sampling-scale.conf", "DWH_SAMPLING=60\n")
    if "grafana" in sample.components:
        text = block("GRAFANA_", _grafana_login(login, sample.roles[GRAFANA_ROLE]))
        planter.file(DWH_CONF + "10-setup-grafana-database.conf", text, 0o640, ROOT_OVIRT)


def _grafana_login(dwh: Credentials, password: Secret) -> Credentials:
    return Credentials(dwh.host, dwh.port, GRAFANA_ROLE, password, dwh.database)


PROTOCOLS = """ENGINE_FQDN={fqdn}
ENGINE_PROXY_ENABLED=true
ENGINE_PROXY_HTTP_PORT=80
ENGINE_PROXY_HTTPS_PORT=443
ENGINE_HTTP_ENABLED=false
ENGINE_AJP_ENABLED=true
ENGINE_AJP_PORT=8702
"""
PKI = """ENGINE_PKI="/etc/pki/ovirt-engine"
ENGINE_PKI_CA="/etc/pki/ovirt-engine/ca.pem"
ENGINE_PKI_ENGINE_STORE="/etc/pki/ovirt-engine/keys/engine.p12"
ENGINE_PKI_ENGINE_STORE_PASSWORD="mypass"
ENGINE_PKI_ENGINE_STORE_ALIAS="1"
ENGINE_PKI_TRUST_STORE="/etc/pki/ovirt-engine/.truststore"
ENGINE_PKI_TRUST_STORE_PASSWORD="mypass"
"""
HAND_MADE = """# a hand-made file, with a blank line and a comment

ENGINE_HEAP_MAX="2g"   # trailing words
LAB_NOTE=two\\ words
"""
KEYCLOAK_SETTINGS = """KEYCLOAK_BUNDLED=true
ENGINE_SSO_CLIENT_ID="ovirt-engine-internal"
ENGINE_SSO_ENABLE_EXTERNAL_SSO=true
EXTERNAL_OIDC_CLIENT_SECRET="abc123"
EXTERNAL_OIDC_HTTPS_PKI_TRUST_STORE="/etc/pki/ovirt-engine/.truststore"
KEYCLOAK_DB_MAX_CONNECTIONS=50
"""
ANSWERS = (
    "OVESETUP_APACHE/configured=bool:True",
    "OVESETUP_APACHE/configureRootRedirection=bool:True",
    "OVESETUP_CONFIG/fqdn=str:{fqdn}",
    "OVESETUP_CONFIG/websocketProxyConfig=bool:True",
    "OVESETUP_CONFIG/adminPassword=none:None",
    "OVESETUP_CONFIG/firewallManager=str:firewalld",
    "OVESETUP_SYSTEM/memCheckMinimumMB=int:4096",
    "OVESETUP_LAB/list=multi-str:one",
    " two",
    " three",
)
# The package's own defaults: databases that nobody configured, with empty passwords (reference 7.2).
DEFAULTS = """ENGINE_USR=/usr/share/ovirt-engine
ENGINE_ETC=/etc/ovirt-engine
ENGINE_VAR=/var/lib/ovirt-engine
ENGINE_UP_MARK="${ENGINE_VAR}/engine.up"
ENGINE_FQDN=localhost.localdomain
""" + "".join(
    f"{prefix}_DB_HOST=localhost\n{prefix}_DB_PORT=5432\n{prefix}_DB_USER={user}\n{prefix}_DB_PASSWORD=\n"
    f"{prefix}_DB_DATABASE={database}\n{prefix}_DB_SECURED=False\n{prefix}_DB_SECURED_VALIDATION=False\n"
    for prefix, user, database in (
        ("ENGINE", "engine", "engine"),
        ("DWH", "engine_history", "ovirt_engine_history"),
        ("KEYCLOAK", "ovirt_engine_keycloak", "ovirt_engine_keycloak"),
        ("CINDERLIB", "ovirt_cinderlib", "ovirt_cinderlib"),
        ("MANAGEDBLOCK", "ovirt_managedblock", "ovirt_managedblock"),
    )
)
