"""The product's configuration: parsing, load order, credentials."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.drivers import java_properties
from engine_backup.drivers.config_files import (
    DEFAULTS_FILE,
    Configuration,
    credentials,
    is_wanted,
    load,
    parse,
    reader_credentials,
)
from engine_backup.model.components import BY_NAME, DATABASES, DWH, ENGINE, FILES, KEYCLOAK, REPORTS
from engine_backup.model.errors import EngineBackupError

GOLDEN = Path(__file__).parent.parent / "golden"
ENGINE_OWN = "/etc/ovirt-engine/engine.conf.d/10-setup-database.conf"
DWH_OWN = "/etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf.d/10-setup-database.conf"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("K=plain", "plain"),
        ('K="in quotes"', "in quotes"),
        ("K=two words", "two"),
        (r"K=two\ words", "two words"),
        ("K=a#comment", "a"),
        ('K="a#b" # comment', "a#b"),
        (r'K="a\:b"', "a:b"),
        (r'K="a\"b\\c\$d"', 'a"b\\c$d'),
        ('K="x`id`y"', "x`id`y"),
        ("K='single'", "'single'"),
        ("   K=indented", "indented"),
        ("K=", ""),
        ("K=a=b", "a=b"),
        ('K=a"b c"d', "ab cd"),
        ("K=${EARLIER}/x", "before/x"),
        ('K="${NOBODY}"', ""),
        (r"K=\${EARLIER}", "${EARLIER}"),
        ('K="open', "open"),
        ("K=end\\", "end"),
    ],
)
def test_a_value_is_read_as_the_product_reads_it(line: str, value: str) -> None:
    assert parse(line, {"EARLIER": "before"}, "f") == {"K": value}


def test_references_see_earlier_lines_of_the_same_file_first() -> None:
    text = "# comment\n\nA=1\nB=${A}\r\nA=2\nC=${A}${Z}\n"
    assert parse(text, {"A": "0", "Z": "z"}, "f") == {"A": "2", "B": "1", "C": "2z"}


@pytest.mark.parametrize(
    "line", ["export SECRET=value", "SECRET value", "SE-CRET=value", "K=$SECRET", "K=${SECRET"]
)
def test_an_error_names_the_file_and_the_line_and_no_value(line: str) -> None:
    with pytest.raises(EngineBackupError) as caught:
        parse(f"GOOD=1\n{line}\n", {}, "/etc/x.conf")
    assert caught.value.message.startswith("/etc/x.conf:2:")
    assert "SECRET" not in caught.value.message
    assert "value" not in caught.value.message.replace("NAME=value", "")


def test_nested_references_cannot_grow_without_bound() -> None:
    lines = ["V0=0123456789"] + [f"V{n}=" + f"${{V{n - 1}}}" * 10 for n in range(1, 40)]
    with pytest.raises(EngineBackupError, match="longer than"):
        parse("\n".join(lines), {}, "f")


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_with_our_own_error(text: str) -> None:
    try:
        parse(text, {}, "f")
    except EngineBackupError as error:
        assert error.message.startswith("f:")


def write(root: Path, path: str, text: str) -> None:
    place = root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def block(prefix: str, host: str, user: str = "u") -> str:
    return f'{prefix}DB_HOST="{host}"\n{prefix}DB_USER="{user}"\n{prefix}DB_PASSWORD="p"\n'


def test_a_root_without_files_is_an_empty_configuration(tmp_path: Path) -> None:
    configuration = load(tmp_path)
    assert configuration.settings == {}
    assert all(credentials(configuration, component) is None for component in DATABASES)


def test_later_files_win_and_directories_are_searched_deeply(tmp_path: Path) -> None:
    write(tmp_path, DEFAULTS_FILE, "A=defaults\nB=defaults\nC=defaults\nD=defaults\n")
    write(tmp_path, "/etc/ovirt-engine/engine.conf", "B=main\nC=main\nD=main\n")
    write(tmp_path, "/etc/ovirt-engine/engine.conf.d/20-b/x.conf", "D=deep\n")
    write(tmp_path, "/etc/ovirt-engine/engine.conf.d/10-a.conf", "C=ten\nD=ten\n")
    write(tmp_path, "/etc/ovirt-engine/engine.conf.d/99.conf.rpmsave", "D=wrong\n")
    (tmp_path / "etc/ovirt-engine/engine.conf.d/30.conf").symlink_to("nowhere")
    configuration = load(tmp_path)
    assert [configuration.get(name) for name in "ABCDX"] == ["defaults", "main", "ten", "deep", ""]
    assert configuration.source("D") == "/etc/ovirt-engine/engine.conf.d/20-b/x.conf"


def test_the_stale_copy_in_dwh_files_does_not_beat_the_engine(tmp_path: Path) -> None:
    write(tmp_path, DEFAULTS_FILE, block("ENGINE_", "defaults") + block("DWH_", "defaults"))
    write(tmp_path, ENGINE_OWN, block("ENGINE_", "right"))
    write(tmp_path, "/etc/ovirt-engine/engine.conf.d/10-setup-dwh-database.conf", block("DWH_", "copy"))
    write(tmp_path, DWH_OWN, block("ENGINE_", "stale") + block("DWH_", "dwh"))
    configuration = load(tmp_path)
    assert configuration.get("ENGINE_DB_HOST") == "right"
    assert configuration.source("ENGINE_DB_HOST") == ENGINE_OWN
    assert configuration.get("DWH_DB_HOST") == "dwh"


def test_on_a_dwh_machine_its_copy_makes_the_engine_known(tmp_path: Path) -> None:
    write(tmp_path, DEFAULTS_FILE, block("ENGINE_", "localhost"))
    write(tmp_path, DWH_OWN, block("ENGINE_", "engine.example") + block("DWH_", "localhost"))
    found = credentials(load(tmp_path), ENGINE)
    assert found is not None
    assert (found.host, found.source) == ("engine.example", DWH_OWN)


def test_what_only_the_defaults_say_is_not_configured(tmp_path: Path) -> None:
    write(
        tmp_path, DEFAULTS_FILE, "".join(block(component.conf_prefix, "localhost") for component in DATABASES)
    )
    configuration = load(tmp_path)
    assert all(credentials(configuration, component) is None for component in DATABASES)
    write(tmp_path, ENGINE_OWN, 'ENGINE_DB_PASSWORD="secret"\n')
    found = credentials(load(tmp_path), ENGINE)
    assert found is not None
    assert (found.user, found.database, found.port) == ("u", "engine", 5432)
    assert credentials(configuration, FILES) is None


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "١٢", "5432x", "9" * 5000])
def test_a_port_that_is_none_names_its_file(tmp_path: Path, port: str) -> None:
    write(tmp_path, ENGINE_OWN, block("ENGINE_", "h") + f"ENGINE_DB_PORT={port}\n")
    with pytest.raises(EngineBackupError, match="ENGINE_DB_PORT is not the number of a port") as caught:
        credentials(load(tmp_path), ENGINE)
    assert caught.value.message.startswith(ENGINE_OWN)


def test_security_words_are_read_like_the_product_reads_them(tmp_path: Path) -> None:
    write(
        tmp_path,
        ENGINE_OWN,
        block("ENGINE_", "h") + 'ENGINE_DB_SECURED="True"\nENGINE_DB_SECURED_VALIDATION="no"\n',
    )
    found = credentials(load(tmp_path), ENGINE)
    assert found is not None
    assert (found.secured, found.secured_validation) == (True, False)


def test_settings_do_not_print_their_values(tmp_path: Path) -> None:
    write(tmp_path, ENGINE_OWN, 'ENGINE_DB_PASSWORD="hunter2"\n')
    assert "hunter2" not in repr(load(tmp_path))


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root reads everything")
    write(tmp_path, ENGINE_OWN, "A=1")
    (tmp_path / ENGINE_OWN.lstrip("/")).chmod(0)
    with pytest.raises(EngineBackupError, match="cannot read"):
        load(tmp_path)


def test_both_kinds_of_source_give_the_same(tmp_path: Path) -> None:
    texts = {
        ENGINE_OWN: block("ENGINE_", "h") + "ODD=\xff\udcff\n",
        DWH_OWN: block("DWH_", "d") + block("ENGINE_", "stale"),
        REPORTS.properties_file: "dbHost = r\ndbPassword=a\\u0041\\\n  b\n",
        "/etc/ovirt-engine/engine.conf.d/nested/a.conf": "N=1\n",
    }
    mapping = {path: text.encode("utf-8", "surrogateescape") for path, text in texts.items()}
    for path, content in mapping.items():
        write(tmp_path, path, "")
        (tmp_path / path.lstrip("/")).write_bytes(content)
    from_root, from_archive = load(tmp_path), load(mapping)
    assert from_root == from_archive
    reports = credentials(from_root, REPORTS)
    assert reports is not None
    assert (reports.host, reports.password.reveal(), reports.user) == ("r", "aAb", "ovirt_engine_reports")
    assert reports.source == REPORTS.properties_file


def golden_files(archive: Path) -> dict[str, bytes]:
    """Return the wanted configuration files of a golden archive, read with `tarfile` alone."""
    with tarfile.open(archive) as outer:
        inner = next((m for m in outer if m.name.lstrip("./") == "files" and m.isfile()), None)
        if inner is None:
            return wanted_files(outer, "files/")
        content = outer.extractfile(inner)
        assert content is not None
        with tarfile.open(fileobj=io.BytesIO(content.read())) as tree:
            return wanted_files(tree, "")


def wanted_files(tree: tarfile.TarFile, prefix: str) -> dict[str, bytes]:
    wanted = {}
    for member in tree:
        name = member.name[2:] if member.name.startswith("./") else member.name
        path = os.fsencode(name[len(prefix) :])
        if name.startswith(prefix) and member.isfile() and is_wanted(path):
            content = tree.extractfile(member)
            assert content is not None
            wanted["/" + os.fsdecode(path)] = content.read()
    return wanted


@pytest.mark.parametrize("description", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_the_credentials_of_every_golden_archive(description: Path) -> None:
    expected = json.loads(description.read_text())["credentials"]
    configuration = load(golden_files(description.with_suffix(".backup")))
    found = {c.name: credentials(configuration, c) for c in DATABASES}
    found["grafana"] = reader_credentials(configuration, DWH)
    seen = {
        name: {
            "host": c.host,
            "port": str(c.port),
            "user": c.user,
            "password": c.password.reveal(),
            "database": c.database,
        }
        for name, c in found.items()
        if c is not None
    }
    assert seen == expected
    assert set(expected) <= {*BY_NAME, "grafana"}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (b"etc/ovirt-engine/engine.conf.d/10-setup-pki.conf", True),
        (b"etc/ovirt-engine/engine.conf", True),
        (b"etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf.d/a/b.conf", True),
        (b"etc/ovirt-engine-setup.conf.d/20-setup-ovirt-post.conf", True),
        (b"var/lib/ovirt-engine-reports/build-conf/master.properties", True),
        (b"etc/ovirt-engine/engine.conf.d/a.conf.bak", False),
        (b"etc/ovirt-engine/engine.conf.d/line\nbreak.conf", False),
        (b"x/etc/ovirt-engine/engine.conf", False),
        (b"etc/pki/ovirt-engine/ca.pem", False),
        (b"./etc/ovirt-engine/engine.conf", False),
    ],
)
def test_wanted_members(path: bytes, wanted: bool) -> None:
    assert is_wanted(path) is wanted


def test_keycloak_is_configured_by_its_own_file(tmp_path: Path) -> None:
    write(tmp_path, KEYCLOAK.conf_file, 'KEYCLOAK_BUNDLED=true\nENGINE_SSO_X="y"\n')
    assert credentials(load(tmp_path), KEYCLOAK) is None
    assert isinstance(load(tmp_path), Configuration)


PROPERTIES = r"""
# comment
! comment

 a = 1
b:2
c 3
 d\ e=f\tg
long=one,\
   two
back=x\\
u=\u00e9
empty
last=\
"""


def test_java_properties() -> None:
    assert java_properties.parse(PROPERTIES, "f") == {
        "a": "1",
        "b": "2",
        "c": "3",
        "d e": "f\tg",
        "long": "one,two",
        "back": "x\\",
        "u": "é",
        "empty": "",
        "last": "",
    }
    with pytest.raises(EngineBackupError, match=r"^f:2: "):
        java_properties.parse("a=1\nsecret=\\uZZZZ", "f")


@given(st.text(max_size=200))
def test_any_properties_are_read_or_refused_with_our_own_error(text: str) -> None:
    try:
        java_properties.parse(text, "f")
    except EngineBackupError as error:
        assert error.message.startswith("f:")
