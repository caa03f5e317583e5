"""Whose certificates lie in an engine's PKI, told from the names of its files alone.

What the engine has signed for a host lies beside the certificates of its own services, also when that host is
long gone; its key is on that host only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from engine_backup.model.pki import APACHE, DIRECTORY, ENGINE

_NAMED = re.compile(
    r"certs/(?P<certified>[^/]+)\.cer|keys/(?P<store>[^/]+)\.p12|keys/(?P<key>[^/]+)\.key\.nopass"
)
# Far more than any engine has; what a stranger adds is not looked at for hours.
SERVICES = 32


@dataclass(frozen=True)
class PkiNames:
    """`services` of the engine's machine that have a certificate, its own first, at most `SERVICES`.

    `stores` are the names of all key stores. `hosts` is the number of certificates that are of no service.
    """

    services: tuple[str, ...]
    stores: tuple[str, ...]
    certified: frozenset[str]
    hosts: int


def names_among(paths: Iterable[str]) -> PkiNames:
    """Return who is named by those of the absolute paths that are files of the PKI.

    A service is the engine, Apache, or who has a key or a key store beside its certificate.
    """
    directory = f"{DIRECTORY}/"
    found = [_NAMED.fullmatch(path[len(directory) :]) for path in paths if path.startswith(directory)]
    certified, stores, keys = (
        dict.fromkeys(match[what] for match in found if match and match[what])
        for what in ("certified", "store", "key")
    )
    own = [name for name in (ENGINE, APACHE) if name in certified]
    others = [name for name in certified if name not in own and (name in keys or name in stores)]
    services = (*own, *others)
    return PkiNames(services[:SERVICES], tuple(stores), frozenset(certified), len(certified) - len(services))


def certificate_of(name: str) -> str:
    """Return where the certificate of a service lies."""
    return f"{DIRECTORY}/certs/{name}.cer"
