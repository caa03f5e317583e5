"""`inspect`: what an archive is, holds and needs. Nothing is changed, no server is asked, no hash checked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from engine_backup.drivers import (
    certificates,
    config_files,
    configuration_summary,
    disk_space,
    drill_records,
    host,
    manifest_reading,
    otopi_answers,
    packages,
    postgres_programs,
)
from engine_backup.drivers.archive_reader import Archive, open_archive
from engine_backup.drivers.certificates import Chosen
from engine_backup.drivers.config_files import Configuration
from engine_backup.drivers.otopi_answers import Answers
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.archive import DIRECTORY_TREE, FILES_MEMBER, DumpMember, EntryType
from engine_backup.model.components import BY_NAME, COMPONENTS, FILES, Component, Kind
from engine_backup.model.errors import ConfigurationError, EngineBackupError, ExitStatus
from engine_backup.model.facts import DumpFacts
from engine_backup.model.inspection import (
    InspectedComponent,
    InspectedConfiguration,
    InspectedDatabase,
    Inspection,
    RecordedArchive,
    RecordedMember,
)
from engine_backup.model.places import DATA, STAGING_DIRECTORY
from engine_backup.model.preflight import CertificateFact, PackageFact
from engine_backup.model.presets import CUSTOM
from engine_backup.model.printable import printable
from engine_backup.model.requests import InspectRequest
from engine_backup.plan import restore_needs, space
from engine_backup.run import drill_record, inspection_document, inspection_sheet
from engine_backup.run.archive_heads import made_at, raw_custom_size
from engine_backup.run.reporting import Console
from engine_backup.run.workspace import private_directory

CHUNK = 1 << 20
ALWAYS_THERE = frozenset({"plpgsql"})


def inspect(request: InspectRequest, console: Console) -> ExitStatus:
    """Show what an archive holds; raises `EngineBackupError`."""
    try:
        found = observe(request)
    except EngineBackupError as error:
        if request.surroundings.json:
            console.say(inspection_document.render(inspection_document.failure(request.file, error)))
        raise
    if request.surroundings.json:
        console.say(inspection_document.render(inspection_document.document(found)))
    else:
        console.show(inspection_sheet.sheet(found, datetime.now(timezone.utc)))
    return ExitStatus.SUCCESS


def observe(request: InspectRequest) -> Inspection:
    """Return everything that is known of an archive; raises `EngineBackupError`."""
    surroundings = request.surroundings
    with (
        private_directory(surroundings.tmpdir) as workspace,
        open_archive(request.file, workspace) as archive,
    ):
        return _Inspecting(request, archive).result()


class _Inspecting:
    """One inspection; what costs something is looked at when somebody needs it, and once."""

    def __init__(self, request: InspectRequest, archive: Archive) -> None:
        self._request = request
        self._archive = archive
        self._notes: list[str] = []
        self._has_engine_machine: bool | None = None

    def result(self) -> Inspection:
        archive, recorded, components = self._archive, self._recorded, self._components()
        own_certificates, host_certificates = self._certificates()
        found = Inspection(
            path=printable(str(archive.path)),
            size=archive.path.stat().st_size,
            compressor=archive.compressor,
            generation=archive.generation.value,
            tool_version=recorded.tool_version,
            product_version=archive.version,
            os_version=archive.os_version,
            made_at=recorded.started_at or made_at(archive.members),
            fqdn=self._fqdn(),
            hosted_engine=self._hosted_engine(),
            hash_kind=archive.hashes.kind,
            components=components,
            certificates=own_certificates,
            host_certificates=host_certificates,
            configuration=recorded.configuration or self._configuration_summary(),
            inventory=recorded.inventory,
            converted=recorded.converted,
            drill=drill_records.read(archive.path, drill_record.identity(archive)),
        )
        needs = restore_needs.restore_needs(
            found, self._machine(found), self._database_needs(found), archive.unpacked_size
        )
        return replace(found, needs=needs, notes=(*recorded.notes, *self._notes))

    @cached_property
    def _recorded(self) -> RecordedArchive:
        """The manifest, without what it says of members that are not those of this archive."""
        manifest = self._archive.manifest
        if manifest is None:
            return RecordedArchive()
        found = manifest_reading.read(manifest)
        fitting = {name: member for name, member in found.members.items() if self._fits(name, member)}
        strange = [printable(name) for name in found.members if name not in fitting]
        if strange:
            self._notes.append(
                f"manifest.json describes other members than this archive has, and is not believed in that:"
                f" {', '.join(strange[:3])}"
            )
        return replace(found, members=fitting)

    def _fits(self, name: str, member: RecordedMember) -> bool:
        there = self._archive.members.get(name)
        return there is not None and there.size == member.size

    @cached_property
    def _programs(self) -> tuple[Programs, ...]:
        surroundings = self._request.surroundings
        try:
            return postgres_programs.installed(surroundings.pg_bindir, surroundings.root)
        except EngineBackupError as error:
            self._notes.append(printable(error.message))
            return ()

    @cached_property
    def _files(self) -> Mapping[bytes, bytes]:
        """The conf files and certificates, which the whole `files` has to be unpacked for."""
        if not self._archive.files_kind:
            return {}
        chosen = self._chosen.paths
        return self._archive.read_files(lambda p: config_files.is_wanted(p) or p in chosen)

    @cached_property
    def _chosen(self) -> Chosen:
        return certificates.choose(entry.path for entry in self._archive.file_entries())

    @cached_property
    def _settings(self) -> tuple[Configuration, Answers] | None:
        files = {"/" + os.fsdecode(p): text for p, text in self._files.items() if config_files.is_wanted(p)}
        try:
            return config_files.load(files), otopi_answers.load(files)
        except ConfigurationError as error:
            self._notes.append(f"the archived configuration cannot be understood: {printable(error.message)}")
            return None

    def _fqdn(self) -> str | None:
        if self._recorded.fqdn is not None or self._settings is None:
            return self._recorded.fqdn
        return printable(self._settings[0].get("ENGINE_FQDN")) or None

    def _hosted_engine(self) -> bool | None:
        """A yes of the answers is certain; of a no the engine's database knows more, once it was read."""
        if self._recorded.hosted_engine is not None:
            return self._recorded.hosted_engine
        answered = self._settings is not None and host.hosted_engine(self._settings[1])
        return answered or self._has_engine_machine

    def _certificates(self) -> tuple[tuple[CertificateFact, ...] | None, int | None]:
        """Return those of the engine's machine, and how many others there are."""
        if self._recorded.certificates is not None or not self._archive.files_kind:
            return self._recorded.certificates, self._recorded.host_certificates
        return certificates.read_chosen(self._chosen, self._files), self._chosen.hosts

    def _configuration_summary(self) -> InspectedConfiguration | None:
        if self._settings is None or not self._archive.files_kind:
            return None
        return configuration_summary.summary(*self._settings)

    def _components(self) -> tuple[InspectedComponent, ...]:
        dumps = self._archive.dumps
        return tuple(
            self._dump(dumps[c.name]) if c.name in dumps else self._saved_files()
            for c in COMPONENTS
            if c.name in dumps or (c is FILES and self._archive.files_kind)
        )

    def _saved_files(self) -> InspectedComponent:
        archive = self._archive
        recorded = self._recorded.members.get(FILES_MEMBER)
        tree = archive.files_kind == DIRECTORY_TREE
        size = self._tree_size() if tree else archive.members[FILES_MEMBER].size
        found = InspectedComponent(FILES, FILES_MEMBER, size, compressor=archive.files_compressor)
        if recorded is not None and recorded.raw_size is not None:
            return replace(
                found, raw_size=recorded.raw_size, paths=recorded.paths, extra_paths=recorded.extra_paths
            )
        paths = len(archive.file_entries())
        return replace(found, raw_size=self._content_size() if tree else self._raw_files_size(), paths=paths)

    def _tree_size(self) -> int:
        """Bytes of the files in a tree, without their holes."""
        below = (m for name, m in self._archive.members.items() if name.startswith(f"{FILES_MEMBER}/"))
        return sum(length for member in below for _, _, length in member.segments)

    def _content_size(self) -> int:
        return sum(e.size for e in self._archive.file_entries() if e.type is EntryType.FILE)

    def _raw_files_size(self) -> int:
        with self._archive.open_files_tar() as stream:
            return sum(len(data) for data in iter(lambda: stream.read(CHUNK), b""))

    def _dump(self, member: DumpMember) -> InspectedComponent:
        component = BY_NAME[member.component_name]
        found = InspectedComponent(
            component, member.member, member.size, member.size, member.compressor, member.dump_format
        )
        if component.kind is not Kind.POSTGRES:
            return found
        recorded = self._recorded.members.get(member.member, RecordedMember())
        if recorded.database is None or recorded.database.tables is None:
            # Costly to import, and of no use where a manifest tells it all.
            from engine_backup.run.inspection_reading import read_dump

            read = read_dump(self._archive, member, self._programs, recorded.raw_size)
            database = _filled_up(self._with_login(component, read.database), recorded.database)
            self._has_engine_machine = self._has_engine_machine or read.hosted_engine
            return replace(found, raw_size=read.raw_size, database=_without_usual(database))
        raw_size = recorded.raw_size
        if member.dump_format == CUSTOM:
            raw_size = raw_custom_size(self._archive, member, raw_size)
        return replace(found, raw_size=raw_size, database=_without_usual(recorded.database))

    def _with_login(self, component: Component, database: InspectedDatabase) -> InspectedDatabase:
        """Add what the archived conf files say of how the engine logs in."""
        try:
            login = config_files.credentials(self._settings[0], component) if self._settings else None
        except ConfigurationError as error:
            self._notes.append(printable(error.message))
            return database
        if login is None:
            return database
        return replace(
            database,
            database=database.database or printable(login.database),
            role=printable(login.user),
            host=printable(login.host),
            port=login.port,
        )

    def _database_needs(self, found: Inspection) -> list[space.DatabaseNeed]:
        dumps = self._archive.dumps
        return [
            space.database_need(DumpFacts(dumps[c.component.name], unpacked_size=c.raw_size), c.database.size)
            for c in found.components
            if c.database is not None
        ]

    def _machine(self, found: Inspection) -> restore_needs.MachineFacts:
        surroundings = self._request.surroundings
        root = surroundings.root
        components = [c.component for c in found.components]
        names = [name for component in components for name in component.packages]
        there = packages.installed_of(names, root)
        programs = restore_needs.stock_programs(found.components, found.compressor)
        return restore_needs.MachineFacts(
            product_version=surroundings.product_version or host.product_version(root),
            majors=tuple(sorted({programs.major for programs in self._programs})),
            packages=tuple(PackageFact(c, name, there[name]) for c in components for name in c.packages),
            programs={name: shutil.which(name) is not None for name in programs},
            data=disk_space.free(root / DATA),
            staging=disk_space.free(root / STAGING_DIRECTORY),
            temporary=disk_space.free(Path(surroundings.tmpdir)),
        )


def _filled_up(read: InspectedDatabase, recorded: InspectedDatabase | None) -> InspectedDatabase:
    """Return what was read, and what only a manifest (of an older version) tells."""
    missing = {name for name, value in vars(read).items() if value is None}
    return read if recorded is None else replace(read, **{name: getattr(recorded, name) for name in missing})


def _without_usual(database: InspectedDatabase) -> InspectedDatabase:
    if database.extensions is None:
        return database
    return replace(database, extensions=tuple(e for e in database.extensions if e not in ALWAYS_THERE))
