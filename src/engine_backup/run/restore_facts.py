"""Looking at the machine before a restore is planned; nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from engine_backup.drivers import config_files, file_placing, host, otopi_answers, postgres, postgres_programs
from engine_backup.drivers.config_files import Configuration
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.components import DATABASES, Component, Kind
from engine_backup.model.engine_setup import FIREWALL_PROGRAM, PROGRAM, SetupFacts
from engine_backup.model.errors import EngineBackupError, Problem
from engine_backup.model.facts import (
    ArchiveFacts,
    DumpFacts,
    HostFacts,
    RestoreFacts,
    ServerFacts,
    TargetDatabase,
)
from engine_backup.model.presets import CUSTOM
from engine_backup.model.requests import RestoreRequest
from engine_backup.plan.database_checks import is_local, may_connect
from engine_backup.plan.file_selection import Selection
from engine_backup.plan.provisioning import is_asked_for
from engine_backup.plan.restore_choices import choose_credentials, choose_files, restored_components
from engine_backup.run import journals
from engine_backup.run.backup_facts import host_facts
from engine_backup.run.preflight_facts import observe_preflight
from engine_backup.run.servers import observe_servers, servers_of

SETS_TRANSACTION_TIMEOUT = 17


def observe(
    request: RestoreRequest, archive: ArchiveFacts, programs: tuple[Programs, ...], workspace: Path
) -> tuple[RestoreFacts, Selection]:
    """Return what was found, and the decision about files that some of it depends on.

    Logs in to each database that would be loaded, but never to a remote one
    that only the archive names.
    """
    root = request.surroundings.root
    configuration, warnings = _configuration(root)
    machine = host_facts(request.surroundings, configuration, otopi_answers.load(root))
    selection = choose_files(request, archive, machine.os_version)
    chosen = _chosen(request, archive, configuration)
    machine = replace(machine, own_names=_own_names(chosen))
    with ThreadPoolExecutor(max(1, len(chosen)), "look") as pool:
        targets = list(pool.map(lambda t: _looked_at(t, request, archive, machine, programs), chosen))
    asked = [
        t
        for t in targets
        if may_connect(t, archive, machine, request) and (is_asked_for(t, request) or t.error)
    ]
    local = [t for t in targets if t.credentials and is_local(t.credentials.host, machine)]
    servers = servers_of(asked, request, machine)
    seen = observe_servers(servers, asked, root)
    facts = RestoreFacts(
        servers=seen,
        program_problems=_program_problems(seen, archive, programs),
        locales=frozenset(LocalCluster(root).locales()) if servers else frozenset(),
        host=machine,
        archive=archive,
        targets=tuple(targets),
        preflight=observe_preflight(
            root, archive, restored_components(request, archive), selection, local, configuration
        ),
        place_problems=tuple(file_placing.check_places(root, selection.restore)),
        existing_files=_existing_files(root),
        warnings=warnings,
        journals=journals.observe(root),
        free_space=shutil.disk_usage(workspace).free,
        cores=host.cores(),
        memory=host.memory(),
        engine_setup=_setup_facts(root),
    )
    return facts, selection


def _chosen(
    request: RestoreRequest, archive: ArchiveFacts, configuration: Configuration
) -> list[TargetDatabase]:
    """Return the databases to load, each with the log-in that counts for it."""
    return [
        choose_credentials(c, request, archive, config_files.credentials(configuration, c))
        for c in restored_components(request, archive)
        if c.kind is Kind.POSTGRES
    ]


def _existing_files(root: Path) -> frozenset[str]:
    """Return the files of this machine that hold log-ins."""
    paths = [c.credentials_file for c in DATABASES if c.credentials_file]
    return frozenset(path for path in paths if (root / path.lstrip("/")).is_file())


def _setup_facts(root: Path) -> SetupFacts:
    has_firewall = host.find_program(FIREWALL_PROGRAM, root) is not None
    return SetupFacts(host.find_program(PROGRAM, root), has_firewall)


def _own_names(targets: list[TargetDatabase]) -> frozenset[str]:
    names = {target.credentials.host for target in targets if target.credentials}
    return frozenset(name for name in names if name and name[0] != "/" and host.leads_here(name))


def _configuration(root: Path) -> tuple[Configuration, tuple[str, ...]]:
    """Return this machine's configuration; one that is broken may be the reason for the restore."""
    try:
        return config_files.load(root), ()
    except EngineBackupError as error:
        return Configuration({}), (f"this machine's configuration is not looked at: {error.message}",)


def server_version(component: Component, facts: RestoreFacts) -> int:
    """Return the version number of the server that a component is loaded into."""
    target = next(t for t in facts.targets if t.component is component)
    if target.state is not None:
        return target.state.server_version
    server = facts.servers.get(component.name)
    if server is None or server.state is None:
        raise EngineBackupError(f"the server of the {component.label} database was never looked at")
    return server.state.version


def programs_for(dump: DumpFacts, server: int, programs: tuple[Programs, ...]) -> Programs:
    """Return the programs that read a custom dump and speak to its target's server.

    pg_restore reads dumps of older majors, and says only what its own major
    knows: since 17 it sets `transaction_timeout`, which older servers refuse.
    Raises `EngineBackupError` when none fits.
    """
    server_major = server // 10000
    chosen = postgres_programs.for_restore(max(dump.programs_major, server_major), programs)
    if chosen.major >= SETS_TRANSACTION_TIMEOUT > server_major:
        raise EngineBackupError(
            f"pg_restore {chosen.major} cannot load into a server of version {server_major}",
            f"install the PostgreSQL {server_major} client, or load into PostgreSQL {chosen.major}",
        )
    return chosen


def _check_programs(dump: DumpFacts, server: int, programs: tuple[Programs, ...]) -> None:
    """Raise `EngineBackupError` when no programs fit; plain dumps are loaded without any."""
    if dump.member.dump_format == CUSTOM:
        programs_for(dump, server, programs)


def _program_problems(
    servers: Mapping[str, ServerFacts], archive: ArchiveFacts, programs: tuple[Programs, ...]
) -> dict[str, Problem]:
    """Look for programs that load each dump into its server, as far as the server's version is known."""
    problems = {}
    for name, server in servers.items():
        version = _version(server)
        try:
            if version:
                _check_programs(archive.dumps[name], version, programs)
        except EngineBackupError as error:
            problems[name] = Problem(error.message, error.hint)
    return problems


def _version(server: ServerFacts) -> int:
    if server.state is not None:
        return server.state.version
    return server.cluster.major * 10000 if server.cluster else 0


def _looked_at(
    target: TargetDatabase,
    request: RestoreRequest,
    archive: ArchiveFacts,
    machine: HostFacts,
    programs: tuple[Programs, ...],
) -> TargetDatabase:
    if is_asked_for(target, request):
        # It is looked at as administrator: its role may not even exist.
        return target
    if target.credentials is None or not may_connect(target, archive, machine, request):
        return target
    try:
        with postgres.session(target.credentials) as connection:
            state = postgres.observe(connection)
        _check_programs(archive.dumps[target.component.name], state.server_version, programs)
        return replace(target, state=state)
    except EngineBackupError as error:
        return replace(target, error=Problem(error.message, error.hint))
