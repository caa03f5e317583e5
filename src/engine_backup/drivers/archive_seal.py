"""The seal of an archive that is packed with gzip as a whole.

gzip checks what comes out, not what goes in: the time in its header, and matches that might
as well lie elsewhere, can change unseen. So an archive ends with a second, empty gzip
stream, whose extra field holds the SHA-256 of all bytes before it. gzip, tar and
Python read over it (RFC 1952, 2.2 and 2.3.1.1).
"""

from __future__ import annotations

_HEADER_WITH_EXTRA_FIELD = b"\x1f\x8b\x08\x04" + bytes(5) + b"\x03"
_FIELD = b"EB"
_DIGEST_BYTES = 32
_NOTHING = b"\x03\x00" + bytes(8)


def seal(digest: bytes) -> bytes:
    """Return the seal for the SHA-256 (32 bytes) of what stands before it."""
    field = _FIELD + _DIGEST_BYTES.to_bytes(2, "little") + digest
    return _HEADER_WITH_EXTRA_FIELD + len(field).to_bytes(2, "little") + field + _NOTHING


SIZE = len(seal(bytes(_DIGEST_BYTES)))
