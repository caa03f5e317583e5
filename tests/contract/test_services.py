"""Services, packages and file systems of a machine, by programs that stand under its root."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine_backup.drivers import disk_space, packages, processes, services
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.services import SERVICES

SYSTEM = Path("/")
UNIT = "grafana-server"

# The state of each unit is a file; a unit without one is not known.
SYSTEMCTL = """#!/bin/sh
state="{place}/$(eval echo \\${{$#}})"
echo "$* offline=$SYSTEMD_OFFLINE" >> "{place}/calls"
case "$1" in
is-active)
    if [ -f "$state" ]; then cat "$state"; else echo inactive; exit 4; fi
    grep -q '^active$' "$state" || exit 3 ;;
show) if [ -f "$state" ]; then echo LoadState=loaded; else echo LoadState=not-found; fi ;;
stop) echo inactive > "$state" ;;
start)
    [ -f "$state" ] || {{ echo "Failed to start $2.service: Unit $2.service not found." >&2; exit 5; }}
    echo active > "$state" ;;
*) exit 64 ;;
esac
"""


def write_program(root: Path, name: str, text: str) -> None:
    place = root / "usr/bin" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root with a systemctl that knows one running unit."""
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / UNIT).write_text("active\n")
    write_program(tmp_path / "root", "systemctl", SYSTEMCTL.format(place=tmp_path / "units"))
    return tmp_path / "root"


def set_state(machine: Path, state: str) -> None:
    (machine.parent / "units" / UNIT).write_text(f"{state}\n")


class TestSystemctl:
    @pytest.mark.parametrize("state", ["active", "activating", "deactivating", "reloading"])
    def test_running(self, machine, state):
        set_state(machine, state)
        assert services.is_active(UNIT, machine) is True

    @pytest.mark.parametrize("state", ["inactive", "failed", "unknown"])
    def test_not_running(self, machine, state):
        set_state(machine, state)
        assert services.is_active(UNIT, machine) is False

    @pytest.mark.parametrize("state", ["", "Failed to connect to bus", "active\nactive"])
    def test_what_is_no_state_tells_nothing(self, machine, state):
        set_state(machine, state)
        assert services.is_active(UNIT, machine) is None

    def test_a_unit_that_is_not_there(self, machine):
        assert services.is_active("ovirt-engine", machine) is False
        assert services.unit_exists("ovirt-engine", machine) is False
        assert services.unit_exists(UNIT, machine) is True

    def test_stop_and_start(self, machine):
        services.stop(UNIT, machine)
        assert services.is_active(UNIT, machine) is False
        services.start(UNIT, machine)
        assert services.is_active(UNIT, machine) is True

    def test_a_failure_says_what_to_do(self, machine):
        with pytest.raises(EngineBackupError) as caught:
            services.start("ovirt-engine", machine)
        assert caught.value.message.startswith(
            "cannot start ovirt-engine: systemctl failed with exit status 5"
        )
        assert "Unit ovirt-engine.service not found" in caught.value.message
        assert "journalctl -u ovirt-engine" in caught.value.hint

    def test_the_systemctl_of_another_root_is_kept_from_this_systems_systemd(self, machine):
        services.stop(UNIT, machine)
        assert (machine.parent / "units/calls").read_text() == f"stop {UNIT} offline=1\n"

    def test_a_root_without_systemctl(self, tmp_path):
        assert services.is_active(UNIT, tmp_path) is None
        assert services.unit_exists(UNIT, tmp_path) is None
        with pytest.raises(EngineBackupError, match="there is no systemctl"):
            services.stop(UNIT, tmp_path)

    def test_one_that_cannot_be_started(self, tmp_path):
        write_program(tmp_path, "systemctl", "#!/no/such/interpreter\n")
        assert services.is_active(UNIT, tmp_path) is None


