"""The settings that may be shown to whoever asks; every other one counts as a secret.

Which keys hold passwords changes with every release, so nothing is shown that does not stand here.
"""

from __future__ import annotations

from engine_backup.model.components import COMPONENTS, DATABASES

_DATABASE_WORDS = ("HOST", "PORT", "USER", "DATABASE", "SECURED", "SECURED_VALIDATION")
_PREFIXES = tuple(
    prefix
    for component in DATABASES
    for prefix in (component.conf_prefix, component.reader_conf_prefix)
    if prefix
)

SHOWN_VARIABLES: tuple[str, ...] = (
    "ENGINE_FQDN",
    "ENGINE_PROXY_ENABLED",
    "ENGINE_PROXY_HTTP_PORT",
    "ENGINE_PROXY_HTTPS_PORT",
    "ENGINE_HTTP_ENABLED",
    "ENGINE_HTTP_PORT",
    "ENGINE_HTTPS_ENABLED",
    "ENGINE_HTTPS_PORT",
    "ENGINE_AJP_ENABLED",
    "ENGINE_AJP_PORT",
    "ENGINE_JAVA_HOME",
    "ENGINE_HEAP_MIN",
    "ENGINE_HEAP_MAX",
    "ENGINE_SSO_ENABLE_EXTERNAL_SSO",
    "KEYCLOAK_BUNDLED",
    "DWH_SAMPLING",
    "DWH_TABLES_KEEP_HOURLY",
    "DWH_TABLES_KEEP_DAILY",
    "DWH_TABLES_KEEP_SAMPLES",
    *(f"{prefix}DB_{word}" for prefix in _PREFIXES for word in _DATABASE_WORDS),
)

SHOWN_ANSWERS: tuple[str, ...] = (
    *(component.enabled_key for component in COMPONENTS if component.enabled_key),
    "OVESETUP_APACHE/configured",
    "OVESETUP_APACHE/configureSsl",
    "OVESETUP_APACHE/configureRootRedirection",
    "OVESETUP_CONFIG/fqdn",
    "OVESETUP_CONFIG/applicationMode",
    "OVESETUP_CONFIG/continueSetupOnHEVM",
    "OVESETUP_CONFIG/firewallManager",
    "OVESETUP_CONFIG/updateFirewall",
    "OVESETUP_CONFIG/websocketProxyConfig",
    "OVESETUP_CONFIG/imageioProxyConfig",
    "OVESETUP_OVN/ovirtProviderOvn",
    "OVESETUP_VMCONSOLE_PROXY_CONFIG/vmconsoleProxyConfig",
)

SHOWN_SETTINGS: frozenset[str] = frozenset((*SHOWN_VARIABLES, *SHOWN_ANSWERS))
