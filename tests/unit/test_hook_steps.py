"""Which hooks a restore plans."""

from __future__ import annotations

from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.steps import RunHooks
from engine_backup.plan.file_selection import Selection
from engine_backup.plan.hook_steps import hook_steps, restored_hooks, warnings

DIRECTORY = "etc/ovirt-engine-backup/engine-backup-"
CONFIG, LATE = f"/{DIRECTORY}config.d/a.sh", f"/{DIRECTORY}dorestore.d/a.sh"
PROGRAM = "/etc/ovirt-engine-backup/hooks.d/dorestore/own"
PRESENT = {"config": (CONFIG,), "dorestore": (LATE,)}


def selection(*paths: str, kind: EntryType = EntryType.FILE) -> Selection:
    entries = (FileEntry(path.lstrip("/").encode(), kind, 0o644, 0, 0, "root", "root", 0) for path in paths)
    return Selection(tuple(entries), (), (), ())


def test_hooks_that_are_there_run_after_the_files():
    assert hook_steps(PRESENT, selection("/etc/x"), False) == (
        RunHooks("config", (CONFIG,)),
        RunHooks("dorestore", (LATE,)),
    )


def test_without_files_the_configuration_is_not_loaded_again():
    assert hook_steps(PRESENT, selection(), False) == (RunHooks("dorestore", (LATE,)),)


def test_no_hooks_no_steps():
    assert hook_steps({}, selection("/etc/x"), False) == ()


def test_restored_ones_are_named_and_run_only_when_asked_for():
    chosen = selection(LATE, PROGRAM, "/etc/ovirt-engine-backup/notes.txt")
    assert restored_hooks(PRESENT, chosen) == {"dorestore": (PROGRAM,)}
    said = f"hook {PROGRAM} comes from the archive, and is not run; --run-restored-hooks runs it"
    assert warnings(PRESENT, chosen, False) == [said]
    assert warnings(PRESENT, chosen, True) == []
    assert hook_steps({}, chosen, False) == ()
    assert hook_steps({}, chosen, True) == (RunHooks("dorestore", (LATE, PROGRAM)),)


def test_hooks_of_other_modes_are_no_concern_of_a_restore():
    backup = selection(f"/{DIRECTORY}dobackup.d/a.sh")
    assert warnings({}, backup, False) == []
    assert hook_steps({}, backup, True) == ()


def test_directories_are_no_hooks():
    assert restored_hooks({}, selection(PROGRAM, kind=EntryType.DIRECTORY)) == {}
