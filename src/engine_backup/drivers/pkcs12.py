"""PKCS#12 files: which are in encryption of before OpenSSL 3, and the same content in today's.

The files are as hostile as the archive. What is in them is read by the `cryptography` library. Where
that was built without the old algorithms, the machine's `openssl` opens them; passwords reach it by a pipe.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine_backup.drivers import process
from engine_backup.drivers.command import Command
from engine_backup.drivers.host import find_program
from engine_backup.drivers.pkcs12_outline import Outline, outline
from engine_backup.model.errors import EngineBackupError, ProgramError
from engine_backup.model.pkcs12 import OldPkcs12
from engine_backup.model.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12KeyAndCertificates
    from cryptography.x509 import Certificate

# Reference 9.5; the product's own constant.
DEFAULT_PASSWORD = Secret("mypass")
PASSWORD_SETTING = "ENGINE_PKI_ENGINE_STORE_PASSWORD"

# The rest of a name's 255 bytes is for what is added to the name of the copy that is kept.
_WANTED = re.compile(rb"etc/pki/ovirt-engine/keys/[^/]{1,200}\.p12")
_VERSION = re.compile(rb"OpenSSL (\d{1,3})\.")
_BAG = re.compile(
    rb"(?:Bag Attributes[^\n]*\n(?P<attributes>(?:[ ]+[^\n]*\n)*))?"
    rb"(?:Key Attributes[^\n]*\n(?:[ ]+[^\n]*\n)*)?(?:(?:subject|issuer)=[^\n]*\n)*"
    rb"(?P<pem>-----BEGIN (?P<kind>[A-Z ]+)-----\n[^-]*-----END (?P=kind)-----)"
)
_NAME = re.compile(rb"^ +friendlyName: (.*)$", re.MULTILINE)

SIZE_LIMIT = 1 << 16
FILES = 2000
# OpenSSL and Java make 2,048 to 100,000.
MOST_ROUNDS = 10_000_000
# What OpenSSL makes by default. More would protect nothing: who reads the file reads its password beside it.
ROUNDS = 2048

# RSA of 8192 bits. To check that its numbers are primes takes 9 s, and of larger ones hours.
LARGEST_KEY = 5 << 10

TOO_LARGE_KEY = f"its key has more than {LARGEST_KEY} bytes, which no key of an engine has"
NO_KEY = "it holds no key"
TOO_LARGE = f"it has more than {SIZE_LIMIT} bytes, which no key with its certificates has"
NO_PKCS12 = "it is no PKCS#12 file"
NOT_OPENED = "it has another password than the one in 10-setup-pki.conf, or is damaged"


class NotEncryptedError(EngineBackupError):
    """A PKCS#12 file cannot be encrypted anew; the message is a reason without the file's name."""


def is_pkcs12(path: bytes) -> bool:
    """Say whether an archived path, relative to the root, is one of the engine's PKCS#12 files."""
    return _WANTED.fullmatch(path) is not None


def openssl_major(root: Path) -> int | None:
    """Return the major version of the root's `openssl`; None when there is none, or when it does not tell."""
    program = find_program("openssl", root)
    if program is None:
        return None
    try:
        found = _VERSION.match(process.run(Command(program, ("version",))).stdout)
    except ProgramError:
        return None
    return int(found.group(1)) if found else None


def find_old(files: Mapping[bytes, bytes], password: Secret, root: Path) -> tuple[OldPkcs12, ...]:
    """Return a fact for each file, given as relative path and content, that is in old encryption.

    Also for those that cannot be read at all. Raises nothing.
    """
    looked_at = sorted(files)[:FILES]
    found = (_fact(path, files[path], password, root) for path in looked_at)
    rest = (
        OldPkcs12(path, reason=f"of more than {FILES} the rest is not looked at")
        for path in sorted(files)[FILES:]
    )
    return (*(fact for fact in found if fact is not None), *rest)


def _fact(path: bytes, content: bytes, password: Secret, root: Path) -> OldPkcs12 | None:
    try:
        schemes = _old_schemes(content)
    except NotEncryptedError as error:
        return OldPkcs12(path, reason=error.message)
    if not schemes:
        return None
    try:
        _read(content, password, root)
    except NotEncryptedError as error:
        return OldPkcs12(path, schemes, error.message)
    return OldPkcs12(path, schemes)


def encrypted_anew(content: bytes, password: Secret, root: Path) -> bytes:
    """Return a file with the same key, certificates and names in today's encryption, under the same password.

    That is AES-256 by PBES2, and a MAC of SHA-256, as OpenSSL 3 writes it. The result has been read again
    and compared. Raises `NotEncryptedError`.
    """
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

    _old_schemes(content)
    old = _read(content, password, root)
    alias = _alias(content, old)
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(ROUNDS)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(SHA256())
        .build(_bytes(password))
    )
    made: bytes = pkcs12.serialize_key_and_certificates(
        alias,
        old.key,  # type: ignore[arg-type]
        old.cert.certificate if old.cert else None,
        old.additional_certs,
        encryption,
    )
    new = _loaded(made, password)
    if _old_schemes(made) or _alias(made, new) != alias or _compared(new) != _compared(old):
        raise NotEncryptedError("what was encrypted anew does not hold the same")
    return made


