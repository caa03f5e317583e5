"""Authorities, certificates and key stores of the tests' own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    key: EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: str, key: EllipticCurvePrivateKey, issuer: str, signer: EllipticCurvePrivateKey, **more: object
) -> x509.Certificate:
    """Return a certificate; `more` are `start`, `end` and `names`."""
    builder = x509.CertificateBuilder(
        _name(issuer),
        _name(subject),
        key.public_key(),
        x509.random_serial_number(),
        more["start"],
        more["end"],
    )
    if more["names"]:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in more["names"]])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(signer, hashes.SHA256())


class Authority:
    """Signs others; its own certificate is signed by itself, or by another."""

    def __init__(self, name: str, issuer: Authority | None = None) -> None:
        self.name = name
        self._issuer = issuer

    @cached_property
    def identity(self) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        above = self._issuer
        now = datetime.now(timezone.utc)
        issuer, signer = (above.name, above.identity.key) if above else (self.name, key)
        certificate = _certificate(
            self.name, key, issuer, signer, start=now - DAY, end=now + 900 * DAY, names=()
        )
        return Identity(key, certificate)

    @property
    def pem(self) -> bytes:
        return self.identity.pem

    @property
    def key_pem(self) -> bytes:
        return self.identity.key_pem

    def sign(
        self,
        common_name: str,
        names: tuple[str, ...] = (),
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Identity:
        """Return a new key with its certificate, valid from yesterday for a year unless said otherwise."""
        now = datetime.now(timezone.utc)
        key = ec.generate_private_key(ec.SECP256R1())
        end = end or now + 365 * DAY
        start = start or min(now, end) - DAY
        signer = self.identity.key
        made = _certificate(common_name, key, self.name, signer, start=start, end=end, names=names)
        return Identity(key, made)


def pkcs12_store(identity: Identity, password: bytes, claimed_rounds: int = 0) -> bytes:
    """Return a key store; with `claimed_rounds` one that says that opening it takes so much work."""
    rounds = 2077
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(rounds)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password)
    )
    store = pkcs12.serialize_key_and_certificates(b"1", identity.key, identity.certificate, None, encryption)
    return _with_number(store, rounds, claimed_rounds) if claimed_rounds else store


def _with_number(values: bytes, old: int, new: int) -> bytes:
    """Return DER in which every number `old` is another one, also in octets that hold values."""
    changed = b""
    while values:
        tag, size, start = values[0], values[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(values[2:start], "big")
        content, values = values[start : start + size], values[start + size :]
        number = old.to_bytes(2, "big")
        if tag == 0x02 and content == number:
            content = new.to_bytes(4, "big")
        elif b"\x02\x02" + number in content:
            content = _with_number(content, old, new)
        length = len(content).to_bytes(4, "big")
        changed += bytes([tag, 0x84]) + length + content
    return changed


def endless_store(password: bytes) -> bytes:
    """Return a key store with a key of 40,000 bits, whose numbers are no primes."""
    p, q = (1 << 20_000) + 1, (1 << 20_000) + 3
    numbers = rsa.RSAPrivateNumbers(p, q, 3, 3, 3, 1, rsa.RSAPublicNumbers(65537, p * q))
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    return pkcs12.serialize_key_and_certificates(b"1", key, None, None, BestAvailableEncryption(password))
