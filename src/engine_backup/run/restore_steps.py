"""One handler for each kind of step of a restore; what changes the machine says first how to take it back."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine_backup.drivers import (
    credentials_rewriting,
    engine_fixes,
    file_placing,
    file_tree,
    pkcs12,
    postgres,
    selinux,
    services,
    sqlite,
)
from engine_backup.model.archive import EntryType, FileEntry
from engine_backup.model.errors import EngineBackupError
from engine_backup.model.paths import OWN_APACHE_CONFIGURATION
from engine_backup.model.printable import printable
from engine_backup.model.secret import Secret
from engine_backup.model.steps import (
    AnalyzeDatabases,
    ApplyFixes,
    CreateExtensions,
    EncryptPkcs12,
    ForgetApache,
    LoadDumps,
    PlaceFiles,
    PlaceSqlite,
    RelabelFiles,
    RemoveHostedHosts,
    RemoveHostedStorage,
    RewriteCredentials,
    RunHooks,
    StageFiles,
    StopServices,
)
from engine_backup.model.ways_back import DropExtensions, PutFilesBack, StartUnit
from engine_backup.run import hosted_engine
from engine_backup.run.analyzing import analyze_databases
from engine_backup.run.loading import load_dumps

if TYPE_CHECKING:
    from engine_backup.run.restoring import RestoreRun

STAGED_FILES = "files"
# However the line is written: what the reader of answers takes for it.
APACHE_CONFIGURED = re.compile(rb"\s*OVESETUP_APACHE/configured\s*=")
OWN_APACHE_NOTE = (
    f"engine-setup does not write /{os.fsdecode(OWN_APACHE_CONFIGURATION)}: look at it, and bring it back,",
    "with 'engine-backup extract'.",
)
CHUNK = 1 << 20


def stage_files(step: StageFiles, run: RestoreRun) -> None:
    """Unpack the chosen files on the file system of the root, where nobody else can look."""
    with run.archive.open_files_tar() as tar:
        file_tree.stage(tar, run.staging / STAGED_FILES, step.entries, run.facts.archive.entries)


def forget_apache(step: ForgetApache, run: RestoreRun) -> None:
    """Change the unpacked answers before they are put in their places."""
    for entry in step.entries:
        staged = run.staging / STAGED_FILES / os.fsdecode(entry.stored_name)
        lines = staged.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not APACHE_CONFIGURED.match(line)]
        if len(kept) < len(lines):
            staged.write_bytes(b"".join(kept))
    run.reporter.frame(
        "Please note:",
        f"The operating system is {step.system}; the backup was made on {step.archived_system}.",
        "Apache httpd configuration will not be restored.",
        *(f"  /{printable(os.fsdecode(name))}" for name in step.left_out),
        "You will be asked about it on the next engine-setup run.",
        *(OWN_APACHE_NOTE if OWN_APACHE_CONFIGURATION in step.left_out else ()),
    )


def encrypt_pkcs12(step: EncryptPkcs12, run: RestoreRun) -> None:
    """Encrypt the unpacked files anew; each stays as it was under another name, whatever happens."""
    changed = 0
    for entry, kept in zip(step.entries, step.kept):
        staged, original = (
            run.staging / STAGED_FILES / os.fsdecode(one.stored_name) for one in (entry, kept)
        )
        staged.rename(original)
        original.chmod(0o600)
        old = original.read_bytes()
        new = _encrypted(entry, old, step.password, run)
        with staged.open("xb") as file:
            file.write(new)
        changed += new != old
    run.reporter.say(f"- {changed} PKCS#12 files encrypted anew; as *.backup.* they stay as they were")


def _encrypted(entry: FileEntry, content: bytes, password: Secret, run: RestoreRun) -> bytes:
    """Return the new content of a file, or the old one with a warning."""
    name = "/" + printable(os.fsdecode(entry.path))
    try:
        new = pkcs12.encrypted_anew(content, password, run.request.surroundings.root)
    except pkcs12.NotEncryptedError as error:
        run.reporter.warn(f"{name} is restored in its old encryption: {error.message}")
        return content
    run.reporter.note(f"encrypted anew: {name}")
    return new


def stop_services(step: StopServices, run: RestoreRun) -> None:
    """Stop services, each with its way back."""
    root = run.request.surroundings.root
    for unit in step.units:
        run.reporter.note(f"stopping {unit}")
        run.undo.add(StartUnit(unit))
        services.stop(unit, root)


def create_extensions(step: CreateExtensions, run: RestoreRun) -> None:
    """Create extensions as the role that will own the database's content."""
    run.undo.add(DropExtensions(step.credentials, step.names))
    with postgres.session(step.credentials) as connection:
        postgres.create_extensions(connection, step.names)


def apply_fixes(step: ApplyFixes, run: RestoreRun) -> None:
    """Correct the loaded database."""
    shown = step.final_name or step.credentials.database
    engine_fixes.apply(step.which, step.credentials, shown, run.reporter.say)


