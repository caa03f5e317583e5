"""Real runs with administrators' hooks: the running system, with directories of its own in a mount namespace.

Hooks never run under another root, so `/etc` and `/var` are overlaid for the processes of a test, and
what they leave there can be looked at from outside.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

NAMESPACE = ["unshare", "--mount"]
HOOKS = "etc/ovirt-engine-backup"
PREPARE = """
set -e
directory=$1
shift
for place in etc var; do
    layers="lowerdir=/$place,upperdir=$directory/$place,workdir=$directory/work-$place"
    mount -t overlay overlay -o "$layers" "/$place"
done
mkdir -p /var/lib/ovirt-engine-backup
exec "$@"
"""


def available() -> bool:
    """Only root owns what hooks must belong to; in a user's own namespace nobody owns the machine's files."""
    probe = [*NAMESPACE, "sh", "-c", "mount -t tmpfs none /mnt"]
    return os.geteuid() == 0 and subprocess.run(probe, capture_output=True, check=False).returncode == 0


@dataclass
class HookMachine:
    """The running system with an `/etc` and a `/var` of its own, which last from run to run.

    `directory` lies on a file system that overlays can be put on.
    """

    directory: Path
    runs: int = 0
    own: Path = field(init=False)

    def __post_init__(self) -> None:
        self.own = self.directory / "layers"
        subprocess.run(["mount", "-t", "tmpfs", "none", str(self._made(self.own))], check=True)
        for name in ("etc", "var", "work-etc", "work-var", "out"):
            self._made(self.own / name)
        self.place("etc/ovirt-engine/engine.conf", "", 0o644)

    def _made(self, path: Path) -> Path:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
        return path

    def close(self) -> None:
        """Give the memory back."""
        subprocess.run(["umount", "--lazy", str(self.own)], check=True)

    @property
    def archive(self) -> Path:
        return self.directory / "a.backup"

    @property
    def log(self) -> Path:
        return self.directory / f"log-{self.runs}"

    @property
    def out(self) -> Path:
        """Where hooks write what tests look at."""
        return self.own / "out"

    def place(self, name: str, text: str, mode: int = 0o644) -> Path:
        """Put a file below `/etc` or `/var`."""
        path = self.own / name
        for parent in reversed(path.relative_to(self.own).parents[:-1]):
            self._made(self.own / parent)
        path.write_text(text)
        path.chmod(mode)
        return path

    def script(self, stage: str, text: str, name: str = "mine.sh", mode: int = 0o644) -> Path:
        """Put a script there, and return the path that the command sees."""
        text = f"out={self.out}\n{text}"
        return self._seen(self.place(f"{HOOKS}/engine-backup-{stage}.d/{name}", text, mode))

    def program(self, stage: str, text: str, name: str = "mine") -> Path:
        """Put a program there, and return the path that the command sees."""
        text = f"#!/bin/sh\nout={self.out}\n{text}"
        return self._seen(self.place(f"{HOOKS}/hooks.d/{stage}/{name}", text, 0o755))

    def _seen(self, path: Path) -> Path:
        return Path("/", path.relative_to(self.own))

    def command(self, mode: str, *words: str) -> list[str]:
        """Return the words that run a mode in the namespace, with a log of its own."""
        self.runs += 1
        own = [
            sys.executable, "-m", "engine_backup", mode, "--scope=files", "--product-version=4.5.7",
            f"--log={self.log}", f"--tmpdir={self.directory}",
        ]  # fmt: skip
        if not any(word.startswith("--file=") for word in words):
            own.append(f"--file={self.archive}")
        words_before = [*NAMESPACE, "sh", "-c", PREPARE, "sh", str(self.own)]
        return [*words_before, *(word for word in own if word), *words]

    def environment(self) -> dict[str, str]:
        """Return the environment of a run."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def run(self, mode: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a mode to its end."""
        return subprocess.run(
            self.command(mode, *words), env=self.environment(), capture_output=True, text=True, check=False
        )

    def told(self, name: str = "told") -> list[str]:
        """Return the lines that hooks have written."""
        path = self.out / name
        return path.read_text().splitlines() if path.exists() else []

    def leftovers(self) -> list[str]:
        """Name what runs must not leave behind."""
        found = [
            path.name for path in self.directory.iterdir() if path.name.endswith((".private", ".partial"))
        ]
        staging = self.own / "var/lib/ovirt-engine-backup/restore"
        return found + ([path.name for path in staging.iterdir()] if staging.exists() else [])
