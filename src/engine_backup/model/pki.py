"""What is known of the keys and certificates of a restored engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from engine_backup.model.preflight import CertificateFact

DIRECTORY = "/etc/pki/ovirt-engine"
ENGINE, APACHE = "engine", "apache"
OWN_AUTHORITY = f"{DIRECTORY}/ca.pem"
QEMU_AUTHORITY = f"{DIRECTORY}/qemu-ca.pem"
APACHE_AUTHORITY = f"{DIRECTORY}/apache-ca.pem"
TRUST_STORE = f"{DIRECTORY}/.truststore"
# Services of former releases: nothing uses or renews their certificates any more, and upgrades left them.
RETIRED = frozenset({"jboss", "reports", "imageio-proxy"})


class Issuer(Enum):
    """Who signed a certificate, up to one of the archived authorities."""

    OWN = "an authority of the engine's own"
    OTHER = "the authority that Apache was given"
    NOBODY = "none of the archived authorities"
    UNCHECKED = "not known: the signature cannot be checked here"


@dataclass(frozen=True)
class PkiFile:
    """A restored file, as an absolute path.

    `problem` is what is wrong with it, "" of a sound or a missing one. `looked_into`: False when its form
    is not known here.
    """

    path: str
    present: bool = True
    problem: str = ""
    looked_into: bool = True


@dataclass(frozen=True)
class AuthorityFacts:
    """An authority of the engine's own, and its key; `certificate` None: it has no file."""

    path: str
    certificate: CertificateFact | None
    key: PkiFile


@dataclass(frozen=True)
class ServiceFacts:
    """A service with a certificate of its own: `certs/NAME.cer`, and what belongs to it.

    `certificate` is the first in the file, None when there is no file; `above` those that lead to the
    authority, without it; `authority` that itself. `names` are those that it is valid for. `store` is
    `keys/NAME.p12`.
    """

    name: str
    path: str
    certificate: CertificateFact | None
    keys: tuple[PkiFile, ...]
    store: PkiFile
    above: tuple[CertificateFact, ...] = ()
    authority: CertificateFact | None = None
    issuer: Issuer = Issuer.NOBODY
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class PkiFacts:
    """All of it. `other_stores` have no certificate beside them, so nothing tells their password.

    `apache_authority_elsewhere` is the target of a link that leads out of the archive. `hosts` is the number
    of certificates that were made for other machines.
    """

    authorities: tuple[AuthorityFacts, ...]
    services: tuple[ServiceFacts, ...]
    trust_store: PkiFile
    other_stores: tuple[str, ...] = ()
    apache_authority_elsewhere: str = ""
    hosts: int = 0
