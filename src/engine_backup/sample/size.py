"""How large a sample engine is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The size of a sample engine; everything else follows from machines and days as on real engines.

    `days` of audit log and hourly history are made. `hosted_engine` puts the
    manager's own machine, its storage domain and highly available hosts into
    the database. `full_history` adds the statistics of disks and interfaces, the
    bulk of a real Data Warehouse. The same size and `seed` give the same rows on every server.
    """

    vms: int = 150
    days: int = 30
    seed: int = 1
    hosted_engine: bool = False
    events_a_day: int = 20
    full_history: bool = False

    @property
    def hosts(self) -> int:
        """One host for twenty machines, at least three."""
        return max(3, self.vms // 20)

    @property
    def clusters(self) -> int:
        """One cluster for eight hosts, at least two."""
        return max(2, self.hosts // 8)

    @property
    def disks(self) -> int:
        """Every other machine has a second disk."""
        return self.vms + self.vms // 2

    @property
    def users(self) -> int:
        """One person for five machines, at least five."""
        return max(5, self.vms // 5)

    @property
    def storage_domains(self) -> int:
        """One data domain for fifty machines, and one of another kind."""
        return 3 + self.vms // 50

    @property
    def events(self) -> int:
        """Lines of the audit log, which are made by machines."""
        return self.vms * self.days * self.events_a_day

    @property
    def sample_minutes(self) -> int:
        """Minutes of which the Data Warehouse holds samples: it keeps a day at most."""
        return min(24, self.days) * 60

    @property
    def numbers(self) -> dict[str, int]:
        """Everything that the SQL of the sample reads, by name of its setting `sample.*`."""
        return {
            "seed": self.seed,
            "vms": self.vms,
            "days": self.days,
            "hosted": int(self.hosted_engine),
            "hosts": self.hosts,
            "clusters": self.clusters,
            "disks": self.disks,
            "users": self.users,
            "storage_domains": self.storage_domains,
            "events": self.events,
            "sample_minutes": self.sample_minutes,
        }


TINY = Size(vms=12, days=2)
DEMO = Size(vms=150, days=30)
