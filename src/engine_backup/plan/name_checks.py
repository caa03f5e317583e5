"""Whether all that knows the engine's name knows the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine_backup.model.checks import Check, Outcome
from engine_backup.model.components import FILES
from engine_backup.model.pki import APACHE, ENGINE, ServiceFacts
from engine_backup.model.printable import printable

NAME = "FQDN"


@dataclass(frozen=True)
class Names:
    """The engine's names: `configured` in its own configuration, `others` by the place that says so.

    `alternative` are those by which it may be called as well.
    """

    configured: str
    others: Mapping[str, str] = field(default_factory=dict)
    alternative: tuple[str, ...] = ()


def fqdn(names: Names, services: tuple[ServiceFacts, ...]) -> Check:
    """Say whether the places agree, and whether the certificate that browsers see is for that name.

    The engine's own certificate keeps the name that the engine was set up with, also when it was renamed.
    """
    if not names.configured:
        return Check(FILES.name, NAME, Outcome.FAIL, findings=("no configuration file says ENGINE_FQDN",))
    shown = printable(names.configured)
    findings = [
        f"{place} says {printable(name)}, but ENGINE_FQDN is {shown}"
        for place, name in names.others.items()
        if name and not _same(name, names.configured)
    ]
    accepted = (names.configured, *names.alternative)
    detail = shown
    for service in services:
        if not service.names or any(covers(name, own) for name in service.names for own in accepted):
            continue
        text = f"{service.path} is for {', '.join(service.names[:5])}, not for {shown}"
        if service.name == APACHE:
            findings.append(text)
        elif service.name == ENGINE:
            detail += f"; {text}"
    return Check(FILES.name, NAME, Outcome.FAIL if findings else Outcome.PASS, detail, tuple(findings))


def covers(name: str, fqdn: str) -> bool:
    """Whether a certificate for `name`, which may begin with `*.`, is one for a host (RFC 6125, 6.4.3)."""
    if name.startswith("*."):
        return _same(name[2:], fqdn.partition(".")[2])
    return _same(name, fqdn)


def _same(one: str, other: str) -> bool:
    return one.rstrip(".").lower() == other.rstrip(".").lower()
