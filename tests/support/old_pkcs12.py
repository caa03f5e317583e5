"""PKCS#12 files as they were made before OpenSSL 3."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509.oid import NameOID

KEYS = "etc/pki/ovirt-engine/keys"
OLD_NAME = "old.p12"
START = datetime(2020, 1, 1, tzinfo=timezone.utc)
OLD = (
    PrivateFormat.PKCS12.encryption_builder()
    .kdf_rounds(2048)
    .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    .hmac_hash(hashes.SHA1())
)


@lru_cache(maxsize=8)
def identity(name: str) -> tuple[RSAPrivateKey, x509.Certificate]:
    """Return a key with its certificate."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), 1, START, START + timedelta(days=9000)
    )
    return key, builder.sign(key, hashes.SHA256())


def old_pkcs12(
    alias: bytes | None = b"1", password: str = "mypass", name: str = "engine.lab.example"
) -> bytes:
    """Return a file in 3DES with a key, its certificate, and an authority's with a name of its own."""
    key, certificate = identity(name)
    others = [pkcs12.PKCS12Certificate(identity("authority")[1], b"the authority")]
    return pkcs12.serialize_key_and_certificates(
        alias, key, certificate, others, OLD.build(password.encode())
    )


def pem(name: str = "engine.lab.example") -> bytes:
    """Return key and certificates as PEM, for programs."""
    key, certificate = identity(name)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificates = [certificate, identity("authority")[1]]
    return private + b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def plant_old_pkcs12(root: Path) -> None:
    """Put one among the keys of an engine."""
    path = root / KEYS / OLD_NAME
    path.write_bytes(old_pkcs12())
    path.chmod(0o640)
