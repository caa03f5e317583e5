"""Looking at the machine before a backup is planned; nothing is changed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import psycopg2

from engine_backup.drivers import (
    config_files,
    disk_space,
    host,
    otopi_answers,
    postgres,
    postgres_programs,
    table_facts,
)
from engine_backup.drivers.config_files import Configuration
from engine_backup.drivers.otopi_answers import Answers
from engine_backup.drivers.postgres_programs import Programs
from engine_backup.model.components import COMPONENTS, DATABASES, AfterLoad, Component, Kind, in_scope
from engine_backup.model.errors import EngineBackupError, Problem
from engine_backup.model.facts import BackupFacts, DatabaseFacts, FileFacts, HostFacts, TargetFacts
from engine_backup.model.preflight import Volume
from engine_backup.model.requests import BackupRequest, Surroundings


def observe(request: BackupRequest, default_directory: Path) -> BackupFacts:
    """Return everything that `plan_backup` needs to know.

    Logs in to each enabled database in scope. Raises `EngineBackupError` when a
    conf file cannot be understood.
    """
    root, streamed = request.surroundings.root, request.to_standard_output
    configuration = config_files.load(root)
    answers = otopi_answers.load(root)
    programs = postgres_programs.installed(request.surroundings.pg_bindir, root)
    return BackupFacts(
        host=host_facts(request.surroundings, configuration, answers),
        target=None if streamed else _target(request.file, default_directory),
        databases=tuple(_database(c, request, configuration, answers, programs) for c in DATABASES),
        single_files=tuple(_single_file(c, root, answers) for c in COMPONENTS if c.kind is Kind.SQLITE),
        cores=host.cores(),
        archive_volume=None if streamed else _volume(request.file.parent),
        temporary_volume=_volume(request.surroundings.tmpdir),
    )


def host_facts(surroundings: Surroundings, configuration: Configuration, answers: Answers) -> HostFacts:
    """Return the facts about the machine that backup, restore and verify share."""
    root = surroundings.root
    return HostFacts(
        fqdn=host.fqdn(configuration),
        os_version=surroundings.os_version or host.os_version(root),
        product_version=surroundings.product_version or host.product_version(root),
        hosted_engine=host.hosted_engine(answers),
        set_up=any(answers.boolean(c.enabled_key) for c in COMPONENTS if c.enabled_key),
    )


def _volume(directory: Path) -> Volume | None:
    try:
        return disk_space.free(directory)
    except OSError:
        return None


def _target(file: Path, default_directory: Path) -> TargetFacts:
    """Return what is there, as far as this user may look: Path's own questions raise where one may not."""
    directory = file.parent
    there = os.path.isdir(directory)  # noqa: PTH112
    return TargetFacts(
        path=str(file),
        directory_exists=there,
        directory_writable=os.access(directory, os.W_OK | os.X_OK),
        is_default_directory=directory == default_directory,
        exists=os.path.lexists(file),
        is_regular=os.path.isfile(file),  # noqa: PTH113
        directory_is_other=os.path.lexists(directory) and not there,
    )


def _database(
    component: Component,
    request: BackupRequest,
    configuration: Configuration,
    answers: Answers,
    programs: tuple[Programs, ...],
) -> DatabaseFacts:
    enabled = answers.boolean(component.enabled_key)
    credentials = config_files.credentials(configuration, component)
    facts = DatabaseFacts(component, enabled, credentials)
    if not enabled or credentials is None or not in_scope(component, request.surroundings.scopes):
        return facts
    try:
        with postgres.session(credentials) as connection:
            postgres_programs.for_dump(connection.server_version, programs)
            size = postgres.database_size(connection)
            is_engine = component.after_load is AfterLoad.ENGINE
            hosted = is_engine and postgres.has_hosted_engine(connection)
            excluding = any(pattern.component == component.name for pattern in request.excluded)
            tables = table_facts.read(connection) if excluding else ()
        return replace(facts, size=size, hosted_engine=hosted, tables=tables)
    except psycopg2.Error as error:
        problem = Problem(f"cannot look at database '{credentials.database}': {error}", "check its rights")
        return replace(facts, error=problem)
    except EngineBackupError as error:
        problem = Problem(error.message, error.hint)
        return replace(facts, error=problem)


def _single_file(component: Component, root: Path, answers: Answers) -> FileFacts:
    path = root / component.path.lstrip("/")
    exists = path.is_file()
    size = path.stat().st_size if exists else 0
    return FileFacts(component, answers.boolean(component.enabled_key), exists, size)
