"""Failures of the operating system in runs without a log, told with what to do about them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine_backup.model.errors import EngineBackupError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def named(*places: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into an `EngineBackupError`.

    `places` are those that the block writes to: a full disk is told by the fullest of their file systems.
    """
    try:
        yield
    except OSError as error:
        raise _described(error, places) from error
    except EngineBackupError as error:
        if error.hint == EngineBackupError.usual_hint:
            is_full = any(os.strerror(number) in error.message for number in NO_SPACE)
            error.hint = _room(places) if is_full else "start it again when that is put right"
        raise


def _described(error: OSError, places: tuple[Path, ...]) -> EngineBackupError:
    what = error.strerror or str(error)
    if error.errno in NO_SPACE:
        return EngineBackupError(what[:1].lower() + what[1:], _room(places))
    place = f": {os.fsdecode(error.filename)}" if error.filename else ""
    return EngineBackupError(f"{what}{place}", "see whether you may read and write there")


def _room(places: tuple[Path, ...]) -> str:
    """Name the fullest file system; what filled it may have been removed meanwhile."""
    there = [next(above for above in (place, *place.parents) if above.exists()) for place in places]
    free = {place: shutil.disk_usage(place).free for place in there}
    rooms = ", ".join(f"{place} ({size >> 20} MiB free now)" for place, size in free.items())
    return f"make room on the file system of {rooms}, or choose other places with --output and --tmpdir"
