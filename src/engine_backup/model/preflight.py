"""What was looked at before a restore, besides archive and databases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine_backup.model.components import Component
from engine_backup.model.services import Service


@dataclass(frozen=True)
class CertificateFact:
    """One certificate of an archived file; a file may hold several.

    `path` is absolute, for people. Times are in UTC, None when the file is not `readable`, for which
    `reason` says why. `subject` is fit to be printed. `is_authority`: it signs other certificates.
    """

    path: str
    subject: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    is_authority: bool = False
    readable: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Volume:
    """The file system below a directory: its device number, and the bytes that are free for us.

    `free` None: the file system does not tell.
    """

    directory: str
    device: int
    free: int | None


@dataclass(frozen=True)
class SpaceFact:
    """What one thing needs on a file system, in bytes.

    `place` says to people what for: "the restored files". `reason` says how an estimate was made, and
    is empty for what is known exactly. `movable_by` is the option that puts it elsewhere.
    """

    place: str
    volume: Volume
    needed: int
    reason: str = ""
    movable_by: str = ""


@dataclass(frozen=True)
class ServiceFact:
    """A service of the table, and whether it runs here."""

    service: Service
    running: bool

    @property
    def unit(self) -> str:
        """The name of its systemd unit."""
        return self.service.unit

    @property
    def label(self) -> str:
        """Its name for people."""
        return self.service.label

    @property
    def stops(self) -> bool:
        """Whether we stop it ourselves."""
        return self.service.stops


@dataclass(frozen=True)
class PackageFact:
    """Whether a package that a component of the archive needs is installed; None: nothing tells."""

    component: Component
    package: str
    installed: bool | None


@dataclass(frozen=True)
class PreflightFacts:
    """All of it. `hosted_engine`: the archive's engine ran in a machine that it managed itself.

    `openssl_major` is the major version of OpenSSL here, None when nothing tells it. `relabels` says whether
    restored files can be given SELinux labels; None where SELinux is off.
    """

    certificates: tuple[CertificateFact, ...] = ()
    spaces: tuple[SpaceFact, ...] = ()
    services: tuple[ServiceFact, ...] = ()
    packages: tuple[PackageFact, ...] = ()
    hosted_engine: bool = False
    openssl_major: int | None = None
    relabels: bool | None = None
