"""What a drill says of names, log-ins and keys, from facts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization import pkcs12 as library

from engine_backup.drivers import pkcs12, trust_stores
from engine_backup.model.archive import DumpMember
from engine_backup.model.checks import Outcome
from engine_backup.model.components import ENGINE
from engine_backup.model.facts import ArchiveFacts, Credentials, DumpFacts
from engine_backup.model.pki import AuthorityFacts, Issuer, PkiFacts, PkiFile, ServiceFacts
from engine_backup.model.preflight import CertificateFact
from engine_backup.model.secret import Secret
from engine_backup.plan import log_in_checks, name_checks, pki_checks
from engine_backup.plan.name_checks import Names
from engine_backup.sample.pki import _material
from tests.support.certificates import Authority, pkcs12_store

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
DIRECTORY = "/etc/pki/ovirt-engine"


def certificate(path: str, days: int = 300) -> CertificateFact:
    return CertificateFact(path, "CN=x", NOW - timedelta(days=1), NOW + timedelta(days=days))


def service(name: str, **changes: object) -> ServiceFacts:
    path = f"{DIRECTORY}/certs/{name}.cer"
    keys = (PkiFile(f"{DIRECTORY}/keys/{name}.key.nopass"),)
    store = PkiFile(f"{DIRECTORY}/keys/{name}.p12")
    whole = ServiceFacts(name, path, certificate(path), keys, store, issuer=Issuer.OWN, names=("e.lab",))
    return replace(whole, **changes)


AUTHORITY = AuthorityFacts(
    f"{DIRECTORY}/ca.pem", certificate(f"{DIRECTORY}/ca.pem"), PkiFile(f"{DIRECTORY}/private/ca.pem")
)
SOUND = PkiFacts((AUTHORITY,), (service("engine"), service("apache")), PkiFile(f"{DIRECTORY}/.truststore"))


def with_service(changed: ServiceFacts) -> PkiFacts:
    return replace(SOUND, services=(*(s for s in SOUND.services if s.name != changed.name), changed))


@pytest.mark.parametrize(
    ("name", "fqdn", "expected"),
    [
        ("e.lab", "e.lab", True),
        ("E.Lab.", "e.lab", True),
        ("*.lab", "e.lab", True),
        ("*.lab", "a.e.lab", False),
        ("*.lab", "lab", False),
        ("*.e.lab", "e.lab", False),
        ("*", "e", False),
        ("e.lab", "e.lab.example", False),
    ],
)
def test_which_hosts_a_name_in_a_certificate_covers(name: str, fqdn: str, expected: bool):
    assert name_checks.covers(name, fqdn) is expected


def test_names_that_differ_are_told_by_their_places():
    others = {"the answers": "old.lab", "manifest.json": "E.LAB", "nowhere": ""}
    check = name_checks.fqdn(Names("e.lab", others), SOUND.services)
    assert (check.outcome, check.findings) == (
        Outcome.FAIL,
        ("the answers says old.lab, but ENGINE_FQDN is e.lab",),
    )


def test_an_engine_that_was_renamed_keeps_its_own_certificate():
    facts = with_service(service("engine", names=("old.lab",)))
    check = name_checks.fqdn(Names("e.lab"), facts.services)
    assert check.outcome is Outcome.PASS
    assert "certs/engine.cer is for old.lab" in check.detail


def test_sound_keys_and_certificates_pass():
    checks = (pki_checks.certificates(SOUND, NOW), pki_checks.keys(SOUND), pki_checks.stores(SOUND))
    assert [check.outcome for check in checks] == [Outcome.PASS] * 3


def test_a_signature_of_an_unknown_kind_could_not_be_checked():
    facts = with_service(service("apache", issuer=Issuer.UNCHECKED))
    check = pki_checks.certificates(facts, NOW)
    assert check.outcome is Outcome.COULD_NOT_RUN
    assert check.findings[0].startswith(f"{DIRECTORY}/certs/apache.cer: its signature is of a kind")


def test_the_engines_own_certificate_must_be_of_the_engines_own_authority():
    check = pki_checks.certificates(with_service(service("engine", issuer=Issuer.OTHER)), NOW)
    assert check.findings == (f"{DIRECTORY}/certs/engine.cer (CN=x) is not signed by {DIRECTORY}/ca.pem",)


def test_an_authority_above_that_has_expired_fails():
    above = certificate(f"{DIRECTORY}/certs/apache.cer", days=-5)
    check = pki_checks.certificates(with_service(service("apache", issuer=Issuer.OTHER, above=(above,))), NOW)
    assert check.findings == (
        f"{above.path} (CN=x) expired on 2026-11-17; it stands above {DIRECTORY}/certs/apache.cer",
    )


@pytest.mark.parametrize(
    ("name", "issuer", "outcome"),
    [
        ("engine", Issuer.OTHER, Outcome.FAIL),
        ("apache", Issuer.OWN, Outcome.FAIL),
        ("apache", Issuer.OTHER, Outcome.PASS),
        ("jboss", Issuer.OWN, Outcome.PASS),
    ],
)
def test_which_stores_must_open(name: str, issuer: Issuer, outcome: Outcome):
    store = PkiFile(f"{DIRECTORY}/keys/{name}.p12", problem="it does not open")
    check = pki_checks.stores(with_service(service(name, store=store, issuer=issuer)))
    assert check.outcome is outcome
    assert "it does not open" in check.detail + "".join(check.findings)


def test_a_stranger_cannot_fill_the_screen():
    facts = replace(SOUND, other_stores=tuple(f"/k/{number}.p12" for number in range(1000)))
    assert pki_checks.stores(facts).detail.endswith("; and 995 more")


CREDENTIALS = Credentials("localhost", 5432, "engine", Secret("x"), "engine", source="/etc/c.conf")
MEMBER = DumpMember("engine", "db/engine_backup.db", "custom", "", 1, 1)


def log_in(credentials: Credentials | None, **of_dump: object):
    dump = DumpFacts(MEMBER, **of_dump)
    known = {} if credentials is None else {"engine": credentials}
    facts = ArchiveFacts("D", "4.5.7", "rhel9", "e.lab", True, False, (), {"engine": dump}, known)
    return log_in_checks.log_in(ENGINE, facts)


@pytest.mark.parametrize(
    ("of_dump", "outcome", "said"),
    [
        ({"owners": ("engine",), "role": "engine", "database": "engine"}, Outcome.PASS, "engine of database"),
        ({"owners": ("engine", "postgres")}, Outcome.PASS, ""),
        ({"owners": ("other",)}, Outcome.FAIL, "/etc/c.conf names the user engine, but the tables"),
        ({"owners": ("engine",), "role": "x\x1b"}, Outcome.FAIL, "but x\\x1b made the Engine dump"),
        (
            {"database": "dwh"},
            Outcome.FAIL,
            "names the database engine, but the Engine dump is of database dwh",
        ),
        ({}, Outcome.PASS, "the dump names no owner"),
    ],
)
def test_log_ins_fit_the_owners_of_dumps(of_dump: dict[str, object], outcome: Outcome, said: str):
    check = log_in(CREDENTIALS, **of_dump)
    assert check.outcome is outcome
    assert said in check.detail + "".join(check.findings)


def test_of_a_name_with_blanks_a_list_of_contents_has_the_last_word():
    assert log_in(replace(CREDENTIALS, user="the engine"), owners=("engine",)).outcome is Outcome.PASS


def test_every_file_that_names_the_database_is_compared():
    wrong = replace(CREDENTIALS, user="dwh", database="history", source="/etc/dwh.conf")
    dump = DumpFacts(MEMBER, owners=("engine",), database="engine")
    facts = ArchiveFacts(
        "D", "4.5.7", "rhel9", "e.lab", True, False, (), {"engine": dump}, {"engine": CREDENTIALS}
    )
    assert log_in_checks.log_in(ENGINE, facts, (CREDENTIALS, wrong)).findings == (
        "/etc/dwh.conf names the user dwh, but the tables of the Engine dump belong to engine",
        "/etc/dwh.conf names the database history, but the Engine dump is of database engine",
    )
    reader = replace(CREDENTIALS, user="reader", source="/etc/r.conf")
    assert log_in_checks.log_in(ENGINE, replace(facts, readers={"engine": reader})).findings == ()
    elsewhere = replace(facts, readers={"engine": replace(reader, database="history")})
    assert log_in_checks.log_in(ENGINE, elsewhere).findings == (
        "/etc/r.conf names the database history, but the Engine dump is of database engine",
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"\x30\x82", None),
        (b"something", None),
        (b"\xfe\xed\xfe\xed\0\0\0\3", None),
        (b"\xfe\xed\xfe\xed\0\0\0\1\0\0\0\0" + bytes(20), pkcs12.NOT_OPENED),
        (b"\xfe\xed\xfe\xed\0\0\0\1", pkcs12.NOT_OPENED),
    ],
)
def test_trust_stores_that_are_none(content: bytes, problem: str | None):
    assert trust_stores.problem(content, Secret("mypass"), None) == problem


def test_trust_stores_as_java_makes_them_today():
    authority, other = Authority("ca").identity.certificate, Authority("ca").identity.certificate
    encryption = BestAvailableEncryption(b"mypass")
    store = library.serialize_key_and_certificates(None, None, None, [authority], encryption)
    assert trust_stores.problem(store, Secret("mypass"), authority) == ""
    assert trust_stores.problem(store, Secret("mypass"), other) == trust_stores.WITHOUT_AUTHORITY
    assert trust_stores.problem(store, Secret("another"), authority) == pkcs12.NOT_OPENED
    keys = pkcs12_store(Authority("ca").identity, b"mypass")
    assert trust_stores.problem(keys, Secret("mypass"), authority) == trust_stores.WITHOUT_AUTHORITY


def test_the_trust_store_of_the_sample_engine():
    files = _material("e.lab")
    (authority,) = x509.load_pem_x509_certificates(files["ca.pem"])
    assert trust_stores.problem(files[".truststore"], Secret("mypass"), authority) == ""
    assert trust_stores.problem(files[".truststore"], Secret("other"), authority) == pkcs12.NOT_OPENED
    other = Authority("ca").identity.certificate
    found = trust_stores.problem(files[".truststore"], Secret("mypass"), other)
    assert found == trust_stores.WITHOUT_AUTHORITY
