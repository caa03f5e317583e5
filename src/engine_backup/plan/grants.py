"""Which roles a dump's privileges need, and which of its statements an administrator may run.

A dump is a program of somebody else's. Of its grants, those that others than the owner made
cannot be run by the owner (reference 13.4); an administrator can, and must not be made to do
more than that: each statement is read token by token and has to be what pg_dump writes, and says
who has to run it: the owner or the role that granted, never the administrator with all his rights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from engine_backup.model.errors import HostileArchiveError
from engine_backup.model.server import PrivilegeStatement
from engine_backup.plan.load_rules import decide_statement

# PostgreSQL manual, 4.1 "Lexical Structure"; outside ASCII every sign belongs to a name.
_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<quoted>"(?:[^"\0]|"")+")
      | (?P<string>[eE]?'(?:[^'\\]|''|\\.)*')
      | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
      | (?P<number>[0-9]+)
      | (?P<sign>[(),.;\[\]])
      | (?P<other>[^ \t\r\n\f])""",
    re.DOTALL | re.VERBOSE,
)
_PLAIN_STRING = re.compile(r"'([^'\\\0]+)'")
_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_FOLDED = str.maketrans(_UPPER, _LOWER)  # the server folds ASCII only

_BEGINNING = re.compile(
    r"(?:GRANT|REVOKE|ALTER\s+DEFAULT\s+PRIVILEGES|(?:SET|RESET)\s+SESSION\s+AUTHORIZATION)(?![\w$])",
    re.IGNORECASE,
)
_NO_ROLES = frozenset({"current_user", "session_user", "current_role"})
_PUBLIC = "public"  # no role can have this name, and quotes make no difference
# Everything that lies within a database. Others (databases, table spaces, parameters) no dump grants.
_OBJECTS = (
    *((word,) for word in ("TABLE", "SEQUENCE", "FUNCTION", "PROCEDURE", "ROUTINE", "SCHEMA")),
    *((word,) for word in ("TYPE", "DOMAIN", "LANGUAGE")),
    ("LARGE", "OBJECT"),
    ("FOREIGN", "DATA", "WRAPPER"),
    ("FOREIGN", "SERVER"),
)
_LATER_OBJECTS = (
    *((word,) for word in ("TABLES", "SEQUENCES", "FUNCTIONS", "ROUTINES", "TYPES", "SCHEMAS")),
    ("LARGE", "OBJECTS"),
)
_SESSION = {"SET": 4, "RESET": 3}  # words in SET SESSION AUTHORIZATION name, and in RESET
_ENDINGS = ((), ("WITH", "GRANT", "OPTION"), ("CASCADE",), ("RESTRICT",))


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def keyword(self) -> str:
        """The word in capitals; empty for what cannot be a keyword."""
        return self.text.upper() if self.kind in ("word", "sign") else ""

    @property
    def name(self) -> str:
        """The name that it stands for."""
        if self.kind == "quoted":
            return self.text[1:-1].replace('""', '"')
        return self.text.translate(_FOLDED)

    @property
    def is_role(self) -> bool:
        """Whether it names a role, and neither everybody nor whoever is logged in."""
        keyword = self.kind == "word" and self.name in _NO_ROLES
        return self.kind in ("word", "quoted") and self.name != _PUBLIC and not keyword


@dataclass(frozen=True)
class _Privilege:
    """A statement taken apart. `acting` is who it is for (FOR ROLE, AUTHORIZATION)."""

    verb: str
    acting: tuple[_Token, ...] = ()
    objects: tuple[_Token, ...] = ()
    receivers: tuple[_Token, ...] = ()
    grantors: tuple[_Token, ...] = ()
    ending: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[_Token, ...]:
        """All tokens that name roles."""
        return tuple(t for t in (*self.acting, *self.receivers, *self.grantors) if t.is_role)


def is_privilege(statement: str) -> bool:
    """Whether a statement grants, revokes, or says who does so."""
    return _BEGINNING.match(statement) is not None


