"""What the keys and certificates of a restored engine are to each other.

The files are as hostile as the archive; what cannot be read becomes a fact with a reason. Nothing of a key
or a password is in any of these.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from engine_backup.drivers import certificates, key_stores, pkcs12, trust_stores
from engine_backup.drivers.pki_names import certificate_of, names_among
from engine_backup.drivers.restored_files import UnreadableFileError
from engine_backup.drivers.signatures import UncheckedError, has_signed
from engine_backup.model.pki import (
    APACHE_AUTHORITY,
    DIRECTORY,
    ENGINE,
    OWN_AUTHORITY,
    QEMU_AUTHORITY,
    TRUST_STORE,
    AuthorityFacts,
    Issuer,
    PkiFacts,
    PkiFile,
    ServiceFacts,
)
from engine_backup.model.preflight import CertificateFact
from engine_backup.model.printable import printable
from engine_backup.model.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

Read = Callable[[str], Optional[bytes]]
"""Returns the content of a file by its absolute path, None for a missing one; `UnreadableFileError`."""

_KEY = re.compile(
    rb"-----BEGIN (?P<kind>(?:[A-Z0-9]+ )*)PRIVATE KEY-----[^-]*-----END (?P=kind)PRIVATE KEY-----"
)
OWN_AUTHORITIES = {
    OWN_AUTHORITY: f"{DIRECTORY}/private/ca.pem",
    QEMU_AUTHORITY: f"{DIRECTORY}/private/qemu-ca.pem",
}
# Besides keys/NAME.key.nopass.
MORE_KEYS = {ENGINE: f"{DIRECTORY}/keys/engine_id_rsa"}
LONGEST_CHAIN = 8

OTHER_KEY = "it is not the key of {}"


@dataclass(frozen=True)
class Passwords:
    """Those that the archived configuration gives, of the key stores and of the trust store."""

    stores: Secret
    trust_store: Secret


@dataclass(frozen=True)
class _Loaded:
    """The certificates of a file, the first of them first. `problem`: why there are none."""

    path: str
    certificates: tuple[Certificate, ...] = ()
    problem: str = ""

    @property
    def first(self) -> Certificate | None:
        return self.certificates[0] if self.certificates else None

    def fact(self) -> CertificateFact | None:
        """Return the first one's; None for a missing file."""
        if self.first is None:
            return certificates.unreadable(self.path, self.problem) if self.problem else None
        return _fact(self.path, self.first)


def look(paths: Sequence[str], read: Read, passwords: Passwords, when: datetime, root: Path) -> PkiFacts:
    """Return the facts of those of the absolute paths that belong to the PKI; raises nothing.

    Of an authority that was renewed under its old name, the certificate that is valid at `when` counts.
    Programs are those of `root`.
    """
    names = names_among(paths)
    own = {path: _load(path, read) for path in OWN_AUTHORITIES}
    authorities = [*own.values(), _load(APACHE_AUTHORITY, read)]
    engine = _Engine(read, passwords, when, root, tuple(authorities))
    return PkiFacts(
        authorities=tuple(
            AuthorityFacts(path, loaded.fact(), engine.key(OWN_AUTHORITIES[path], loaded))
            for path, loaded in own.items()
        ),
        services=tuple(engine.service(name) for name in names.services),
        trust_store=engine.trust_store(),
        other_stores=tuple(
            printable(f"{DIRECTORY}/keys/{s}.p12") for s in names.stores if s not in names.certified
        ),
        hosts=names.hosts,
    )


