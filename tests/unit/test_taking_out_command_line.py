"""The words of `extract` and `export`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from engine_backup.cli.environment import Environment
from engine_backup.cli.parser import parse
from engine_backup.cli.request_building import build_request
from engine_backup.model.errors import UsageError
from engine_backup.model.requests import ExportRequest, ExtractRequest


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.backup"
    path.touch()
    return path


def request_of(*words: str):
    return build_request(parse(words), Environment(variables={}, stdin=io.StringIO()))


def test_extract(archive: Path):
    found = request_of(
        "extract", str(archive), "/etc/a", "b*", "--component=engine", "--component", "dwh", "--as=sql",
        "--pki", "--fqdn", "--credentials", "--json", "--output=there", "--same-owner",
    )  # fmt: skip
    assert found == ExtractRequest(
        file=archive,
        tmpdir=Path("/tmp"),
        paths=("/etc/a", "b*"),
        components=("engine", "dwh"),
        pki=True,
        credentials=True,
        fqdn=True,
        output=Path("there").absolute(),
        as_sql=True,
        json=True,
        same_owner=True,
    )


def test_the_archive_may_be_named_by_the_option(archive: Path):
    by_word = request_of("extract", str(archive), "/etc/a")
    assert request_of("extract", f"--file={archive}", "/etc/a") == by_word
    assert request_of("--mode=extract", str(archive), "/etc/a") == by_word
    by_word = request_of("export", str(archive), "new", "--to=native")
    assert request_of("export", f"--file={archive}", "new", "--to=native") == by_word
    assert request_of("export", str(archive), "--output=new", "--to=native") == by_word
    assert by_word == ExportRequest(archive, Path("new").absolute(), "native", Path("/tmp"))


def test_options_without_a_meaning_are_told(archive: Path):
    found = request_of("extract", str(archive), "--fqdn", "--to=classic", "--log=x")
    assert found.warnings == (
        "--to has no meaning with --mode=extract",
        "--log has no meaning with --mode=extract",
    )


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["extract"], "the archive is not named", "engine-backup extract FILE [PATH...]"),
        (["extract", "FILE"], "nothing is named that is to be extracted", "--component=C"),
        (["extract", "FILE", "--component=moon"], "invalid component 'moon'", "engine, dwh"),
        (["extract", "FILE", "--component=dwh", "--as=tar"], "invalid form 'tar' for --as", "dump or sql"),
        (["extract", "FILE", "/etc", "--as=sql"], "--as=sql is for dumps", "--component=engine"),
        (["extract", "FILE", "--fqdn", "--json"], "--json is for --credentials", "--credentials"),
        (["extract", "FILE", "/etc", "--same-owner"], "--same-owner needs a directory", "--output=DIR"),
        (
            ["extract", "FILE", "/etc", "--tmpdir=/nowhere"],
            "Temporary directory /nowhere is missing",
            "create",
        ),
        (["export"], "the archive is not named", "engine-backup export FILE OUT"),
        (["export", "FILE", "--to=classic"], "the new archive is not named", "export FILE OUT --to=FORM"),
        (
            ["export", "FILE", "a", "b", "--to=classic"],
            "more than one new archive is named",
            "export FILE OUT",
        ),
        (["export", "FILE", "a", "--output=b", "--to=classic"], "more than one new archive is named", "OUT"),
        (["export", "FILE", "a"], "--to is missing", "--to=classic or --to=native"),
        (["export", "FILE", "a", "--to=zip"], "invalid form 'zip' for --to", "classic or native"),
    ],
)
def test_what_is_refused(words, said, hint, archive: Path):
    with pytest.raises(UsageError) as caught:
        request_of(*(str(archive) if word == "FILE" else word for word in words))
    assert caught.value.message.startswith(said)
    assert hint in caught.value.hint
