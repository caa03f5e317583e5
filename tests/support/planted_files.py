"""Faults planted among the files of golden archives, whose hashes are right all the same."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from tests.support.certificates import Authority, Identity, endless_store, pkcs12_store
from tests.support.rebuilt_archives import Parts, taken_apart

NAME = "4.5.7-default"
PKI = "etc/pki/ovirt-engine/"
CONF = "etc/ovirt-engine/engine.conf.d/"
DWH_CONF = "etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf.d/"
FQDN = "engine.lab.example"
NOW = datetime.now(timezone.utc)
OWN = Authority("engine.lab.example.43210")

Change = Callable[[Parts], Parts]


apart = lru_cache(maxsize=2)(taken_apart)


def put(files: dict[str, bytes | None]) -> Change:
    """Return what replaces, adds or (None) takes away archived files."""

    def changed(parts: Parts) -> Parts:
        kept = [(header, content) for header, content in parts.files if header.name not in files]
        for name, content in files.items():
            if content is not None:
                header = tarfile.TarInfo(name)
                header.mode, header.mtime, header.size = 0o640, 1_700_000_000, len(content)
                kept.append((header, content))
        return replace(parts, files=tuple(kept))

    return changed


def edit(name: str, old: bytes, new: bytes) -> Change:
    """Return what changes the text of one archived file."""

    def changed(parts: Parts) -> Parts:
        (content,) = [content for header, content in parts.files if header.name == name]
        assert old in content
        return put({name: content.replace(old, new)})(parts)

    return changed


def of_service(name: str, identity: Identity, password: bytes = b"mypass") -> dict[str, bytes | None]:
    """Return the files of a service whose certificate it is."""
    return {
        f"{PKI}certs/{name}.cer": identity.pem,
        f"{PKI}keys/{name}.p12": pkcs12_store(identity, password),
        f"{PKI}keys/{name}.key.nopass": identity.key_pem,
    }


def renewed(**changes: dict[str, object]) -> dict[str, bytes | None]:
    """Return the PKI of an engine; `changes` are arguments to how the certificates of services are made."""
    files: dict[str, bytes | None] = {f"{PKI}ca.pem": OWN.pem, f"{PKI}private/ca.pem": OWN.key_pem}
    for name in ("engine", "apache", "websocket-proxy"):
        files.update(of_service(name, OWN.sign(FQDN, **changes.get(name.partition("-")[0], {}))))
    return files


def linked(name: str, target: str) -> Change:
    """Return what puts a symbolic link in the place of an archived file."""

    def changed(parts: Parts) -> Parts:
        header = tarfile.TarInfo(name)
        header.type, header.linkname, header.mode = tarfile.SYMTYPE, target, 0o777
        kept = put({name: None})(parts)
        return replace(kept, files=(*kept.files, (header, b"")))

    return changed


STRANGER = Authority("stranger")
OTHER = OWN.sign(FQDN)
BROKEN_KEY = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
FAULTS: dict[str, tuple[Change, str, str]] = {
    "a wrong key": (
        put({**renewed(), f"{PKI}keys/apache.key.nopass": OTHER.key_pem}),
        "files keys",
        "/etc/pki/ovirt-engine/keys/apache.key.nopass: it is not the key of"
        " /etc/pki/ovirt-engine/certs/apache.cer",
    ),
    "a wrong key of the engine": (
        put({**renewed(), f"{PKI}keys/engine_id_rsa": OTHER.key_pem}),
        "files keys",
        "/etc/pki/ovirt-engine/keys/engine_id_rsa: it is not the key of",
    ),
    "a wrong key of the authority": (
        put({**renewed(), f"{PKI}private/ca.pem": OTHER.key_pem}),
        "files keys",
        "/etc/pki/ovirt-engine/private/ca.pem: it is not the key of /etc/pki/ovirt-engine/ca.pem",
    ),
    "no key": (put({f"{PKI}keys/apache.key.nopass": None}), "files keys", "apache.key.nopass is missing"),
    "a broken key": (
        put({f"{PKI}keys/apache.key.nopass": BROKEN_KEY}),
        "files keys",
        "apache.key.nopass: it is no key that can be read",
    ),
    "an expired certificate": (
        put(renewed(apache={"end": NOW - timedelta(days=3)})),
        "files certificates",
        f"certs/apache.cer (CN={FQDN}) expired on {NOW - timedelta(days=3):%Y-%m-%d}",
    ),
    "a certificate of tomorrow": (
        put(renewed(engine={"start": NOW + timedelta(days=2)})),
        "files certificates",
        f"certs/engine.cer (CN={FQDN}) is not valid before",
    ),
    "a certificate of another authority": (
        put({**renewed(), **of_service("apache", STRANGER.sign(FQDN))}),
        "files certificates",
        f"certs/apache.cer (CN={FQDN}) is signed by none of the archived authorities",
    ),
    "a certificate of another authority of the same name": (
        put({**renewed(), **of_service("engine", Authority(OWN.name).sign(FQDN))}),
        "files certificates",
        f"certs/engine.cer (CN={FQDN}) is signed by none of the archived authorities",
    ),
    "no certificate of the engine": (
        put({f"{PKI}certs/engine.cer": None, f"{PKI}keys/engine.p12": None}),
        "files certificates",
        "/etc/pki/ovirt-engine/certs/engine.cer is missing",
    ),
    "no authority": (
        put({f"{PKI}ca.pem": None}),
        "files certificates",
        "/etc/pki/ovirt-engine/ca.pem is missing",
    ),
    "a broken certificate": (
        put({f"{PKI}certs/engine.cer": b"nothing\n"}),
        "files certificates",
        "/etc/pki/ovirt-engine/certs/engine.cer cannot be read: no certificate in it",
    ),
    "a store with another password": (
        put({**renewed(), f"{PKI}keys/engine.p12": pkcs12_store(OTHER, b"another")}),
        "files key stores",
        "/etc/pki/ovirt-engine/keys/engine.p12: it has another password than the one in 10-setup-pki.conf",
    ),
    "a store with another certificate": (
        put({**renewed(), f"{PKI}keys/websocket-proxy.p12": pkcs12_store(OTHER, b"mypass")}),
        "files key stores",
        "keys/websocket-proxy.p12: it holds another certificate than the one beside it",
    ),
    "no store of the engine": (
        put({f"{PKI}keys/engine.p12": None}),
        "files key stores",
        "/etc/pki/ovirt-engine/keys/engine.p12 is missing",
    ),
    "no store at all": (
        put({f"{PKI}keys/engine.p12": b"\0" * 70_000}),
        "files key stores",
        "/etc/pki/ovirt-engine/keys/engine.p12: it has more than 65536 bytes",
    ),
    "a store that asks for hours of work": (
        put({**renewed(), f"{PKI}keys/engine.p12": pkcs12_store(OTHER, b"mypass", claimed_rounds=2**31 - 1)}),
        "files key stores",
        "/etc/pki/ovirt-engine/keys/engine.p12: it asks for 2147483647 rounds of key derivation",
    ),
    "a store with an endless key": (
        put({**renewed(), f"{PKI}keys/engine.p12": endless_store(b"mypass")}),
        "files key stores",
        "/etc/pki/ovirt-engine/keys/engine.p12: its key has more than 5120 bytes",
    ),
    "an endless key": (
        put({f"{PKI}keys/apache.key.nopass": BROKEN_KEY.replace(b"AAAA", b"A" * 9000)}),
        "files keys",
        "apache.key.nopass: its key has more than 5120 bytes",
    ),
    "no settings of the dashboards": (
        put({"etc/grafana/grafana.ini": None}),
        "grafana integrity",
        "/etc/grafana/grafana.ini is missing",
    ),
    "no trust store": (put({f"{PKI}.truststore": None}), "files key stores", ".truststore is missing"),
    "a damaged trust store": (
        put({f"{PKI}.truststore": b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\0" + bytes(20)}),
        "files key stores",
        "/etc/pki/ovirt-engine/.truststore: it has another password",
    ),
    "the wrong owner": (
        edit(CONF + "10-setup-database.conf", b'ENGINE_DB_USER="engine"', b'ENGINE_DB_USER="postgres"'),
        "engine log-in",
        "/etc/ovirt-engine/engine.conf.d/10-setup-database.conf names the user postgres,"
        " but the tables of the Engine dump belong to engine",
    ),
    "the wrong owner in another service's file": (
        edit(DWH_CONF + "10-setup-database.conf", b'ENGINE_DB_USER="engine"', b'ENGINE_DB_USER="nobody"'),
        "engine log-in",
        "/etc/ovirt-engine-dwh/ovirt-engine-dwhd.conf.d/10-setup-database.conf names the user nobody",
    ),
    "the wrong database": (
        edit(DWH_CONF + "10-setup-database.conf", b'DATABASE="ovirt_engine_history"', b'DATABASE="engine"'),
        "dwh log-in",
        "names the database engine, but the DWH dump is of database ovirt_engine_history",
    ),
    "another name in the configuration": (
        edit(CONF + "10-setup-protocols.conf", b"FQDN=engine.lab.example", b"FQDN=other.lab.example"),
        "files FQDN",
        "OVESETUP_CONFIG/fqdn in the answers of engine-setup says engine.lab.example,"
        " but ENGINE_FQDN is other.lab.example",
    ),
    "a certificate for another name": (
        put({**renewed(), **of_service("apache", OWN.sign("other.lab.example"))}),
        "files FQDN",
        "/etc/pki/ovirt-engine/certs/apache.cer is for other.lab.example, not for engine.lab.example",
    ),
    "no name": (
        edit(CONF + "10-setup-protocols.conf", b"ENGINE_FQDN=engine.lab.example\n", b""),
        "files FQDN",
        "no configuration file says ENGINE_FQDN",
    ),
}