def grantees(statements: Iterable[str]) -> tuple[str, ...]:
    """Return the roles that must exist for a dump's privileges, sorted, without PUBLIC.

    Those that get or lose something, whose later objects are meant (ALTER DEFAULT PRIVILEGES),
    and those who granted. Statements that are never loaded do not count. PostgreSQL manual, GRANT.
    """
    found = map(_parsed, _loaded(statements))
    return tuple(sorted({token.name for privilege in found for token in privilege.roles}))


def has_foreign_grants(statements: Iterable[str], owner: str = "") -> bool:
    """Whether the owner alone cannot bring all privileges back, but only an administrator can.

    pg_dump writes grants by others between SET SESSION AUTHORIZATION and RESET (reference 13.4).
    With `owner` also the default privileges of others count.
    """
    return any(_is_foreign(privilege, owner) for privilege in map(_parsed, _loaded(statements)))


def _is_foreign(privilege: _Privilege, owner: str) -> bool:
    if privilege.verb == "SET":
        return bool(privilege.acting)
    return bool(owner) and any(token.name != owner for token in privilege.acting)


def privilege_statements(
    statements: Iterable[str], owner: str, renamed: Mapping[str, str] | None = None
) -> tuple[PrivilegeStatement, ...]:
    """Return the privileges among a dump's statements, each with the role that has to run it.

    `owner` owns the database and what is in it; `renamed` tells roles that have another name here.
    Raises `HostileArchiveError` for a statement that begins like one of these and is anything else.
    """
    names = renamed or {}
    role = owner
    found = []
    for text in _loaded(statements):
        privilege = _checked(text)
        if privilege.verb in _SESSION:
            role = _role(privilege.acting, names, owner)
        else:
            runs = "" if _is_public_schema(privilege) else _role(privilege.acting, names, role)
            found.append(PrivilegeStatement(_with_names(text, privilege, names), runs))
    return tuple(found)


def _loaded(statements: Iterable[str]) -> Iterator[str]:
    """Leave out what is about other things, and what is never loaded."""
    for text in statements:
        if _BEGINNING.match(text) and decide_statement(text, permissions=True).load:
            yield text


def _role(acting: tuple[_Token, ...], names: Mapping[str, str], otherwise: str) -> str:
    return names.get(acting[0].name, acting[0].name) if acting else otherwise


def _is_public_schema(privilege: _Privilege) -> bool:
    """Whether it is about schema public alone, which belongs to the administrator before PostgreSQL 15."""
    if len(privilege.objects) != 2 or privilege.acting:
        return False
    kind, name = privilege.objects
    return kind.keyword == "SCHEMA" and name.name == _PUBLIC


def _with_names(text: str, privilege: _Privilege, names: Mapping[str, str]) -> str:
    """Put new names in the places of old ones."""
    for token in sorted(privilege.roles, key=lambda token: token.start, reverse=True):
        if token.name in names:
            quoted = '"' + names[token.name].replace('"', '""') + '"'
            text = text[: token.start] + quoted + text[token.start + len(token.text) :]
    return text


def _checked(text: str) -> _Privilege:
    """Take a statement apart that holds nothing but what pg_dump writes."""
    tokens = list(_tokens(text))
    privilege = _parsed(text)
    sound = _is_sound_session if privilege.verb in _SESSION else _is_sound
    if _is_strange(text, tokens, privilege) or not sound(privilege):
        shown = text[:80]
        raise HostileArchiveError(f"the dump holds a statement on privileges that no dump holds: {shown!r}")
    return privilege


def _is_strange(text: str, tokens: list[_Token], privilege: _Privilege) -> bool:
    """Whether there is more than one statement, or something that its language could hide one in."""
    allowed = {"quoted", "word", "number", "sign"} | ({"string"} if privilege.verb == "SET" else set())
    return (
        any(token.kind not in allowed for token in tokens)
        or any(token.text == ";" for token in tokens[:-1])
        or any("\ud800" <= sign <= "\udfff" for sign in text)  # bytes that are no UTF-8
        or not _is_balanced(tokens)
    )


