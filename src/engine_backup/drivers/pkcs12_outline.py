"""What a PKCS#12 file says of itself to those who do not know its password (RFC 7292).

Strict and small: only DER, as OpenSSL and Java write it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_SEQUENCE, _OCTETS, _INTEGER, _OID, _CONTEXT = 0x30, 0x04, 0x02, 0x06, 0xA0
_DATA = bytes.fromhex("2a864886f70d010701")
_ENCRYPTED_DATA = bytes.fromhex("2a864886f70d010706")
# PBES2 and PBMAC1 (RFC 8018): the first of their parameters is the derivation of a key.
_DERIVING = tuple(bytes.fromhex(f"2a864886f70d01050{kind}") for kind in "de")
_FRIENDLY_NAME = bytes.fromhex("2a864886f70d010914")
_KEY_BAG, _SHROUDED_KEY_BAG = (bytes.fromhex(f"2a864886f70d010c0a010{kind}") for kind in "12")

# RFC 7292, appendix C, and PBES1 of RFC 8018. OpenSSL 3 has those with RC4, RC2 and DES in its legacy
# provider only; those with 3DES are refused in FIPS mode.
_OLD_SCHEMES = {
    bytes.fromhex("2a864886f70d010c01") + bytes([number]): name
    for number, name in enumerate(("RC4-128", "RC4-40", "3DES", "3DES-112", "RC2-128", "RC2-40"), start=1)
} | {
    bytes.fromhex("2a864886f70d0105") + bytes([number]): name
    for number, name in (
        (1, "MD2-DES"),
        (3, "MD5-DES"),
        (4, "MD2-RC2"),
        (6, "MD5-RC2"),
        (10, "DES"),
        (11, "RC2"),
    )
}


@dataclass(frozen=True)
class Outline:
    """`old_schemes`: encryption of former times that is used; `keys` that can be counted from outside.

    `alias` is the name of the last of these keys, None when it has none. `rounds`: the largest number of
    iterations that a reader has to make. `key_bytes`: the size of the largest of these keys, encrypted.
    """

    old_schemes: tuple[str, ...]
    keys: int
    alias: str | None
    rounds: int
    key_bytes: int


class _Value(NamedTuple):
    tag: int
    content: bytes


def outline(content: bytes) -> Outline:
    """Return what can be seen from outside; raises `ValueError` for what is no PKCS#12 file.

    What follows the file's end is passed over, as OpenSSL does.
    """
    try:
        whole = next(_values(content), None)
        if whole is None or whole.tag != _SEQUENCE:
            raise ValueError("it does not begin as one")
        version, safe, *mac = _parts(whole.content)
        if version.tag != _INTEGER:
            raise ValueError("no version")
        walk = _Walk()
        for part in _parts(_only(_unwrapped(safe), _SEQUENCE)):
            walk.content_info(part)
        for value in mac:
            digest, *more = _parts(value.content)
            walk.algorithm(_parts(digest.content)[0])
            walk.count(more[1:])
    except (IndexError, TypeError) as error:
        raise ValueError("not the structure of PKCS#12") from error
    return Outline(tuple(sorted(walk.schemes)), walk.keys, walk.alias, walk.rounds, walk.key_bytes)


class _Walk:
    """Goes through the safes of a file and notes what it sees."""

    def __init__(self) -> None:
        self.schemes: set[str] = set()
        self.keys = 0
        self.alias: str | None = None
        self.rounds = 0
        self.key_bytes = 0

    def content_info(self, info: _Value) -> None:
        kind, content = _parts(info.content)
        if kind.content == _DATA:
            for bag in _parts(_only(_only(content.content, _OCTETS), _SEQUENCE)):
                self._bag(bag)
        elif kind.content == _ENCRYPTED_DATA:
            encrypted = _parts(_only(content.content, _SEQUENCE))[1]
            self.algorithm(_parts(encrypted.content)[1])

    def count(self, parameters: list[_Value]) -> None:
        numbers = [int.from_bytes(v.content, "big") for v in parameters if v.tag == _INTEGER]
        self.rounds = max(self.rounds, *numbers, 1)

    def algorithm(self, identifier: _Value) -> None:
        """Note an encryption of former times, and the work that deriving its key takes."""
        kind, *parameters = _parts(identifier.content)
        if kind.tag != _OID:
            return
        if kind.content in _OLD_SCHEMES:
            self.schemes.add(_OLD_SCHEMES[kind.content])
            self.count(_parts(parameters[0].content))
        elif kind.content in _DERIVING:
            derivation, *_ = _parts(parameters[0].content)
            for parameter in _parts(derivation.content)[1:]:
                self.count(_parts(parameter.content))

    def _bag(self, bag: _Value) -> None:
        kind, value, *attributes = _parts(bag.content)
        if kind.content in (_KEY_BAG, _SHROUDED_KEY_BAG):
            self.keys += 1
            self.key_bytes = max(self.key_bytes, len(value.content))
            self.alias = next(map(_friendly_name, attributes), None)
        if kind.content == _SHROUDED_KEY_BAG:
            self.algorithm(_parts(_only(value.content, _SEQUENCE))[0])


def _friendly_name(attributes: _Value) -> str | None:
    """Return the name that the attributes of a bag give."""
    for attribute in _parts(attributes.content):
        kind, values = _parts(attribute.content)
        if kind.content == _FRIENDLY_NAME:
            return _parts(values.content)[0].content.decode("utf-16-be")
    return None


def _unwrapped(info: _Value) -> bytes:
    """Return the data of a ContentInfo that is not encrypted; files protected by signatures are not ours."""
    kind, content = _parts(info.content)
    if kind.content != _DATA or content.tag != _CONTEXT:
        raise ValueError("protected by a signature, not by a password")
    return _only(content.content, _OCTETS)


def _only(content: bytes, tag: int) -> bytes:
    """Return what is in the one value that `content` holds."""
    values = _values(content)
    first = next(values, None)
    if first is None or first.tag != tag or next(values, None) is not None:
        raise ValueError("not the structure of PKCS#12")
    return first.content


def _parts(content: bytes) -> list[_Value]:
    return list(_values(content))


def _values(content: bytes) -> Iterator[_Value]:
    """Yield the values that stand one after the other (X.690, definite lengths only)."""
    at = 0
    while at < len(content):
        tag, length = content[at], content[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            if not 0 < count <= 4:
                raise ValueError("a length that DER does not have")
            length = int.from_bytes(content[at : at + count], "big")
            at += count
        if at + length > len(content):
            raise ValueError("cut off")
        yield _Value(tag, content[at : at + length])
        at += length
