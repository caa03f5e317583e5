"""What stands in the way of a restore, and what the admin should know, besides archive and databases.

Which is which: design section 9, "Severity".
"""

from __future__ import annotations

from datetime import datetime, timedelta

from engine_backup.model.errors import Problem
from engine_backup.model.preflight import CertificateFact, PackageFact, PreflightFacts, ServiceFact
from engine_backup.plan import space

SOON = timedelta(days=30)
LEAF_ADVICE = "engine-setup offers to renew it"
# Renewing an authority makes all that it ever signed worthless (reference 14, OVESETUP_PKI/renew).
AUTHORITY_ADVICE = (
    "no host and no browser trusts the engine after that: let engine-setup renew the PKI after the restore,"
    " then enroll the certificate of every host again"
)
HOSTED_ENGINE_NOTE = (
    "the backup is that of a hosted engine: to bring back its machine too, use 'hosted-engine --deploy"
    " --restore-from-file=FILE'; redeploy hosted-engine hosts that exist already right after the restore"
    " (docs/restore-guide.md)"
)

NO_RESTORECON = Problem("SELinux is on, but there is no restorecon", "dnf install policycoreutils")


def warnings(facts: PreflightFacts, now: datetime) -> tuple[str, ...]:
    """Return what does not keep a restore from running; `now` has a time zone."""
    found = [_certificate_warning(certificate, now) for certificate in facts.certificates]
    found += [_package_warning(package) for package in facts.packages]
    found += [_service_warning(service) for service in facts.services]
    found += [HOSTED_ENGINE_NOTE if facts.hosted_engine else ""]
    return tuple(dict.fromkeys(text for text in found if text))


def problems(facts: PreflightFacts) -> tuple[Problem, ...]:
    """Return every reason not to begin."""
    running = (
        Problem(
            f"{service.label} service is active - can not restore backup",
            f"stop it: systemctl stop {service.unit}",
        )
        for service in facts.services
        if service.running and not service.stops
    )
    unlabelled = (NO_RESTORECON,) if facts.relabels is False else ()
    return (*running, *space.problems(facts.spaces), *unlabelled)


def to_stop(facts: PreflightFacts) -> tuple[ServiceFact, ...]:
    """Return the services that a restore stops first, and starts again when it is undone."""
    return tuple(service for service in facts.services if service.running and service.stops)


def _service_warning(service: ServiceFact) -> str:
    if not (service.running and service.stops):
        return ""
    return (
        f"the service {service.unit} is running; the restore stops it."
        f" Start it after engine-setup: systemctl start {service.unit}"
    )


def _package_warning(fact: PackageFact) -> str:
    if fact.installed is not False:
        return ""
    return (
        f"the archive holds {fact.component.label}, but its package {fact.package} is not installed here:"
        f" dnf install {fact.package}"
    )


def _certificate_warning(fact: CertificateFact, now: datetime) -> str:
    what = "certificate authority" if fact.is_authority else "certificate"
    if not fact.readable or fact.not_after is None:
        return f"the archived certificate {fact.path} cannot be read: {fact.reason}"
    name = f"the archived {what} {fact.path} ({fact.subject})"
    if fact.not_before is not None and fact.not_before > now:
        return f"{name} is not valid before {fact.not_before:%Y-%m-%d}: is this machine's clock right?"
    if fact.not_after - now > SOON:
        return ""
    tense = "expired" if fact.not_after <= now else "expires"
    advice = AUTHORITY_ADVICE if fact.is_authority else LEAF_ADVICE
    return f"{name} {tense} on {fact.not_after:%Y-%m-%d}: {advice}"
