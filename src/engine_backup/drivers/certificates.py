"""Reading certificates out of archived files: who they are of, and until when they are valid.

The files are as hostile as the archive. What cannot be read becomes a fact with a reason: a broken
certificate is a warning, and no reason not to restore.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine_backup.drivers.pki_names import certificate_of, names_among
from engine_backup.model.pki import APACHE_AUTHORITY, DIRECTORY, OWN_AUTHORITY, QEMU_AUTHORITY
from engine_backup.model.preflight import CertificateFact
from engine_backup.model.printable import printable_name

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_BELOW = os.fsencode(f"{DIRECTORY[1:]}/")
BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")

SIZE_LIMIT = 1 << 18
CERTIFICATES_PER_FILE = 16
AUTHORITIES = (OWN_AUTHORITY, APACHE_AUTHORITY, QEMU_AUTHORITY)
SUBJECT_LENGTH = 120


@dataclass(frozen=True)
class Chosen:
    """The certificates of the engine's machine; how many there are of `hosts` and other machines besides."""

    paths: tuple[bytes, ...] = ()
    hosts: int = 0


def choose(names: Iterable[bytes]) -> Chosen:
    """Return which of archived paths, relative to the root and without `./`, are to be given to `read`.

    They are those of the authorities and services. What the engine has ever signed for hosts
    (certs/HOST.cer), and copies of all of it under numbers (certs/NN.pem), goes into the thousands.
    """
    below = [f"/{os.fsdecode(name)}" for name in names if name.startswith(_BELOW)]
    found = names_among(below)
    wanted = (*(path for path in AUTHORITIES if path in below), *map(certificate_of, found.services))
    return Chosen(tuple(os.fsencode(path[1:]) for path in wanted), found.hosts)


def read(files: Mapping[bytes, bytes]) -> tuple[CertificateFact, ...]:
    """Return a fact for each certificate in files given as relative path and content; raises nothing."""
    return tuple(fact for path in sorted(files) for fact in _facts(path, files[path]))


def read_chosen(chosen: Chosen, files: Mapping[bytes, bytes]) -> tuple[CertificateFact, ...]:
    """Return what `read` does, for the chosen ones of the files."""
    return read({path: files[path] for path in chosen.paths if path in files})


def read_below(root: Path, chosen: Chosen) -> tuple[CertificateFact, ...]:
    """Return what `read` does, for the chosen ones of the files below a root directory."""
    found = ((name, _content(os.path.join(os.fsencode(root), name))) for name in chosen.paths)
    return read({name: content for name, content in found if content is not None})


def to_json(fact: CertificateFact) -> dict[str, Any]:
    """Return plain data, times in UTC as ISO 8601."""
    times = {"not_before": fact.not_before, "not_after": fact.not_after}
    return {**asdict(fact), **{name: when and when.isoformat() for name, when in times.items()}}


def _content(path: bytes) -> bytes | None:
    """Return the beginning of a regular file; None for links and for what cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            return stream.read(SIZE_LIMIT + 1) if regular else None
    except OSError:
        return None


def _facts(path: bytes, content: bytes) -> Iterator[CertificateFact]:
    shown = printable_name(b"/" + path)
    if len(content) > SIZE_LIMIT:
        yield unreadable(shown, f"{len(content)} bytes are more than a certificate has")
        return
    blocks = BLOCK.findall(content)
    if not blocks:
        yield unreadable(shown, "no certificate in it")
    for block in blocks[:CERTIFICATES_PER_FILE]:
        yield _fact(shown, block)
    if len(blocks) > CERTIFICATES_PER_FILE:
        yield unreadable(
            shown, f"{len(blocks)} certificates in it, of which {CERTIFICATES_PER_FILE} were read"
        )


def _fact(shown: str, block: bytes) -> CertificateFact:
    from cryptography import x509

    try:
        with warnings.catch_warnings():
            # Old authorities have serial numbers that newer rules do not allow; that is not our subject.
            warnings.simplefilter("ignore")
            return describe(shown, x509.load_pem_x509_certificate(block))
    except Exception as error:
        # The parser of a stranger's bytes has many ways to say no, and no common one.
        return unreadable(shown, printable_part(str(error)) or type(error).__name__)


def describe(shown: str, certificate: Certificate) -> CertificateFact:
    """Return what is told of a certificate of the file `shown`; raises whatever its content leads to."""
    return CertificateFact(
        path=shown,
        subject=printable_part(certificate.subject.rfc4514_string()),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        is_authority=_is_authority(certificate),
    )


def _is_authority(certificate: Certificate) -> bool:
    """Say whether it may sign others; the oldest authorities say so only by having signed themselves."""
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return certificate.issuer == certificate.subject


def unreadable(shown: str, reason: str) -> CertificateFact:
    """Return the fact of a certificate that cannot be read."""
    return CertificateFact(shown, readable=False, reason=reason)


def printable_part(text: str) -> str:
    """Return a text without what a terminal would obey, and not too long for a line."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= SUBJECT_LENGTH else plain[: SUBJECT_LENGTH - 1] + "…"
