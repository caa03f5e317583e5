"""What is known of archived PKCS#12 files in encryption that current libraries do not read any more."""

from __future__ import annotations

from dataclasses import dataclass

from engine_backup.model.secret import Secret


@dataclass(frozen=True)
class OldPkcs12:
    """One such file; `path` is relative to the root, `schemes` names its encryption.

    `reason` says why it cannot be encrypted anew, and is empty when it can.
    """

    path: bytes
    schemes: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Pkcs12Facts:
    """All of them in an archive, and the password that its configuration gives them."""

    password: Secret
    old: tuple[OldPkcs12, ...] = ()