def _is_balanced(tokens: list[_Token]) -> bool:
    """Whether each bracket is closed: psql, which may read the statement, ends none within brackets."""
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0:
            return False
    return depth == 0


def _is_sound_session(privilege: _Privilege) -> bool:
    return not privilege.ending and all(token.is_role for token in privilege.acting)


def _is_sound(privilege: _Privilege) -> bool:
    kinds = _LATER_OBJECTS if privilege.verb == "ALTER" else _OBJECTS
    begin = tuple(token.keyword for token in privilege.objects[:3])
    return (
        any(begin[: len(kind)] == kind for kind in kinds)
        and bool(privilege.receivers)
        and len(privilege.acting) <= 1
        and not privilege.grantors
        and privilege.ending in _ENDINGS
    )


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        yield _Token(match.lastgroup or "", match.group(), match.start())


def _parsed(text: str) -> _Privilege:
    """Take a statement apart, whatever else it may hold."""
    tokens = [token for token in _tokens(text) if token.kind != "comment" and token.text != ";"]
    words = [token.keyword for token in tokens]
    verb = words[0] if words else ""
    if verb in _SESSION:
        end = _SESSION[verb]
        acting = _session_role(tokens[3:4]) if verb == "SET" else ()
        return _Privilege(verb, acting, ending=tuple(token.text for token in tokens[end:]))
    begin, acting = _default_privileges(tokens, words) if verb == "ALTER" else (0, ())
    last = [place for place, word in enumerate(words) if word in ("TO", "FROM")]
    if not last:
        return _Privilege(verb, acting)
    receivers, ending = _names(tokens, last[-1] + 1)
    on = words.index("ON", begin) if "ON" in words[begin : last[-1]] else last[-1] - 1
    objects = tuple(tokens[on + 1 : last[-1]])
    grantors, rest = _grantors(tokens[ending:])
    return _Privilege(verb, acting, objects, receivers, grantors, tuple(token.keyword for token in rest))


def _session_role(tokens: list[_Token]) -> tuple[_Token, ...]:
    """Return whom SET SESSION AUTHORIZATION names; DEFAULT is nobody. Old versions wrote a string."""
    if not tokens or tokens[0].keyword == "DEFAULT":
        return ()
    string = _PLAIN_STRING.fullmatch(tokens[0].text)
    if string is not None:
        return (_Token("quoted", '"' + string.group(1).replace('"', '""') + '"', tokens[0].start),)
    return (tokens[0],)


def _default_privileges(tokens: list[_Token], words: list[str]) -> tuple[int, tuple[_Token, ...]]:
    """Return where GRANT or REVOKE begins, and FOR ROLE whom."""
    begin = next((place for place, word in enumerate(words) if word in ("GRANT", "REVOKE")), len(words))
    if words[3:5] in (["FOR", "ROLE"], ["FOR", "USER"]):
        return begin, _names(tokens[:begin], 5)[0]
    return begin, ()


def _names(tokens: list[_Token], place: int) -> tuple[tuple[_Token, ...], int]:
    """Read `[GROUP] name, …` and return the names and the place behind them."""
    names = []
    while place < len(tokens):
        if tokens[place].keyword == "GROUP":
            place += 1
            continue
        if tokens[place].kind not in ("word", "quoted"):
            break
        names.append(tokens[place])
        place += 1
        if place == len(tokens) or tokens[place].keyword != ",":
            break
        place += 1
    return tuple(names), place


def _grantors(tokens: list[_Token]) -> tuple[tuple[_Token, ...], list[_Token]]:
    """Return whom GRANTED BY names, and the rest of the ending."""
    words = [token.keyword for token in tokens]
    for place in range(len(words) - 2):
        if words[place : place + 2] == ["GRANTED", "BY"]:
            return (tokens[place + 2],), tokens[:place] + tokens[place + 3 :]
    return (), tokens
