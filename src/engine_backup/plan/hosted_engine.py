"""What `--he-remove-storage-vm` and `--he-remove-hosts` make a restore do (reference 3)."""

from __future__ import annotations

from collections.abc import Iterable

from engine_backup.model.components import AfterLoad, Component
from engine_backup.model.facts import ArchiveFacts, Credentials
from engine_backup.model.requests import RestoreRequest
from engine_backup.model.steps import RemoveHostedHosts, RemoveHostedStorage

NO_HOSTED_ENGINE = (
    "nothing in the backup says that it is one of a hosted engine. If its database does not know the"
    " hosted-engine VM, --he-remove-storage-vm fails, and the restore is undone"
)


def steps(component: Component, login: Credentials, request: RestoreRequest) -> tuple[object, ...]:
    """Return what follows once a database is loaded and corrected, storage before hosts.

    `--keep-temporary-data` keeps nothing of it (reference 9.2).
    """
    if component.after_load is not AfterLoad.ENGINE:
        return ()
    return (
        *((RemoveHostedStorage(component, login),) if request.he_remove_storage_vm else ()),
        *((RemoveHostedHosts(component, login),) if request.he_remove_hosts else ()),
    )


def warnings(
    request: RestoreRequest, archive: ArchiveFacts, restored: Iterable[Component]
) -> tuple[str, ...]:
    """Return what the options will not do. Stock does nothing then either, and callers may rely on it."""
    asked = _options(request)
    if not asked:
        return ()
    if not any(component.after_load is AfterLoad.ENGINE for component in restored):
        return (f"no engine database is restored: nothing is removed by {' and '.join(asked)}",)
    return (NO_HOSTED_ENGINE,) if request.he_remove_storage_vm and not archive.hosted_engine else ()


def _options(request: RestoreRequest) -> list[str]:
    asked = ["--he-remove-storage-vm"] if request.he_remove_storage_vm else []
    return asked + (["--he-remove-hosts"] if request.he_remove_hosts else [])
