"""The small members of an archive, read as data: `config`, `version`, `os_version`, `manifest.json`.

Stock *executes* `config` (quirk 1); nothing here is ever handed to a shell.
"""

from __future__ import annotations

import json
import re
from typing import Any

from engine_backup.model.errors import DamagedArchiveError, HostileArchiveError

_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)")
_WORDS = ("", "gzip", "bzip2", "xz", "zstd", "plain", "custom")
_SPELLINGS = {spelling: word for word in _WORDS for spelling in (word, f"'{word}'", f'"{word}"')}
_VERSION = re.compile(r"[0-9A-Za-z._~+:-]{1,100}")


def parse_config(content: bytes, place: str) -> dict[str, str]:
    """Return the keys and values of `config` (reference 4.2); of several equal keys the last wins.

    Raises `HostileArchiveError` with the line's number for all but assignments of known words.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(content.decode("utf-8", "backslashreplace").split("\n"), 1):
        if not line:
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None or match[2] not in _SPELLINGS:
            raise HostileArchiveError(
                f"{place}: line {number} of config is no setting that a backup writes: {line[:80]!r}",
                hint="the stock tool would execute this line; look where the archive comes from",
            )
        values[match[1]] = _SPELLINGS[match[2]]
    return values


def parse_version(content: bytes, place: str) -> str:
    """Return the one word in `version` or `os_version`; raises `DamagedArchiveError` for anything else."""
    text = content.decode("utf-8", "backslashreplace").strip()
    if not _VERSION.fullmatch(text):
        raise DamagedArchiveError(f"{place} holds no version: {text[:80]!r}")
    return text


def parse_manifest(content: bytes, place: str) -> dict[str, Any]:
    """Return the manifest; raises `DamagedArchiveError` when it is no JSON object."""
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedArchiveError(f"{place} is no JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise DamagedArchiveError(f"{place} is no JSON object")
    return manifest
