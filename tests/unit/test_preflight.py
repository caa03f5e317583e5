"""What keeps a restore from running, and what the admin is told beforehand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from engine_backup.model.components import BY_NAME, COMPONENTS
from engine_backup.model.preflight import (
    CertificateFact,
    PackageFact,
    PreflightFacts,
    ServiceFact,
    SpaceFact,
    Volume,
)
from engine_backup.model.services import SERVICES, concerned
from engine_backup.plan import preflight

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
CER = "/etc/pki/ovirt-engine/certs/engine.cer"


def certificate(days: float, authority: bool = False, since_days: float = -400) -> CertificateFact:
    before, after = NOW + timedelta(days=since_days), NOW + timedelta(days=days)
    return CertificateFact(CER, "CN=engine", before, after, authority)


def warnings(**facts) -> tuple[str, ...]:
    return preflight.warnings(PreflightFacts(**facts), NOW)


class TestCertificates:
    @pytest.mark.parametrize("days", [31, 400, 3650])
    def test_valid_ones_are_not_mentioned(self, days):
        assert warnings(certificates=(certificate(days),)) == ()

    @pytest.mark.parametrize(
        ("days", "said"),
        [(-1, "expired on 2026-11-21"), (0, "expired on 2026-11-22"), (30, "expires on 2026-12-22")],
    )
    def test_expiry(self, days, said):
        (text,) = warnings(certificates=(certificate(days),))
        assert text == f"the archived certificate {CER} (CN=engine) {said}: engine-setup offers to renew it"

    def test_an_authority_is_worse(self):
        (text,) = warnings(certificates=(certificate(-1, authority=True),))
        assert text.startswith(
            f"the archived certificate authority {CER} (CN=engine) expired on 2026-11-21: "
        )
        assert "enroll the certificate of every host again" in text

    def test_not_valid_yet(self):
        (text,) = warnings(certificates=(certificate(400, since_days=2),))
        assert "is not valid before 2026-11-24: is this machine's clock right?" in text

    def test_one_that_cannot_be_read(self):
        fact = CertificateFact(CER, readable=False, reason="no certificate in it")
        assert warnings(certificates=(fact,)) == (
            f"the archived certificate {CER} cannot be read: no certificate in it",
        )

    def test_the_same_thing_is_said_once(self):
        assert len(warnings(certificates=(certificate(1), certificate(1)))) == 1


class TestPackages:
    def test_a_missing_one(self):
        facts = (PackageFact(BY_NAME["dwh"], "ovirt-engine-dwh", False),)
        assert warnings(packages=facts) == (
            "the archive holds DWH, but its package ovirt-engine-dwh is not installed here:"
            " dnf install ovirt-engine-dwh",
        )

    @pytest.mark.parametrize("installed", [True, None])
    def test_others_are_not_mentioned(self, installed):
        assert warnings(packages=(PackageFact(BY_NAME["dwh"], "ovirt-engine-dwh", installed),)) == ()


class TestServices:
    @pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.unit)
    def test_each_is_refused_or_stopped(self, service):
        facts = PreflightFacts(services=(ServiceFact(service, running=True),))
        problems, said = preflight.problems(facts), preflight.warnings(facts, NOW)
        if service.stops:
            assert problems == ()
            assert preflight.to_stop(facts) == facts.services
            assert said == (
                f"the service {service.unit} is running; the restore stops it."
                f" Start it after engine-setup: systemctl start {service.unit}",
            )
        else:
            (problem,) = problems
            assert problem.message == f"{service.label} service is active - can not restore backup"
            assert problem.hint == f"stop it: systemctl stop {service.unit}"
            assert (said, preflight.to_stop(facts)) == ((), ())

    @pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.unit)
    def test_one_that_does_not_run_is_not_mentioned(self, service):
        facts = PreflightFacts(services=(ServiceFact(service, running=False),))
        assert (preflight.problems(facts), preflight.warnings(facts, NOW)) == ((), ())
        assert preflight.to_stop(facts) == ()

    def test_engine_and_dwh_are_the_ones_that_are_refused(self):
        refused = [service.unit for service in SERVICES if not service.stops]
        assert refused == ["ovirt-engine", "ovirt-engine-dwhd"]

    def test_a_running_engine_refuses_every_scope(self):
        for component in COMPONENTS:
            assert SERVICES[0] in concerned(frozenset({component.name}))

    def test_only_what_a_scope_disturbs_is_looked_at(self):
        units = [service.unit for service in concerned(frozenset({"grafana"}))]
        assert units == ["ovirt-engine", "grafana-server"]


def test_a_hosted_engine():
    (text,) = warnings(hosted_engine=True)
    assert "hosted-engine --deploy --restore-from-file=FILE" in text
    assert "redeploy hosted-engine hosts" in text


def test_all_problems_at_once():
    full = SpaceFact("restored files", Volume("/", 1, 0), 1)
    facts = PreflightFacts(services=tuple(ServiceFact(s, True) for s in SERVICES), spaces=(full,))
    assert len(preflight.problems(facts)) == 3
    assert all(problem.hint for problem in preflight.problems(facts))


def test_nothing_to_say():
    assert (preflight.problems(PreflightFacts()), warnings()) == ((), ())
