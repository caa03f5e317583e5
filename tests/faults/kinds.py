"""The kinds of steps that a restore has: the keys of its tables of handlers."""

from __future__ import annotations

import importlib
from typing import Any

from engine_backup.run import restore_steps

# Hooks run on the running system only, and these machines lie under roots of their own;
# `tests/end_to_end/test_hook_stages.py` has the faults of their step.
ELSEWHERE = frozenset({"RunHooks"})
MODULES = ("restore_steps", "provisioning_handlers", "loading")


def handler_tables() -> list[dict[type, Any]]:
    """Return the tables of handlers, wherever they are."""
    package = restore_steps.__name__.rpartition(".")[0]
    tables = []
    for name in MODULES:
        try:
            module = importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError:
            continue
        if hasattr(module, "HANDLERS"):
            tables.append(module.HANDLERS)
    return tables


def handled_kinds() -> frozenset[str]:
    """Return the names of all kinds of steps that have a handler and can be met on these machines."""
    return frozenset(step.__name__ for table in handler_tables() for step in table) - ELSEWHERE
