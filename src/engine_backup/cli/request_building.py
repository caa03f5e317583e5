"""From settings to a request: defaults, passwords, and what does not go together.

Messages are stock's where stock has one (reference 10.6).
"""

from __future__ import annotations

from pathlib import Path

from engine_backup.cli import archive_names
from engine_backup.cli.environment import Environment
from engine_backup.cli.general_settings import irrelevant, is_directory, temporary_directory
from engine_backup.cli.given_credentials import credentials_of, first_line, is_given
from engine_backup.cli.parser import MODE, WORDS, Settings
from engine_backup.model.components import DATABASES, SCOPE_ALL, Component
from engine_backup.model.errors import UnreadableArchiveError, UsageError
from engine_backup.model.facts import Credentials
from engine_backup.model.hooks import TIME_LIMIT_SECONDS
from engine_backup.model.live import LIVE
from engine_backup.model.modes import (
    BACKUP,
    DEMO,
    DRILL,
    INSPECT,
    JOURNAL,
    JOURNAL_MODES,
    LIST,
    LOOKING_MODES,
    RESTORE,
    STANDARD,
    TAKING_OUT_MODES,
    VERIFY,
)
from engine_backup.model.options import option_name
from engine_backup.model.requests import (
    STANDARD_OUTPUT,
    Administrator,
    BackupRequest,
    DemoRequest,
    DrillRequest,
    DumpWish,
    InspectRequest,
    JournalRequest,
    ListRequest,
    Request,
    RestoreRequest,
    Surroundings,
    VerifyRequest,
)
from engine_backup.model.verify_levels import Level

DEFAULT_ARCHIVE_DIRECTORY = "var/lib/ovirt-engine-backup"
DEFAULT_LOG_DIRECTORY = "var/log/ovirt-engine-backup"
DEMO_VMS, DEMO_DAYS = 150, 30


def build_request(settings: Settings, environment: Environment) -> Request:
    """Return the request; may read password files and ask for passwords. Raises `UsageError`.

    An archive that is not there is an `UnreadableArchiveError`; whoever asked for JSON gets that as JSON.
    """
    mode = settings.get(MODE, BACKUP)
    if mode == DEMO:
        return _demo(settings)
    if mode in TAKING_OUT_MODES:
        from engine_backup.cli.taking_out import build_taking_out

        return build_taking_out(settings, mode, environment)
    _check_hosted_engine_options(settings, mode)
    surroundings = _surroundings(settings, mode, environment)
    if mode in JOURNAL_MODES:
        give_up = settings.get(("", "give_up"), False)
        return JournalRequest(surroundings, mode, settings.get(("", "run")), give_up)
    if mode == LIST:
        return ListRequest(surroundings, _places(settings, surroundings))
    file = _archive(settings, mode, surroundings, environment)
    if mode == INSPECT:
        return InspectRequest(surroundings, file)
    if file != STANDARD_OUTPUT:
        archive_names.check_not_same(file, surroundings.log)
    return _logged(settings, mode, surroundings, file, environment)


def _logged(
    settings: Settings, mode: str, surroundings: Surroundings, file: Path, environment: Environment
) -> Request:
    if mode == BACKUP:
        return _backup(settings, surroundings, file)
    if mode == DRILL:
        return _drill(settings, surroundings, file, environment)
    if mode == VERIFY:
        return VerifyRequest(surroundings, file, settings.get(("", "level"), Level.FULL))
    return _restore(settings, surroundings, file, environment)


def _surroundings(settings: Settings, mode: str, environment: Environment) -> Surroundings:
    root = Path(settings.get(("", "root"), "/")).absolute()
    tmpdir = temporary_directory(settings, environment)
    if not is_directory(root):
        raise UsageError(f"root directory {root} is missing or not a directory", "check --root=DIR")
    default_log = f"{DEFAULT_LOG_DIRECTORY}/ovirt-engine-{mode}-{_stamp(environment)}.log"
    bindir = settings.get(("", "pg_bindir"))
    return Surroundings(
        root=root,
        log=Path(settings.get(("", "log")) or root / default_log).absolute(),
        tmpdir=tmpdir,
        scopes=settings.get(("", "scopes"), (SCOPE_ALL,)),
        product_version=settings.get(("", "product_version")),
        pg_bindir=Path(bindir).absolute() if bindir else None,
        dry_run=settings.get(("", "dry_run"), False),
        json=_json(settings, mode),
        hook_timeout=settings.get(("", "hook_timeout"), TIME_LIMIT_SECONDS),
        warnings=irrelevant(settings, mode),
    )


def _json(settings: Settings, mode: str) -> bool:
    """A run that changes something tells people what it does; only a plan is for programs."""
    planning = mode in (BACKUP, RESTORE)
    asked = (planning or mode in (DRILL, JOURNAL, *LOOKING_MODES)) and settings.get(("", "json"), False)
    if asked and planning and not settings.get(("", "dry_run"), False):
        raise UsageError("--json needs --dry-run", "add --dry-run: it prints the plan and changes nothing")
    return bool(asked)


def _stamp(environment: Environment) -> str:
    return environment.now().strftime("%Y%m%d%H%M%S")