class TestRunning:
    def test_by_systemd(self, machine):
        by_unit = {service.unit: services.is_running(service, machine) for service in SERVICES}
        assert [unit for unit, running in by_unit.items() if running] == [UNIT]

    @pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.unit)
    def test_by_its_process(self, service, tmp_path):
        for program in service.programs:
            with named_process(tmp_path, program):
                assert services.is_running(service, SYSTEM)
        assert not services.is_running(service, tmp_path)

    def test_processes_of_this_system_are_none_of_another_root(self, tmp_path):
        with named_process(tmp_path, "grafana-server"):
            assert not services.is_running(SERVICES[-1], tmp_path)

    def test_an_editor_is_no_service(self, tmp_path):
        script = tmp_path / "ovirt-engine-no-such.py"
        script.write_text("")
        with subprocess.Popen(["tail", "-f", str(script)], stdout=subprocess.DEVNULL) as editor:
            wait_for_arguments(editor.pid, script.name)
            assert not processes.any_runs((script.name,))
            editor.kill()


@contextmanager
def named_process(directory: Path, name: str) -> Iterator[None]:
    """A Python script with options before its name, or a program of its own."""
    if name.endswith(".py"):
        (directory / name).write_text("import time\ntime.sleep(60)\n")
        words = [sys.executable, "-Es", str(directory / name)]
    else:
        words = [f"/usr/sbin/{name}", "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(words, executable=sys.executable) as process:
        wait_for_arguments(process.pid, name)
        yield
        process.kill()


def wait_for_arguments(pid: int, word: str) -> None:
    """A new process has our own arguments until it has become the program."""
    until = time.monotonic() + 10
    while word.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < until
        time.sleep(0.01)


# As rpm does it, the exit status is the number of packages that are not installed.
RPM = r"""#!/bin/sh
[ "$1 $2 $4 $5" = "-q --root --qf %{NAME}\n" ] || exit 9
shift 5
missing=0
for name; do
    case "$name" in
    ovirt-engine|grafana) echo "$name" ;;
    crash) exit 9 ;;
    broken) echo "error: cannot open Packages database in /var/lib/rpm" >&2
            echo "package $name is not installed"; missing=$((missing + 1)) ;;
    *) echo "package $name is not installed"; missing=$((missing + 1)) ;;
    esac
done
exit $missing
"""


class TestPackages:
    @pytest.mark.parametrize(
        ("package", "installed"),
        [("ovirt-engine", True), ("ovirt-engine-dwh", False), ("broken", None), ("crash", None)],
    )
    def test_rpm_of_the_root(self, tmp_path, package, installed):
        write_program(tmp_path, "rpm", RPM)
        assert packages.installed(package, tmp_path) is installed

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (("ovirt-engine", "none", "grafana", "ovirt"), (True, False, True, False)),
            (("none", "ovirt-engine-dwh"), (False, False)),
            (("ovirt-engine", "broken"), (None, None)),
            (("crash", "ovirt-engine"), (None, None)),
            ((), ()),
        ],
    )
    def test_several_packages_at_once(self, tmp_path, names, expected):
        write_program(tmp_path, "rpm", RPM)
        assert packages.installed_of(names, tmp_path) == dict(zip(names, expected))

    def test_a_root_without_rpm(self, tmp_path):
        assert packages.installed("ovirt-engine", tmp_path) is None


class TestDiskSpace:
    def test_the_nearest_parent_counts(self, tmp_path):
        (tmp_path / "there").mkdir()
        missing = tmp_path / "there/not/yet"
        volume = disk_space.free(missing)
        status = os.statvfs(tmp_path)
        assert volume.directory == str(missing)
        assert volume.device == tmp_path.stat().st_dev == disk_space.free(tmp_path).device
        assert volume.free is not None
        assert 0 < volume.free <= status.f_frsize * status.f_blocks

    def test_a_link_leads_to_the_file_system_behind_it(self, tmp_path):
        (tmp_path / "link").symlink_to("/proc")
        assert disk_space.free(tmp_path / "link/nothing").device == Path("/proc").stat().st_dev

    def test_one_without_numbers(self):
        assert disk_space.free(Path("/proc")).free is None
