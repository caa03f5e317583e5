"""Corrections that a restored engine database needs before an engine runs on it (reference 9.2).

Each row says what it does, which tables it needs (an old database without
them skips it), and the SQL. All rows of a set run in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - the class has a lower-case name

from engine_backup.drivers.postgres import connect, naming
from engine_backup.model.components import AfterLoad
from engine_backup.model.facts import Credentials

TEMPORARY_TABLES = (
    "async_tasks",
    "async_tasks_entities",
    "business_entity_snapshot",
    "command_entities",
    "job",
    "step",
)

# What hangs on them by foreign keys, in one release or another.
DEPENDENT_TABLES = (
    "command_assoc_entities",
    "image_transfers",
    "job_subject_entity",
    "step_subject_entity",
    "vm_backups",
)
CORRECTED_TABLES = ("vdc_options", "dwh_history_timekeeping", "vm_dynamic")
CHANGED_TABLES: frozenset[str] = frozenset(
    f"public.{name}" for name in (*TEMPORARY_TABLES, *DEPENDENT_TABLES, *CORRECTED_TABLES)
)


@dataclass(frozen=True)
class Fix:
    """One correction. `title` is stock's line about it (reference 10.4)."""

    title: str
    needs: frozenset[str]
    apply: Callable[[Cursor, frozenset[str]], None]


def _forget_tasks(cursor: Cursor, tables: frozenset[str]) -> None:
    present = [name for name in TEMPORARY_TABLES if name in tables]
    if present:
        names = sql.SQL(", ").join(sql.Identifier("public", name) for name in present)
        cursor.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))


def _mark_restored(cursor: Cursor, tables: frozenset[str]) -> None:
    """Tell engine-setup, which then skips the global-maintenance check and resets the mark."""
    cursor.execute(
        "UPDATE public.vdc_options SET option_value = '1'"
        " WHERE option_name = 'DbJustRestored' AND version = 'general'"
    )
    if cursor.rowcount == 0:
        cursor.execute(
            "INSERT INTO public.vdc_options (option_name, option_value, version)"
            " VALUES ('DbJustRestored', '1', 'general')"
        )


def _stop_history(cursor: Cursor, tables: frozenset[str]) -> None:
    cursor.execute(
        "UPDATE public.dwh_history_timekeeping SET var_value = '0'"
        " WHERE var_name = 'DwhCurrentlyRunning' AND var_value = '1'"
    )


def _forget_highly_available(cursor: Cursor, tables: frozenset[str]) -> None:
    """Keep the engine from starting machines on what it believes of hosts (since 4.1.2.1)."""
    cursor.execute(
        "UPDATE public.vm_dynamic SET status = 0, exit_status = 2, exit_reason = -1,"
        " run_on_vds = NULL, migrating_to_vds = NULL"
        " WHERE vm_guid IN (SELECT vm_guid FROM public.vm_static"
        " WHERE auto_startup AND lease_sd_id IS NULL)"
    )


FIXES: dict[AfterLoad, tuple[Fix, ...]] = {
    AfterLoad.NOTHING: (),
    AfterLoad.ENGINE: (
        Fix("Cleaning up temporary tables in engine database '{database}'", frozenset(), _forget_tasks),
        Fix(
            "Updating DbJustRestored VdcOption in engine database",
            frozenset({"vdc_options"}),
            _mark_restored,
        ),
        Fix(
            "Resetting DwhCurrentlyRunning in dwh_history_timekeeping in engine database",
            frozenset({"dwh_history_timekeeping"}),
            _stop_history,
        ),
        Fix("Resetting HA VM status", frozenset({"vm_static", "vm_dynamic"}), _forget_highly_available),
    ),
}


def apply(which: AfterLoad, credentials: Credentials, shown: str, tell: Callable[[str], None]) -> None:
    """Apply a set of fixes in one transaction, telling each; `shown` is what the database is called.

    Raises `EngineBackupError`; then nothing was changed.
    """
    with (
        closing(connect(credentials)) as connection,
        naming(credentials),
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'public'")
        tables = frozenset(name for (name,) in cursor.fetchall())
        for fix in FIXES[which]:
            _apply_one(fix, cursor, tables, lambda title: tell(title.format(database=shown)))


def _apply_one(fix: Fix, cursor: Cursor, tables: frozenset[str], tell: Callable[[str], None]) -> None:
    missing = sorted(fix.needs - tables)
    if missing:
        tell(f"  - Skipped, this database has no {' and '.join(missing)}: {fix.title}")
        return
    tell(f"  - {fix.title}")
    fix.apply(cursor, tables)