def _archive(settings: Settings, mode: str, surroundings: Surroundings, environment: Environment) -> Path:
    given = _file(settings)
    if given == STANDARD and mode == BACKUP:
        if not surroundings.dry_run:
            archive_names.check_standard_output(environment, surroundings.log)
        return STANDARD_OUTPUT
    if given:
        file = Path(given).absolute()
        if mode == BACKUP:
            archive_names.check_replaceable(file)
        else:
            archive_names.check_readable(given)
        if mode != BACKUP and not surroundings.json and archive_names.is_missing(file):
            raise UnreadableArchiveError(f"{given} does not exist")
        return file
    if mode != BACKUP:
        raise UsageError("--file is missing", f"engine-backup --mode={mode} --file=FILE")
    name = f"ovirt-engine-backup-{_stamp(environment)}.backup"
    return surroundings.root / DEFAULT_ARCHIVE_DIRECTORY / name


def _places(settings: Settings, surroundings: Surroundings) -> tuple[Path, ...]:
    """Return what is to be listed: all words and `--file`, or else where backups go by default."""
    named = [*settings.get(WORDS, ()), *filter(None, [settings.get(("", "file"))])]
    for name in named:
        archive_names.check_readable(name)
    places = tuple(Path(name).absolute() for name in named)
    return places or (surroundings.root / DEFAULT_ARCHIVE_DIRECTORY,)


def _file(settings: Settings) -> str | None:
    """Return the archive's name: of `--file`, or the word after the mode."""
    words: tuple[str, ...] = settings.get(WORDS, ())
    named: str | None = settings.get(("", "file"))
    if len(words) + (named is not None) > 1:
        raise UsageError(
            "more than one archive is named", "name one: --file=FILE, or the word after the mode"
        )
    return words[0] if words else named


def _check_hosted_engine_options(settings: Settings, mode: str) -> None:
    if mode != RESTORE and any(settings.get(("", f"he_remove_{what}")) for what in ("storage_vm", "hosts")):
        raise UsageError("hosted-engine cleaning options work only in restore mode", "use --mode=restore")


def _backup(settings: Settings, surroundings: Surroundings, file: Path) -> BackupRequest:
    dumps = {
        c.name: DumpWish(settings.get((c.name, "dump_format")), settings.get((c.name, "compressor")))
        for c in DATABASES
    }
    return BackupRequest(
        surroundings=surroundings,
        file=file,
        preset=settings.get(("", "preset")),
        archive_compressor=settings.get(("", "archive_compressor")),
        files_compressor=settings.get(("", "files_compressor")),
        dumps=dumps,
        include_paths=settings.get(("", "include_paths"), ()),
        no_overwrite=settings.get(("", "no_overwrite"), False),
        file_named=("", "file") in settings,
        jobs=settings.get(("", "jobs")),
        excluded=(
            *settings.get(("", "excluded_tables"), ()),
            *(pattern for c in DATABASES for pattern in settings.get((c.name, "excluded_history"), ())),
        ),
    )


def _restore(
    settings: Settings, surroundings: Surroundings, file: Path, environment: Environment
) -> RestoreRequest:
    general = {
        name: settings[("", name)]
        for name in (
            "permissions", "keep_temporary_data", "provision_all", "he_remove_storage_vm", "he_remove_hosts",
            "include_paths", "allow_paths", "accept_archived_hosts", "on_existing", "yes",
            "keep_undo", "run_engine_setup", "run_restored_hooks", "analyze",
        )
        if ("", name) in settings
    }  # fmt: skip
    provision = frozenset(c.name for c in DATABASES if settings.get((c.name, "provision")))
    changed = _changed_credentials(settings, environment)
    jobs = {
        c.name: settings[(c.name, "restore_jobs")] for c in DATABASES if (c.name, "restore_jobs") in settings
    }
    return RestoreRequest(
        surroundings=surroundings,
        file=file,
        provision=provision,
        changed=changed,
        restore_jobs=jobs,
        administrator=_administrator(settings),
        **general,
    )


def _administrator(settings: Settings) -> Administrator | None:
    user, passfile = settings.get(("", "administrator")), settings.get(("", "administrator_passfile"))
    if user is None and passfile is None:
        return None
    if user is None or passfile is None:
        missing = "--provision-admin-user" if user is None else "--provision-admin-passfile"
        raise UsageError(f"{missing} is missing", "give both, or neither")
    return Administrator(user, first_line(Path(passfile)))


def _changed_credentials(settings: Settings, environment: Environment) -> dict[str, Credentials]:
    changed = {}
    for component in DATABASES:
        if settings.get((component.name, "change")):
            change = option_name("change", component)
            changed[component.name] = credentials_of(settings, component, environment, change)
        else:
            _check_unchanged(settings, component)
    return changed


def _check_unchanged(settings: Settings, component: Component) -> None:
    if is_given(settings, component):
        change = option_name("change", component)
        label = f"{component.option_prefix.rstrip('-')} db".strip()
        raise UsageError(f"Please use {change} to change {label} credentials", f"add {change}")


def _drill(
    settings: Settings, surroundings: Surroundings, file: Path, environment: Environment
) -> DrillRequest:
    against = settings.get(("", "against"))
    given = [component for component in DATABASES if is_given(settings, component)]
    if given and against is None:
        first = option_name("host", given[0])
        raise UsageError(f"{first} and the options beside it name a live database", f"add --against={LIVE}")
    live = {c.name: credentials_of(settings, c, environment, f"--against={LIVE}") for c in given}
    return DrillRequest(surroundings, file, ("", "log") in settings, against, live)


def _demo(settings: Settings) -> DemoRequest:
    keep, bindir = settings.get(("", "keep")), settings.get(("", "pg_bindir"))
    return DemoRequest(
        vms=settings.get(("", "vms"), DEMO_VMS),
        days=settings.get(("", "days"), DEMO_DAYS),
        keep=Path(keep).absolute() if keep else None,
        pg_bindir=Path(bindir).absolute() if bindir else None,
    )
