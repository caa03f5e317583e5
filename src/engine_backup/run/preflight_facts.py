"""Looking at what surrounds a restore: services, packages, room on disks, certificates."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine_backup.drivers import disk_space, host, packages, pkcs12, selinux, services
from engine_backup.drivers.config_files import Configuration
from engine_backup.model.components import Component, Kind
from engine_backup.model.facts import ArchiveFacts, TargetDatabase
from engine_backup.model.places import DATA, STAGING_DIRECTORY
from engine_backup.model.preflight import PackageFact, PreflightFacts, ServiceFact, SpaceFact
from engine_backup.model.services import Service, concerned
from engine_backup.plan import space
from engine_backup.plan.file_selection import Selection


def observe_preflight(
    root: Path,
    archive: ArchiveFacts,
    components: tuple[Component, ...],
    selection: Selection,
    local_targets: Iterable[TargetDatabase],
    configuration: Configuration,
) -> PreflightFacts:
    """Return what was found; nothing is changed. Of databases elsewhere no disk can be looked at."""
    names = frozenset(component.name for component in components)
    return PreflightFacts(
        certificates=archive.certificates,
        spaces=(*_files(root, archive, components, selection), *_databases(root, archive, local_targets)),
        services=service_facts(names, root, configuration),
        packages=tuple(
            PackageFact(c, package, packages.installed(package, root))
            for c in components
            for package in c.packages
        ),
        hosted_engine=archive.hosted_engine,
        openssl_major=pkcs12.openssl_major(root) if archive.pkcs12 and archive.pkcs12.old else None,
        relabels=selinux.can_relabel(root) if selinux.is_enabled(root) else None,
    )


def service_facts(names: frozenset[str], root: Path, configuration: Configuration) -> tuple[ServiceFact, ...]:
    """Say of each service that works on these components whether it runs."""
    return tuple(ServiceFact(s, _runs(s, root, configuration)) for s in concerned(names))


def _runs(service: Service, root: Path, configuration: Configuration) -> bool:
    """Ask systemd, the processes, and the mark that an engine leaves under its own root."""
    marked = service.unit == host.ENGINE_UNIT and host.engine_running(configuration, root)
    return marked or services.is_running(service, root)


def _files(
    root: Path, archive: ArchiveFacts, components: tuple[Component, ...], selection: Selection
) -> tuple[SpaceFact, ...]:
    single = {
        c.path: archive.dumps[c.name].member.size
        for c in components
        if c.kind is Kind.SQLITE and c.name in archive.dumps
    }
    sizes = space.sizes_by_group(selection.restore, single)
    volumes = {group: disk_space.free(root / group.lstrip("/")) for group in sizes}
    return space.file_spaces(sizes, disk_space.free(root / STAGING_DIRECTORY), volumes)


def _databases(root: Path, archive: ArchiveFacts, targets: Iterable[TargetDatabase]) -> tuple[SpaceFact, ...]:
    data = root / DATA
    needs = [
        space.database_need(archive.dumps[t.component.name], archive.recorded_sizes.get(t.component.name))
        for t in targets
    ]
    return (space.database_space(disk_space.free(data), needs),) if needs and data.is_dir() else ()
