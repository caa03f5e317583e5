"""Hooks, sourced by a real bash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_backup.drivers.hooks import StageScripts, added_paths, discover, run_stage
from engine_backup.model.errors import EngineBackupError

TRUSTED = frozenset({0, os.getuid()})


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


def found(root: Path) -> StageScripts:
    return discover(root, "config", TRUSTED)


def test_scripts_are_found_deeply_and_sorted_by_path(tmp_path: Path) -> None:
    names = ["a/z.sh", "b.sh", "a.sh", "a/.hidden.sh"]
    paths = [place(tmp_path, f"engine-backup-config.d/{name}") for name in names]
    place(tmp_path, "engine-backup-config.d/note.txt")
    place(tmp_path, "engine-backup-init.d/other.sh")
    (tmp_path / "etc/ovirt-engine-backup/engine-backup-config.d/dangling.sh").symlink_to("nowhere")
    assert found(tmp_path) == StageScripts(tuple(sorted(paths)), ())


def test_no_directory_means_no_scripts(tmp_path: Path) -> None:
    assert found(tmp_path) == StageScripts((), ())


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_script_that_others_can_write_is_not_trusted(tmp_path: Path, mode: int) -> None:
    path = place(tmp_path, "engine-backup-config.d/a.sh", mode=mode)
    scripts = found(tmp_path)
    assert scripts.scripts == ()
    assert scripts.untrusted[0].path == path
    assert scripts.untrusted[0].reason == f"{path} can be written by others (mode {mode:04o})"


def test_parents_count_too(tmp_path: Path) -> None:
    path = place(tmp_path, "engine-backup-config.d/a.sh")
    (tmp_path / "etc").chmod(0o777)
    assert found(tmp_path).untrusted[0].reason.startswith(f"{tmp_path / 'etc'} can be written")
    (tmp_path / "etc").chmod(0o1777)
    assert found(tmp_path).scripts == (path,)


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
    assert [path.name for path in scripts.scripts] == ["a.sh", "direct.sh"]
    assert [entry.path.name for entry in scripts.untrusted] == ["through.sh"]


def run(tmp_path: Path, text: str, **variables: str) -> dict[str, str]:
    return dict(run_stage((place(tmp_path, "a b'c.sh", text),), variables).changed)


def test_scripts_share_one_shell_and_give_changed_variables_back(tmp_path: Path) -> None:
    first = place(
        tmp_path, "1.sh", 'helper() { echo "helped $1"; }\nA="$A changed"\nOTHER=1\necho out; echo err >&2\n'
    )
    second = place(tmp_path, "2.sh", 'helper "$A"\nB="$(printf "two\\nlines")"\nlog "said"; output "shown"\n')
    outcome = run_stage((first, second), {"A": "old", "B": "", "SAME": "s"})
    assert outcome.changed == {"A": "old changed", "B": "two\nlines"}
    assert outcome.output == "out\nhelped old changed\nsaid\nshown\nerr\n"


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
        run_stage((good, bad, after), {"A": ""})
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
    assert run_stage((script,), {"A": value, "B": ""}).changed == expected


@pytest.mark.parametrize("name", ["a b", "a[$(id)]", "", "1a", "a-b"])
def test_only_plain_names_are_variables(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a shell variable"):
        run_stage((place(tmp_path, "a.sh"),), {name: "x"})


def test_nothing_to_run_starts_nothing() -> None:
    assert run_stage((), {"A": "1"}).changed == {}
