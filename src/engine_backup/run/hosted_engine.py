"""Taking hosted-engine objects out of a restored database, and telling what went (reference 3).

Nothing is recorded for undoing: until its last step a restore drops or empties the database, as it does for
the load.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine_backup.drivers import hosted_hosts, hosted_storage
from engine_backup.drivers.hosted_storage import StorageRemoval
from engine_backup.model.printable import printable
from engine_backup.model.steps import RemoveHostedHosts, RemoveHostedStorage

if TYPE_CHECKING:
    from engine_backup.run.restoring import RestoreRun

STORAGE = "  - Removing the hosted-engine storage domain, all its entities and the hosted-engine VM."
HOSTS = "  - Removing all the hosted-engine hosts."
REDEPLOY = (
    "  - Please redeploy already existing HE hosts IMMEDIATELY after restore,"
    + " to avoid possible SPM deadlocks."
)
MOST_NAMES = 20


def remove_storage(step: RemoveHostedStorage, run: RestoreRun) -> None:
    """Remove the storage domain and the VM; warn of all that went with it."""
    run.reporter.say(STORAGE)
    removal = hosted_storage.remove_storage(step.credentials)
    for warning in storage_warnings(removal):
        run.reporter.warn(warning)
    _tell_passed_over(removal.passed_over, run)
    for name, count in removal.counts:
        run.reporter.note(f"hosted-engine storage: {count} rows deleted by {name}")


def remove_hosts(step: RemoveHostedHosts, run: RestoreRun) -> None:
    """Remove the hosts, and say what is to be done about them."""
    run.reporter.say(HOSTS)
    removal = hosted_hosts.remove_hosts(step.credentials)
    if not removal.hosts:
        run.reporter.warn("the engine database knows no hosted-engine hosts: none was removed")
    _tell_passed_over(removal.passed_over, run)
    run.reporter.note(f"hosted-engine hosts removed: {names(removal.hosts)}")
    run.reporter.note(f"virtual machines that are down now: {removal.machines_down}")
    run.reporter.note(f"hosts that got another SPM id than 1: {removal.ids_changed}")
    run.reporter.say(REDEPLOY)


def storage_warnings(removal: StorageRemoval) -> list[str]:
    """Return what an admin would not expect of the removal."""
    domain = f"the hosted-engine storage domain {printable(removal.domain)}"
    told = (
        (removal.others, f"{domain} held the disks of other VMs too, they were removed with it"),
        (removal.templates, f"{domain} held the disks of templates, they were removed with it"),
        (removal.based, f"VMs were removed because {domain} held their templates"),
        (removal.losing, f"{domain} held disks of VMs that have others elsewhere, they have lost those"),
        (removal.shared, f"{domain} shares storage connections with others, they were kept"),
    )
    found = [f"{text}: {names(concerned)}" for concerned, text in told if concerned]
    if not removal.is_active_there:
        found.insert(0, f"VM {printable(removal.machine)} is not on {domain}: its disk there is not active")
    return found


def names(found: Sequence[str]) -> str:
    """Return names for one line, not all of them when they are many."""
    shown = ", ".join(printable(name) for name in found[:MOST_NAMES])
    more = len(found) - MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _tell_passed_over(tables: Sequence[str], run: RestoreRun) -> None:
    if tables:
        run.reporter.say(f"  - Skipped, this database has no {', '.join(tables)}")
