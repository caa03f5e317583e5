"""Administrators' hooks add paths to a backup of the running system.

Hooks never run under another root, so each test gets a mount namespace with an
`/etc` of its own, in which the real command runs as a process.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

NAMESPACE = ["unshare", "--mount"]
PREPARE = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/etc" "$1/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc
mkdir -p /etc/ovirt-engine-backup/engine-backup-config.d /etc/lab
chmod 755 /etc /etc/ovirt-engine-backup /etc/ovirt-engine-backup/engine-backup-config.d
echo hand-made > /etc/lab/settings
printf '%s' "$HOOK" > /etc/ovirt-engine-backup/engine-backup-config.d/add.sh
chmod "$MODE" /etc/ovirt-engine-backup/engine-backup-config.d/add.sh
shift
exec "$@"
"""


def run(
    directory: Path, hook: str, *words: str, mode: str = "644", before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Back up under a hook; `before` are words of a program that starts the command."""
    mounted = directory / "mounted"
    mounted.mkdir(exist_ok=True)
    command = [
        *before,
        sys.executable,
        "-m",
        "engine_backup",
        "backup",
        "--scope=files",
        "--product-version=4.5.7",
        f"--file={directory}/a.backup",
        f"--log={directory}/log",
        *words,
    ]
    environment = {**os.environ, "HOOK": hook, "MODE": mode, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [*NAMESPACE, "sh", "-c", PREPARE, "sh", str(mounted), *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def namespaces_work() -> bool:
    """Only root owns what hooks must belong to; in a user's own namespace nobody owns the machine's files."""
    probe = [*NAMESPACE, "sh", "-c", "mount -t tmpfs none /mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not namespaces_work(), reason="needs root and mount namespaces")


def saved(directory: Path) -> list[str]:
    with tarfile.open(directory / "a.backup") as outer:
        with tarfile.open(fileobj=io.BytesIO(outer.extractfile("./files").read())) as inner:
            return inner.getnames()


@pytest.mark.parametrize(
    "hook",
    [
        'BACKUP_PATHS="${BACKUP_PATHS}\n/etc/lab"',
        'BACKUP_PATHS="${BACKUP_PATHS} /etc/lab"',
        'if [ "$MODE" = backup ]; then BACKUP_PATHS="/etc/lab\n$BACKUP_PATHS"; fi',
    ],
    ids=["new line", "the blank of a well-known note", "in front"],
)
def test_added_paths_are_saved(hook: str, tmp_path: Path):
    result = run(tmp_path, hook)
    assert result.returncode == 0, result.stderr
    assert "etc/lab/settings" in saved(tmp_path)
    assert "etc/ovirt-engine-backup/engine-backup-config.d/add.sh" in saved(tmp_path)


def test_a_failing_hook_ends_the_backup(tmp_path: Path):
    result = run(tmp_path, "echo sorry >&2; return 3")
    assert result.returncode == 1
    assert "FATAL: hook /etc/ovirt-engine-backup/engine-backup-config.d/add.sh failed" in result.stderr
    assert not (tmp_path / "a.backup").exists()


def test_a_hook_that_others_may_write_does_not_run(tmp_path: Path):
    result = run(tmp_path, 'BACKUP_PATHS="${BACKUP_PATHS}\n/etc/lab"', mode="666")
    assert result.returncode == 0, result.stderr
    assert "is not run" in result.stderr
    assert "etc/lab/settings" not in saved(tmp_path)


def test_hooks_do_not_run_in_a_dry_run(tmp_path: Path):
    result = run(tmp_path, "touch /etc/lab/touched; return 3", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "not run in a dry run" in result.stderr


def test_hooks_do_not_run_under_another_root(tmp_path: Path):
    root = tmp_path / "root"
    (root / "etc/ovirt-engine").mkdir(parents=True)
    result = run(tmp_path, "return 3", f"--root={root}")
    assert result.returncode == 0, result.stderr


def test_what_hooks_print_is_not_in_an_archive_on_standard_output(tmp_path: Path):
    """They see the name that the person gave; changing it has no effect, as with any name."""
    hook = 'echo "printed by echo"; output "shown: $FILE"; cat /etc/lab/settings >&1; FILE=/nowhere/else'
    before = ["sh", "-c", '"$@" > "$0"', str(tmp_path / "a.backup")]
    result = run(tmp_path, hook, "--file=-", before=before)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert "shown: -\n" in result.stderr
    assert "hooks changed FILE, which has no effect: --file was given" in result.stderr
    assert "printed by echo" in (tmp_path / "log").read_text()
    assert "etc/ovirt-engine-backup/engine-backup-config.d/add.sh" in saved(tmp_path)
