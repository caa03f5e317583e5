"""The text of pg_hba.conf: its rules as PostgreSQL reads them, and which of them meets a connection.

The grammar is that of hba.c (PostgreSQL manual, 21.1): lines end with a line
feed, a backslash at the end joins the next line (since PostgreSQL 14), carriage
returns are blanks. What only the server knows (memberships, host names, other
files) is answered with "maybe".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

INCLUDES = frozenset({"include", "include_if_exists", "include_dir"})
REMOTE_KINDS = frozenset({"host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"})
KINDS = REMOTE_KINDS | {"local"}
KEYWORDS = frozenset({"all", "sameuser", "samerole", "samegroup", "replication"})

_BLANKS = " \t\r"
_QUOTED = re.compile(r'"((?:[^"]|"")*)(?:"|\Z)', re.DOTALL)


class Answer(IntEnum):
    """Whether a rule meets a connection, as far as the text tells."""

    NO = 0
    MAYBE = 1
    YES = 2


@dataclass(frozen=True)
class Token:
    """One word of a field; a word that begins with a quote has lost its special meaning."""

    text: str
    quoted: bool = False

    def is_keyword(self, *words: str) -> bool:
        """Say whether this is one of the words, and means it."""
        return not self.quoted and self.text in words


Field = tuple[Token, ...]


@dataclass(frozen=True)
class Network:
    """Addresses of one family: those that agree with `number` in the bits of `mask`."""

    family: int
    number: int
    mask: int

    def meets(self, other: Network) -> Answer:
        """Say whether `other` lies in this network (yes), or a part of it may (maybe)."""
        if self.family != other.family or (self.number ^ other.number) & self.mask & other.mask:
            return Answer.NO
        return Answer.YES if self.mask & ~other.mask == 0 else Answer.MAYBE


@dataclass(frozen=True)
class Rule:
    """One record. `address` and `mask` are empty where the file has none; `line` counts from 1."""

    kind: str
    databases: Field
    users: Field
    address: Token
    mask: str
    method: str
    options: tuple[str, ...] = ()
    line: int = 0

    @property
    def network(self) -> Network | None:
        """The addresses as numbers; None for host names, words, and sockets."""
        return network(f"{self.address.text}/{self.mask}" if self.mask else self.address.text)


@dataclass(frozen=True)
class Connection:
    """A connection to look a rule up for; `address` is one address or a network, "" on a socket.

    `kind`: `local`, `host` (not told whether encrypted), `hostssl`, `hostnossl`, `hostgssenc`.
    """

    kind: str
    database: str
    user: str
    address: str = ""


@dataclass(frozen=True)
class Entry:
    """A line with those that continue it. `rule` is None for comments, includes and what is broken."""

    text: str
    rule: Rule | None = None
    include: bool = False
    broken: bool = False


def entries_of(text: str) -> tuple[Entry, ...]:
    """Return the file's entries; their texts together are the whole text."""
    return tuple(_entry(*parts) for parts in _joined(text))


def first_match(text: str, kind: str, database: str, user: str, address: str = "") -> Rule | None:
    """Return the first rule that meets a connection or may meet it; None: it is refused.

    Included files are not looked into.
    """
    connection = Connection(kind, database, user, address)
    rules = (entry.rule for entry in entries_of(text) if entry.rule is not None)
    return next((rule for rule in rules if meets(rule, connection) is not Answer.NO), None)


def meets(rule: Rule, connection: Connection) -> Answer:
    """Say whether a rule meets a connection."""
    answers = (
        _kind_meets(rule.kind, connection.kind),
        max(_database_meets(token, connection) for token in rule.databases),
        max(_user_meets(token, connection.user) for token in rule.users),
        _address_meets(rule, connection.address),
    )
    return min(answers)


def network(text: str) -> Network | None:
    """Return an address, `address/bits` or `address/mask` as numbers; None when it is none of these."""
    plain, _, mask = text.partition("/")
    try:
        address = ipaddress.ip_address(plain)
        bits = _mask(mask, address.version) if mask else (1 << address.max_prefixlen) - 1
    except ValueError:
        return None
    return Network(address.version, int(address) & bits, bits)


def _mask(text: str, family: int) -> int:
    """Read a mask; unlike Python, PostgreSQL takes 0.0.0.255 for the bits that it shows."""
    size = 32 if family == 4 else 128
    if not text.isdecimal():
        mask = ipaddress.ip_address(text)
        if mask.version != family:
            raise ValueError(text)
        return int(mask)
    if int(text) > size:
        raise ValueError(text)
    return (1 << size) - (1 << (size - int(text)))


