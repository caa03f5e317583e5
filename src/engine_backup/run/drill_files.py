"""What a drill checks of the restored files: places, keys and certificates, configuration, names, Grafana."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from engine_backup.drivers import config_files, otopi_answers, pki, sqlite
from engine_backup.drivers.config_files import Configuration
from engine_backup.drivers.otopi_answers import Answers
from engine_backup.drivers.pkcs12 import DEFAULT_PASSWORD, PASSWORD_SETTING
from engine_backup.drivers.pki import Passwords
from engine_backup.drivers.restored_files import RestoredFiles, UnreadableFileError
from engine_backup.model import manifest
from engine_backup.model.checks import Check, Outcome
from engine_backup.model.components import COMPONENTS, ENGINE, FILES, Component, Kind
from engine_backup.model.errors import DamagedArchiveError, EngineBackupError
from engine_backup.model.pki import APACHE_AUTHORITY, PkiFacts
from engine_backup.model.printable import printable
from engine_backup.model.secret import Secret
from engine_backup.plan import log_in_checks, name_checks, pki_checks
from engine_backup.plan.name_checks import Names
from engine_backup.run.drilled import Drilled
from engine_backup.run.drilled_places import check_places
from engine_backup.run.linked_files import LinkedFiles

CONFIGURATION, INTEGRITY = "configuration", "integrity"
TRUST_PASSWORD_SETTING = "ENGINE_PKI_TRUST_STORE_PASSWORD"
ALTERNATIVE_NAMES = "SSO_ALTERNATE_ENGINE_FQDNS"
FQDN_ANSWER = "OVESETUP_CONFIG/fqdn"
# Which engine-setup writes; packages bring others.
WRITTEN_BY_SETUP = "/etc/ovirt-engine/engine.conf.d/10-setup-"
PROGRAMS_ROOT = Path("/")
CONFIGURATION_LIMIT = 1 << 20


def check_files(drilled: Drilled, when: datetime) -> tuple[Check, ...]:
    """Check the restored files, and what they have to do with the dumps; `when` is now, in a time zone.

    Raises `EngineBackupError` only for an archive whose configuration cannot be read at all.
    """
    archived = _Archived(drilled)
    pki_facts = archived.pki(when)
    present = [c for c in COMPONENTS if c.name in drilled.facts.dumps and c.kind is Kind.POSTGRES]
    return (
        _guarded(FILES, FILES.name, lambda _: check_places(drilled)),
        _guarded(FILES, CONFIGURATION, lambda _: _configuration(drilled)),
        *_pki_checks(pki_facts, when),
        archived.names(pki_facts),
        *(archived.log_in(component) for component in present),
        *(
            _guarded(component, INTEGRITY, lambda c: _sqlite(c, drilled))
            for component in COMPONENTS
            if component.kind is Kind.SQLITE
        ),
    )


def _guarded(component: Component, name: str, look: Callable[[Component], Check]) -> Check:
    """Let what cannot be looked at be a check that could not run."""
    try:
        return look(component)
    except EngineBackupError as error:
        return Check(component.name, name, Outcome.COULD_NOT_RUN, findings=(printable(error.message),))


class _Archived:
    """What the archive's configuration says, before log-ins in it were rewritten."""

    def __init__(self, drilled: Drilled) -> None:
        self._drilled = drilled
        archive = drilled.archive
        files = archive.read_files(config_files.is_wanted) if archive.files_kind else {}
        texts = {"/" + os.fsdecode(path): content for path, content in files.items()}
        self._texts = texts
        self._configuration: Configuration = config_files.load(texts)
        self._answers: Answers = otopi_answers.load(texts)
        self._linked = LinkedFiles(drilled.root, drilled.placed)

    @property
    def is_set_up(self) -> bool:
        """Whether engine-setup has made an engine of the archived machine."""
        written = any(path.startswith(WRITTEN_BY_SETUP) for path in self._linked.paths)
        return written and self._answers.boolean(ENGINE.enabled_key) is not False

    def pki(self, when: datetime) -> PkiFacts | None:
        """Return the facts of the restored keys and certificates; None where there is no engine."""
        if not self.is_set_up:
            return None
        facts = pki.look(self._linked.paths, self._linked.read, self._passwords(), when, PROGRAMS_ROOT)
        return replace(facts, apache_authority_elsewhere=self._linked.elsewhere(APACHE_AUTHORITY))

    def log_in(self, component: Component) -> Check:
        """Say whether the files that name a database name the one that was dumped, and its owner."""
        copies = config_files.copied_credentials(self._texts, component)
        return log_in_checks.log_in(component, self._drilled.facts, copies)

    def _passwords(self) -> Passwords:
        found = (Secret(self._configuration.get(name)) for name in (PASSWORD_SETTING, TRUST_PASSWORD_SETTING))
        return Passwords(*(secret if secret else DEFAULT_PASSWORD for secret in found))

    def names(self, facts: PkiFacts | None) -> Check:
        """Say whether the engine has one name."""
        if facts is None:
            return Check(FILES.name, name_checks.NAME, Outcome.NOT_IN_ARCHIVE)
        said = self._drilled.archive.manifest or {}
        recorded = said.get("fqdn") if manifest.is_ours(said) else None
        others = {
            f"{FQDN_ANSWER} in the answers of engine-setup": self._answers.text(FQDN_ANSWER) or "",
            "manifest.json": recorded if isinstance(recorded, str) else "",
        }
        alternative = tuple(self._configuration.get(ALTERNATIVE_NAMES).split())
        names = Names(self._configuration.get("ENGINE_FQDN"), others, alternative)
        return name_checks.fqdn(names, facts.services)


