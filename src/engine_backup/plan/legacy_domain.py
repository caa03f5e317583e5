"""The old kerberos/ldap integration, which restored engines cannot use any more (reference 2.4).

Stock searches the dump's text and has missed every case since pg_dump writes
`public.vdc_options` (quirk 13); here the COPY block is read by its columns.
"""

from __future__ import annotations

from engine_backup.plan.copy_rows import copied_table, rows

TABLE = "vdc_options"
OPTION = "DomainName"
MESSAGE = "legacy kerberos/ldap directory integration was in use"
HINT = "Please migrate to ovirt-engine-extension-aaa-ldap and backup/restore again"


def is_options_table(statement: str) -> bool:
    """Whether a COPY statement fills the engine's options."""
    return copied_table(statement) == TABLE


def legacy_domains(statement: str, data: bytes) -> list[str]:
    """Return the non-empty domain names that a COPY block of the options table sets."""
    values = (
        row.get("option_value") or "" for row in rows(statement, data) if row.get("option_name") == OPTION
    )
    return [value for value in values if value.strip()]
