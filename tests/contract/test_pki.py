"""Certificates and keys as the product's scripts make them with `openssl`, of today and of engines of 3.x."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest

from engine_backup.drivers import pki
from engine_backup.drivers.pki import Passwords
from engine_backup.model.pki import DIRECTORY, Issuer, PkiFacts
from engine_backup.model.secret import Secret

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")

CONFIGURATION = """[ca]
default_ca = engine
[engine]
database = ./index.txt
new_certs_dir = .
serial = ./serial
policy = any
[any]
commonName = supplied
"""
PASSWORD = "mypass"


def _openssl(directory: Path, command: str) -> None:
    subprocess.run(["openssl", *command.split()], cwd=directory, check=True, capture_output=True)


def _authority(directory: Path, digest: str) -> None:
    directory.mkdir()
    (directory / "ca.cnf").write_text(CONFIGURATION)
    (directory / "index.txt").touch()
    (directory / "serial").write_text("1000\n")
    request = "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 900"
    _openssl(directory, f"{request} -subj /C=US/O=lab/CN=e.lab.4321 -{digest}")


def _engine(directory: Path, digest: str) -> dict[str, bytes]:
    """Return the files of an engine, by their absolute paths."""
    _authority(directory, digest)
    _openssl(directory, "req -newkey rsa:2048 -nodes -keyout e.key -out e.req -subj /CN=e.lab")
    signing = "ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -days 300"
    _openssl(directory, f"{signing} -in e.req -out e.cer -md {digest}")
    store = f"-inkey e.key -in e.cer -certfile ca.pem -passout pass:{PASSWORD} -name 1 -out e.p12"
    _openssl(directory, f"pkcs12 -export {store}")
    _openssl(directory, f"pkcs12 -in e.p12 -passin pass:{PASSWORD} -nocerts -nodes -out id_rsa")
    names = {
        "ca.pem": "ca.pem",
        "private/ca.pem": "ca.key",
        "certs/engine.cer": "e.cer",
        "keys/engine.p12": "e.p12",
        "keys/engine_id_rsa": "id_rsa",
    }
    return {f"{DIRECTORY}/{path}": (directory / name).read_bytes() for path, name in names.items()}


def _look(files: dict[str, bytes]) -> PkiFacts:
    passwords = Passwords(Secret(PASSWORD), Secret(PASSWORD))
    return pki.look(sorted(files), files.get, passwords, datetime.now(timezone.utc), Path("/"))


@pytest.mark.parametrize("digest", ["sha256", "sha1"])
def test_an_engine_as_the_product_makes_it(digest: str, tmp_path: Path):
    facts = _look(_engine(tmp_path / "engine", digest))
    (engine,) = facts.services
    assert (engine.issuer, engine.names) == (Issuer.OWN, ("e.lab",))
    assert [(key.present, key.problem) for key in engine.keys] == [(False, ""), (True, "")]
    assert (engine.store.present, engine.store.problem) == (True, "")
    assert facts.authorities[0].key.problem == ""


@pytest.mark.parametrize("digest", ["sha256", "sha1"])
def test_another_authority_of_the_same_name_has_not_signed(digest: str, tmp_path: Path):
    files = _engine(tmp_path / "engine", digest)
    _authority(tmp_path / "other", digest)
    files[f"{DIRECTORY}/ca.pem"] = (tmp_path / "other/ca.pem").read_bytes()
    facts = _look(files)
    assert facts.services[0].issuer is Issuer.NOBODY
    assert facts.authorities[0].key.problem == f"it is not the key of {DIRECTORY}/ca.pem"
