"""Names for databases that stand in for another, or keep what another was.

All are at most 63 bytes, which is what PostgreSQL keeps of a name (manual, 4.1.1).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

LONGEST_NAME = 63
_STAMP = "%Y%m%d%H%M%S"


def temporary_name(name: str, when: datetime) -> str:
    """Return the name that a database has until it is complete, unique to the microsecond."""
    return _joined(name, f"_restoring_{when:{_STAMP}%f}")


def timestamped_name(name: str, when: datetime) -> str:
    """Return the name that stock gives to what it creates beside an existing database (reference 1.4)."""
    return _joined(name, f"_{when:{_STAMP}}")


def replaced_name(name: str, when: datetime) -> str:
    """Return the name that a database keeps when another takes its place."""
    return _joined(name, f"_before_restore_{when:{_STAMP}}")


def _joined(name: str, suffix: str) -> str:
    """Shorten the name as far as needed; two long names stay two."""
    content = name.encode("utf-8", "surrogateescape")
    room = LONGEST_NAME - len(suffix)
    if len(content) <= room:
        return name + suffix
    digest = hashlib.sha256(content).hexdigest()[:6]
    beginning = content[: room - len(digest) - 1].decode("utf-8", "ignore")
    return f"{beginning}_{digest}{suffix}"