def _pki_checks(facts: PkiFacts | None, when: datetime) -> list[Check]:
    if facts is None:
        names = (pki_checks.CERTIFICATES, pki_checks.KEYS, pki_checks.STORES)
        return [Check(FILES.name, name, Outcome.NOT_IN_ARCHIVE) for name in names]
    return [pki_checks.certificates(facts, when), pki_checks.keys(facts), pki_checks.stores(facts)]


def _configuration(drilled: Drilled) -> Check:
    """Say whether the product can read its configuration as it lies there, log-ins rewritten."""
    wanted = [e.path for e in drilled.placed if config_files.is_wanted(e.path)]
    if not wanted:
        return Check(FILES.name, CONFIGURATION, Outcome.NOT_IN_ARCHIVE)
    files, texts, findings = RestoredFiles(drilled.root), {}, []
    for path in wanted:
        shown = "/" + os.fsdecode(path)
        try:
            texts[shown] = files.read(path, CONFIGURATION_LIMIT) or b""
        except UnreadableFileError as error:
            findings.append(f"{printable(shown)}: {printable(error.message)}")
    for load in (config_files.load, otopi_answers.load):
        try:
            load(texts)
        except EngineBackupError as error:
            findings.append(printable(error.message))
    outcome = Outcome.FAIL if findings else Outcome.PASS
    return Check(FILES.name, CONFIGURATION, outcome, f"{len(texts)} files", tuple(findings))


def _sqlite(component: Component, drilled: Drilled) -> Check:
    """Say whether a SQLite database in its place is sound, and has the configuration that goes with it."""
    if component.name not in drilled.facts.dumps:
        return Check(component.name, INTEGRITY, Outcome.NOT_IN_ARCHIVE)
    findings = [*_unsound(component, drilled), *_without_settings(component, drilled)]
    outcome = Outcome.FAIL if findings else Outcome.PASS
    return Check(component.name, INTEGRITY, outcome, component.path, tuple(findings))


def _unsound(component: Component, drilled: Drilled) -> Iterator[str]:
    name = component.path.lstrip("/")
    try:
        RestoredFiles(drilled.root).open(os.fsencode(name)).close()
        sqlite.check(drilled.root / name, component.path)
        for table in sqlite.broken_references(drilled.root / name):
            yield f"{component.path}: rows of {printable(table)} refer to rows that do not exist"
    except UnreadableFileError as error:
        yield f"{component.path}: {printable(error.message)}"
    except DamagedArchiveError as error:
        yield printable(error.message)


def _without_settings(component: Component, drilled: Drilled) -> Iterator[str]:
    placed = {entry.path for entry in drilled.placed}
    if drilled.facts.has_files and component.settings_file.lstrip("/").encode() not in placed:
        yield f"{component.settings_file} is missing, which {component.path} is of no use without"
