"""The table of services that work on what a restore replaces (design section 9, "Severity"; quirk 35).

Keycloak has no row: since 4.5.1 it runs inside the engine's own application server, so a stopped
engine is a stopped Keycloak.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class WhenRunning(Enum):
    """What a restore does about a service that runs."""

    REFUSE = "refuse"
    STOP = "stop"


@dataclass(frozen=True)
class Service:
    """One systemd unit.

    `label` names it in messages. `components` are those whose restore it disturbs. `programs` are
    names of its main program, by which its process is known where systemd does not say.
    """

    unit: str
    label: str
    when_running: WhenRunning
    components: tuple[str, ...]
    programs: tuple[str, ...]

    @property
    def stops(self) -> bool:
        """Whether we stop it ourselves, and start it again when a restore is undone."""
        return self.when_running is WhenRunning.STOP


# The engine refuses every restore, as stock does, whatever the scope is (reference 9.1). The others that
# hold connections to the engine's database: the notifier reads it, the listener of
# fence_kdump writes heartbeats into it.
SERVICES: tuple[Service, ...] = (
    Service(
        "ovirt-engine",
        "Engine",
        WhenRunning.REFUSE,
        ("files", "engine", "dwh", "reports", "cinderlib", "managedblock", "keycloak", "grafana"),
        ("ovirt-engine.py",),
    ),
    Service("ovirt-engine-dwhd", "DWH", WhenRunning.REFUSE, ("engine", "dwh"), ("ovirt-engine-dwhd.py",)),
    Service(
        "ovirt-engine-notifier",
        "Engine notifier",
        WhenRunning.STOP,
        ("engine",),
        ("ovirt-engine-notifier.py",),
    ),
    Service(
        "ovirt-fence-kdump-listener",
        "Fence kdump listener",
        WhenRunning.STOP,
        ("engine",),
        ("ovirt-fence-kdump-listener.py",),
    ),
    Service(
        "grafana-server",
        "Grafana",
        WhenRunning.STOP,
        ("files", "dwh", "grafana"),
        ("grafana-server", "grafana"),
    ),
)


def concerned(component_names: frozenset[str]) -> tuple[Service, ...]:
    """Return the services that a restore of these components disturbs or is disturbed by."""
    return tuple(service for service in SERVICES if component_names.intersection(service.components))
