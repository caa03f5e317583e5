"""The sample engine's certificates: real ones, made on the spot, trusted nowhere."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING

from engine_backup.model.errors import EngineBackupError
from engine_backup.sample.planting import OVIRT, ROOT, ROOT_OVIRT, Owner, Planter

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate, Name

PKI = "etc/pki/ovirt-engine/"
STORE_PASSWORD = b"mypass"  # the product's own default (reference 9.5)
STORE_ALIAS = b"1"
TRUST_ALIAS = b"cacert"
NAMES = ("engine", "apache", "websocket-proxy")
CA_DAYS = 3650
CERTIFICATE_DAYS = 398
KEY_BITS = 2048


@dataclass(frozen=True)
class Issuer:
    """A certificate authority."""

    key: RSAPrivateKey
    certificate: Certificate


def write(planter: Planter, fqdn: str) -> None:
    """Write the authority, certificates, keys and PKCS#12 stores of an engine named `fqdn`."""
    for name, content in _material(fqdn).items():
        mode, owner = _protection(name)
        planter.file(PKI + name, content, mode, owner)
    planter.link(PKI + "apache-ca.pem", "ca.pem")
    planter.file(PKI + "serial.txt", "1005\n", owner=OVIRT)
    planter.file(
        PKI + "database.txt", f"V\t270101000000Z\t\t1001\tunknown\t/O=lab.example/CN={fqdn}\n", owner=OVIRT
    )
    for name in ("cacert.template.in", "cert.template.in", "openssl.conf"):
        planter.file(PKI + name, f"# packaged file {name}\n")


def _protection(name: str) -> tuple[int, Owner]:
    if name.endswith(".key.nopass"):
        return 0o600, ROOT
    private = name.startswith(("private/", "keys/"))
    return (0o640, ROOT_OVIRT) if private else (0o644, ROOT)


@lru_cache(maxsize=4)
def _material(fqdn: str) -> Mapping[str, bytes]:
    """Make keys and certificates, once for a process: it takes more time than all the rest."""
    try:
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ImportError as error:
        raise EngineBackupError(
            "a sample engine needs the Python package cryptography",
            hint="install the extra `demo`: pip install 'ovirt-engine-backup[demo]'",
        ) from error

    key = rsa.generate_private_key(65537, KEY_BITS)
    authority = Issuer(key, _certificate(f"{fqdn}.43210", key, None))
    files = {"ca.pem": _pem(authority.certificate), "private/ca.pem": _key_pem(key)}
    for name in NAMES:
        key = rsa.generate_private_key(65537, KEY_BITS)
        certificate = _certificate(fqdn, key, authority)
        files[f"certs/{name}.cer"] = _pem(certificate)
        files[f"keys/{name}.p12"] = _store(key, certificate, authority.certificate)
        files[f"keys/{name}.key.nopass"] = _key_pem(key)
    return {
        **files,
        "certs/01.pem": files["certs/engine.cer"],
        ".truststore": _trust_store(authority.certificate),
    }


def _trust_store(authority: Certificate) -> bytes:
    """Return a store of Java's own kind, JKS, with one certificate that is trusted."""
    from cryptography.hazmat.primitives.serialization import Encoding

    der = authority.public_bytes(Encoding.DER)
    made = int(authority.not_valid_before_utc.timestamp()) * 1000
    entry = struct.pack(">i", 2) + _text(TRUST_ALIAS) + struct.pack(">q", made)
    entry += _text(b"X.509") + struct.pack(">i", len(der)) + der
    store = b"\xfe\xed\xfe\xed" + struct.pack(">ii", 2, 1) + entry
    password = STORE_PASSWORD.decode().encode("utf-16-be")
    return store + hashlib.sha1(password + b"Mighty Aphrodite" + store, usedforsecurity=False).digest()


def _text(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def _certificate(common_name: str, key: RSAPrivateKey, issuer: Issuer | None) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    start = datetime.now(timezone.utc) - timedelta(days=1)
    subject = _subject(common_name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=CERTIFICATE_DAYS if issuer else CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
    )
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())


def _subject(common_name: str) -> Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parts = ((NameOID.COUNTRY_NAME, "US"), (NameOID.ORGANIZATION_NAME, "lab.example"))
    return x509.Name(
        [x509.NameAttribute(oid, text) for oid, text in (*parts, (NameOID.COMMON_NAME, common_name))]
    )


def _pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: RSAPrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _store(key: RSAPrivateKey, certificate: Certificate, authority: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    encryption = BestAvailableEncryption(STORE_PASSWORD)
    return pkcs12.serialize_key_and_certificates(STORE_ALIAS, key, certificate, [authority], encryption)
