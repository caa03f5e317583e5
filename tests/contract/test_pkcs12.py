"""PKCS#12 files in old encryption: real ones of OpenSSL and of stock's archives, odd ones, and none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization import pkcs12 as library
from hypothesis import given
from hypothesis import strategies as st

from engine_backup.drivers import pkcs12
from engine_backup.drivers.archive_reader import open_archive
from engine_backup.drivers.pkcs12 import DEFAULT_PASSWORD, NotEncryptedError, encrypted_anew, find_old
from engine_backup.drivers.pkcs12_outline import outline
from engine_backup.model.secret import Secret
from tests.support import golden
from tests.support.old_pkcs12 import OLD, identity, old_pkcs12, pem

ROOT = Path("/")
PATH = b"etc/pki/ovirt-engine/keys/engine.p12"
KEYS = b"etc/pki/ovirt-engine/keys/"


def _openssl_3() -> bool:
    return (pkcs12.openssl_major(ROOT) or 0) >= 3


needs_openssl_3 = pytest.mark.skipif(not _openssl_3(), reason="no OpenSSL 3 here")


def _openssl(*words: str, content: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], input=content, check=True, capture_output=True).stdout


def _facts(content: bytes, password: Secret = DEFAULT_PASSWORD):
    return find_old({PATH: content}, password, Path("/nowhere"))


def _archived(name: str, tmp_path: Path) -> dict[bytes, bytes]:
    with open_archive(golden.archive(name), tmp_path) as archive:
        return archive.read_files(pkcs12.is_pkcs12)


def test_those_that_stock_encrypts_anew_are_found_in_every_archive(tmp_path: Path):
    checked = 0
    for name in golden.NAMES:
        stock = golden.facts(name).get("after_stock_restore", {})
        changed = {path for path in stock.get("files_changed", ()) if path.endswith(".p12")}
        if changed:
            found = find_old(_archived(name, tmp_path), DEFAULT_PASSWORD, ROOT)
            assert {fact.path.decode() for fact in found if not fact.reason} == changed, name
            checked += 1
    assert checked >= 3


def test_the_one_with_another_password_is_named(tmp_path: Path):
    found = find_old(_archived("4.5.7-default", tmp_path), DEFAULT_PASSWORD, ROOT)
    refused = [fact for fact in found if fact.reason]
    assert [(fact.path, fact.schemes) for fact in refused] == [(KEYS + b"odd.p12", ("3DES", "RC2-40"))]
    assert "another password" in refused[0].reason


def test_a_real_file_keeps_key_certificates_and_names(tmp_path: Path):
    old = _archived("4.5.7-default", tmp_path)[PATH]
    new = encrypted_anew(old, DEFAULT_PASSWORD, ROOT)
    before, after = (library.load_pkcs12(one, b"mypass") for one in (old, new))
    assert before.key.private_numbers() == after.key.private_numbers()
    assert (before.cert, before.additional_certs) == (after.cert, after.additional_certs)
    assert outline(old).alias == outline(new).alias
    assert outline(old).old_schemes
    assert outline(new).old_schemes == ()


@needs_openssl_3
@pytest.mark.parametrize("alias", ["1", "Zürich engine €"])
def test_openssl_reads_the_result_without_legacy(alias: str, tmp_path: Path):
    source, old, new = (tmp_path / name for name in ("pem", "old", "new"))
    source.write_bytes(pem())
    words = ("-export", "-legacy", "-in", str(source), "-passout", "pass:mypass", "-name", alias)
    _openssl("pkcs12", *words, "-caname", "root", "-out", str(old))
    with pytest.raises(subprocess.CalledProcessError):
        _openssl("pkcs12", "-in", str(old), "-passin", "pass:mypass", "-nodes")
    new.write_bytes(encrypted_anew(old.read_bytes(), DEFAULT_PASSWORD, ROOT))
    shown = _openssl("pkcs12", "-in", str(new), "-passin", "pass:mypass", "-nodes")
    expected = _openssl("pkcs12", "-legacy", "-in", str(old), "-passin", "pass:mypass", "-nodes")
    assert sorted(shown.splitlines()) == sorted(expected.splitlines())
    assert outline(new.read_bytes()).alias == alias


@pytest.mark.skipif(not shutil.which("keytool"), reason="no Java here")
def test_java_finds_the_key_by_its_alias(tmp_path: Path):
    place = tmp_path / "engine.p12"
    place.write_bytes(encrypted_anew(old_pkcs12(b"1"), DEFAULT_PASSWORD, ROOT))
    words = ["keytool", "-list", "-keystore", str(place), "-storepass", "mypass", "-alias", "1"]
    shown = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert "PrivateKeyEntry" in shown


@needs_openssl_3
def test_openssl_opens_what_the_library_was_built_without(tmp_path: Path):
    """The library asks for the old algorithms when it is loaded, so it is loaded in a process of its own."""
    old = tmp_path / "old"
    old.write_bytes(_archived("4.5.7-default", tmp_path)[PATH])
    script = (
        "import sys; from pathlib import Path; from engine_backup.drivers import pkcs12;"
        "content = Path(sys.argv[1]).read_bytes();"
        "new = pkcs12.encrypted_anew(content, pkcs12.DEFAULT_PASSWORD, Path(sys.argv[2]));"
        "sys.stdout.buffer.write(new)"
    )
    environment = {**os.environ, "CRYPTOGRAPHY_OPENSSL_NO_LEGACY": "1", "PYTHONPATH": "src"}

    def run(root: str):
        words = [sys.executable, "-c", script, str(old), root]
        return subprocess.run(words, env=environment, capture_output=True, check=False)

    assert b"NotEncryptedError" in run(str(tmp_path)).stderr
    result = run("/")
    assert result.returncode == 0, result.stderr
    before, after = (
        library.load_pkcs12(old.read_bytes(), b"mypass"),
        library.load_pkcs12(result.stdout, b"mypass"),
    )
    assert before.key.private_numbers() == after.key.private_numbers()
    assert (before.cert, before.additional_certs) == (after.cert, after.additional_certs)


@needs_openssl_3
def test_a_password_is_in_no_argument_and_in_no_environment(tmp_path: Path):
    told = tmp_path / "told"
    program = tmp_path / "usr/bin/openssl"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\n{{ echo "$@"; env; }} >> {told}\nexec {shutil.which("openssl")} "$@"\n')
    program.chmod(0o755)
    (fact,) = find_old({PATH: old_pkcs12(password="right one")}, Secret("wrong one"), tmp_path)
    assert fact.reason == pkcs12.NOT_OPENED
    assert "-legacy" in told.read_text()
    assert " one" not in told.read_text()


def test_what_follows_the_end_of_a_file_is_passed_over_as_by_openssl():
    assert _facts(old_pkcs12() + b"\0\0")[0].reason == ""
    assert outline(encrypted_anew(old_pkcs12() + b"\0\0", DEFAULT_PASSWORD, ROOT)).old_schemes == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no PKCS#12 file"),
        (b"garbage", "no PKCS#12 file"),
        (pem(), "no PKCS#12 file"),
        (old_pkcs12()[:-1], "no PKCS#12 file"),
        (b"\x30\x84\xff\xff\xff\xff", "no PKCS#12 file"),
        (b"\x30\x80" * 5000, "no PKCS#12 file"),
        (old_pkcs12(password="another"), "another password"),
    ],
    ids=["empty", "text", "pem", "cut off", "huge", "indefinite", "password"],
)
def test_what_cannot_be_read_is_a_fact_with_a_reason(content: bytes, reason: str):
    (fact,) = _facts(content)
    assert reason in fact.reason
    with pytest.raises(NotEncryptedError):
        encrypted_anew(content, DEFAULT_PASSWORD, Path("/nowhere"))


def test_a_file_that_would_keep_us_busy_for_years_is_not_opened():
    content = bytearray(old_pkcs12())
    rounds = (2048).to_bytes(2, "big")
    # The MAC's number of rounds stands at the very end.
    assert content[-4:] == b"\x02\x02" + rounds
    longer = bytearray(content[:-4]) + b"\x02\x04\x7f\xff\xff\xff"
    for at in (2, longer.rfind(b"\x30", 0, longer.rfind(b"\x30\x31\x30") + 1)):
        size = int.from_bytes(longer[at : at + 2], "big") if at == 2 else longer[at + 1]
        longer[at : at + 2] = (size + 2).to_bytes(2, "big") if at == 2 else bytes([0x30, size + 2])
    (fact,) = _facts(bytes(longer))
    assert "rounds" in fact.reason


def test_a_file_without_a_key_stays_as_it_is():
    certificates = [library.PKCS12Certificate(identity("authority")[1], b"ca")]
    content = library.serialize_key_and_certificates(None, None, None, certificates, OLD.build(b"mypass"))
    (fact,) = _facts(content)
    assert fact.reason == "it holds no key"


@pytest.mark.parametrize("alias", [None, b"1", "Zürich".encode()])
def test_names_are_kept(alias: bytes | None):
    new = encrypted_anew(old_pkcs12(alias), DEFAULT_PASSWORD, ROOT)
    assert library.load_pkcs12(new, b"mypass").cert.friendly_name == alias
    assert [c.friendly_name for c in library.load_pkcs12(new, b"mypass").additional_certs] == [
        b"the authority"
    ]


@pytest.mark.parametrize("password", ["mypass", "pass word'\"$`\\", "Pässwörd €"])
def test_the_password_is_kept(password: str):
    new = encrypted_anew(old_pkcs12(password=password), Secret(password), ROOT)
    key = library.load_pkcs12(new, password.encode()).key
    assert key.private_numbers() == identity("engine.lab.example")[0].private_numbers()


def test_todays_files_are_no_fact():
    key, certificate = identity("engine.lab.example")
    for encryption in (serialization.BestAvailableEncryption(b"other"), NoEncryption()):
        assert _facts(library.serialize_key_and_certificates(b"1", key, certificate, None, encryption)) == ()


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_the_outline_of_anything_is_an_outline_or_a_reason(noise: bytes, at: int):
    content = old_pkcs12()
    for tried in (noise, content[:at] + noise + content[at + len(noise) :]):
        try:
            assert outline(tried).rounds >= 1
        except ValueError as error:
            assert str(error)
