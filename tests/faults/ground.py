"""All benches of a test worker: one archive, one port, and one machine that runs at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine_backup.drivers.scratch_cluster import private_directory, server_account, short_directory
from engine_backup.drivers.scratch_server import ScratchServer
from engine_backup.sample import engine
from engine_backup.sample.engine import SampleEngine
from engine_backup.sample.size import TINY
from tests.faults import scenarios
from tests.faults.bench import Bench
from tests.faults.invariants import State, as_complete, leftovers, snapshot
from tests.faults.namespace import Namespace
from tests.support.divided_archives import back_up_in_parts
from tests.support.machine import Machine
from tests.support.old_pkcs12 import plant_old_pkcs12

CLEAN, OLD, IN_PLACE, BESIDE = "clean", "old", "in place", "beside"

# Grants by somebody else than the owner, and what no dump holds.
BEYOND_DUMPS = (
    'CREATE ROLE "Deputy Admin" LOGIN; GRANT ALL ON job TO "Deputy Admin" WITH GRANT OPTION',
    'SET SESSION AUTHORIZATION "Deputy Admin"; GRANT SELECT ON job TO cfme_reader',
    "RESET SESSION AUTHORIZATION; GRANT CONNECT, TEMPORARY ON DATABASE engine TO cfme_reader",
    "ALTER DATABASE engine SET work_mem = '12MB'",
    "ALTER ROLE cfme_reader IN DATABASE engine SET statement_timeout = '9s'",
)

# One of its machines is taken for the engine's own, and two hosts for those that it may run on.
HOSTED_ENGINE = (
    "UPDATE vm_static SET vm_name = 'HostedEngine' WHERE vm_guid = (SELECT vm_id FROM vm_device"
    " WHERE type = 'disk' GROUP BY vm_id HAVING count(*) = 1 ORDER BY vm_id LIMIT 1)",
    "UPDATE vds_statistics SET ha_score = 3400, ha_configured = true"
    " WHERE vds_id IN (SELECT vds_id FROM vds_static ORDER BY vds_name LIMIT 2)",
)


@dataclass(eq=False)
class Ground:
    """Machines by scenario, made when they are first needed.

    `archive` is loaded part by part; `whole`, of the same engine, has no parts.
    """

    directory: Path
    sockets: Path
    sample: SampleEngine
    archive: Path
    whole: Path
    port: int
    benches: dict[str, Bench] = field(default_factory=dict)
    clean: set[str] = field(default_factory=set)

    def take(self, scenario: str, *mounts: str) -> Bench:
        """Return the machine of a scenario in its state before, which `bench.before` tells.

        It is made anew when the last run on it left it another, or when disks are to be mounted.
        """
        for name, other in self.benches.items():
            if name != scenario:
                other.tear_down()
                self.clean.discard(name)
        bench = self.benches.get(scenario) or self._make(scenario)
        self.benches[scenario] = bench
        if scenario not in self.clean or mounts:
            self._renew(bench, mounts)
        self.clean.discard(scenario)
        return bench

    def give_back(self, scenario: str) -> None:
        """Say that the machine is exactly what it was before."""
        if self.benches[scenario].namespace is None:
            self.clean.add(scenario)

    def complete(self, scenario: str) -> State:
        """Return what the machine is after a restore without faults; its state is lost."""
        bench = self.take(scenario)
        if bench.complete is None:
            bench.restore().check()
            assert leftovers(bench) == []
            bench.complete = as_complete(snapshot(bench), bench.born_ns)
            bench = self.take(scenario)
        self.give_back(scenario)
        reference: State = bench.complete
        return reference

    def close(self) -> None:
        """End all servers."""
        for bench in self.benches.values():
            bench.tear_down()

    def _make(self, scenario: str) -> Bench:
        words = scenarios.in_place_words(self.sample)
        build = {
            CLEAN: (scenarios.clean, lambda _: [*scenarios.PROVISION, *scenarios.CLEANING]),
            OLD: (scenarios.old, lambda _: list(scenarios.REPLACE)),
            IN_PLACE: (scenarios.in_place, words),
            BESIDE: (scenarios.old, lambda _: list(scenarios.PROVISION)),
        }
        prepare, options = build[scenario]
        home = self.directory / scenario.replace(" ", "-")
        bench = scenarios.new_bench(home, self.sockets, self.port, options)
        shutil.copy2(self.whole if scenario == IN_PLACE else self.archive, bench.machine.archive)
        try:
            prepare(bench, self.sample)
            bench.keep_as_template()
        except BaseException:
            bench.tear_down()
            raise
        return bench

    def _renew(self, bench: Bench, mounts: tuple[str, ...]) -> None:
        bench.set_up()
        shutil.rmtree(bench.places.failing)
        bench.places.failing.mkdir()
        if mounts:
            bench.namespace = Namespace(*(mount.format(root=bench.places.root) for mount in mounts))
        if bench.cluster_from_start:
            bench.start_server()
        bench.before = snapshot(bench)


@contextmanager
def made_ground() -> Iterator[Ground]:
    """Make an engine, back it up, let it go, and give the ground where it is restored."""
    user = server_account()
    with ExitStack() as stack:
        directory = stack.enter_context(private_directory(None, user))
        directory.chmod(0o711)
        sockets = stack.enter_context(short_directory(directory, user))
        machine = Machine(directory / "gone")
        with ScratchServer.start() as server:
            sample = engine.build(machine.root, server, TINY)
            with closing(server.connect("engine")) as connection, connection.cursor() as cursor:
                for statement in (*BEYOND_DUMPS, *HOSTED_ENGINE):
                    cursor.execute(statement)
                connection.commit()
            plant_old_pkcs12(machine.root)
            machine.engine_backup("backup").check()
            back_up_in_parts(machine, directory / "parts.backup")
            port = server.port
        ground = Ground(directory, sockets, sample, directory / "parts.backup", machine.archive, port)
        stack.callback(ground.close)
        yield ground
