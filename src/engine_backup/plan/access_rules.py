"""Letting the product's roles, and ourselves, through pg_hba.conf (reference 1.4, steps 3 and 7).

The first rule that meets a connection decides, so it is the place of a line
that counts. Stock puts its lines behind every line that begins with `local`,
and nowhere when there is none (quirk 47).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine_backup.model.errors import EngineBackupError
from engine_backup.plan.pg_hba import (
    KEYWORDS,
    Answer,
    Connection,
    Entry,
    Field,
    entries_of,
    meets,
    network,
)

SCRAM = "scram-sha-256"
MD5 = "md5"
ANYWHERE = ("0.0.0.0/0", "::0/0")
MARK = "# engine-backup: for the time of a restore only"
# In this version names that begin with a slash became regular expressions, quoted or not.
REGULAR_EXPRESSIONS_SINCE = 16

_PASSWORD_METHODS = frozenset({SCRAM, MD5, "password"})
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9.-]*")
_CONTINUED = re.compile(r"\\\r*\n\Z")
_UNWRITABLE = re.compile(r"[\r\n\0]")


def method_for(server_password_encryption: str) -> str:
    """Return the method that fits passwords as the server stores them (setting password_encryption).

    `on` is how PostgreSQL 13 and older also call md5.
    """
    return MD5 if server_password_encryption.strip().lower() in (MD5, "on") else SCRAM


def with_access(
    text: str,
    database: str,
    user: str,
    method: str,
    addresses: tuple[str, ...] = ANYWHERE,
    major: int = REGULAR_EXPRESSIONS_SINCE,
) -> str:
    """Return pg_hba.conf with lines that let a role into its database over TCP by password.

    They come before the first rule that could decide otherwise, before anything
    whose content is not known, else at the end. Nothing changes when they stand
    there; lines of ours with another method go. `major` is the server's version.
    Raises `EngineBackupError` for a name that the file cannot hold.
    """
    return _with(text, _Access(*_words(database, user, major), database, user, method, addresses))


def with_socket_access(
    text: str, database: str, user: str, method: str, major: int = REGULAR_EXPRESSIONS_SINCE
) -> str:
    """Return pg_hba.conf with a line that lets a role into its database on the socket, as `with_access`."""
    return _with(text, _Access(*_words(database, user, major), database, user, method))


def _words(database: str, user: str, major: int) -> tuple[str, str]:
    return _written(database, major), _written(user, major)


def _with(text: str, access: _Access) -> str:
    entries = [entry for entry in entries_of(text) if not access.is_outdated(entry)]
    place = access.place(entries)
    lines = access.lines_beside(entries[:place])
    following = [entry for entry in entries[place:] if not (lines and access.is_ours(entry))]
    return _joined(entries[:place], lines, following)


def with_administrator_access(text: str, os_user: str, method: str = "peer") -> str:
    """Return pg_hba.conf with a first line that lets an OS account in on the socket as the role of its name.

    For a short time: see `without_administrator_access`.
    """
    addition = _administrator_lines(text, os_user, method)
    return text if text.startswith(addition) else addition + text


def without_administrator_access(text: str, os_user: str, method: str = "peer") -> str:
    """Return pg_hba.conf without what `with_administrator_access` has put in front."""
    addition = _administrator_lines(text, os_user, method)
    return text[len(addition) :] if text.startswith(addition) else text


def _administrator_lines(text: str, os_user: str, method: str) -> str:
    line = f"local   all             {_written(os_user, REGULAR_EXPRESSIONS_SINCE):<15} {method}"
    ending = _line_end(text)
    return f"{MARK}{ending}{line}{ending}"


def broken_lines(text: str) -> tuple[str, ...]:
    """Return the lines that no server takes; it then refuses the whole file."""
    return tuple(entry.text.strip() for entry in entries_of(text) if entry.broken)


@dataclass(frozen=True)
class _Access:
    """The access to be given: names as the file writes them and as the server knows them.

    Without addresses it is access on the socket.
    """

    database_word: str
    user_word: str
    database: str
    user: str
    method: str
    addresses: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The first word of its lines."""
        return "host" if self.addresses else "local"

    def lines_beside(self, entries: list[Entry]) -> list[str]:
        """Return the lines that are needed beside those that are there, in the columns of stock's."""
        given = {entry.rule.network for entry in entries if entry.rule and self.is_ours(entry)}
        names = f"{self.kind:<7} {self.database_word:<15} {self.user_word:<15}"
        missing = (address for address in self.addresses or ("",) if network(address) not in given)
        return [f"{names} {address:<23} {self.method}" for address in missing]

    def is_ours(self, entry: Entry) -> bool:
        """Say whether a line gives this very role this very access, by whatever kind of password."""
        rule = entry.rule
        return (
            rule is not None
            and rule.kind == self.kind
            and _is_name(rule.databases, self.database_word)
            and _is_name(rule.users, self.user_word)
            and rule.network in map(network, self.addresses or ("",))
            and rule.method in _PASSWORD_METHODS
            and not rule.options
        )

    def is_outdated(self, entry: Entry) -> bool:
        """Say whether a line of ours names another method."""
        return self.is_ours(entry) and entry.rule is not None and entry.rule.method != self.method

    def place(self, entries: list[Entry]) -> int:
        """Return where the lines belong."""
        could_refuse = (place for place, entry in enumerate(entries) if self._could_refuse(entry))
        return next(could_refuse, len(entries))

    def _could_refuse(self, entry: Entry) -> bool:
        if entry.rule is None:
            return entry.include or entry.broken
        return (entry.rule.method != self.method or bool(entry.rule.options)) and any(
            meets(entry.rule, Connection(self.kind, self.database, self.user, address)) is not Answer.NO
            for address in self.addresses or ("",)
        )


def _is_name(tokens: Field, word: str) -> bool:
    """Say whether a field holds one name alone, the one that we would write as `word`."""
    name = word[1:-1].replace('""', '"') if word.startswith('"') else word
    if len(tokens) != 1 or tokens[0].text != name:
        return False
    return tokens[0].quoted or not (tokens[0].is_keyword(*KEYWORDS) or name.startswith(("+", "@")))


def _joined(entries: list[Entry], lines: list[str], following: list[Entry]) -> str:
    before = "".join(entry.text for entry in entries)
    after = "".join(entry.text for entry in following)
    if not lines:
        return before + after
    ending = _line_end(before + after)
    if before and not before.endswith("\n"):
        before += ending
    if _CONTINUED.search(before):
        before += ending  # else our line would be the rest of that one
    return before + "".join(line + ending for line in lines) + after


def _line_end(text: str) -> str:
    return "\r\n" if text.partition("\n")[0].endswith("\r") and "\n" in text else "\n"


def _written(name: str, major: int) -> str:
    """Return a name as the file must hold it to mean just this name (PostgreSQL manual, 21.1)."""
    if not name or _UNWRITABLE.search(name):
        raise EngineBackupError(f"pg_hba.conf cannot hold the name {name!r}", "choose another name")
    if name.startswith("/") and major >= REGULAR_EXPRESSIONS_SINCE:
        name = "/^" + re.sub(r"([^\w])", r"\\\1", name) + "$"
    elif _PLAIN_NAME.fullmatch(name) and name not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'
