"""What of a dump is loaded, and what is left out because it could only fail (reference 2.3).

Stock loads everything and forgives errors by their wording. Here a table says
beforehand what a database's owner, who is no superuser, can neither do nor
needs to do, with a reason for each row; then the first error ends the load.
Custom dumps are judged by their table of contents, plain dumps by statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from engine_backup.model.errors import HostileArchiveError

_EXTENSION = "extensions are created beforehand by the server's administrator"
_PUBLIC = "every database has schema public, which belongs to the administrator"
_LANGUAGE = "every database has the language plpgsql"
_DEFAULTS = "default privileges of the server's administrator; engine-setup sets them again"
_UUID = "functions of the extension uuid-ossp, which is created beforehand"
_SETTING = "a setting that only some versions of PostgreSQL know, at its default"
_PERMISSIONS = "permissions are not restored"
OWNERS = "everything belongs to the role that loads it"

UUID_EXTENSION = "uuid-ossp"
_ALWAYS_THERE = frozenset({"plpgsql"})

_UUID_FUNCTION = r"(?:uuid_generate_v(?:1|1mc|3|4|5)|uuid_nil|uuid_ns_(?:dns|oid|url|x500))\s*\("
_LANGUAGE_FUNCTION = r"plpgsql_(?:call_handler|inline_handler|validator)\s*\("


@dataclass(frozen=True)
class TocEntry:
    """One entry of a custom dump's table of contents; `line` is how pg_restore lists it."""

    dump_id: int
    description: str
    schema: str
    name: str
    owner: str
    line: str


@dataclass(frozen=True)
class TocHeader:
    """What a custom dump says of itself; empty or 0 where it says nothing."""

    dbname: str = ""
    entries: int = 0
    format: str = ""
    dump_version: str = ""
    server_version: str = ""
    pg_dump_version: str = ""


@dataclass(frozen=True)
class Contents:
    """A custom dump's table of contents."""

    header: TocHeader
    entries: tuple[TocEntry, ...]


@dataclass(frozen=True)
class Decision:
    """Whether something is loaded; `reason` says why not."""

    load: bool
    reason: str = ""


LOAD = Decision(load=True)


@dataclass(frozen=True)
class EntryRule:
    """Entries that are left out: their description, a pattern for the whole name, and an owner ("" any)."""

    description: str
    name: re.Pattern[str]
    reason: str
    owner: str = ""


def _entry(description: str, name: str, reason: str, owner: str = "") -> EntryRule:
    return EntryRule(description, re.compile(name, re.DOTALL), reason, owner)


ENTRY_RULES: tuple[EntryRule, ...] = (
    _entry("EXTENSION", r".*", _EXTENSION),
    _entry("COMMENT", r"EXTENSION .*", _EXTENSION),
    _entry("SCHEMA", r'"?public"?', _PUBLIC),
    _entry("COMMENT", r'SCHEMA "?public"?', _PUBLIC),
    _entry("PROCEDURAL LANGUAGE", r'"?plpgsql"?', _LANGUAGE),
    _entry("COMMENT", r'(?:PROCEDURAL )?LANGUAGE "?plpgsql"?', _LANGUAGE),
    _entry("ACL", r'LANGUAGE "?plpgsql"?', _LANGUAGE),
    _entry("FUNCTION", rf"{_LANGUAGE_FUNCTION}.*", _LANGUAGE),
    _entry("DEFAULT ACL", r".*", _DEFAULTS, owner="postgres"),
    _entry("FUNCTION", rf"{_UUID_FUNCTION}.*", _UUID, owner="postgres"),
    _entry("COMMENT", rf"FUNCTION {_UUID_FUNCTION}.*", _UUID, owner="postgres"),
    _entry("ACL", rf"(?:FUNCTION )?{_UUID_FUNCTION}.*", _UUID, owner="postgres"),
)


@dataclass(frozen=True)
class StatementRule:
    """Statements that are left out, by their beginning; `permission`: only when permissions are."""

    beginning: re.Pattern[str]
    reason: str
    permission: bool = False


_IN_PUBLIC = r'(?:"?public"?\s*\.\s*)?"?'
_END = r"(?![\w$])"


def _statement(beginning: str, reason: str, permission: bool = False) -> StatementRule:
    return StatementRule(re.compile(beginning, re.IGNORECASE), reason, permission)


