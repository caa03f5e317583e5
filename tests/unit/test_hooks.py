"""Hooks, sourced by a real bash."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_backup.drivers.hook_running import ShellState, StageOutcome, run_program, run_stage
from engine_backup.drivers.hooks import NOT_EXECUTABLE, added_paths, discover
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.hooks import StageHooks, stage_of

TRUSTED = frozenset({0, os.getuid()})
LIMIT = 60


def place(root: Path, name: str, text: str = "", mode: int = 0o644) -> Path:
    path = root / "etc/ovirt-engine-backup" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for directory in (path.parent, *path.parent.parents):
        if directory == root:
            break
        directory.chmod(0o755)
    path.write_text(text)
    path.chmod(mode)
    return path


def found(root: Path) -> StageHooks:
    return discover(root, "config", TRUSTED)


def paths_of(stage: StageHooks) -> list[Path]:
    return [hook.path for hook in stage.hooks]


def test_scripts_are_found_deeply_and_sorted_by_path(tmp_path: Path) -> None:
    names = ["a/z.sh", "b.sh", "a.sh", "a/.hidden.sh"]
    paths = [place(tmp_path, f"engine-backup-config.d/{name}") for name in names]
    place(tmp_path, "engine-backup-config.d/note.txt")
    place(tmp_path, "engine-backup-init.d/other.sh")
    (tmp_path / "etc/ovirt-engine-backup/engine-backup-config.d/dangling.sh").symlink_to("nowhere")
    assert paths_of(found(tmp_path)) == sorted(paths)
    assert found(tmp_path).untrusted == ()


def test_no_directory_means_no_scripts(tmp_path: Path) -> None:
    assert found(tmp_path) == StageHooks(())


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_script_that_others_can_write_is_not_trusted(tmp_path: Path, mode: int) -> None:
    path = place(tmp_path, "engine-backup-config.d/a.sh", mode=mode)
    scripts = found(tmp_path)
    assert scripts.hooks == ()
    assert scripts.untrusted[0].path == path
    assert scripts.untrusted[0].reason == f"{path} can be written by others (mode {mode:04o})"


def test_parents_count_too(tmp_path: Path) -> None:
    path = place(tmp_path, "engine-backup-config.d/a.sh")
    (tmp_path / "etc").chmod(0o777)
    assert found(tmp_path).untrusted[0].reason.startswith(f"{tmp_path / 'etc'} can be written")
    (tmp_path / "etc").chmod(0o1777)
    assert paths_of(found(tmp_path)) == [path]


def test_owners_count(tmp_path: Path) -> None:
    path = place(tmp_path, "engine-backup-config.d/a.sh")
    untrusted = discover(tmp_path, "config", frozenset({54321})).untrusted
    assert [entry.path for entry in untrusted] == [path]
    assert "belongs to user" in untrusted[0].reason


def test_what_a_link_leads_through_counts(tmp_path: Path) -> None:
    directory = place(tmp_path, "engine-backup-config.d/a.sh").parent
    open_directory = tmp_path / "open"
    open_directory.mkdir()
    open_directory.chmod(0o777)
    safe = place(tmp_path, "safe.sh")
    (open_directory / "middle").symlink_to(safe)
    (directory / "direct.sh").symlink_to("../safe.sh")
    (directory / "through.sh").symlink_to(open_directory / "middle")
    scripts = found(tmp_path)
    assert [path.name for path in paths_of(scripts)] == ["a.sh", "direct.sh"]
    assert [entry.path.name for entry in scripts.untrusted] == ["through.sh"]


def run(tmp_path: Path, text: str, **variables: str) -> dict[str, str]:
    return dict(source((place(tmp_path, "a b'c.sh", text),), variables).changed)


def source(scripts: tuple[Path, ...], variables: dict[str, str], own: str = "") -> StageOutcome:
    return run_stage(scripts, ShellState(variables, own), LIMIT)


def test_scripts_share_one_shell_and_give_changed_variables_back(tmp_path: Path) -> None:
    first = place(
        tmp_path, "1.sh", 'helper() { echo "helped $1"; }\nA="$A changed"\nOTHER=1\necho out; echo err >&2\n'
    )
    second = place(tmp_path, "2.sh", 'helper "$A"\nB="$(printf "two\\nlines")"\nlog "said"; output "shown"\n')
    outcome = source((first, second), {"A": "old", "B": "", "SAME": "s"})
    assert outcome.changed == {"A": "old changed", "B": "two\nlines"}
    assert outcome.output == "out\nhelped old changed\nsaid\nerr\n"
    assert outcome.said == ("shown",)


def test_the_well_known_procedure(tmp_path: Path) -> None:
    before = "/etc/ovirt-engine\n/etc/pki/ovirt-engine\n"
    for text in (
        'BACKUP_PATHS="${BACKUP_PATHS}\n/etc/ovirt-engine-backup"\n',
        'BACKUP_PATHS="${BACKUP_PATHS} /etc/ovirt-engine-backup"\n',
    ):
        for start in (before, before.rstrip("\n")):
            after = run(tmp_path, text, BACKUP_PATHS=start)["BACKUP_PATHS"]
            assert added_paths(start, after) == ["/etc/ovirt-engine-backup"]


@pytest.mark.parametrize(
    ("after", "added"),
    [
        ("/a\n/b", []),
        ("/a", []),
        ("", []),
        ("/a\n/b\n/c\n", ["/c"]),
        ("/c\n/a\n/b", ["/c"]),
        ("/a\n/b /c /d", ["/c", "/d"]),
        ("/c /a\n/b", ["/c"]),
        ("/a\n/b /with blank", ["/with blank"]),
        ("/a\n/b\n/with blank/x", ["/with blank/x"]),
        ("/a\n/b\n  /c  \n/c", ["/c"]),
        ("/a\n/b\t/c", ["/c"]),
    ],
)
def test_added_paths(after: str, added: list[str]) -> None:
    assert added_paths("/a\n/b", after) == added


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo why >&2\nfalse\n", "failed with status 1: why"),
        ("exit 3\n", "failed with status 3"),
        ("exit 0\n", "ended the run with exit"),
        ("set -e\nfalse\necho no\n", "failed with status 1"),
        ("set -u\necho $NOBODY\n", "failed with status"),
        ("if\n", "failed with status"),
        ("die 'no way'\n", "failed with status 1: no way"),
        ("kill -9 $$\n", "was ended by signal 9"),
    ],
)
def test_a_failing_script_is_named_and_ends_the_stage(tmp_path: Path, text: str, said: str) -> None:
    good = place(tmp_path, "1.sh", "A=1\n")
    bad = place(tmp_path, "2.sh", text)
    after = place(tmp_path, "3.sh", f"touch {tmp_path}/never\n")
    with pytest.raises(EngineBackupError) as caught:
        source((good, bad, after), {"A": ""})
    assert caught.value.message.startswith(f"hook {bad} {said}")
    assert not (tmp_path / "never").exists()


def test_scripts_may_set_strict_options(tmp_path: Path) -> None:
    text = "set -euo pipefail\nIFS=,\nshopt -s nullglob\nunset B\nset -- x y\nA=1\n"
    assert run(tmp_path, text, A="", B="b") == {"A": "1", "B": ""}


def test_scripts_see_no_variable_of_ours_and_no_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = place(tmp_path, "evil.sh", "A=evil\n")
    monkeypatch.setenv("BASH_ENV", str(evil))
    monkeypatch.setenv("SECRET", "hunter2")
    text = (
        'A="${SECRET-unset}"; read -r line || B="no input"\n'
        "if [ \"$(bash -c 'echo $C')\" ]; then C=exported; fi\n"
    )
    assert run(tmp_path, text, A="", B="", C="plain") == {"A": "unset", "B": "no input"}


@settings(max_examples=30, deadline=None)
@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.sampled_from(["", "\udcff"]),
)
def test_any_value_arrives_and_returns_unharmed(
    tmp_path_factory: pytest.TempPathFactory, text: str, odd: str
) -> None:
    value = text + odd
    script = tmp_path_factory.mktemp("hook") / "a.sh"
    script.write_text('B="$A"\n')
    expected = {"B": value} if value else {}
    assert source((script,), {"A": value, "B": ""}).changed == expected


@pytest.mark.parametrize("name", ["a b", "a[$(id)]", "", "1a", "a-b"])
def test_only_plain_names_are_variables(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a shell variable"):
        source((place(tmp_path, "a.sh"),), {name: "x"})


def test_nothing_to_run_starts_nothing() -> None:
    assert source((), {"A": "1"}).changed == {}


def test_what_scripts_define_for_themselves_is_there_in_later_stages(tmp_path: Path) -> None:
    first = place(
        tmp_path,
        "1.sh",
        "set -eu\nIFS=,\ndeclare -A mine=([a b]='c $d')\nreadonly fixed=1\nexport shown=2\n"
        'say_it() { echo "it: $1"; }\nGIVEN=changed\n',
    )
    second = place(
        tmp_path, "2.sh", "A=\"${mine[a b]} $fixed $(bash -c 'echo $shown') $(say_it x) $GIVEN\"\n"
    )
    own = source((first,), {"GIVEN": "", "A": ""}).own
    own = source((), {}, own).own
    outcome = source((second,), {"GIVEN": "ours", "A": ""}, own)
    assert outcome.changed == {"A": "c $d 1 2 it: x ours"}
    assert "GIVEN" not in own
    assert source((second,), {"GIVEN": "ours", "A": ""}, outcome.own).changed == outcome.changed


def test_the_shell_says_nothing_of_its_own_about_what_is_carried_on(tmp_path: Path) -> None:
    script = place(tmp_path, "1.sh", "[[ ab =~ (.) ]]; : | cat; read -r < /dev/null || true; x=1\n")
    own = source((script,), {}).own
    assert source((script,), {}, own).output == ""


def test_programs_that_scripts_start_cannot_read_what_the_shell_was_given(tmp_path: Path) -> None:
    script = place(tmp_path, "1.sh", "cat /proc/self/fd/*[3-9]* /proc/self/environ || true\n")
    outcome = source((script,), {"ENGINE_DB_PASSWORD": "hunter2"})
    assert "PATH=" in outcome.output
    assert "hunter2" not in outcome.output
    assert "hunter2" not in repr(outcome) + repr(ShellState({"ENGINE_DB_PASSWORD": "hunter2"}))


def test_a_script_that_hangs_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    script = place(tmp_path, "1.sh", f"echo begun\nsleep 600 & echo $! > {tmp_path}/pid\nwait\n")
    with pytest.raises(EngineBackupError) as caught:
        run_stage((script,), ShellState(), 1)
    assert caught.value.message == f"hook {script} did not end within 1 seconds, and was ended: begun"
    assert "--hook-timeout=" in caught.value.hint
    left = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    for _ in range(1000):
        if not is_running(left):
            return
        time.sleep(0.01)
    raise AssertionError(left.read_text())


def is_running(state: Path) -> bool:
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_a_script_leaves_running_holds_nobody_up(tmp_path: Path) -> None:
    script = place(tmp_path, "1.sh", f"sleep 30 & echo $! > {tmp_path}/pid\n")
    assert source((script,), {}).output == ""
    os.kill(int((tmp_path / "pid").read_text()), 9)


def program(directory: Path, text: str) -> Path:
    path = place(directory, "hooks.d/config/10-program", text)
    path.chmod(0o755)
    return path


def test_programs_come_after_scripts_and_by_name(tmp_path: Path) -> None:
    names = ["hooks.d/config/b", "hooks.d/config/a.sh", "hooks.d/config/.hidden", "hooks.d/config/deep/er"]
    for name in names:
        place(tmp_path, name).chmod(0o755)
    place(tmp_path, "engine-backup-config.d/z.sh")
    assert [(hook.path.name, hook.sourced) for hook in found(tmp_path).hooks] == [
        ("z.sh", True),
        ("a.sh", False),
        ("b", False),
    ]


def test_a_program_that_is_not_executable_is_told_of(tmp_path: Path) -> None:
    path = place(tmp_path, "hooks.d/config/program")
    assert [(entry.path, entry.reason) for entry in found(tmp_path).untrusted] == [(path, NOT_EXECUTABLE)]


def test_a_program_reads_its_document(tmp_path: Path) -> None:
    path = program(tmp_path, "#!/bin/sh\ncat; echo; ls /proc/self/fd; echo err >&2; env\n")
    said = run_program(path, b'{"stage": "x"}', LIMIT)
    assert said.startswith('{"stage": "x"}\n0\n1\n2\n3\n')
    assert "err\n" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\necho why\nexit 3\n", "failed with status 3: why"),
        ("#!/bin/sh\nkill -9 $$\n", "was ended by signal 9"),
        ("#!/no/such/interpreter\n", ": cannot start"),
        ("no interpreter at all\n", ": cannot start"),
    ],
)
def test_a_failing_program_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = program(tmp_path, text)
    with pytest.raises(EngineBackupError) as caught:
        run_program(path, b"", LIMIT)
    assert caught.value.message.replace(f"hook {path}", "").lstrip().startswith(said)


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    path = program(tmp_path, "#!/bin/sh\nexec sleep 600\n")
    with pytest.raises(EngineBackupError, match="did not end within 1 seconds"):
        run_program(path, b"", 1)


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("etc/ovirt-engine-backup/engine-backup-config.d/a.sh", "config"),
        ("etc/ovirt-engine-backup/engine-backup-dorestore.d/deep/a\n.sh", "dorestore"),
        ("etc/ovirt-engine-backup/hooks.d/cleanup/a", "cleanup"),
        ("etc/ovirt-engine-backup/hooks.d/cleanup/a/b", None),
        ("etc/ovirt-engine-backup/engine-backup-config.d/a.txt", None),
        ("etc/ovirt-engine-backup/engine-backup-other.d/a.sh", None),
        ("etc/ovirt-engine-backup/notes.txt", None),
        ("else/etc/ovirt-engine-backup/hooks.d/cleanup/a", None),
    ],
)
def test_which_archived_paths_are_hooks(path: str, stage: str | None) -> None:
    assert stage_of(path.encode()) == stage
