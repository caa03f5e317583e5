"""What a drill says about the keys and certificates of a restored engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from engine_backup.model.checks import Check, Outcome
from engine_backup.model.components import FILES
from engine_backup.model.pki import (
    APACHE,
    DIRECTORY,
    ENGINE,
    OWN_AUTHORITY,
    RETIRED,
    Issuer,
    PkiFacts,
    PkiFile,
    ServiceFacts,
)
from engine_backup.model.preflight import CertificateFact
from engine_backup.plan.preflight import SOON

CERTIFICATES, KEYS, STORES = "certificates", "keys", "key stores"
MOST_NOTES = 5


def certificates(facts: PkiFacts, when: datetime) -> Check:
    """Say whether each certificate leads to an archived authority, and is valid at `when` (in a time zone).

    One that has expired fails: with it the engine is not trusted by anything, or does not start.
    """
    findings = list(_missing_certificates(facts))
    unchecked: list[str] = []
    notes: list[str] = []
    for authority in facts.authorities:
        if authority.certificate is not None:
            findings += _validity(authority.certificate, when)
            notes += _expiring(authority.certificate, when)
    for service in facts.services:
        wrong = [*_signature(service, facts), *_service_validity(service, when)]
        if service.name in RETIRED:
            notes += [f"{finding} (of a service that is gone)" for finding in wrong]
        else:
            findings += wrong
            notes += _expiring(service.certificate, when)
        if service.issuer is Issuer.UNCHECKED:
            unchecked.append(f"{service.path}: its signature is of a kind that cannot be checked here")
    looked_at = sum(1 for service in facts.services if service.certificate is not None)
    detail = f"{looked_at} certificates of services"
    detail += f", not looked at: {facts.hosts} of other machines" if facts.hosts else ""
    return _check(CERTIFICATES, detail, findings, notes, unchecked)


def keys(facts: PkiFacts) -> Check:
    """Say whether each key is that of its certificate."""
    files = [authority.key for authority in facts.authorities]
    files += [key for service in facts.services for key in service.keys]
    required = (f"{DIRECTORY}/private/ca.pem", f"{DIRECTORY}/keys/{APACHE}.key.nopass")
    findings = [*_missing(files, required), *_problems(files)]
    return _check(KEYS, f"{_present(files)} keys", findings)


def stores(facts: PkiFacts) -> Check:
    """Say whether the key stores open with the archived password and hold what lies beside them.

    Of a certificate that the engine's own authority did not sign, only the engine's own store is held
    to that: the store that came with it keeps the password that it came with, and nothing reads it.
    """
    findings: list[str] = []
    notes: list[str] = []
    for service in facts.services:
        strict = service.name == ENGINE or service.issuer is Issuer.OWN
        strict = strict and service.name not in RETIRED
        (findings if strict else notes).extend(_problems([service.store]))
    files = [service.store for service in facts.services]
    findings += _missing(
        [*files, facts.trust_store], (f"{DIRECTORY}/keys/{ENGINE}.p12", facts.trust_store.path)
    )
    findings += _problems([facts.trust_store])
    notes += (
        [] if facts.trust_store.looked_into else [f"{facts.trust_store.path} is in a form not known here"]
    )
    notes += [f"not opened, since no certificate lies beside it: {path}" for path in facts.other_stores]
    return _check(STORES, f"{_present(files)} key stores", findings, notes)


def _missing_certificates(facts: PkiFacts) -> Iterator[str]:
    own = next((a for a in facts.authorities if a.path == OWN_AUTHORITY), None)
    if own is None or own.certificate is None:
        yield f"{OWN_AUTHORITY} is missing"
    present = {service.name for service in facts.services if service.certificate is not None}
    yield from (
        f"{DIRECTORY}/certs/{name}.cer is missing" for name in (ENGINE, APACHE) if name not in present
    )


def _signature(service: ServiceFacts, facts: PkiFacts) -> Iterator[str]:
    certificate = service.certificate
    if certificate is None or not certificate.readable:
        return
    if service.name == ENGINE and service.issuer is Issuer.OTHER:
        yield f"{_named(certificate)} is not signed by {OWN_AUTHORITY}"
    elif service.issuer is Issuer.NOBODY and not _is_elsewhere(service, facts):
        yield f"{_named(certificate)} is signed by {service.issuer.value}"


def _is_elsewhere(service: ServiceFacts, facts: PkiFacts) -> bool:
    return service.name != ENGINE and bool(facts.apache_authority_elsewhere)


def _service_validity(service: ServiceFacts, when: datetime) -> Iterator[str]:
    if service.certificate is None:
        return
    yield from _validity(service.certificate, when)
    # Those of the engine's own authorities are told of with the authorities.
    beyond = [service.authority] if service.issuer is Issuer.OTHER and service.authority else []
    for certificate in (*service.above, *beyond):
        for finding in _validity(certificate, when):
            yield f"{finding}; it stands above {service.path}"


def _validity(certificate: CertificateFact, when: datetime) -> Iterator[str]:
    if not certificate.readable or certificate.not_before is None or certificate.not_after is None:
        yield f"{certificate.path} cannot be read: {certificate.reason}"
    elif certificate.not_after <= when:
        yield f"{_named(certificate)} expired on {certificate.not_after:%Y-%m-%d}"
    elif certificate.not_before > when:
        yield f"{_named(certificate)} is not valid before {certificate.not_before:%Y-%m-%d}"


def _expiring(certificate: CertificateFact | None, when: datetime) -> Iterator[str]:
    end = certificate.not_after if certificate else None
    if certificate and end and when < end <= when + SOON:
        yield f"{certificate.path} expires on {end:%Y-%m-%d}"


def _named(certificate: CertificateFact) -> str:
    return f"{certificate.path} ({certificate.subject})"


def _missing(files: Iterable[PkiFile], required: Iterable[str]) -> list[str]:
    present = {file.path for file in files if file.present}
    return [f"{path} is missing" for path in required if path not in present]


def _problems(files: Iterable[PkiFile]) -> list[str]:
    return [f"{file.path}: {file.problem}" for file in files if file.problem]


def _present(files: Iterable[PkiFile]) -> int:
    return sum(1 for file in files if file.present)


def _check(
    name: str, detail: str, findings: list[str], notes: Iterable[str] = (), unchecked: Iterable[str] = ()
) -> Check:
    """Return a check that fails with the findings; where there are none, what is unchecked keeps it red."""
    unchecked = tuple(unchecked)
    outcome = Outcome.FAIL if findings else Outcome.COULD_NOT_RUN if unchecked else Outcome.PASS
    told = [*dict.fromkeys(notes)]
    more = [f"and {len(told) - MOST_NOTES} more"] if len(told) > MOST_NOTES else []
    detail = "; ".join((detail, *told[:MOST_NOTES], *more))
    return Check(FILES.name, name, outcome, detail, (*dict.fromkeys(findings), *unchecked))