def _joined(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield the text of each entry, its content as one line, and the number of its first line.

    A backslash joins only when the line that ends with it has other characters, or is the first
    (tokenize_auth_file in hba.c).
    """
    taken, content, joined_at, first = "", "", 0, 1
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), 1):
        taken += line
        content = (content + line).rstrip("\r\n")
        if len(content) > joined_at and content.endswith("\\"):
            content = content[:-1]
            joined_at = len(content)
            continue
        yield taken, content, first
        taken, content, joined_at, first = "", "", 0, number + 1
    if taken:
        yield taken, content, first


def _entry(text: str, content: str, line: int) -> Entry:
    fields = _fields(content)
    if not fields:
        return Entry(text)
    if fields[0][0].text in INCLUDES:
        return Entry(text, include=True)
    rule = _rule(fields, line)
    return Entry(text, rule, broken=rule is None)


def _fields(content: str) -> list[Field]:
    """Split a line as next_token and next_field_expand do."""
    fields: list[Field] = []
    place, end, goes_on = 0, len(content), False
    while True:
        while place < end and content[place] in _BLANKS + ",":
            place += 1
        token, place, comma = _token(content, place)
        if token is None:
            return fields
        fields[-1:] = [(*fields[-1], token)] if goes_on else [*fields[-1:], (token,)]
        goes_on = comma


def _token(content: str, place: int) -> tuple[Token | None, int, bool]:
    """Return the token at a place, the place behind it, and whether a comma ends it."""
    letters: list[str] = []
    start = place
    while place < len(content) and content[place] not in _BLANKS:
        if content[place] == "#":
            place = len(content)
            break
        if content[place] == ",":
            return Token("".join(letters), content[start] == '"'), place + 1, True
        match = _QUOTED.match(content, place)
        letters.append(match[1].replace('""', '"') if match else content[place])
        place = match.end() if match else place + 1
    if not letters:
        return None, place, False
    return Token("".join(letters), content[start] == '"'), place, False


def _rule(fields: list[Field], line: int) -> Rule | None:
    """Read a record; None for what the server would refuse by its shape."""
    kind = fields[0][0].text
    if kind not in KINDS or len(fields[0]) > 1:
        return None
    address, mask, rest = Token(""), "", fields[3:]
    if kind != "local" and rest:
        address, rest = rest[0][0], rest[1:]
        if rest and network(address.text) and "/" not in address.text:
            mask, rest = rest[0][0].text, rest[1:]
    if not rest or len(rest[0]) > 1:
        return None
    options = tuple(token.text for field in rest[1:] for token in field)
    return Rule(kind, fields[1], fields[2], address, mask, rest[0][0].text, options, line)


def _kind_meets(rule: str, connection: str) -> Answer:
    if "local" in (rule, connection) or rule == "host":
        return Answer.YES if (rule == "local") == (connection == "local") else Answer.NO
    if connection == "host":
        return Answer.MAYBE
    if rule.startswith("hostno"):
        return Answer.NO if connection == rule.replace("hostno", "host") else Answer.YES
    return Answer.YES if rule == connection else Answer.NO


def _database_meets(token: Token, connection: Connection) -> Answer:
    if token.is_keyword("all"):
        return Answer.YES
    if token.is_keyword("replication"):
        return Answer.NO  # meets connections for physical replication only
    if token.is_keyword("sameuser", "samerole", "samegroup"):
        same = connection.database == connection.user  # every role is a member of itself
        return Answer.YES if same else Answer.NO if token.text == "sameuser" else Answer.MAYBE
    return _name_meets(token, connection.database)


def _user_meets(token: Token, user: str) -> Answer:
    if token.is_keyword("all"):
        return Answer.YES
    if token.text.startswith("+") and not token.quoted:
        return Answer.YES if token.text[1:] == user else Answer.MAYBE
    return _name_meets(token, user)


def _name_meets(token: Token, name: str) -> Answer:
    """Compare names; `@file` and `/regular expression` (quoted too, since PostgreSQL 16) may be anything."""
    if token.text.startswith("/") or (token.text.startswith("@") and not token.quoted and token.text != "@"):
        return Answer.MAYBE
    return Answer.YES if token.text == name else Answer.NO


def _address_meets(rule: Rule, address: str) -> Answer:
    if rule.kind == "local" or rule.address.is_keyword("all"):
        return Answer.YES
    ours, theirs = rule.network, network(address)
    return ours.meets(theirs) if ours and theirs else Answer.MAYBE
