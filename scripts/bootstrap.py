"""Prepare `.environment/`, the Python environment in which `make` runs everything.

usage: bootstrap.py EXTRA     (`demo` or `development`, an extra of pyproject.toml)

Standard library only, Python 3.9 or newer. Does nothing when the environment
is up to date: it is made again for another Python or another place, and filled
again when pyproject.toml changes. What the installer says goes to
`.environment/install.log`, and to the terminal when it fails.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".environment"
PYTHON = ENVIRONMENT / "bin" / "python"
LOG = ENVIRONMENT / "install.log"
# An environment for development holds what the demo needs.
INCLUDED = {"demo": ("demo", "development"), "development": ("development",)}
ADVICE = "install Python's venv module: apt install python3-venv, or dnf install python3-pip"


class CannotPrepareError(Exception):
    """The environment cannot be made; the text says why and what to install."""


def main(arguments: list[str]) -> int:
    """Prepare the environment; return the exit status."""
    if len(arguments) != 1 or arguments[0] not in INCLUDED:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        prepare(arguments[0])
    except (CannotPrepareError, OSError) as error:
        print(f"cannot prepare {ENVIRONMENT}: {error}", file=sys.stderr)
        return 1
    return 0


def prepare(extra: str) -> None:
    """Make and fill the environment, unless it is as it should be."""
    if any(is_stamped(name, content_stamp()) for name in INCLUDED[extra]):
        return
    started = time.monotonic()
    print(f"preparing .environment ({extra}), once; this may take a minute", flush=True)
    if not is_stamped("place", place_stamp()):
        make()
        stamp("place", place_stamp())
    fill(extra)
    stamp(extra, content_stamp())
    print(f"prepared .environment in {time.monotonic() - started:.0f} s", flush=True)


def content_stamp() -> str:
    """Say what the environment is filled from."""
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + place_stamp().encode()).hexdigest()


def place_stamp() -> str:
    """Say where the environment is and which Python it is of; it works nowhere else."""
    return f"{ROOT}\n{os.path.realpath(sys.executable)}\n{sys.version}"


def is_stamped(name: str, text: str) -> bool:
    """Say whether this part was done, and done from the same things."""
    file = ENVIRONMENT / f"stamp-{name}"
    return PYTHON.exists() and file.is_file() and file.read_text() == text


def stamp(name: str, text: str) -> None:
    """Note that this part is done."""
    (ENVIRONMENT / f"stamp-{name}").write_text(text)


def make() -> None:
    """Make an empty environment by whichever way this machine has.

    Debian and Ubuntu split `ensurepip` off into python3-venv, so `venv` alone may fail.
    """
    if ENVIRONMENT.exists():
        shutil.rmtree(ENVIRONMENT)
    target = str(ENVIRONMENT)
    ways = [
        [sys.executable, "-m", "venv", target],
        ["uv", "venv", "--python", sys.executable, target],
        [sys.executable, "-m", "virtualenv", target],
        ["virtualenv", "--python", sys.executable, target],
    ]
    if has_module("pip"):
        ways.append([sys.executable, "-m", "venv", "--without-pip", target])
    said = [try_way(way) for way in ways if not PYTHON.exists()]
    if not PYTHON.exists():
        raise CannotPrepareError("\n".join([ADVICE, *filter(None, said)]))


def try_way(way: list[str]) -> str:
    """Run one way of making an environment; return what it said when it failed, and remove its remains."""
    if shutil.which(way[0]) is None:
        return ""
    outcome = subprocess.run(way, capture_output=True, text=True, check=False)
    if outcome.returncode == 0:
        return ""
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    return outcome.stdout + outcome.stderr


def fill(extra: str) -> None:
    """Install this project, editable, with one of its extras."""
    wanted = ["--editable", f".[{extra}]"]
    with tempfile.TemporaryDirectory() as borrowed:
        command, environment = installer(Path(borrowed))
        with LOG.open("w") as log:
            status = subprocess.run(
                [*command, *wanted],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
    if status != 0:
        sys.stderr.write(LOG.read_text(errors="replace"))
        raise CannotPrepareError(
            f"the installer failed (exit status {status}), its words are above and in {LOG}"
        )


def installer(borrowed: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command that installs into the environment, and the variables that it needs."""
    environment = dict(os.environ)
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install"]
    if has_module("pip", PYTHON):
        return pip, environment
    if shutil.which("uv"):
        return ["uv", "pip", "install", "--python", str(PYTHON)], environment
    # The environment's Python runs the system's pip: only that one package is lent to it.
    where = "import pip, pathlib; print(pathlib.Path(pip.__file__).parent)"
    found = subprocess.run(
        [sys.executable, "-c", where], capture_output=True, text=True, check=True
    ).stdout.strip()
    (borrowed / "pip").symlink_to(found)
    return pip, {**environment, "PYTHONPATH": str(borrowed)}


def has_module(name: str, python: Path | None = None) -> bool:
    """Say whether a Python has a module."""
    command = [str(python or sys.executable), "-c", f"import {name}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
