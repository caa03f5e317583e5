"""Certificates in archived files: real ones, odd ones, and what is none."""

from __future__ import annotations

import base64
import random
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from engine_backup.drivers import certificates, pki_names
from engine_backup.drivers.archive_reader import open_archive
from tests.support import golden

START = datetime(2020, 1, 1, tzinfo=timezone.utc)
CA = b"etc/pki/ovirt-engine/ca.pem"
CER = b"etc/pki/ovirt-engine/certs/engine.cer"


def made(name: str = "engine.lab.example", days: int = 398, authority: bool | None = False) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = subject if authority is not False else x509.Name([])
    builder = x509.CertificateBuilder(
        issuer, subject, key.public_key(), 1, START, START + timedelta(days=days)
    )
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


PKI = b"etc/pki/ovirt-engine/"


def below(*names: str) -> list[bytes]:
    return [PKI + name.encode() for name in names]


def test_those_of_authorities_and_services_are_chosen():
    services = ("websocket-proxy", "ovirt-provider-ovn", "imageio-proxy")
    wanted = below("ca.pem", "apache-ca.pem", "qemu-ca.pem", "certs/engine.cer", "certs/apache.cer")
    wanted += below(*(f"certs/{name}.cer" for name in services))
    keys = below("keys/websocket-proxy.p12", "keys/ovirt-provider-ovn.key.nopass", "keys/imageio-proxy.p12")
    chosen = certificates.choose([*reversed(wanted), *keys])
    assert sorted(chosen.paths) == sorted(wanted)
    assert chosen.hosts == 0


@pytest.mark.parametrize(
    ("path", "hosts"),
    [
        (b"etc/pki/ovirt-engine/certs/01.pem", 0),
        (b"etc/pki/ovirt-engine/certs/node.lab.example.cer", 1),
        (b"etc/pki/ovirt-engine/certs/node\xff.cer", 1),
        (b"etc/pki/ovirt-engine/private/ca.pem", 0),
        (b"etc/pki/ovirt-engine/keys/engine.p12", 0),
        (b"etc/pki/ovirt-engine/certs/deeper/engine.cer", 0),
        (b"other/etc/pki/ovirt-engine/ca.pem", 0),
        (b"/etc/pki/ovirt-engine/ca.pem", 0),
    ],
)
def test_others_are_not_chosen(path, hosts):
    assert certificates.choose([path]) == certificates.Chosen((), hosts)


def test_the_engines_own_are_chosen_whatever_lies_beside_them():
    own = below("ca.pem", "apache-ca.pem", "qemu-ca.pem", "certs/engine.cer", "certs/apache.cer")
    hosts = below(*(f"certs/a{number}.lab.cer" for number in range(1000)))
    others = below(*(f"{d}/b{n}.{e}" for n in range(1000) for d, e in (("certs", "cer"), ("keys", "p12"))))
    chosen = certificates.choose([*hosts, *others, *own])
    assert set(chosen.paths) >= set(own)
    assert len(chosen.paths) == len(certificates.AUTHORITIES) + pki_names.SERVICES
    assert chosen.hosts == 1000


def test_a_certificate():
    (fact,) = certificates.read({CER: made()})
    assert fact.path == "/etc/pki/ovirt-engine/certs/engine.cer"
    assert fact.subject == "CN=engine.lab.example"
    assert (fact.not_before, fact.not_after) == (START, START + timedelta(days=398))
    assert fact.readable and not fact.is_authority


@pytest.mark.parametrize("authority", [True, None], ids=["says so", "signed itself"])
def test_an_authority(authority):
    (fact,) = certificates.read({CA: made(authority=authority)})
    assert fact.is_authority


def test_the_text_that_openssl_writes_before_it():
    text = b"Certificate:\n    Data:\n        Version: 3 (0x2)\n"
    assert [fact.readable for fact in certificates.read({CER: text + made()})] == [True]


def test_a_chain_gives_a_fact_for_each():
    facts = certificates.read({CER: made("a") + b"\n# next\n" + made("b").replace(b"\n", b"\r\n")})
    assert [fact.subject for fact in facts] == ["CN=a", "CN=b"]


def test_one_broken_link_of_a_chain():
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    facts = certificates.read({CER: broken + made("b")})
    assert [fact.readable for fact in facts] == [False, True]
    assert facts[0].reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 1000,
        b"not a certificate",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n\xff\xfe\n-----END CERTIFICATE-----\n",
        made()[:200] + b"\n-----END CERTIFICATE-----\n",
        made().replace(b"CERTIFICATE", b"RSA PRIVATE KEY"),
        b"-----BEGIN CERTIFICATE-----\n" + b"A" * certificates.SIZE_LIMIT,
    ],
)
def test_what_is_none_has_a_reason(content):
    facts = certificates.read({CER: content})
    assert facts
    assert all(not fact.readable and fact.reason and fact.not_after is None for fact in facts)


def test_every_broken_byte_is_taken():
    """Whatever the parser makes of it: a fact, never an exception."""
    der = base64.b64decode(b"".join(made(authority=True).splitlines()[1:-1]))
    chance = random.Random(1)
    for place in range(len(der)):
        for value in (0, 0xFF, der[place] ^ 1, chance.randrange(256)):
            changed = der[:place] + bytes([value]) + der[place + 1 :]
            pem = b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n"
            assert len(certificates.read({CER: pem % base64.encodebytes(changed)})) == 1


def test_what_a_terminal_would_obey_is_not_shown():
    (fact,) = certificates.read({CER: made("engine\x1b[31m\nFATAL: x")})
    assert fact.subject.isprintable()


def test_a_path_that_a_terminal_would_obey_is_not_shown():
    path = PKI + b"certs/\x1b[2J\xff.cer"
    assert certificates.choose([path, PKI + b"keys/\x1b[2J\xff.p12"]).paths == (path,)
    (fact,) = certificates.read({path: made()})
    assert fact.path == r"/etc/pki/ovirt-engine/certs/\x1b[2J\xff.cer"


def test_a_long_name_is_cut():
    # Names are limited to 64 characters when they are made, not when they are read.
    (fact,) = certificates.read({CER: made("\x01" * 64)})
    assert len(fact.subject) <= certificates.SUBJECT_LENGTH


def test_more_than_an_engine_has_is_left_out():
    one = made()
    facts = certificates.read({CER: one * 20})
    assert len(facts) == certificates.CERTIFICATES_PER_FILE + 1
    assert "20 certificates" in facts[-1].reason


@pytest.mark.parametrize("name", golden.NAMES)
def test_archives_of_stock(name, tmp_path):
    with open_archive(golden.archive(name), tmp_path) as archive:
        chosen = certificates.choose(entry.path for entry in archive.file_entries())
        files = archive.read_files(lambda path: path in chosen.paths) if archive.files_kind else {}
    facts = certificates.read_chosen(chosen, {**files, CA + b".old": b""})
    assert {fact.path.encode()[1:] for fact in facts} == set(files) <= set(chosen.paths)
    assert not files or CER in files
    assert all(fact.readable is (fact.not_after is not None) for fact in facts)