@dataclass(frozen=True)
class _Engine:
    """Where files, passwords and authorities are."""

    read: Read
    passwords: Passwords
    when: datetime
    root: Path
    authorities: tuple[_Loaded, ...]

    def service(self, name: str) -> ServiceFacts:
        """Return the facts of one service."""
        loaded = _load(certificate_of(name), self.read)
        keys = [f"{DIRECTORY}/keys/{name}.key.nopass", *([MORE_KEYS[name]] if name in MORE_KEYS else [])]
        issuer, above, authority = self._chain(loaded)
        return ServiceFacts(
            name=printable(name),
            path=printable(loaded.path),
            certificate=loaded.fact(),
            keys=tuple(self.key(path, loaded) for path in keys),
            store=self._store(f"{DIRECTORY}/keys/{name}.p12", loaded),
            above=above,
            authority=authority,
            issuer=issuer,
            names=_names(loaded.first),
        )

    def key(self, path: str, owner: _Loaded) -> PkiFile:
        """Return what is the matter with the key of the file's first certificate."""
        return _looked_at(path, self.read, lambda content: _key_problem(content, owner))

    def trust_store(self) -> PkiFile:
        """Return what is the matter with the authorities that Java trusts."""
        known = True

        def problem(content: bytes) -> str:
            nonlocal known
            found = trust_stores.problem(content, self.passwords.trust_store, self.authorities[0].first)
            known = found is not None
            return found or ""

        return replace(_looked_at(TRUST_STORE, self.read, problem), looked_into=known)

    def _store(self, path: str, owner: _Loaded) -> PkiFile:
        def problem(content: bytes) -> str:
            return key_stores.problem(content, self.passwords.stores, owner.first, self.root)

        return _looked_at(path, self.read, problem)

    def _chain(self, loaded: _Loaded) -> tuple[Issuer, tuple[CertificateFact, ...], CertificateFact | None]:
        """Follow signatures up to an archived authority."""
        at = loaded.first
        above: list[CertificateFact] = []
        if at is None:
            return Issuer.NOBODY, (), None
        roots = [(a.path, c) for a in self.authorities for c in a.certificates]
        known = [*roots, *((loaded.path, c) for c in loaded.certificates[1:])]
        try:
            for _ in range(LONGEST_CHAIN):
                path, signer = next(self._signers(at, known), ("", None))
                if signer is None:
                    break
                if (path, signer) in roots:
                    issuer = Issuer.OTHER if path == APACHE_AUTHORITY else Issuer.OWN
                    return issuer, tuple(above), _fact(path, signer)
                above.append(_fact(path, signer))
                at = signer
        except UncheckedError:
            return Issuer.UNCHECKED, tuple(above), None
        return Issuer.NOBODY, tuple(above), None

    def _signers(
        self, signed: Certificate, known: Sequence[tuple[str, Certificate]]
    ) -> Iterator[tuple[str, Certificate]]:
        """Yield who signed it, those first that are valid now."""
        for path, one in sorted(known, key=lambda item: not self._is_valid(item[1])):
            if has_signed(one, signed):
                yield path, one

    def _is_valid(self, one: Certificate) -> bool:
        return one.not_valid_before_utc <= self.when < one.not_valid_after_utc


def _load(path: str, read: Read) -> _Loaded:
    from cryptography import x509

    shown = printable(path)
    try:
        content = read(path)
        if content is None:
            return _Loaded(shown)
        blocks = certificates.BLOCK.findall(content)[: certificates.CERTIFICATES_PER_FILE]
        with warnings.catch_warnings():
            # Old authorities have serial numbers that newer rules do not allow; that is not our subject.
            warnings.simplefilter("ignore")
            loaded = tuple(x509.load_pem_x509_certificate(block) for block in blocks)
            for certificate in loaded:
                certificates.describe(shown, certificate)
    except UnreadableFileError as error:
        return _Loaded(shown, problem=printable(error.message))
    except Exception as error:
        # The parser of a stranger's bytes has many ways to say no, and no common one.
        return _Loaded(shown, problem=certificates.printable_part(str(error)) or type(error).__name__)
    return _Loaded(shown, loaded, "" if loaded else "no certificate in it")


def _fact(path: str, certificate: Certificate) -> CertificateFact:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return certificates.describe(path, certificate)


def _names(certificate: Certificate | None) -> tuple[str, ...]:
    """Return the names of hosts that a certificate is for: alternative ones, else the common name."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    if certificate is None:
        return ()
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names: list[str] = found.get_values_for_type(x509.DNSName)
        names += [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    except Exception:
        # Without the extension, or with one that cannot be parsed.
        names = []
    if not names:
        names = [str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(printable(name) for name in names)


def _looked_at(path: str, read: Read, problem: Callable[[bytes], str]) -> PkiFile:
    shown = printable(path)
    try:
        content = read(path)
    except UnreadableFileError as error:
        return PkiFile(shown, problem=printable(error.message))
    return PkiFile(shown, present=False) if content is None else PkiFile(shown, problem=problem(content))


def _key_problem(content: bytes, owner: _Loaded) -> str:
    found = _KEY.search(content)
    if found is None:
        return "no private key in it"
    # PEM has four letters for three bytes, and its first and last line.
    if len(found.group()) * 3 // 4 > pkcs12.LARGEST_KEY + 100:
        return pkcs12.TOO_LARGE_KEY
    try:
        key = _private_key(found.group(), found["kind"])
        fits = owner.first is None or key.public_key() == owner.first.public_key()
    except Exception as error:
        # The parser of a stranger's bytes has many ways to say no; its words may show what it read.
        return "it needs a password" if isinstance(error, TypeError) else "it is no key that can be read"
    return "" if fits else OTHER_KEY.format(owner.path)


def _private_key(block: bytes, kind: bytes) -> PrivateKeyTypes:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    if kind == b"OPENSSH ":
        return load_ssh_private_key(block, None)
    return load_pem_private_key(block, None)
