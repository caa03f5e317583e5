"""The frame of a run that changes the machine: a journal, and three honest ends.

Complete; or as before; or incomplete, which is said, and `engine-backup rollback` goes on from the journal.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from engine_backup.drivers import children, survivors
from engine_backup.drivers.file_placing import TEMPORARY_PREFIX
from engine_backup.drivers.kept_files import KeptFiles
from engine_backup.drivers.local_cluster import LocalCluster
from engine_backup.model.errors import EngineBackupError, IncompleteChangeError
from engine_backup.model.journal import JournalHead
from engine_backup.model.requests import Surroundings
from engine_backup.plan.unfinished import command, needs_administrator
from engine_backup.run import administrator_access, journals, stopping
from engine_backup.run.journal import KEPT, Journal
from engine_backup.run.journal_content import COMPLETE, KEPT_UNDO, UNDONE
from engine_backup.run.reporting import Reporter
from engine_backup.run.taking_back import Place
from engine_backup.run.undo import Undo


@dataclass(frozen=True)
class Change:
    """A change of the machine that is going on.

    `directory` is the run's own, on the file system of the root. `kept` keeps files that are replaced.
    `passing` is how names begin that only stand beside files for a moment. What is entered in
    `unstoppable` counts until the run has said how it ended.
    """

    journal: Journal
    undo: Undo
    kept: KeptFiles
    unstoppable: ExitStack

    @property
    def directory(self) -> Path:
        """Where the run puts what it needs."""
        return self.journal.directory

    @property
    def passing(self) -> bytes:
        """How passing names begin."""
        return passing(self.journal)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Write down that a step begins, and that it has ended well."""
        self.journal.begun(title)
        yield
        self.journal.done(title)


def passing(journal: Journal) -> bytes:
    """Return how passing names of a run begin."""
    return TEMPORARY_PREFIX + journal.head.run.encode() + b"-"


def new_head(archive: Path, components: tuple[str, ...], tmpdir: Path) -> JournalHead:
    """Return the head of a run that begins now."""
    now = datetime.now(timezone.utc)
    return JournalHead(
        run=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        archive=str(archive),
        components=components,
        pid=os.getpid(),
        boot=survivors.boot(),
        tmpdir=str(tmpdir),
    )


def opened(journal: Journal, root: Path, reporter: Reporter, unstoppable: ExitStack) -> Change:
    """Return the change that a journal speaks of."""
    kept = KeptFiles(root, journal.directory / KEPT, passing=passing(journal))
    return Change(journal, Undo(journal, Place(root, kept, reporter.warn), reporter), kept, unstoppable)


@contextmanager
def changing(
    head: JournalHead, keep_undo: bool, surroundings: Surroundings, reporter: Reporter, unstoppable: ExitStack
) -> Iterator[Change]:
    """Give a change for the length of a block; when the block raises, all of it is taken back.

    With `keep_undo` the journal stays after a success. Until `unstoppable` is closed, signals that come
    after the block do not disturb. Raises `RefusedError`, and `IncompleteChangeError` when
    something could not be taken back.
    """
    root = surroundings.root
    journals.clear(root)
    journal = journals.begin(root, head)

    def last_words(signal_name: str) -> EngineBackupError:
        message = f"stopped at once by {signal_name}: the machine is not as it was before"
        reporter.log.fatal(message)
        return IncompleteChangeError(message, f"bring back what was: {command('rollback', root)}")

    try:
        with children.announced(journal.child, head.run), stopping.leaving(last_words):
            try:
                change = opened(journal, root, reporter, unstoppable)
            except BaseException:
                journal.remove()
                raise
            try:
                yield change
                change.kept.make_lasting()
                unstoppable.enter_context(stopping.ignored())
                journal.end(KEPT_UNDO if keep_undo else COMPLETE)
            except BaseException as error:
                unstoppable.enter_context(stopping.clearing_up())
                unwind(change, error, root)
                journal.end(UNDONE)
                journal.remove()
                raise
        _clear(journal, keep_undo, reporter)
    finally:
        journal.close()


def unwind(change: Change, error: BaseException | None, root: Path) -> None:
    """Take everything back; raises `IncompleteChangeError` that names what could not be."""
    failures = taken_back(change, root)
    if failures:
        raise IncompleteChangeError(
            f"{_reason(error)}undoing was incomplete: {'; '.join(failures)}",
            f"put right what is in the way, then finish it: {command('rollback', root)}",
        ) from error


def taken_back(change: Change, root: Path) -> list[str]:
    """Take everything back, and return a line for each part that could not be."""
    content = change.journal.content
    with ExitStack() as stack:
        if needs_administrator(content.ways, frozenset(content.taken_back)):
            stack.enter_context(administrator_access.let_in(LocalCluster(root)))
        return change.undo.unwind()


def _reason(error: BaseException | None) -> str:
    if error is None:
        return ""
    said = error.message if isinstance(error, EngineBackupError) else str(error) or type(error).__name__
    return f"{said}; and "


def _clear(journal: Journal, keep_undo: bool, reporter: Reporter) -> None:
    """Remove what is not needed any more; what cannot be removed is no reason to fail."""
    try:
        if not keep_undo:
            journal.remove()
            return
        for place in journal.directory.iterdir():
            if place.is_dir() and place.name != KEPT:
                shutil.rmtree(place)
    except OSError as error:
        reporter.warn(f"cannot clear up {journal.directory}: {error.strerror}")
