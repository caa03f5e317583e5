"""Sample engines for tests: built once for a worker, then copied, so that each test may break its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from engine_backup.drivers.scratch_cluster import ClusterTemplate
from engine_backup.drivers.scratch_server import ScratchServer, Wanted
from engine_backup.sample import databases, engine, tree
from engine_backup.sample.engine import SampleEngine
from engine_backup.sample.size import TINY

SIZE = replace(TINY, hosted_engine=True)


@dataclass(frozen=True)
class SampleMachine:
    """A running server, and the sample engine whose conf files name it."""

    server: ScratchServer
    sample: SampleEngine

    @property
    def root(self) -> Path:
        return self.sample.root


@dataclass(frozen=True)
class SampleTemplate:
    """Stopped clusters to copy: one with the engine's databases, one with empty ones."""

    filled: ClusterTemplate
    empty: ClusterTemplate

    @contextmanager
    def machine(self, root: Path) -> Iterator[SampleMachine]:
        """A complete engine of its own: a server, and files below `root`."""
        with ScratchServer.start(Wanted(template=self.filled)) as server:
            sample = described(root, server)
            tree.create(sample)
            yield SampleMachine(server, sample)

    @contextmanager
    def target(self, root: Path) -> Iterator[SampleMachine]:
        """A clean machine to restore to: roles and empty databases, no files below `root`."""
        with ScratchServer.start(Wanted(template=self.empty)) as server:
            yield SampleMachine(server, described(root, server))


def described(root: Path, server: ScratchServer) -> SampleEngine:
    return engine.describe(root, server, SIZE, engine.COMPONENTS)


def build_template(directory: Path) -> SampleTemplate:
    """Build both clusters below `directory`."""
    with ScratchServer.start() as server:
        sample = described(directory, server)
        databases.prepare_empty(server, sample)
        empty = server.as_template(directory / "empty")
        databases.fill(server, sample)
        return SampleTemplate(filled=server.as_template(directory / "filled"), empty=empty)