def opened(content: bytes, password: Secret, root: Path) -> PKCS12KeyAndCertificates:
    """Open a file, in whatever encryption; raises `NotEncryptedError`. Programs are those of `root`."""
    if not _bearable(content).keys:
        raise NotEncryptedError(NO_KEY)
    return _read(content, password, root)


def certificates(content: bytes, password: Secret) -> tuple[Certificate, ...]:
    """Return all certificates in a file, with which key or none; raises `NotEncryptedError`."""
    _bearable(content)
    bundle = _loaded(content, password)
    held = (bundle.cert, *bundle.additional_certs)
    return tuple(one.certificate for one in held if one is not None)


def _bearable(content: bytes) -> Outline:
    """Return the outline of a file that takes no more work to open than one may ask for."""
    try:
        found = outline(content)
    except ValueError as error:
        raise NotEncryptedError(f"{NO_PKCS12}: {error}") from error
    if found.rounds > MOST_ROUNDS:
        raise NotEncryptedError(f"it asks for {found.rounds} rounds of key derivation")
    if found.key_bytes > LARGEST_KEY:
        raise NotEncryptedError(TOO_LARGE_KEY)
    return found


def _alias(content: bytes, bundle: PKCS12KeyAndCertificates) -> bytes | None:
    """Return the name that Java finds the key by; OpenSSL and Java give it to the certificate as well."""
    name = outline(content).alias
    certificates_name = bundle.cert.friendly_name if bundle.cert else None
    return certificates_name if name is None else name.encode("utf-8", "surrogatepass")


def _compared(bundle: PKCS12KeyAndCertificates) -> Any:
    """Return all that a file holds besides the alias, in a form that can be compared."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = bundle.key and bundle.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    others = (
        (c.friendly_name or b"", c.certificate.public_bytes(Encoding.DER)) for c in bundle.additional_certs
    )
    return key, bundle.cert and bundle.cert.certificate, sorted(others)


def _old_schemes(content: bytes) -> tuple[str, ...]:
    try:
        found = outline(content)
    except ValueError as error:
        raise NotEncryptedError(f"{NO_PKCS12}: {error}") from error
    if found.old_schemes and found.rounds > MOST_ROUNDS:
        raise NotEncryptedError(f"it asks for {found.rounds} rounds of key derivation")
    if found.old_schemes and found.keys > 1:
        raise NotEncryptedError(f"it holds {found.keys} keys; one is what is expected")
    return found.old_schemes


def _read(content: bytes, password: Secret, root: Path) -> PKCS12KeyAndCertificates:
    """Open a file that asks for no more work than one may; raises `NotEncryptedError`."""
    try:
        bundle = _loaded(content, password)
    except NotEncryptedError:
        opened = _opened_by_openssl(content, password, root)
        if opened is None:
            raise
        bundle = opened
    if bundle.key is None:
        raise NotEncryptedError(NO_KEY)
    return bundle


def _loaded(content: bytes, password: Secret) -> PKCS12KeyAndCertificates:
    from cryptography.hazmat.primitives.serialization import pkcs12

    try:
        with warnings.catch_warnings():
            # Old certificates break rules of today; that is not our subject.
            warnings.simplefilter("ignore")
            return pkcs12.load_pkcs12(content, _bytes(password))
    except Exception as error:
        # The parser of a stranger's bytes has many ways to say no, and the same words for each.
        raise NotEncryptedError(NOT_OPENED) from error


def _opened_by_openssl(content: bytes, password: Secret, root: Path) -> PKCS12KeyAndCertificates | None:
    """Let `openssl` open a file; None where there is none of version 3 or where it cannot either."""
    program = find_program("openssl", root)
    if program is None or (openssl_major(root) or 0) < 3:
        return None
    reader, writer = os.pipe()
    try:
        with open(writer, "wb") as pipe:
            pipe.write(_bytes(password)[:1024] + b"\n")
        words = ("pkcs12", "-legacy", "-nodes", "-passin", f"fd:{reader}")
        printed = process.run(Command(program, words, files=(reader,)), content).stdout
        return _bundle(printed)
    except (ProgramError, ValueError, TypeError):
        return None
    finally:
        os.close(reader)


def _bundle(printed: bytes) -> PKCS12KeyAndCertificates | None:
    """Return what stands in the PEM blocks that `openssl pkcs12` prints; None without key or certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.hazmat.primitives.serialization.pkcs12 import (
        PKCS12Certificate,
        PKCS12KeyAndCertificates,
    )

    keys, certificates = [], []
    for bag in _BAG.finditer(printed):
        if bag["kind"] == b"CERTIFICATE":
            name = _NAME.search(bag["attributes"] or b"")
            certificate = x509.load_pem_x509_certificate(bag["pem"])
            certificates.append(PKCS12Certificate(certificate, name.group(1) if name else None))
        else:
            keys.append(load_pem_private_key(bag["pem"], None))
    if len(keys) != 1:
        return None
    public = keys[0].public_key()
    main = next((c for c in certificates if c.certificate.public_key() == public), None)
    others = [certificate for certificate in certificates if certificate is not main]
    return PKCS12KeyAndCertificates(keys[0], main, others)


def _bytes(password: Secret) -> bytes:
    return password.reveal().encode("utf-8", "surrogateescape")
