"""The machine that a benchmark ran on, and what ran."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from engine_backup import __version__
from engine_backup.drivers.postgres_programs import Programs


def describe(directory: Path, programs: Programs) -> dict[str, str]:
    """Return what a reader must know to compare figures."""
    return {
        "processor": _line("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _line("/proc/meminfo", "MemTotal"),
        "file system": _file_system(directory),
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "PostgreSQL": ".".join(str(number) for number in programs.version),
        "zstd": _version("zstd"),
        "xz": _version("xz"),
        "engine-backup": f"{__version__} {_commit()}".strip(),
    }


def _line(path: str, name: str) -> str:
    with suppress(OSError):
        for line in Path(path).read_text().splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return "unknown"


def _file_system(directory: Path) -> str:
    """Return type and device of the mount that holds a directory."""
    best: tuple[str, str] = ("", "unknown")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        device, place, kind = line.split()[:3]
        if directory.resolve().is_relative_to(place) and len(place) > len(best[0]):
            best = (place, f"{kind} on {device}")
    return best[1]


def _version(program: str) -> str:
    return _said(program, "--version") if shutil.which(program) else "none"


def _commit() -> str:
    return _said("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty")


def _said(*words: str) -> str:
    with suppress(OSError, subprocess.CalledProcessError):
        shown = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603 - fixed words
        return shown.stdout.partition("\n")[0]
    return ""
