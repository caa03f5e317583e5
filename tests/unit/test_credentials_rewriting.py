"""Rewriting of credentials in conf files."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_backup.drivers.config_files import credentials, load, parse
from engine_backup.drivers.credentials_rewriting import copy_path, missing_file, rewrite, rewritten
from engine_backup.model.components import DATABASES, DWH, ENGINE, KEYCLOAK, Component
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.facts import Credentials
from engine_backup.model.secret import Secret

WHEN = datetime(2026, 8, 19, 1, 2, 3)
WRITTEN = tuple(component for component in DATABASES if component.conf_file)

# What a conf file can hold: no line end, no NUL, and it must be UTF-8 (with escaped single bytes).
one_line = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=60)
nasty = st.lists(
    st.sampled_from(["\\", '"', "$", "`", "{", "}", ":", "'", "#", " ", "\t", "!", "a", "é", "${X}", "\x85"])
)


def login(password: str = "new", host: str = "db.example", **others: object) -> Credentials:
    fields: dict[str, object] = {"port": 5433, "user": "someone", "database": "base", **others}
    return Credentials(host=host, password=Secret(password), **fields)  # type: ignore[arg-type]


def read_back(text: str, component: Component) -> Credentials | None:
    return credentials(load({component.conf_file: text.encode("utf-8", "surrogateescape")}), component)


@pytest.mark.parametrize("component", WRITTEN, ids=lambda component: component.name)
@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("validation", [False, True])
def test_each_component_reads_back_what_was_written(
    component: Component, secured: bool, validation: bool
) -> None:
    wanted = login(secured=secured, secured_validation=validation, source=component.conf_file)
    text = rewritten("", component, wanted)
    assert read_back(text, component) == wanted
    address = parse(text, {}, "f")[f"{component.conf_prefix}DB_URL"]
    assert address.startswith("jdbc:postgresql://db.example:5433/base?")
    assert ("ssl=true" in address) is secured
    assert ("sslfactory=org.postgresql.ssl.NonValidatingFactory" in address) is not validation
    assert len(text.splitlines()) == 9


@given(password=one_line | nasty.map("".join), user=one_line)
def test_any_password_comes_back_exactly(password: str, user: str) -> None:
    text = rewritten("OTHER=1\n", ENGINE, login(password, user=user or "u"))
    values = parse(text, {"X": "wrong"}, "f")
    assert values["ENGINE_DB_PASSWORD"] == password
    assert values["ENGINE_DB_USER"] == (user or "u")


@settings(max_examples=25, deadline=None)
@given(password=nasty.map("".join))
def test_a_shell_that_sources_the_file_reads_the_same(password: str) -> None:
    script = rewritten("", ENGINE, login(password)) + 'printf %s "$ENGINE_DB_PASSWORD"'
    out = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, check=True).stdout
    assert out.decode() == password


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize("field", ["password", "host", "user", "database"])
def test_a_value_that_no_line_can_hold_is_refused(text: str, field: str) -> None:
    with pytest.raises(EngineBackupError) as caught:
        rewritten("", ENGINE, login(**{field: text}))  # type: ignore[arg-type]
    assert text not in caught.value.message


def test_everything_else_in_the_file_stays() -> None:
    before = (
        "# by hand\r\n"
        "KEYCLOAK_BUNDLED=true\n"
        '  KEYCLOAK_DB_PASSWORD="old"\n'
        "KEYCLOAK_DB_MAX_CONNECTIONS=50\n"
        'KEYCLOAK_DB_URL="x"\n'
        'KEYCLOAK_DB_HOST="old"\n'
        'EXTERNAL_OIDC_CLIENT_SECRET="abc\udcff"\n'
        "# KEYCLOAK_DB_HOST=comment\n"
        "LAST=no newline"
    )
    after = rewritten(before, KEYCLOAK, login())
    for line in before.splitlines(keepends=True):
        assert (line in after) is ("old" not in line and '"x"' not in line)
    lines = after.splitlines()
    assert lines.index('KEYCLOAK_DB_HOST="db.example"') == 2
    assert sum(line.startswith("KEYCLOAK_DB_") for line in lines) == 10
    assert after.endswith("LAST=no newline")
    assert rewritten(after, KEYCLOAK, login()) == after


def test_a_missing_block_is_appended_on_its_own_lines() -> None:
    assert rewritten("A=1", ENGINE, login()).startswith('A=1\nENGINE_DB_HOST="')
    assert rewritten("A=1\n", ENGINE, login()).startswith('A=1\nENGINE_DB_HOST="')


def test_only_the_own_block_of_a_shared_file_changes() -> None:
    both = rewritten(rewritten("", ENGINE, login("e", "engine-host")), DWH, login("d", "dwh-host"))
    changed = rewritten(both, ENGINE, login("changed", "new-host"))
    values = parse(changed, {}, "f")
    assert (values["ENGINE_DB_PASSWORD"], values["DWH_DB_PASSWORD"]) == ("changed", "d")
    assert values["DWH_DB_URL"].startswith("jdbc:postgresql://dwh-host:")


def prepare(root: Path, component: Component, mode: int = 0o640) -> list[Path]:
    places = [root / path.lstrip("/") for path in component.rewritten_files]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f'KEEP=1\n{component.conf_prefix}DB_PASSWORD="old"\n')
        place.chmod(mode)
        os.utime(place, (1, 1))
    return places


@pytest.mark.parametrize("component", WRITTEN, ids=lambda component: component.name)
def test_all_files_are_rewritten_and_their_old_content_kept(tmp_path: Path, component: Component) -> None:
    places = prepare(tmp_path, component)
    if os.getuid() == 0:
        os.chown(places[0], 12345, 54321)
    assert rewrite(tmp_path, component, login(), WHEN) == places
    for place in places:
        copy = copy_path(place, WHEN)
        assert copy.name == f"{place.name}.20260819010203"
        assert 'DB_PASSWORD="old"' in copy.read_text()
        assert copy.stat().st_mtime == 1
        assert place.stat().st_mtime > 1
        assert 'DB_PASSWORD="new"' in place.read_text()
        assert (place.stat().st_mode, place.stat().st_uid) == (copy.stat().st_mode, copy.stat().st_uid)
        assert place.stat().st_mode & 0o777 == 0o640
        assert sorted(place.parent.glob(f".{place.name}*")) == []
    if os.getuid() == 0:
        assert (places[0].stat().st_uid, places[0].stat().st_gid) == (12345, 54321)


def test_the_copy_of_the_same_second_holds_the_oldest_content(tmp_path: Path) -> None:
    place = prepare(tmp_path, ENGINE)[0]
    rewrite(tmp_path, ENGINE, login("second"), WHEN)
    rewrite(tmp_path, ENGINE, login("third"), WHEN)
    assert "old" in copy_path(place, WHEN).read_text()


def test_a_missing_own_file_stops_before_anything_is_written(tmp_path: Path) -> None:
    own, other = prepare(tmp_path, DWH)
    own.unlink()
    before = other.read_bytes()
    assert missing_file(tmp_path, DWH) == f"Can not find {DWH.conf_file}"
    with pytest.raises(EngineBackupError, match=f"Can not find {DWH.conf_file}"):
        rewrite(tmp_path, DWH, login(), WHEN)
    assert other.read_bytes() == before
    assert list(other.parent.iterdir()) == [other]


def test_other_files_may_be_missing(tmp_path: Path) -> None:
    own, other = prepare(tmp_path, ENGINE)
    other.unlink()
    assert missing_file(tmp_path, ENGINE) == ""
    assert rewrite(tmp_path, ENGINE, login(), WHEN) == [own]


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    own = prepare(tmp_path, KEYCLOAK)[0]
    target = tmp_path / "target"
    own.rename(target)
    own.symlink_to(target)
    with pytest.raises(EngineBackupError, match="cannot read"):
        rewrite(tmp_path, KEYCLOAK, login(), WHEN)
    assert "old" in target.read_text()
