"""Java's trust stores, of either kind: whether one is whole, and holds an authority.

JKS: https://docs.oracle.com/javase/8/docs/api/java/security/KeyStore.html, and at its end a digest of the
password in UTF-16, a phrase that is the same for all, and what stands before. PKCS#12 since Java 9.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from engine_backup.drivers import pkcs12
from engine_backup.drivers.pkcs12_outline import outline
from engine_backup.model.secret import Secret

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

JKS = b"\xfe\xed\xfe\xed"
VERSIONS = (b"\0\0\0\1", b"\0\0\0\2")
WITHOUT_AUTHORITY = "it does not hold the engine's authority"
_PHRASE = b"Mighty Aphrodite"
_DIGEST_BYTES = 20


def problem(content: bytes, password: Secret, authority: Certificate | None) -> str | None:
    """Return what is wrong with a trust store, "" for nothing, None for a form that is not known here.

    It shall be whole, and hold this authority's certificate (None: any).
    """
    if not content:
        return "it is empty"
    if content[:4] == JKS and content[4:8] in VERSIONS:
        return _problem_of_jks(content, password, authority)
    return _problem_of_pkcs12(content, password, authority)


def _problem_of_jks(content: bytes, password: Secret, authority: Certificate | None) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    salted = password.reveal().encode("utf-16-be", "surrogatepass") + _PHRASE + content[:-_DIGEST_BYTES]
    digest = hashlib.sha1(salted, usedforsecurity=False).digest()
    if not hmac.compare_digest(digest, content[-_DIGEST_BYTES:]):
        return pkcs12.NOT_OPENED
    is_held = authority is None or authority.public_bytes(Encoding.DER) in content
    return "" if is_held else WITHOUT_AUTHORITY


def _problem_of_pkcs12(content: bytes, password: Secret, authority: Certificate | None) -> str | None:
    try:
        found = outline(content)
    except ValueError:
        return None
    try:
        held = pkcs12.certificates(content, password)
    except pkcs12.NotEncryptedError as error:
        # Some builds of the library do not read what Java wrote before its version 11.0.12.
        return None if found.old_schemes else error.message
    return "" if authority is None or authority in held else WITHOUT_AUTHORITY