# Matched against the statement's beginning with single blanks for all white space.
STATEMENT_RULES: tuple[StatementRule, ...] = (
    _statement(rf"(?:CREATE|ALTER|COMMENT ON) EXTENSION{_END}", _EXTENSION),
    _statement(rf'(?:CREATE|ALTER|COMMENT ON) SCHEMA (?:IF NOT EXISTS )?"?public"?{_END}', _PUBLIC),
    _statement(
        r"(?:(?:CREATE(?: OR REPLACE)?(?: TRUSTED)?|ALTER|COMMENT ON)(?: PROCEDURAL)?|(?:GRANT|REVOKE) .* ON)"
        rf' LANGUAGE "?plpgsql"?{_END}',
        _LANGUAGE,
    ),
    _statement(rf"(?:CREATE(?: OR REPLACE)?|ALTER) FUNCTION {_IN_PUBLIC}{_LANGUAGE_FUNCTION}", _LANGUAGE),
    _statement(rf'ALTER DEFAULT PRIVILEGES FOR (?:ROLE|USER) "?postgres"?{_END}', _DEFAULTS),
    _statement(
        rf"CREATE(?: OR REPLACE)? FUNCTION {_IN_PUBLIC}{_UUID_FUNCTION}.*\bLANGUAGE ['\"]?c{_END}", _UUID
    ),
    _statement(rf'ALTER FUNCTION {_IN_PUBLIC}{_UUID_FUNCTION}.* OWNER TO "?postgres"?{_END}', _UUID),
    _statement(rf"COMMENT ON FUNCTION {_IN_PUBLIC}{_UUID_FUNCTION}", _UUID),
    _statement(rf"(?:GRANT|REVOKE) [^;]* ON FUNCTION {_IN_PUBLIC}{_UUID_FUNCTION}", _UUID),
    _statement(r"SET default_with_oids\s*=\s*false\s*;", _SETTING),
    _statement(r"SET transaction_timeout\s*=\s*0\s*;", _SETTING),
    _statement(r'ALTER .* OWNER TO (?:"(?:[^"]|"")+"|[\w$]+)\s*;?\s*\Z', OWNERS),
    _statement(rf"(?:SET|RESET) SESSION AUTHORIZATION{_END}", _PERMISSIONS, permission=True),
    _statement(rf"(?:GRANT|REVOKE|ALTER DEFAULT PRIVILEGES){_END}", _PERMISSIONS, permission=True),
)

# Descriptions of more than one word; other entries have one. From pg_dump's
# sources, all versions.
_DESCRIPTIONS = (
    "MATERIALIZED VIEW DATA|MATERIALIZED VIEW|SEQUENCE OWNED BY|SEQUENCE SET|TABLE DATA|TABLE ATTACH"
    "|INDEX ATTACH|FK CONSTRAINT|CHECK CONSTRAINT|DEFAULT ACL|PROCEDURAL LANGUAGE|OPERATOR CLASS"
    "|OPERATOR FAMILY|EVENT TRIGGER|ROW SECURITY|SECURITY LABEL|SHELL TYPE|ACCESS METHOD"
    "|FOREIGN DATA WRAPPER|FOREIGN TABLE|USER MAPPING|TEXT SEARCH [A-Z]+|DATABASE PROPERTIES"
    "|BLOB COMMENTS|BLOB METADATA|PUBLICATION TABLES IN SCHEMA|PUBLICATION TABLE|SUBSCRIPTION TABLE"
    "|STATISTICS DATA"
)
_ENTRY_LINE = re.compile(
    rf"(?P<id>[0-9]+); [0-9]+ [0-9]+ (?P<description>{_DESCRIPTIONS}|[A-Z]+)"
    r" (?P<schema>\S+) (?P<name>.*) (?P<owner>\S*)"
)
_NUMBERED = re.compile(r"([0-9]{1,10});")
_HEADER_LINE = re.compile(r";\s+([A-Za-z_ ]+): (.*)")
# More than any statement that a rule is about, and little enough for patterns
# to be quick on what a stranger has written.
_BEGINNING_SIZE = 8192
_BEFORE_STATEMENT = re.compile(r"(?:\s|--[^\n]*|/\*.*?\*/)*", re.DOTALL)
_CREATE_EXTENSION = re.compile(r'CREATE EXTENSION (?:IF NOT EXISTS )?("(?:[^"]|"")+"|[\w$]+)', re.IGNORECASE)


