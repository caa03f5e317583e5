"""What commands this version has."""

from __future__ import annotations

import subprocess
from functools import cache

from tests.support import real_process


@cache
def has_rollback() -> bool:
    """Say whether there is a `rollback`."""
    words = [*real_process.COMMAND, "rollback", "--help"]
    done = subprocess.run(words, env=real_process.environment(), capture_output=True, check=False)
    return done.returncode == 0 and b"rollback" in done.stdout
