"""Java's trust stores: whether one is whole. Its password protects nothing but that.

The form: https://docs.oracle.com/javase/8/docs/api/java/security/KeyStore.html ("JKS"), and the digest at
its end, of the password in UTF-16, a phrase that is the same for all, and what stands before.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from engine_backup.model.secret import Secret

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

JKS = b"\xfe\xed\xfe\xed"
VERSIONS = (b"\0\0\0\1", b"\0\0\0\2")
_PHRASE = b"Mighty Aphrodite"
_DIGEST_BYTES = 20


def is_known(content: bytes) -> bool:
    """Whether `problem` can tell anything about it."""
    return content[:4] == JKS and content[4:8] in VERSIONS


def problem(content: bytes, password: Secret, authority: Certificate | None) -> str:
    """Return what is wrong with a trust store; "" also for one in a form that is not known here.

    It shall be whole, and hold this authority's certificate (None: any).
    """
    if not content:
        return "it is empty"
    if not is_known(content):
        return ""
    salted = password.reveal().encode("utf-16-be", "surrogatepass") + _PHRASE + content[:-_DIGEST_BYTES]
    digest = hashlib.sha1(salted, usedforsecurity=False).digest()
    if not hmac.compare_digest(digest, content[-_DIGEST_BYTES:]):
        return "it has another password than the one in 10-setup-pki.conf, or is damaged"
    return (
        "" if authority is None or _der(authority) in content else "it does not hold the engine's authority"
    )


def _der(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)