def parse_toc(text: str) -> Contents:
    """Return what `pg_restore --list` printed.

    Raises `HostileArchiveError` when two entries have one number, as forged
    lines in an object's name would.
    """
    entries = tuple(
        TocEntry(int(match["id"]), match["description"], match["schema"], match["name"], match["owner"], line)
        for line, match in ((line, _ENTRY_LINE.fullmatch(line)) for line in text.split("\n"))
        if match is not None
    )
    # pg_restore goes by numbers alone, also for what we would not take for an entry.
    numbers = [int(found[1]) for found in map(_NUMBERED.match, text.split("\n")) if found]
    if len(set(numbers)) < len(numbers):
        raise HostileArchiveError("the dump's table of contents lists an entry twice")
    return Contents(_header(text), entries)


def decide(entry: TocEntry) -> Decision:
    """Say whether an entry of a custom dump is loaded. Ownership and grants are pg_restore's own options."""
    for rule in ENTRY_RULES:
        if (
            rule.description == entry.description
            and rule.owner in ("", entry.owner)
            and rule.name.fullmatch(entry.name)
        ):
            return Decision(load=False, reason=rule.reason)
    return LOAD


def decide_statement(statement: str, permissions: bool) -> Decision:
    """Say whether a statement of a plain dump is loaded; grants only with `permissions`.

    Owners are never set, as `pg_restore --no-owner` does it for custom dumps: dumps before 3.5.4 name
    the role of their time, and only a superuser could give to another what it has made.
    """
    text = _bare(statement)
    for rule in STATEMENT_RULES:
        if not (rule.permission and permissions) and rule.beginning.match(text):
            return Decision(load=False, reason=rule.reason)
    return LOAD


def kept_list(entries: Iterable[TocEntry]) -> str:
    """Return the list of what is loaded, for `pg_restore --use-list`."""
    return "".join(f"{entry.line}\n" for entry in entries if decide(entry).load)


def made_tables(entries: Iterable[TocEntry]) -> tuple[str, ...]:
    """Return the tables that a load makes, as `schema.name`."""
    return tuple(f"{e.schema}.{e.name}" for e in entries if e.description == "TABLE" and decide(e).load)


def left_out(entries: Iterable[TocEntry]) -> tuple[str, ...]:
    """Return a line for people for each entry that is not loaded, with its reason."""
    decisions = ((entry, decide(entry)) for entry in entries)
    return tuple(f"{e.description} {e.name}: {d.reason}" for e, d in decisions if not d.load)


def needed_extensions(entries: Iterable[TocEntry]) -> tuple[str, ...]:
    """Return the extensions that must exist before the load, sorted; never plpgsql."""
    found = set()
    for entry in entries:
        if entry.description == "EXTENSION":
            found.add(_name(entry.name))
        elif decide(entry).reason == _UUID:
            found.add(UUID_EXTENSION)
    return tuple(sorted(found - _ALWAYS_THERE))


def extensions_of(statement: str) -> tuple[str, ...]:
    """Return the extension that must exist because this statement of a plain dump is left out, if any."""
    match = _CREATE_EXTENSION.match(_bare(statement))
    if match is not None:
        name = _name(match.group(1))
        return () if name in _ALWAYS_THERE else (name,)
    return (UUID_EXTENSION,) if decide_statement(statement, permissions=True).reason == _UUID else ()


def _header(text: str) -> TocHeader:
    lines = (line for line in text.split("\n") if line.startswith(";"))
    values = {match.group(1): match.group(2).strip() for match in map(_HEADER_LINE.match, lines) if match}
    count = values.get("TOC Entries", "")
    return TocHeader(
        dbname=values.get("dbname", ""),
        entries=int(count) if re.fullmatch(r"[0-9]{1,9}", count) else 0,
        format=values.get("Format", ""),
        dump_version=values.get("Dump Version", ""),
        server_version=values.get("Dumped from database version", ""),
        pg_dump_version=values.get("Dumped by pg_dump version", ""),
    )


def _bare(statement: str) -> str:
    """Return a statement's beginning without comments before it, its white space made single blanks."""
    beginning = statement[:_BEGINNING_SIZE]
    match = _BEFORE_STATEMENT.match(beginning)
    return re.sub(r"\s+", " ", beginning[match.end() :] if match else beginning)


def _name(text: str) -> str:
    """Return an identifier's name: quotes removed, otherwise folded as the server folds it."""
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()
