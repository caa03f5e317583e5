"""Readers of the values of options: from text to value, or a `UsageError` that says what would do."""

from __future__ import annotations

from engine_backup.model import verify_levels
from engine_backup.model.components import BY_NAME, DATABASES, SCOPES, Component
from engine_backup.model.errors import UsageError
from engine_backup.model.excluded_data import TablePattern
from engine_backup.model.exporting import EXPORT_FORMS
from engine_backup.model.live import LIVE
from engine_backup.model.modes import MODES
from engine_backup.model.presets import COMPRESSOR_WORDS, DUMP_FORMATS

COMPRESSORS = ", ".join(COMPRESSOR_WORDS)
TAR_COMPRESSORS = ", ".join(word for word in COMPRESSOR_WORDS if word != "zstd")
REFUSE, REPLACE = "refuse", "replace"
AS_DUMP, AS_SQL = "dump", "sql"


def read_scope(text: str) -> str:
    """Return a word of `--scope=`; the deprecated `dbonly` of 3.3.0 means `db`."""
    if text == "dbonly":
        return "db"
    if text not in SCOPES:
        raise UsageError(f"invalid scope '{text}'", f"use one of {', '.join(SCOPES)}")
    return text


def read_compressor(text: str) -> str:
    """Return a compressor's name, "" for `None`."""
    if text not in COMPRESSOR_WORDS:
        raise UsageError(f"invalid compressor '{text}'", f"use one of {', '.join(COMPRESSOR_WORDS)}")
    return COMPRESSOR_WORDS[text]


def read_tar_compressor(text: str) -> str:
    """Return a compressor that Python's tarfile opens, as hosted-engine's deployment needs (reference 11)."""
    if text == "zstd":
        raise UsageError("invalid compressor 'zstd'", f"only dumps may be zstd; use one of {TAR_COMPRESSORS}")
    return read_compressor(text)


def read_dump_format(text: str) -> str:
    """Return `plain` or `custom`."""
    if text not in DUMP_FORMATS:
        raise UsageError(f"invalid dump format '{text}'", f"use one of {', '.join(DUMP_FORMATS)}")
    return text


def read_on_existing(text: str) -> str:
    """Return `refuse` or `replace`."""
    if text not in (REFUSE, REPLACE):
        raise UsageError(f"invalid way '{text}' for --on-existing", f"use {REFUSE} or {REPLACE}")
    return text


def read_component(text: str) -> str:
    """Return the name of a component."""
    if text not in BY_NAME:
        raise UsageError(f"invalid component '{text}'", f"use one of {', '.join(BY_NAME)}")
    return text


def read_dump_shape(text: str) -> str:
    """Return `dump` or `sql`."""
    if text not in (AS_DUMP, AS_SQL):
        raise UsageError(f"invalid form '{text}' for --as", f"use {AS_DUMP} or {AS_SQL}")
    return text


def read_against(text: str) -> str:
    """Return what a drill compares with: `live`."""
    if text != LIVE:
        raise UsageError(f"invalid word '{text}' for --against", f"use {LIVE}")
    return text


def read_export_form(text: str) -> str:
    """Return the form that an archive is converted to."""
    if text not in EXPORT_FORMS:
        raise UsageError(f"invalid form '{text}' for --to", f"use {' or '.join(EXPORT_FORMS)}")
    return text


def read_number(text: str) -> int:
    """Return how many there are to be, at least 1."""
    return _at_least_one(text, "number")


def read_jobs(text: str) -> int:
    """Return a number of jobs, at least 1."""
    return _at_least_one(text, "number of jobs")


def read_seconds(text: str) -> int:
    """Return a number of seconds, at least 1."""
    return _at_least_one(text, "number of seconds")


def _at_least_one(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise UsageError(f"invalid {what} '{text}'", "use a whole number from 1 on")
    return int(text)


def read_port(text: str) -> int:
    """Return a TCP port."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise UsageError(f"invalid port '{text}'", "use a number from 1 to 65535")
    return int(text)


def read_level(text: str) -> verify_levels.Level:
    """Return how deep to verify."""
    if text not in verify_levels.BY_WORD:
        raise UsageError(f"invalid level '{text}'", f"use one of {', '.join(verify_levels.BY_WORD)}")
    return verify_levels.BY_WORD[text]


def read_mode(text: str) -> str:
    """Return the mode."""
    if text not in MODES:
        raise UsageError(f"invalid mode '{text}'", f"use one of {', '.join(MODES)}")
    return text


def read_table_pattern(text: str) -> TablePattern:
    """Return which rows to leave out: a component, a colon, and a pattern for its tables."""
    name, _, pattern = text.partition(":")
    if not pattern or name not in (component.name for component in DATABASES):
        names = ", ".join(component.name for component in DATABASES)
        hint = f"write COMPONENT:TABLE, where the component is one of {names}, and * stands for any letters"
        raise UsageError(f"invalid tables '{text}'", hint)
    return TablePattern(name, pattern, f"--exclude-table-data={text}")


def read_history_kind(component: Component, text: str) -> TablePattern:
    """Return which rows to leave out: one of a component's kinds of history."""
    patterns = dict(component.history_kinds)
    option = f"--{component.option_prefix}exclude"
    if text not in patterns:
        raise UsageError(f"invalid history '{text}' for {option}", f"use one of {', '.join(patterns)}")
    return TablePattern(component.name, patterns[text], f"{option}={text}")