def place_files(step: PlaceFiles, run: RestoreRun) -> None:
    """Move the staged files to their places."""
    run.reporter.say("- Files")
    _place(step.entries, run.staging / STAGED_FILES, run)


def _place(entries: tuple[FileEntry, ...], staged: Path, run: RestoreRun) -> None:
    root = run.request.surroundings.root
    run.undo.add(PutFilesBack("files"))
    run.kept.keep(entry.path for entry in entries)
    placing = file_placing.Placing(staged, root, before=run.kept.before, passing=run.passing)
    report = file_placing.place(staged, root, entries, placing)
    run.reporter.note(f"placed {report.placed} files and directories")
    for name in report.set_id_dropped:
        run.reporter.warn(f"/{os.fsdecode(name)}: setuid or setgid bit not restored")
    if report.owners_not_set:
        count, first = len(report.owners_not_set), os.fsdecode(report.owners_not_set[0])
        run.reporter.warn(f"the owner of {count} files could not be set, the first is /{first}: not root")
        for name in report.owners_not_set:
            run.reporter.note(f"owner not set: /{os.fsdecode(name)}")


def place_sqlite(step: PlaceSqlite, run: RestoreRun) -> None:
    """Put a SQLite database in its place, and take away what SQLite keeps beside the old one."""
    component = step.component
    run.reporter.say(f"- {component.label} database '{component.path}'")
    member = run.archive.members[component.member]
    staged = run.staging / component.name
    staged.mkdir(mode=0o700)
    with run.archive.open_member(component.member) as stream, (staged / "database").open("xb") as target:
        shutil.copyfileobj(stream, target, CHUNK)
    sqlite.check(staged / "database", f"{run.archive.path}: {component.member}")
    name = os.fsencode(component.path.lstrip("/"))
    file = replace(member.entry, path=name, stored_name=b"database")
    _place((*_missing_parent(file, run), file), staged, run)
    root = run.request.surroundings.root
    for companion in sqlite.COMPANIONS:
        stale = root / (component.path.lstrip("/") + companion)
        if stale.is_file():
            run.kept.before(name + companion.encode())
            stale.unlink()


def _missing_parent(file: FileEntry, run: RestoreRun) -> tuple[FileEntry, ...]:
    """Return the file's directory when it is to be made, closed to others (reference 9.5)."""
    parent = file.path.rpartition(b"/")[0]
    if (run.request.surroundings.root / os.fsdecode(parent)).is_dir():
        return ()
    return (replace(file, path=parent, type=EntryType.DIRECTORY, mode=0o750, stored_name=b"", size=0),)


def rewrite_credentials(step: RewriteCredentials, run: RestoreRun) -> None:
    """Write changed credentials into conf files, keeping a copy of each."""
    root = run.request.surroundings.root
    when = datetime.now()
    run.undo.add(PutFilesBack("rewritten conf files"))
    files = [Path(file.lstrip("/")) for file in step.component.credentials_files]
    run.kept.keep(os.fsencode(p) for file in files for p in credentials_rewriting.concerned_paths(file, when))
    for path in credentials_rewriting.rewrite(root, step.component, step.credentials, when):
        run.reporter.say(f"Rewriting {path}")


def relabel_files(step: RelabelFiles, run: RestoreRun) -> None:
    """Give restored files the labels of their places; undone files come back with their own.

    Also directories above them that were missing, and copies of conf files that were rewritten.
    """
    root = run.request.surroundings.root
    if selinux.is_enabled(root):
        names = [
            name
            for name in dict.fromkeys((*step.names, *run.kept.new()))
            if os.path.lexists(os.path.join(os.fsencode(root), name))
        ]
        run.reporter.note(f"setting SELinux labels of {len(names)} files and directories")
        selinux.relabel(root, names)


def run_hooks(step: RunHooks, run: RestoreRun) -> None:
    """Run hooks; when they fail, all but what they did themselves is taken back."""
    try:
        run.hooks.run(step.stage)
    except EngineBackupError as error:
        error.hint += "; what hooks have changed themselves is not taken back"
        raise


HANDLERS: dict[type, Callable[[Any, RestoreRun], None]] = {
    StageFiles: stage_files,
    ForgetApache: forget_apache,
    EncryptPkcs12: encrypt_pkcs12,
    StopServices: stop_services,
    CreateExtensions: create_extensions,
    LoadDumps: load_dumps,
    ApplyFixes: apply_fixes,
    AnalyzeDatabases: analyze_databases,
    RemoveHostedStorage: hosted_engine.remove_storage,
    RemoveHostedHosts: hosted_engine.remove_hosts,
    PlaceFiles: place_files,
    PlaceSqlite: place_sqlite,
    RewriteCredentials: rewrite_credentials,
    RelabelFiles: relabel_files,
    RunHooks: run_hooks,
}
