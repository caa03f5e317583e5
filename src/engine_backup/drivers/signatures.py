"""Whether one certificate has signed another, also with what nobody signs with any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


class UncheckedError(Exception):
    """A signature is of a kind that is not known here."""


def has_signed(authority: Certificate, signed: Certificate) -> bool:
    """Say whether an authority has signed a certificate; raises `UncheckedError`."""
    from cryptography.exceptions import InvalidSignature

    if authority.subject != signed.issuer:
        return False
    try:
        signed.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError):
        return False
    except ValueError:
        return _has_signed_of_old(authority, signed)
    except Exception as error:
        raise UncheckedError from error
    return True


def _has_signed_of_old(authority: Certificate, signed: Certificate) -> bool:
    """Check a signature with SHA-1 or MD5, as engines of 3.x made them: the library leaves them to us."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key, digest = authority.public_key(), signed.signature_hash_algorithm
        if not isinstance(key, RSAPublicKey) or digest is None:
            raise UncheckedError
        key.verify(signed.signature, signed.tbs_certificate_bytes, PKCS1v15(), digest)
    except InvalidSignature:
        return False
    except Exception as error:
        # Refused each in its own way: by the system's policy, or as something nobody has heard of.
        raise UncheckedError from error
    return True
