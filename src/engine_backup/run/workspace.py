"""Private temporary directories that are gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def private_directory(parent: Path) -> Iterator[Path]:
    """Create a directory 0700 below `parent` and remove it with all it holds when the block is left."""
    directory = Path(tempfile.mkdtemp(prefix="engine-backup.", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
