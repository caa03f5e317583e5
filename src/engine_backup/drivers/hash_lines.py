"""The lines of `sha256sum` and `md5sum` files, as coreutils writes and reads them.

A name with a backslash or a line break has these escaped, and its line begins
with a backslash (coreutils manual, "md5sum invocation"; reference 4.2).
"""

from __future__ import annotations

import re

from engine_backup.model.errors import DamagedArchiveError

# Lower case only, as coreutils writes: one bit makes a letter upper case.
_LINE = re.compile(rb"(\\?)([0-9a-f]+) [ *](.+)", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.?)", re.DOTALL)
_MEANINGS = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}
_DIGITS = {"md5": 32, "sha256": 64}


def hash_line(digest: str, name: str) -> bytes:
    """Return the line for one file, with its line break."""
    raw = name.encode("utf-8", "surrogateescape")
    escaped = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    mark = b"\\" if escaped != raw else b""
    return mark + digest.encode() + b"  " + escaped + b"\n"


def parse_hash_lines(content: bytes, algorithm: str, source: str) -> dict[bytes, str]:
    """Return the hex digest of every name (without `./`), in the order of the lines.

    Raises `DamagedArchiveError` with the line's number for anything that coreutils
    would not have written, and for a name that stands there twice.
    """
    digests: dict[bytes, str] = {}
    if content and not content.endswith(b"\n"):
        raise DamagedArchiveError(f"{source}: the last line is cut off")
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        name, digest = _parse(line, f"{source} line {number}", _DIGITS[algorithm])
        if name in digests:
            raise DamagedArchiveError(f"{source} line {number}: {name!r} stands there twice")
        digests[name] = digest
    return digests


def _parse(line: bytes, place: str, digits: int) -> tuple[bytes, str]:
    match = _LINE.fullmatch(line)
    if match is None or len(match[2]) != digits:
        raise DamagedArchiveError(f"{place}: no hash line: {line[:80]!r}")
    name = match[3]
    if match[1]:
        name = _ESCAPED.sub(lambda found: _meaning(found[1], place), name)
    return (name[2:] if name.startswith(b"./") else name), match[2].decode()


def _meaning(sign: bytes, place: str) -> bytes:
    if sign not in _MEANINGS:
        raise DamagedArchiveError(f"{place}: unknown escape \\{sign.decode('latin-1')}")
    return _MEANINGS[sign]
