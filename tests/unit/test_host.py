"""Facts about the machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine_backup.drivers import branding, host, processes
from engine_backup.drivers.config_files import Configuration, Setting
from engine_backup.drivers.otopi_answers import Answers

SYSTEM = Path("/")

# The tests' own interpreter may stand where an ordinary user cannot start it from.
PYTHON = sys.executable if os.access(sys.executable, os.X_OK) else "/usr/bin/python3"


def write(root: Path, path: str, text: str, mode: int = 0o644) -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)
    return place


def configuration(**values: str) -> Configuration:
    return Configuration({name: Setting(value, "f") for name, value in values.items()})


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('NAME="AlmaLinux"\nVERSION_ID="9.4"\nID="almalinux"\nID_LIKE="rhel centos fedora"\n', "almalinux9"),
        ("ID=rhel\nVERSION_ID=8.10\n", "rhel8"),
        ("# c\n\nID='ol'\nVERSION_ID=\"10\"  # comment\n", "ol10"),
        ("ID=arch\n", "arch"),
        ('broken "line\nID=fedora\nVERSION_ID="39\n', "fedora"),
        ("", "Unknown"),
    ],
)
def test_os_version(tmp_path: Path, text: str, version: str) -> None:
    write(tmp_path, "usr/lib/os-release", text)
    assert host.os_version(tmp_path) == version
    write(tmp_path, "etc/os-release", "ID=other\nVERSION_ID=1\n")
    assert host.os_version(tmp_path) == "other1"


def test_os_version_of_an_empty_root(tmp_path: Path) -> None:
    assert host.os_version(tmp_path) == "Unknown"


def test_fqdn() -> None:
    assert host.fqdn(configuration(ENGINE_FQDN="engine.example")) == "engine.example"
    assert host.fqdn(configuration()) == socket.getfqdn()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.8.9.10", "::1", "LOCALHOST"])
def test_names_that_lead_here(name: str) -> None:
    assert host.leads_here(name)


def test_an_address_of_an_interface_leads_here() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent; it only asks for the route
        except OSError:
            pytest.skip("this machine has only its loopback interface")
        assert host.leads_here(probe.getsockname()[0])


@pytest.mark.parametrize(
    "name",
    ["192.0.2.1", "2001:db8::1", "224.0.0.1", "no-such-host.invalid", "", "a\0b", "x" * 300, "a,localhost"],
)
def test_names_that_do_not_lead_here(name: str) -> None:
    assert not host.leads_here(name)


@pytest.mark.parametrize(
    ("values", "hosted"),
    [
        ({}, False),
        ({"OVESETUP_CONFIG/continueSetupOnHEVM": True}, True),
        ({"OVESETUP_CONFIG/continueSetupOnHEVM": False}, False),
        ({"OVEHOSTED_ENGINE/enableLibgfapi": False}, True),
        ({"OVESETUP_DB/host": "x"}, False),
    ],
)
def test_hosted_engine(values: dict[str, bool], hosted: bool) -> None:
    assert host.hosted_engine(Answers(values)) is hosted


RPM = """#!/bin/sh
[ "$1 $2 $4" = "-q --root --qf" ] || exit 9
[ "$6" = "%s" ] && printf %%s "%s" && exit 0
echo "package $6 is not installed"; exit 1
"""


@pytest.mark.parametrize("package", ["ovirt-engine-tools-backup", "ovirt-engine"])
def test_the_product_version_from_rpm(tmp_path: Path, package: str) -> None:
    write(tmp_path, "usr/bin/rpm", RPM % (package, "4.5.7"), 0o755)
    write(tmp_path, host._SETUP_CONSTANTS, "PACKAGE_VERSION = '4.5.8_master'\n")
    assert host.product_version(tmp_path) == "4.5.7"


@pytest.mark.parametrize(
    "rpm", [RPM % ("nothing", ""), RPM % ("ovirt-engine", "(none)"), "#!/nowhere\n", None]
)
def test_the_product_version_from_the_setup_constants(tmp_path: Path, rpm: str | None) -> None:
    if rpm is not None:
        write(tmp_path, "usr/bin/rpm", rpm, 0o755)
    assert host.product_version(tmp_path) is None
    text = f"import os\nos.system('touch {tmp_path}/executed')\nPACKAGE_VERSION = '4.5.8_master'\n"
    write(tmp_path, host._SETUP_CONSTANTS, text)
    assert host.product_version(tmp_path) == "4.5.8_master"
    assert not (tmp_path / "executed").exists()


def test_programs_under_the_root_come_first(tmp_path: Path) -> None:
    assert host.find_program("bash", tmp_path) is None
    write(tmp_path, "usr/bin/bash", "", 0o644)
    assert host.find_program("bash", tmp_path) is None
    own = write(tmp_path, "usr/sbin/bash", "", 0o755)
    assert host.find_program("bash", tmp_path) == str(own)
    system = host.find_program("bash", SYSTEM)
    assert system is not None
    assert system.endswith("/bash")
    assert host.find_program("no-such-program-anywhere", SYSTEM) is None


@contextmanager
def running(directory: Path, name: str) -> Iterator[int]:
    script = write(directory, name, "print(flush=True)\nimport time\ntime.sleep(60)\n")
    with subprocess.Popen([PYTHON, str(script), "start"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.kill()


def test_a_running_engine_is_found_by_its_mark(tmp_path: Path) -> None:
    mark = "var/lib/ovirt-engine/engine.up"
    assert not host.engine_running(configuration(), tmp_path)
    with running(tmp_path, "ovirt-engine.py") as pid:
        write(tmp_path, mark, f"{pid}\n")
        assert host.engine_running(configuration(), tmp_path)
        assert not host.engine_running(configuration(ENGINE_UP_MARK="/elsewhere"), tmp_path)
        write(tmp_path, "elsewhere", str(pid))
        assert host.engine_running(configuration(ENGINE_UP_MARK="/elsewhere"), tmp_path)
    assert not host.engine_running(configuration(), tmp_path)


@pytest.mark.parametrize("text", ["", "1", "self", "../self", "x", "-1", "9999999999"])
def test_a_stale_or_odd_mark_is_no_engine(tmp_path: Path, text: str) -> None:
    write(tmp_path, "var/lib/ovirt-engine/engine.up", text)
    assert not host.engine_running(configuration(), tmp_path)


def test_a_running_service_is_seen_by_its_script(tmp_path: Path) -> None:
    with running(tmp_path, "ovirt-engine-dwhd.py"):
        deadline = time.monotonic() + 10
        while not processes.any_runs(("ovirt-engine-dwhd.py",)):
            assert time.monotonic() < deadline


def test_an_argument_of_another_program_is_no_service() -> None:
    name = "ovirt-engine-dwhx.py"
    with subprocess.Popen(["sh", "-c", "echo; read line", name], stdin=-1, stdout=-1) as editor:
        editor.stdout.readline()
        assert not processes.any_runs((name,))
        assert processes.any_runs(("sh",))
        editor.communicate()


def brand(root: Path, name: str, text: str, file: str = "branding-external-resources.properties") -> None:
    write(root, f"etc/ovirt-engine/branding/{name}/{file}", text)


def test_the_last_brand_gives_the_address_of_help(tmp_path: Path) -> None:
    key = "obrand.common.enginebackup.help_url"
    assert branding.help_url(tmp_path) == ""
    brand(tmp_path, "00-ovirt.brand", f"{key} = https\\://ovirt.example/\n", "external_resources.properties")
    assert branding.help_url(tmp_path) == "https://ovirt.example/"
    brand(tmp_path, "50-rhv.brand", f"{key}=https://rhv.example/")
    brand(tmp_path, "60-broken.brand", f"{key}=\\uXXXX")
    brand(tmp_path, "70-silent.brand", "other=1\n")
    assert branding.help_url(tmp_path) == "https://rhv.example/"


@pytest.mark.parametrize(
    ("information", "limit", "expected"),
    [
        ("MemTotal:       24682764 kB\nMemFree:        1 kB\n", None, 24682764 << 10),
        ("MemTotal:       24682764 kB\n", "max\n", 24682764 << 10),
        ("MemTotal:       24682764 kB\n", "1073741824\n", 1 << 30),
        ("MemTotal:       1024 kB\n", "1073741824\n", 1 << 20),
        ("something else\n", None, 0),
        (None, None, 0),
    ],
)
def test_memory(tmp_path: Path, information: str | None, limit: str | None, expected: int) -> None:
    for name, text in (("meminfo", information), ("memory.max", limit)):
        if text is not None:
            write(tmp_path, name, text)
    assert host.memory(tmp_path / "meminfo", tmp_path / "memory.max") == expected


def test_processors_are_those_that_we_may_use() -> None:
    command = [sys.executable, "-c", "from engine_backup.drivers import host; print(host.cores())"]
    environment = {**os.environ, "PYTHONPATH": str(Path(host.__file__).parents[2])}
    one = min(os.sched_getaffinity(0))
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {one}),
    )  # fmt: skip
    assert done.stdout == b"1\n"
