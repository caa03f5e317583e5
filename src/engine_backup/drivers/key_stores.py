"""Whether a PKCS#12 file opens, and holds a certificate with its key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine_backup.drivers import pkcs12
from engine_backup.model.secret import Secret

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

OTHER_CERTIFICATE = "it holds another certificate than the one beside it"
OTHER_KEY = "its key is not that of its certificate"


def problem(content: bytes, password: Secret, certificate: Certificate | None, root: Path) -> str:
    """Return what is wrong with a key store, or "".

    It shall open with the password, and hold this certificate (None: any) with its key.
    """
    if len(content) > pkcs12.SIZE_LIMIT:
        return pkcs12.TOO_LARGE
    try:
        bundle = pkcs12.opened(content, password, root)
    except pkcs12.NotEncryptedError as error:
        return error.message
    held = bundle.cert.certificate if bundle.cert else None
    if held is None:
        return OTHER_KEY if bundle.additional_certs else "it holds no certificate"
    if bundle.key is None or bundle.key.public_key() != held.public_key():
        return OTHER_KEY
    return OTHER_CERTIFICATE if certificate is not None and held != certificate else ""
