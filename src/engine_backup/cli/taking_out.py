"""From settings to the requests of `extract` and `export`."""

from __future__ import annotations

from pathlib import Path

from engine_backup.cli import archive_names
from engine_backup.cli.environment import Environment
from engine_backup.cli.general_settings import irrelevant, temporary_directory
from engine_backup.cli.parser import WORDS, Settings
from engine_backup.model.errors import UnreadableArchiveError, UsageError
from engine_backup.model.exporting import EXPORT_FORMS
from engine_backup.model.modes import EXPORT, EXTRACT, WORDS_OF_MODES
from engine_backup.model.option_values import AS_SQL
from engine_backup.model.requests import ExportRequest, ExtractRequest, TakingOutRequest

NOTHING_NAMED = "name paths, or --component=C, --pki, --credentials, --fqdn; / means all files"


def build_taking_out(settings: Settings, mode: str, environment: Environment) -> TakingOutRequest:
    """Return the request; raises `UsageError`, and `UnreadableArchiveError` for a file that is not there."""
    file, words = _archive(settings, mode)
    if mode == EXPORT:
        return _export(settings, file, words, environment)
    return _extract(settings, file, words, environment)


def _archive(settings: Settings, mode: str) -> tuple[Path, tuple[str, ...]]:
    """Return the archive, of `--file` or the first word, and the words after it."""
    words: tuple[str, ...] = settings.get(WORDS, ())
    named = settings.get(("", "file"))
    if named is None and not words:
        raise UsageError("the archive is not named", f"engine-backup {mode} {WORDS_OF_MODES[mode]}")
    file, rest = (named, words) if named is not None else (words[0], words[1:])
    archive_names.check_readable(file)
    if archive_names.is_missing(Path(file)):
        raise UnreadableArchiveError(f"{file} does not exist", f"engine-backup {mode} {WORDS_OF_MODES[mode]}")
    return Path(file).absolute(), rest


def _extract(
    settings: Settings, file: Path, paths: tuple[str, ...], environment: Environment
) -> ExtractRequest:
    bindir, output = (settings.get(("", name)) for name in ("pg_bindir", "output"))
    request = ExtractRequest(
        file=file,
        tmpdir=temporary_directory(settings, environment),
        paths=paths,
        components=settings.get(("", "components"), ()),
        pki=settings.get(("", "pki"), False),
        credentials=settings.get(("", "credentials"), False),
        fqdn=settings.get(("", "fqdn"), False),
        output=Path(output).absolute() if output else None,
        as_sql=settings.get(("", "shape")) == AS_SQL,
        json=settings.get(("", "json"), False),
        same_owner=settings.get(("", "same_owner"), False),
        pg_bindir=Path(bindir).absolute() if bindir else None,
        warnings=irrelevant(settings, EXTRACT),
    )
    _check_extract(request)
    return request


def _check_extract(request: ExtractRequest) -> None:
    named = (request.paths, request.components, request.pki, request.credentials, request.fqdn)
    if not any(named):
        raise UsageError("nothing is named that is to be extracted", NOTHING_NAMED)
    if request.as_sql and not request.components:
        raise UsageError("--as=sql is for dumps", "name one: --component=engine")
    if request.json and not request.credentials:
        raise UsageError("--json is for --credentials", "leave it out, or add --credentials")
    if request.same_owner and request.output is None:
        raise UsageError("--same-owner needs a directory", "add --output=DIR")


def _export(
    settings: Settings, file: Path, words: tuple[str, ...], environment: Environment
) -> ExportRequest:
    named: str | None = settings.get(("", "output"))
    places = (*words, named) if named is not None else words
    if len(places) != 1:
        what = "the new archive is not named" if not places else "more than one new archive is named"
        raise UsageError(what, f"engine-backup {EXPORT} {WORDS_OF_MODES[EXPORT]} --to=FORM")
    archive_names.check_writable(places[0])
    form = settings.get(("", "export_form"))
    if form is None:
        raise UsageError("--to is missing", f"use --to={' or --to='.join(EXPORT_FORMS)}")
    return ExportRequest(
        file=file,
        output=Path(places[0]).absolute(),
        form=form,
        tmpdir=temporary_directory(settings, environment),
        no_overwrite=settings.get(("", "no_overwrite"), False),
        warnings=irrelevant(settings, EXPORT),
    )
