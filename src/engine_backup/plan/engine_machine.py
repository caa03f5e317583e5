"""Whether an engine's dump knows the machine that the engine ran in: a hosted engine (reference 11)."""

from __future__ import annotations

from engine_backup.plan.copy_rows import copied_table, rows

TABLE = "vm_static"
_MANAGED_HOSTED_ENGINE = "6"


def is_machines_table(statement: str) -> bool:
    """Whether a COPY statement fills the table of machines."""
    return copied_table(statement) == TABLE


def has_engine_machine(statement: str, data: bytes) -> bool:
    """Whether one of the machines in a COPY block is the engine's own."""
    return any(row.get("origin") == _MANAGED_HOSTED_ENGINE for row in rows(statement, data))
