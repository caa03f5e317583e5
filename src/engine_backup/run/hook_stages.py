"""Runs administrators' hooks at the stages of a run (contract K7, reference 5.4, design section 9).

They speak about the running system: they never run under another root, nor in a dry run. Only those
run that were there when the run began, unless the person who restores wants those of the archive too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from engine_backup.drivers import config_files, hook_running, hooks
from engine_backup.drivers.children import RUN_VARIABLE
from engine_backup.drivers.hook_running import ShellState
from engine_backup.model.components import COMPONENTS
from engine_backup.model.errors import EngineBackupError, InterruptedByUserError
from engine_backup.model.hooks import CLEANUP, CONFIG, EARLY_STAGES, Hook, StageHooks, stages_of
from engine_backup.model.modes import BACKUP, VERIFY
from engine_backup.model.paths import SAVED_PATHS
from engine_backup.model.requests import Surroundings
from engine_backup.run import hook_document, stopping
from engine_backup.run.hook_document import FAILURE, INTERRUPTED, SUCCESS, Moment
from engine_backup.run.reporting import Reporter
from engine_backup.run.workspace import private_directory

LISTED = "\n".join(row.path for row in SAVED_PATHS)
_PREFIXES = [prefix for c in COMPONENTS for prefix in (c.conf_prefix, c.reader_conf_prefix) if prefix]
_NAME = re.compile(rf"(?:{'|'.join(_PREFIXES)})[A-Za-z0-9_]+")


class Hooks:
    """The hooks of one run, and what their scripts share: variables, functions, a private directory.

    `present` are those that were there when the run began, by stage; `ran` those that have run.
    """

    def __init__(self, mode: str, file: Path, surroundings: Surroundings, reporter: Reporter) -> None:
        self.mode = mode
        self.surroundings = surroundings
        self.with_restored = False
        self.ran: list[Hook] = []
        self.reporter = reporter
        self._stack = ExitStack()
        self._directory: Path | None = None
        self._begun = False
        self._own = ""
        self._paths_before: str | None = None
        self._variables = {
            "MODE": mode,
            "SCOPE": ",".join(surroundings.scopes),
            "FILE": str(file),
            "LOG": str(surroundings.log),
            "BACKUP_PATHS": LISTED,
        }
        self._told: set[Path] = set()
        self.present: Mapping[str, tuple[Hook, ...]] = {
            stage: self._trusted(self._discover(stage)) for stage in stages_of(mode)
        }

    @property
    def paths(self) -> dict[str, tuple[str, ...]]:
        """The hooks that were there, as texts, by stage."""
        return {stage: tuple(str(hook.path) for hook in found) for stage, found in self.present.items()}

    @property
    def added_paths(self) -> tuple[str, ...]:
        """What scripts added to `BACKUP_PATHS`."""
        return tuple(hooks.added_paths(LISTED, self._variables["BACKUP_PATHS"]))

    @property
    def file(self) -> str:
        """The archive's name as scripts left it."""
        return self._variables["FILE"]

    @property
    def directory(self) -> Path:
        """A private directory for hooks alone, `TEMP_FOLDER` to scripts."""
        if self._directory is None:
            self._directory = self._stack.enter_context(private_directory(self.surroundings.tmpdir))
        return self._directory

    @property
    def tar_directory(self) -> Path:
        """Where hooks of a backup put what is to become members of the archive, `tardir` to scripts."""
        return self.directory / "tar"

    def early(self) -> None:
        """Run the stages that come before anything is looked at; in a dry run say that they are not run."""
        for stage in EARLY_STAGES:
            if self.surroundings.dry_run and self.present[stage]:
                self.reporter.warn(f"hooks of stage {stage} are not run in a dry run")
            elif not self.surroundings.dry_run:
                self.run(stage)

    def run(self, stage: str, **facts: Any) -> None:
        """Run the hooks of one stage; raises `EngineBackupError` naming the one that fails.

        `facts` are fields of `Moment`.
        """
        self._begun = True
        runnable = self._runnable(stage)
        if not runnable:
            return
        self._variables["TEMP_FOLDER"] = str(self.directory)
        if stage == CONFIG:
            self._load_again()
        for hook in runnable:
            self.reporter.note(f"hook {hook.path}")
        self._source(stage, [hook.path for hook in runnable if hook.sourced])
        for hook in runnable:
            if not hook.sourced:
                self._start(hook, **facts)
        self.ran += runnable

    def may_run(self, stage: str) -> bool:
        """Say whether a stage that is still to come may have hooks."""
        return bool(self.present[stage]) or (self.with_restored and self.surroundings.root == Path("/"))

    def offer(self, name: str, value: str) -> None:
        """Set a variable for the stages that come."""
        self._variables[name] = value

    def clean_up(self, error: BaseException | None) -> None:
        """Run the last stage, when any stage was reached; raises only when nothing else has failed."""
        try:
            if not self._begun:
                return
            if error is None:
                self._end_well()
            else:
                self._end_badly(error)
        finally:
            self._stack.close()

    def _end_well(self) -> None:
        try:
            self.run(CLEANUP, result=SUCCESS)
        except InterruptedByUserError as stopped:
            stopped.message += f" in hooks of stage {CLEANUP}; {self._done()}"
            raise
        except EngineBackupError as failed:
            failed.message += f" ({self._done()})"
            raise

    def _done(self) -> str:
        return f"the {self.mode} itself is complete"

    def _end_badly(self, error: BaseException) -> None:
        """The first signal came, or does not matter any more; a second one need not wait for hooks."""

        def last_words(signal_name: str) -> EngineBackupError:
            return EngineBackupError(f"stopped at once by {signal_name}, in hooks of stage {CLEANUP}")

        result = INTERRUPTED if isinstance(error, InterruptedByUserError) else FAILURE
        with stopping.clearing_up(), stopping.leaving(last_words):
            try:
                self.run(CLEANUP, result=result, error=str(error) or type(error).__name__)
            except (EngineBackupError, OSError) as failed:
                self.reporter.warn(str(failed))

    def _discover(self, stage: str) -> StageHooks:
        root = self.surroundings.root
        return hooks.discover(root, stage) if root == Path("/") else StageHooks(())

    def _trusted(self, found: StageHooks) -> tuple[Hook, ...]:
        for untrusted in found.untrusted:
            self._refuse(untrusted.path, untrusted.reason)
        return found.hooks

    def _refuse(self, path: Path, reason: str) -> None:
        if path not in self._told:
            self._told.add(path)
            self.reporter.warn(f"hook {path} is not run: {reason}")

    def _runnable(self, stage: str) -> tuple[Hook, ...]:
        """Look again: a restore may have put other hooks there, and so may hooks."""
        found = self._trusted(self._discover(stage))
        if self.with_restored:
            return found
        for hook in found:
            if hook not in self.present[stage]:
                self._refuse(hook.path, "it was not there, or was another, when this run began")
        return tuple(hook for hook in found if hook in self.present[stage])

    def _load_again(self) -> None:
        """Let scripts see what a load of the configuration gives, and nothing twice (quirk 44)."""
        if self._paths_before is None:
            self._paths_before = self._variables["BACKUP_PATHS"]
        self._variables["BACKUP_PATHS"] = self._paths_before
        self._read_configuration()

    def _read_configuration(self) -> None:
        """Set the product's own variables; a configuration that is broken is told of elsewhere."""
        try:
            settings = config_files.load(self.surroundings.root).settings
        except EngineBackupError as error:
            self.reporter.note(f"hooks do not see the configuration: {error.message}")
            return
        for name, setting in settings.items():
            if _NAME.fullmatch(name) and name != RUN_VARIABLE and "\0" not in setting.value:
                self._variables[name] = setting.value

    def _source(self, stage: str, scripts: list[Path]) -> None:
        state = ShellState(self._variables, self._own)
        outcome = hook_running.run_stage(scripts, state, self.surroundings.hook_timeout)
        self.reporter.log.raw(outcome.output)
        for line in outcome.said:
            self.reporter.say(line)
        for name in sorted(outcome.changed.keys() - self._followed(stage)):
            self.reporter.warn(f"hooks of stage {stage} changed {name}, which has no effect")
        self._variables.update(outcome.changed)
        self._own = outcome.own

    def _followed(self, stage: str) -> frozenset[str]:
        """Name the variables whose changes have an effect at a stage, or need none."""
        if stage not in EARLY_STAGES or self.mode == VERIFY:
            return frozenset()
        return frozenset({"BACKUP_PATHS", *(["FILE"] if self.mode == BACKUP else [])})

    def _start(self, hook: Hook, **facts: Any) -> None:
        moment = Moment(
            stage=hook.stage,
            mode=self.mode,
            file=self._variables["FILE"],
            directory=self.directory,
            added_paths=self.added_paths,
            **facts,
        )
        content = hook_document.render(hook_document.document(moment, self.surroundings))
        self.reporter.log.raw(hook_running.run_program(hook.path, content, self.surroundings.hook_timeout))


@contextmanager
def hooks_of(mode: str, file: Path, surroundings: Surroundings, reporter: Reporter) -> Iterator[Hooks]:
    """Give the hooks of a run; when the block is left, however it is, the last stage is run.

    After a block that succeeded a hook that fails raises `EngineBackupError`; else it is a warning.
    """
    found = Hooks(mode, file, surroundings, reporter)
    try:
        yield found
    except BaseException as error:
        found.clean_up(error)
        raise
    found.clean_up(None)
