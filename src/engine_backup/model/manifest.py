"""`manifest.json`, the member that says what an archive of ours holds.

Written by us, ignored by stock, described in `docs/archive-format.md`. Read
back it is as hostile as the rest of an archive: nothing trusts it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

FORMAT = "engine-backup manifest"
FORMAT_VERSION = 1


def render(content: Mapping[str, Any]) -> bytes:
    """Return the member's bytes: UTF-8 JSON, sorted by meaning, with its format's name and version first."""
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, **content}
    return (json.dumps(document, indent=1, ensure_ascii=True) + "\n").encode()
