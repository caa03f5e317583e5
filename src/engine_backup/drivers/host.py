"""Facts about the machine under a root directory: system, name, product version, running services."""

from __future__ import annotations

import ipaddress
import os
import pwd
import re
import shlex
import shutil
import socket
from pathlib import Path
from typing import Any

from engine_backup.drivers import process, processes
from engine_backup.drivers.command import Command
from engine_backup.drivers.config_files import Configuration
from engine_backup.drivers.otopi_answers import Answers
from engine_backup.drivers.process import SYSTEM_PATH
from engine_backup.model.errors import EngineBackupError

UNKNOWN_OS = "Unknown"

_OS_RELEASE_FILES = ("etc/os-release", "usr/lib/os-release")
_PROGRAM_DIRECTORIES = ("usr/sbin", "usr/bin", "sbin", "bin")
_PRODUCT_PACKAGES = ("ovirt-engine-tools-backup", "ovirt-engine")
_SETUP_CONSTANTS = "usr/share/ovirt-engine/setup/ovirt_engine_setup/config.py"
_PACKAGE_VERSION = re.compile(r"^PACKAGE_VERSION\s*=\s*['\"]([^'\"\n]+)['\"]", re.MULTILINE)
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)+\S*")

_ENGINE_UP_MARK = "/var/lib/ovirt-engine/engine.up"
_ENGINE_SERVICE = b"ovirt-engine.py"

_HOSTED_ENGINE_KEY = "OVESETUP_CONFIG/continueSetupOnHEVM"
_HOSTED_ENGINE_PREFIX = "OVEHOSTED_"


def os_version(root: Path) -> str:
    """Return the system's id and major version, such as `rhel9` (reference 4.2); "Unknown" when untold."""
    for name in _OS_RELEASE_FILES:
        text = _text(root / name)
        if text is not None:
            values = _os_release(text)
            return values.get("ID", "") + values.get("VERSION_ID", "").partition(".")[0] or UNKNOWN_OS
    return UNKNOWN_OS


def fqdn(configuration: Configuration) -> str:
    """Return the engine's name as it was set up, else this machine's."""
    return configuration.get("ENGINE_FQDN") or socket.getfqdn()


def leads_here(name: str) -> bool:
    """Say whether all addresses of a host's name or number are this machine's own.

    Nobody but their owner can bind a socket to them (bind(2), EADDRNOTAVAIL).
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except (OSError, ValueError):  # no such name, or nothing that could be one
        return False
    return bool(found) and all(_is_own(family, address) for family, _, _, _, address in found)


def _is_own(family: int, address: tuple[Any, ...]) -> bool:
    number = ipaddress.ip_address(str(address[0]).partition("%")[0])
    if number.is_loopback or number.is_multicast:
        return number.is_loopback
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def hosted_engine(answers: Answers) -> bool:
    """Say whether engine-setup's answers show that the engine runs in a hosted-engine VM.

    A no is not certain: the database knows better (a VM of origin 6).
    """
    named = any(key.startswith(_HOSTED_ENGINE_PREFIX) for key in answers.values)
    return named or answers.boolean(_HOSTED_ENGINE_KEY) is True


def product_version(root: Path) -> str | None:
    """Return the installed product's version, such as `4.5.7`; None when nothing tells it (reference 14)."""
    program = find_program("rpm", root)
    for package in _PRODUCT_PACKAGES if program else ():
        version = _package_version(program or "", package, root)
        if version:
            return version
    match = _PACKAGE_VERSION.search(_text(root / _SETUP_CONSTANTS) or "")
    return match.group(1) if match else None


def account_number(name: str) -> int | None:
    """Return the number of an account; None when there is none of that name."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def cores() -> int:
    """Return how many processors this program may use."""
    return len(os.sched_getaffinity(0))


def memory(information: Path = Path("/proc/meminfo"), limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return this machine's memory in bytes, or what its container may use of it; 0 when nothing tells it."""
    match = re.search(r"^MemTotal:\s*([0-9]+) kB$", _text(information) or "", re.MULTILINE)
    total = int(match.group(1)) << 10 if match else 0
    bound = (_text(limit) or "").strip()
    return min(total, int(bound)) if bound.isdigit() else total


def find_program(name: str, root: Path) -> str | None:
    """Return the path of a system program; None when there is none.

    Programs under the root come first; those of the running system count only
    when the root is theirs.
    """
    candidates = (root / directory / name for directory in _PROGRAM_DIRECTORIES)
    found = next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)
    if found is not None:
        return str(found)
    return (
        shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}") if _is_system(root) else None
    )


ENGINE_UNIT = "ovirt-engine"


def engine_running(configuration: Configuration, root: Path) -> bool:
    """Say whether this root's engine is running: its mark names a process that is one (reference 9.1)."""
    mark = configuration.get("ENGINE_UP_MARK") or _ENGINE_UP_MARK
    text = (_text(root / mark.lstrip("/")) or "").strip()
    if not re.fullmatch(r"[0-9]{1,10}", text):
        return False
    return any(argument.endswith(_ENGINE_SERVICE) for argument in processes.command_line(Path("/proc", text)))


def _is_system(root: Path) -> bool:
    return os.path.realpath(root) == "/"


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace") if path.is_file() else None
    except OSError:
        return None


def _os_release(text: str) -> dict[str, str]:
    """Read `KEY=value` lines with a shell's quotes; lines that are none are passed over."""
    values = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        try:
            words = shlex.split(value, comments=True)
        except ValueError:
            continue
        if equals and len(words) == 1:
            values[key] = words[0]
    return values


def _package_version(program: str, package: str, root: Path) -> str:
    # Another root has its own package database.
    place = () if _is_system(root) else ("--root", str(root))
    command = Command(program, ("-q", *place, "--qf", "%{VERSION}", package))
    try:
        version = process.run(command).stdout.decode("utf-8", "replace").strip()
    except EngineBackupError:
        return ""
    return version if _VERSION.fullmatch(version) else ""
