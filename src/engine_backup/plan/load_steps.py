"""The steps that load databases: extensions, then all loads side by side, then what is changed in them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from engine_backup.model.components import AfterLoad, Component
from engine_backup.model.divided_dumps import LoadOrder
from engine_backup.model.facts import Credentials, DumpFacts, RestoreFacts, TargetDatabase
from engine_backup.model.presets import CUSTOM
from engine_backup.model.requests import RestoreRequest
from engine_backup.model.server import MemorySettings
from engine_backup.model.steps import (
    AnalyzeDatabases,
    ApplyFixes,
    CreateExtensions,
    LoadDump,
    LoadDumps,
    Loaded,
)
from engine_backup.plan import database_checks, hosted_engine, space
from engine_backup.plan.load_order import load_order
from engine_backup.plan.load_settings import Settings, load_settings, server_memory
from engine_backup.plan.load_sharing import (
    LEAST_AT_ONCE,
    MOST_JOBS,
    Share,
    Work,
    at_once,
    processes,
    share_out,
)
from engine_backup.plan.provisioning import Provisioning

# An unpacked dump whose size nobody knows is taken for so many times its packed size.
UNPACKED_FACTOR = 20


def with_permissions(request: RestoreRequest, made: Provisioning) -> bool:
    """Making any database implies permissions for all (since 4.3.0)."""
    return bool(made.names) if request.permissions is None else request.permissions


def load_steps(request: RestoreRequest, facts: RestoreFacts, made: Provisioning) -> tuple[object, ...]:
    """Return the steps for all databases with a log-in, the largest first."""
    chosen = {t.component.name: t for t in facts.targets if t.credentials is not None}
    orders = {name: _order(facts.archive.dumps[name]) for name in chosen}
    works = [_work(t, request, facts, divided=orders[name] is not None) for name, t in chosen.items()]
    shares = share_out(works, facts.cores, facts.free_space)
    jobs = processes(shares.values(), facts.cores)
    rules = _Rules(request, facts, made)
    loads = tuple(rules.load(chosen[name], share, jobs, orders[name]) for name, share in shares.items())
    return (
        *(step for target in chosen.values() for step in rules.extensions(target)),
        *((LoadDumps(loads, at_once(shares.values(), facts.cores), request.analyze),) if loads else ()),
        *(step for target in chosen.values() for step in rules.fixes(target)),
        *(step for target in chosen.values() for step in rules.cleaning(target)),
        *rules.analyzing(chosen.values()),
    )


def _order(dump: DumpFacts) -> LoadOrder | None:
    return None if dump.divided is None else load_order(dump.kept, dump.divided)


def _work(target: TargetDatabase, request: RestoreRequest, facts: RestoreFacts, divided: bool) -> Work:
    name = target.component.name
    dump = facts.archive.dumps[name]
    size = space.database_need(dump, facts.archive.recorded_sizes.get(name)).size
    return Work(name, size, _unpacked_size(dump), request.restore_jobs.get(name), divided)


def _unpacked_size(dump: DumpFacts) -> int | None:
    """Return how large a custom dump is without its compressor, in bytes; None for a plain one."""
    if dump.member.dump_format != CUSTOM:
        return None
    if not dump.member.compressor:
        return dump.member.size
    return dump.member.size * UNPACKED_FACTOR if dump.unpacked_size is None else dump.unpacked_size


@dataclass(frozen=True)
class _Rules:
    """What decides how dumps are loaded."""

    request: RestoreRequest
    facts: RestoreFacts
    made: Provisioning

    def extensions(self, target: TargetDatabase) -> list[CreateExtensions]:
        """Return the step that creates what a dump needs, where nobody else does."""
        component = target.component
        missing = database_checks.missing_extensions(self.facts.archive.dumps[component.name], target)
        if not missing or component.name in self.made.names:
            return []
        return [CreateExtensions(component, self._login(target), missing)]

    def load(self, target: TargetDatabase, share: Share, jobs: int, order: LoadOrder | None) -> LoadDump:
        """Return one load; `jobs` is how many processes all loads have together."""
        component = target.component
        return LoadDump(
            component,
            self._login(target),
            self._permissions(component),
            share.jobs,
            share.unpacked,
            _final(target).database,
            self._settings(target, jobs),
            share.reason,
            order if share.divided else None,
        )

    def fixes(self, target: TargetDatabase) -> list[ApplyFixes]:
        """Return what corrects a database once it is loaded."""
        which = target.component.after_load
        if which is AfterLoad.NOTHING or self.request.keep_temporary_data:
            return []
        return [ApplyFixes(target.component, self._login(target), which, _final(target).database)]

    def cleaning(self, target: TargetDatabase) -> tuple[object, ...]:
        """Return what takes hosted-engine objects out of a database once it is corrected."""
        return hosted_engine.steps(target.component, self._login(target), self.request)

    def analyzing(self, targets: Collection[TargetDatabase]) -> tuple[AnalyzeDatabases, ...]:
        """Return what makes queries on the loaded databases fast from the start."""
        if not targets or not self.request.analyze:
            return ()
        loaded = tuple(Loaded(target.component, self._login(target)) for target in targets)
        return (AnalyzeDatabases(loaded, max(LEAST_AT_ONCE, min(self.facts.cores, MOST_JOBS))),)

    def _login(self, target: TargetDatabase) -> Credentials:
        return self.made.loads.get(target.component.name, _final(target))

    def _permissions(self, component: Component) -> bool:
        """The administrator runs grants of others."""
        if self.facts.archive.dumps[component.name].foreign_grants and component.name in self.made.names:
            return False
        return with_permissions(self.request, self.made)

    def _settings(self, target: TargetDatabase, jobs: int) -> Settings:
        server = self._server(target)
        local = database_checks.is_local(_final(target).host, self.facts.host)
        memory = server_memory(server, local, self.facts.memory)
        return load_settings(server, memory, jobs, self.facts.cores if local else 0)

    def _server(self, target: TargetDatabase) -> MemorySettings:
        if target.state is not None:
            return target.state.memory
        server = self.facts.servers.get(target.component.name)
        return server.state.memory if server and server.state else MemorySettings()


def _final(target: TargetDatabase) -> Credentials:
    if target.credentials is None:
        raise ValueError(f"{target.component.name} is loaded without credentials")
    return target.credentials
