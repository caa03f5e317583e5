"""Keys and certificates that somebody has damaged: whatever they hold, there are facts and no errors."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine_backup.drivers import pki, pki_names
from engine_backup.drivers.pki import Passwords
from engine_backup.drivers.restored_files import UnreadableFileError
from engine_backup.model.pki import DIRECTORY, Issuer
from engine_backup.model.secret import Secret
from tests.support.certificates import Authority, pkcs12_store

NOW = datetime.now(timezone.utc)
PASSWORD = b"mypass"
PASSWORDS = Passwords(Secret("mypass"), Secret("mypass"))


@lru_cache(maxsize=1)
def files() -> dict[str, bytes]:
    authority = Authority("ca")
    engine = authority.sign("e.lab", ("e.lab", "*.e.lab"))
    return {
        f"{DIRECTORY}/ca.pem": authority.pem,
        f"{DIRECTORY}/private/ca.pem": authority.key_pem,
        f"{DIRECTORY}/certs/engine.cer": b"Certificate:\n    Data:\n" + engine.pem,
        f"{DIRECTORY}/keys/engine.p12": pkcs12_store(engine, PASSWORD),
        f"{DIRECTORY}/keys/engine_id_rsa": b"Bag Attributes\n    friendlyName: 1\n" + engine.key_pem,
        f"{DIRECTORY}/.truststore": b"\xfe\xed\xfe\xed",
    }


def look(found: dict[str, bytes]):
    return pki.look(sorted(found), found.get, PASSWORDS, NOW, Path("/"))


def test_whole_files_are_read():
    facts = look(files())
    (engine,) = facts.services
    assert (engine.name, engine.issuer, engine.names) == ("engine", Issuer.OWN, ("e.lab", "*.e.lab"))
    assert [(key.present, key.problem) for key in engine.keys] == [(False, ""), (True, "")]
    assert (engine.store.present, engine.store.problem) == (True, "")
    assert facts.authorities[0].key.problem == ""
    assert not facts.trust_store.looked_into


def test_a_chain_through_certificates_of_the_same_file_is_followed_and_circles_end():
    root, first, second = Authority("root"), Authority("a"), Authority("b")
    crossed = [Authority("a", second), Authority("b", first)]
    leaf = crossed[0].sign("x")
    between = Authority("between", root)
    good = between.sign("e.lab")
    found = {
        f"{DIRECTORY}/apache-ca.pem": root.pem,
        f"{DIRECTORY}/certs/apache.cer": good.pem + between.pem,
        f"{DIRECTORY}/certs/lost.cer": leaf.pem + crossed[0].pem + crossed[1].pem + first.pem + second.pem,
        f"{DIRECTORY}/keys/lost.p12": b"",
    }
    apache, lost = look(found).services
    assert (apache.issuer, [fact.subject for fact in apache.above]) == (Issuer.OTHER, ["CN=between"])
    assert (lost.issuer, lost.authority) == (Issuer.NOBODY, None)


def test_of_authorities_of_one_name_the_one_that_signed_counts():
    now = Authority("ca")
    leaf = now.sign("e.lab")
    found = {f"{DIRECTORY}/ca.pem": Authority("ca").pem + now.pem, f"{DIRECTORY}/certs/engine.cer": leaf.pem}
    assert look(found).services[0].issuer is Issuer.OWN


def test_files_that_cannot_be_opened_are_facts():
    def read(path: str) -> bytes:
        raise UnreadableFileError("it is no\x1b regular file")

    facts = pki.look([f"{DIRECTORY}/certs/a.cer", f"{DIRECTORY}/keys/a.p12"], read, PASSWORDS, NOW, Path("/"))
    reason = "it is no\\x1b regular file"
    assert facts.services[0].certificate.reason == reason
    assert facts.services[0].store.problem == reason
    assert facts.authorities[0].certificate.reason == reason


def test_more_services_than_any_engine_has_are_not_looked_at():
    found = {
        f"{DIRECTORY}/{name}": b""
        for number in range(1000)
        for name in (f"certs/{number}.cer", f"keys/{number}.key.nopass")
    }
    found[f"{DIRECTORY}/certs/engine.cer"] = b""
    services = look(found).services
    assert len(services) == pki_names.SERVICES
    assert services[0].name == "engine"


def test_what_was_made_for_other_machines_is_counted_only():
    hosts = {f"{DIRECTORY}/certs/node{number}.lab.cer": b"" for number in range(100)}
    own = ("certs/engine.cer", "certs/websocket-proxy.cer", "keys/websocket-proxy.p12")
    facts = look({**hosts, **{f"{DIRECTORY}/{name}": b"" for name in own}})
    assert [service.name for service in facts.services] == ["engine", "websocket-proxy"]
    assert facts.hosts == 100
    assert facts.other_stores == ()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_is_never_an_error(data: st.DataObject):
    found = dict(files())
    path = data.draw(st.sampled_from(sorted(found)))
    content = bytearray(found[path])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    found[path] = bytes(content[: data.draw(st.integers(0, len(content)))])
    facts = look(found)
    told = repr(facts)
    assert "mypass" not in told
    assert "PRIVATE" not in told


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=200))
def test_anything_at_all_is_read(content: bytes):
    found = dict.fromkeys(
        files(), b"-----BEGIN CERTIFICATE-----\n" + content + b"-----END CERTIFICATE-----\n"
    )
    look(found)
    look(dict.fromkeys(files(), content))
